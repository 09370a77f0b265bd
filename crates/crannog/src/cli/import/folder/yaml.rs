//! What MLflow's file store writes about a thing: a mapping of names to scalars, and sometimes to mappings of them, in YAML.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

/// What the place that is read is in.
enum Open {
    /// A mapping, which has a name where it is in another one.
    Mapping(Option<String>),
    List,
}

/// A file about a thing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Meta {
    /// What is said by one word or text; what is null is not there.
    texts: BTreeMap<String, String>,
    /// What has names of its own.
    maps: BTreeMap<String, BTreeMap<String, String>>,
}

impl Meta {
    /// Reads the first document of a text.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut meta = Meta::default();
        let mut open: Vec<Open> = Vec::new();
        let mut name: Option<String> = None;
        for event in Parser::new_from_str(text) {
            let (event, _) = event.map_err(|error| error.to_string())?;
            match event {
                Event::MappingStart(..) => open.push(Open::Mapping(name.take())),
                Event::SequenceStart(..) => {
                    name = None;
                    open.push(Open::List);
                }
                Event::MappingEnd | Event::SequenceEnd => _ = open.pop(),
                Event::Scalar(text, style, ..) => match (name.take(), open.as_slice()) {
                    (_, [.., Open::List]) => {}
                    (None, _) => name = Some(text.into_owned()),
                    (Some(_), _) if is_null(&text, style) => {}
                    (Some(name), [_]) => _ = meta.texts.insert(name, text.into_owned()),
                    (Some(name), [_, Open::Mapping(Some(above))]) => {
                        meta.maps.entry(above.clone()).or_default().insert(name, text.into_owned());
                    }
                    // Nothing that is read here lies deeper.
                    (Some(_), _) => {}
                },
                Event::Alias(_) => name = None,
                Event::DocumentEnd => break,
                _ => {}
            }
        }
        Ok(meta)
    }

    /// A text; `None` where nothing or null is said.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.texts.get(name).filter(|text| !text.is_empty()).cloned()
    }

    /// A whole number.
    pub(super) fn int(&self, name: &str) -> Option<i64> {
        self.texts.get(name)?.parse().ok()
    }

    /// Names and texts of a mapping.
    pub(super) fn map(&self, name: &str) -> BTreeMap<String, String> {
        self.maps.get(name).cloned().unwrap_or_default()
    }
}

fn is_null(text: &str, style: ScalarStyle) -> bool {
    style == ScalarStyle::Plain && matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_mlflow_writes_is_read() {
        let text = "aliases:\n- champion\n- other\ndescription: 'desc\n\n  with lines'\nend_time: null\nexperiment_id: '765'\nname: 'a long name: with ''quotes'' and \"double\" \
                    that is folded\n  here, yes? größe'\nstart_time: 1795435602540\ntags:\n  mlflow.data.context: train\nlist: []\nempty: {}\n\
                    schema: '{\"a\": [{\"type\": \"long\"}, {\"type\":\n  \"long\"}]}'\nquoted: \"tab\\there\"\nword: None\n";
        let meta = Meta::parse(text).unwrap();
        assert_eq!(meta.text("description").as_deref(), Some("desc\nwith lines"));
        assert_eq!((meta.text("end_time"), meta.int("start_time")), (None, Some(1_795_435_602_540)));
        assert_eq!(meta.int("experiment_id"), Some(765));
        assert_eq!(
            meta.text("name").as_deref(),
            Some("a long name: with 'quotes' and \"double\" that is folded here, yes? größe")
        );
        assert_eq!(meta.map("tags"), BTreeMap::from([("mlflow.data.context".to_owned(), "train".to_owned())]));
        assert_eq!(meta.text("schema").as_deref(), Some("{\"a\": [{\"type\": \"long\"}, {\"type\": \"long\"}]}"));
        assert_eq!(meta.text("quoted").as_deref(), Some("tab\there"));
        assert_eq!((meta.text("word").as_deref(), meta.text("list")), (Some("None"), None));
        assert!(Meta::parse("a: 'never ends").is_err());
    }
}
