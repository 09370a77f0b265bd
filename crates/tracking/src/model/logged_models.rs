//! Logged models: what a run made or used, with a signature and files of its own. MLflow 3 has them between runs and the
//! registry.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crannog_types::{Problem, Result};
use serde_json::{Value, json};

use super::experiments::{Lifecycle, Tag};
use super::limits;
use super::runs::Metric;
use super::search::{ModelOrder, PageToken, check_count, logged_models_order, python};

/// Whether a model's files are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Nobody says.
    #[default]
    Unspecified,
    /// They are being written.
    Pending,
    /// They are.
    Ready,
    /// Writing them failed.
    Failed,
}

impl Status {
    /// Every status with its number and its word in MLflow's protocol.
    pub const ALL: [(Status, i64, &'static str); 4] = [
        (Status::Unspecified, 0, "LOGGED_MODEL_STATUS_UNSPECIFIED"),
        (Status::Pending, 1, "LOGGED_MODEL_PENDING"),
        (Status::Ready, 2, "LOGGED_MODEL_READY"),
        (Status::Failed, 3, "LOGGED_MODEL_UPLOAD_FAILED"),
    ];

    /// The word of the database, of filters and of MLflow's client.
    pub fn word(self) -> &'static str {
        match self {
            Status::Unspecified => "UNSPECIFIED",
            Status::Pending => "PENDING",
            Status::Ready => "READY",
            Status::Failed => "FAILED",
        }
    }

    /// Reads [`Status::word`].
    pub fn of_word(word: &str) -> Self {
        Status::ALL.into_iter().map(|(status, ..)| status).find(|status| status.word() == word).unwrap_or_default()
    }

    /// The word of the wire.
    pub fn on_wire(self) -> &'static str {
        Status::ALL.into_iter().find(|(status, ..)| *status == self).map_or("", |(.., word)| word)
    }
}

/// What is known of a model without what was logged about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelInfo {
    /// Its key in the database.
    pub seq: i64,
    /// What clients call it: `m-` and 32 hexadecimal digits.
    pub model_id: String,
    /// Its experiment.
    pub experiment: i64,
    /// What people call it; several may have the same name.
    pub name: String,
    /// What kind of model, as the client says; empty for nothing.
    pub model_type: String,
    /// The run that made it, as the client says; empty for none.
    pub source_run_id: String,
    /// Whether its files are there.
    pub status: Status,
    /// More about that.
    pub status_message: Option<String>,
    /// Whether it is there.
    pub lifecycle: Lifecycle,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was last finalized or deleted.
    pub updated_ms: i64,
    /// Where its files are.
    pub artifact_uri: String,
}

/// A point of a metric about a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelMetric {
    /// The point.
    pub metric: Metric,
    /// The dataset that it was measured on; empty for none.
    pub dataset_name: String,
    /// Which state of it; empty for any.
    pub dataset_digest: String,
}

/// A model with what was logged about it.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedModel {
    /// What is known of it.
    pub info: ModelInfo,
    /// Its parameters, by name.
    pub params: Vec<Tag>,
    /// Its tags, by name.
    pub tags: Vec<Tag>,
    /// Its metrics by name, time and step, each with the run that measured it.
    pub metrics: Vec<(ModelMetric, String)>,
}

/// Checks the name that somebody gives a model; an empty one is none.
///
/// # Errors
/// Characters that addresses of models are made of; more than 500 characters.
pub fn check_name(name: &str) -> Result<()> {
    const BAD: [char; 6] = ['/', ':', '.', '%', '"', '\''];
    if name.contains(BAD) {
        return Err(Problem::invalid(format!(
            "Invalid model name ({}) provided. Model name must be a non-empty string and cannot contain the following \
             characters: ('/', ':', '.', '%', '\"', \"'\")",
            python::repr(name)
        )));
    }
    limits::check_length("name", 500, name)
}

/// Checks what a model is made with besides its name.
///
/// # Errors
/// Keys of more than 250 characters, types of more than 500.
pub fn check_texts(model_type: &str, source_run_id: &str, params: &[Tag], tags: &[Tag]) -> Result<()> {
    limits::check_length("model_type", 500, model_type)?;
    limits::check_length("source_run_id", 256, source_run_id)?;
    params.iter().chain(tags).try_for_each(|pair| limits::check_length("key", limits::KEY, &pair.key))
}

/// One dataset that a search is limited to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetFilter {
    /// Its name.
    pub name: String,
    /// Which state of it.
    pub digest: Option<String>,
}

/// One key of an order, as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderBy {
    /// `metrics.auc`, `creation_time`, …
    pub field_name: String,
    /// The least first.
    pub ascending: bool,
    /// Of a metric, only values on this dataset.
    pub dataset_name: Option<String>,
    /// And this state of it.
    pub dataset_digest: Option<String>,
}

impl OrderBy {
    fn json(&self) -> Value {
        json!({
            "field_name": self.field_name,
            "ascending": self.ascending,
            "dataset_name": self.dataset_name,
            "dataset_digest": self.dataset_digest,
        })
    }

    fn python(&self) -> String {
        let text = |text: &Option<String>| text.as_deref().map_or_else(|| "None".to_owned(), python::repr);
        format!(
            "{{'field_name': {}, 'ascending': {}, 'dataset_name': {}, 'dataset_digest': {}}}",
            python::repr(&self.field_name),
            if self.ascending { "True" } else { "False" },
            text(&self.dataset_name),
            text(&self.dataset_digest)
        )
    }
}

/// What is searched for, as it was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelsAsked {
    /// The experiments' ids.
    pub experiment_ids: Vec<String>,
    /// MLflow's filter grammar, or ours above it.
    pub filter: String,
    /// Datasets, one of which the metrics have to be about.
    pub datasets: Vec<DatasetFilter>,
    /// The order.
    pub order_by: Vec<OrderBy>,
    /// How many at most, more than none.
    pub max_results: i64,
    /// Of the page before; empty for the first.
    pub page_token: String,
}

impl ModelsAsked {
    /// The order that is asked for.
    ///
    /// # Errors
    /// In MLflow's words, what it cannot be.
    pub fn order(&self) -> Result<Vec<ModelOrder>> {
        check_count(&self.order_by)?;
        let order = |by: &OrderBy| {
            let (name, digest) = (by.dataset_name.as_deref(), by.dataset_digest.as_deref());
            logged_models_order(&by.field_name, by.ascending, name, digest)
        };
        self.order_by.iter().map(order).collect()
    }

    /// Refuses datasets without a name.
    ///
    /// # Errors
    /// In MLflow's words.
    pub fn check_datasets(&self) -> Result<()> {
        if self.datasets.iter().all(|dataset| !dataset.name.is_empty()) {
            return Ok(());
        }
        Err(Problem::invalid("`dataset_name` in the `datasets` clause must be specified."))
    }

    /// The token of the next page: it holds what was searched for, as MLflow's does.
    pub fn token(&self, page: &PageToken) -> String {
        let order: Vec<Value> = self.order_by.iter().map(OrderBy::json).collect();
        let token = json!({
            "experiment_ids": self.experiment_ids,
            "filter_string": (!self.filter.is_empty()).then_some(&self.filter),
            "order_by": (!order.is_empty()).then_some(order),
            "after": page.encode(),
        });
        STANDARD.encode(token.to_string())
    }

    /// Reads the token of this search.
    ///
    /// # Errors
    /// When it is none, or of another search.
    pub fn page(&self) -> Result<Option<PageToken>> {
        if self.page_token.is_empty() {
            return Ok(None);
        }
        let wrong = || Problem::invalid(format!("Invalid page token: {}", self.page_token));
        let bytes = STANDARD.decode(&self.page_token).map_err(|_| wrong())?;
        let found: Value = serde_json::from_slice(&bytes).map_err(|_| wrong())?;
        let differs = |what: &str, asked: &str, expected: String, found: String| {
            Problem::invalid(format!(
                "{what} in the page token do{} match the requested {asked}. Expected: {expected}. Found: {found}",
                if what.ends_with('s') { " not" } else { "es not" }
            ))
        };
        let ids: Option<Vec<String>> = found["experiment_ids"]
            .as_array()
            .and_then(|ids| ids.iter().map(|id| id.as_str().map(str::to_owned)).collect());
        let ids = ids.ok_or_else(wrong)?;
        if ids != self.experiment_ids {
            let (expected, found) = (python::list(&self.experiment_ids), python::list(&ids));
            return Err(differs("Experiment IDs", "experiment IDs", expected, found));
        }
        let none = |text: &str| if text.is_empty() { "None".to_owned() } else { text.to_owned() };
        let filter = found["filter_string"].as_str().unwrap_or_default();
        if filter != self.filter {
            return Err(differs("Filter string", "filter string", none(&self.filter), none(filter)));
        }
        let order = read_order(&found["order_by"]).ok_or_else(wrong)?;
        if order != self.order_by {
            let shown = |order: &[OrderBy]| match order {
                [] => "None".to_owned(),
                order => format!("[{}]", order.iter().map(OrderBy::python).collect::<Vec<_>>().join(", ")),
            };
            return Err(differs("Order by", "order by", shown(&self.order_by), shown(&order)));
        }
        PageToken::decode(found["after"].as_str().ok_or_else(wrong)?).map(Some)
    }
}

fn read_order(order: &Value) -> Option<Vec<OrderBy>> {
    if order.is_null() {
        return Some(Vec::new());
    }
    let one = |by: &Value| {
        Some(OrderBy {
            field_name: by["field_name"].as_str()?.to_owned(),
            ascending: by["ascending"].as_bool()?,
            dataset_name: by["dataset_name"].as_str().map(str::to_owned),
            dataset_digest: by["dataset_digest"].as_str().map(str::to_owned),
        })
    };
    order.as_array()?.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::search::KeyValue;

    #[test]
    fn a_token_is_good_for_its_search_alone() {
        let by = OrderBy {
            field_name: "metrics.auc".to_owned(),
            ascending: false,
            dataset_name: Some("flights".to_owned()),
            dataset_digest: None,
        };
        let asked = ModelsAsked {
            experiment_ids: vec!["1".to_owned()],
            filter: "name = 'late'".to_owned(),
            order_by: vec![by],
            ..ModelsAsked::default()
        };
        let page = PageToken { order: "o".to_owned(), segment: 0, keys: vec![KeyValue::Int(5)] };
        let asked = ModelsAsked { page_token: asked.token(&page), ..asked };
        assert_eq!(asked.page().unwrap(), Some(page));
        let said = |asked: &ModelsAsked| asked.page().unwrap_err().message().to_owned();
        assert_eq!(
            said(&ModelsAsked { experiment_ids: vec!["2".to_owned()], ..asked.clone() }),
            "Experiment IDs in the page token do not match the requested experiment IDs. Expected: ['2']. Found: ['1']"
        );
        assert_eq!(
            said(&ModelsAsked { filter: String::new(), ..asked.clone() }),
            "Filter string in the page token does not match the requested filter string. Expected: None. Found: name = 'late'"
        );
        assert_eq!(
            said(&ModelsAsked { order_by: Vec::new(), ..asked.clone() }),
            "Order by in the page token does not match the requested order by. Expected: None. Found: [{'field_name': \
             'metrics.auc', 'ascending': False, 'dataset_name': 'flights', 'dataset_digest': None}]"
        );
        assert!(said(&ModelsAsked { page_token: "nonsense".to_owned(), ..asked }).starts_with("Invalid page token"));
    }

    #[test]
    fn names_keep_out_what_addresses_are_made_of() {
        for fine in ["", "late", "größe 日本", " a"] {
            assert!(check_name(fine).is_ok(), "{fine}");
        }
        assert_eq!(
            check_name("a'b").unwrap_err().message(),
            "Invalid model name (\"a'b\") provided. Model name must be a non-empty string and cannot contain the following \
             characters: ('/', ':', '.', '%', '\"', \"'\")"
        );
    }
}
