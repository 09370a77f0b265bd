//! What names and values may be, and MLflow's words for what they may not. Upstream's tests compare these texts, and its limits
//! are those of `mlflow/utils/validation.py` (3.17).

use crannog_types::{Problem, Result};
use serde_json::Value;

/// Metrics of one batch.
pub const METRICS: usize = 1000;
/// Parameters of one batch, and tags of one.
pub const PARAMS_AND_TAGS: usize = 100;
/// All of them together.
pub const ENTITIES: usize = 1000;
/// The largest body of a batch, in bytes. MLflow's clients count entries, not bytes: 100 parameters and 100 tags of the largest
/// values, every character of them written as `\u1234`, are 8.4 MB.
pub const BATCH_BYTES: usize = 10_000_000;
/// The largest body that names datasets, in bytes: the longest profile (16,777,215 characters) and schema (1,048,575) of one are
/// texts of JSON, whose quotes are escaped on their way.
pub const INPUTS_BYTES: usize = 32 << 20;
/// Names of metrics, parameters, tags, in characters.
pub const KEY: usize = 250;
/// A parameter's value.
pub const PARAM: usize = 6000;
/// A run's tag.
pub const TAG: usize = 8000;
/// An experiment's tag.
pub const EXPERIMENT_TAG: usize = 20_000;
/// An experiment's name.
pub const EXPERIMENT_NAME: usize = 500;
/// A run's name, and who runs it: both databases find runs by it.
pub const RUN_NAME: usize = 500;
/// Tags of a new run or experiment, and datasets of one request; all tags of a registered model, and of a version.
pub const TAGS: usize = 1000;

/// Checks how many there are of something that MLflow does not count.
///
/// # Errors
/// When there are more.
pub fn check_count(what: &str, limit: usize, count: usize) -> Result<()> {
    if count > limit {
        return Err(Problem::invalid(format!("a request can contain at most {limit} {what}, not {count}")));
    }
    Ok(())
}

/// Checks that something has room for one more tag.
///
/// # Errors
/// When it has as many as one may have.
pub fn check_room(what: &str, tags: i64) -> Result<()> {
    if usize::try_from(tags).is_ok_and(|tags| tags >= TAGS) {
        return Err(Problem::invalid(format!("{what} can have at most {TAGS} tags")).hint("delete one of them first"));
    }
    Ok(())
}

/// `metrics[3].name`, or `name` alone.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// The only one.
    Alone,
    /// One of a list.
    Of(&'static str, usize),
}

impl Place {
    fn field(self, name: &str) -> String {
        match self {
            Place::Alone => name.to_owned(),
            Place::Of(list, index) => format!("{list}[{index}].{name}"),
        }
    }
}

/// A value as Python's JSON shows it: ASCII alone, keys in order.
pub fn shown(value: &Value) -> String {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(object) => {
                let mut pairs: Vec<(&String, &Value)> = object.iter().collect();
                pairs.sort_by_key(|(key, _)| *key);
                Value::Object(pairs.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect())
            }
            Value::Array(list) => list.iter().map(sorted).collect(),
            other => other.clone(),
        }
    }
    let mut units = [0; 2];
    sorted(value).to_string().chars().fold(String::new(), |mut text, c| {
        if c.is_ascii() && c != '\u{7f}' {
            text.push(c);
        } else {
            text.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
        text
    })
}

fn invalid(field: &str, value: &str, why: &str) -> Problem {
    let value = shown(&Value::from(value));
    Problem::invalid(format!("Invalid value {value} for parameter '{field}' supplied: {why}"))
}

/// Checks the name of a metric, a parameter or a tag.
///
/// # Errors
/// Characters other than letters, digits, `_-. :/`; a path that would mean another.
pub fn check_name(place: Place, field: &str, name: &str) -> Result<()> {
    let fine = |c: char| c.is_alphanumeric() || "/_.- :".contains(c);
    if !name.chars().all(fine) {
        return Err(invalid(
            &place.field(field),
            name,
            "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and \
             slashes (/).",
        ));
    }
    let meant = normal_path(name);
    if meant != name || meant == "." || meant.starts_with("..") || meant.starts_with('/') {
        return Err(invalid(
            &place.field(field),
            name,
            &format!(
                "Names may be treated as files in certain cases, and must not resolve to other names when treated as \
                 such. This name would resolve to '{meant}'"
            ),
        ));
    }
    Ok(())
}

/// What a POSIX path means: without `.`, `..` and doubled slashes.
fn normal_path(path: &str) -> String {
    if path.is_empty() {
        return ".".to_owned();
    }
    let slashes = match path {
        path if path.starts_with("//") && !path.starts_with("///") => "//",
        path if path.starts_with('/') => "/",
        _ => "",
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => _ = parts.pop(),
            ".." if !slashes.is_empty() && parts.is_empty() => {}
            part => parts.push(part),
        }
    }
    match format!("{slashes}{}", parts.join("/")) {
        path if path.is_empty() => ".".to_owned(),
        path => path,
    }
}

/// Checks a length in characters.
///
/// # Errors
/// When it is longer.
pub fn check_length(what: &str, limit: usize, text: &str) -> Result<()> {
    if text.len() > limit && text.chars().count() > limit {
        return Err(Problem::invalid(format!("'{what}' exceeds the maximum length of {limit} characters")));
    }
    Ok(())
}

/// A text cut to a length: MLflow's server cuts values of parameters and tags that are too long, and says so in its log alone.
#[must_use]
pub fn cut(limit: usize, mut text: String) -> String {
    if text.len() > limit
        && let Some((end, _)) = text.char_indices().nth(limit)
    {
        text.truncate(end);
    }
    text
}

/// Checks a metric's name, time and name's length.
///
/// # Errors
/// As [`check_name`]; times before 1970.
pub fn check_metric(place: Place, key: &str, value: f64, time_ms: i64) -> Result<()> {
    check_name(place, "name", key)?;
    if time_ms < 0 {
        let field = place.field("timestamp");
        return Err(Problem::invalid(format!(
            "Invalid value {time_ms} for parameter '{field}' supplied: metric '{key}' (value={}). Timestamp must be a \
             nonnegative long (64-bit integer) ",
            python_float(value)
        )));
    }
    check_length("Metric name", KEY, key)
}

/// As Python prints it.
fn python_float(value: f64) -> String {
    if value.is_nan() { "nan".to_owned() } else { format!("{value:?}") }
}

/// Checks a parameter; gives its value as it is kept.
///
/// # Errors
/// As [`check_name`].
pub fn check_param(place: Place, key: &str, value: String) -> Result<String> {
    check_name(place, "key", key)?;
    check_length("Param key", KEY, key)?;
    Ok(cut(PARAM, value))
}

/// Checks a run's tag; gives its value as it is kept.
///
/// # Errors
/// As [`check_name`].
pub fn check_tag(place: Place, key: &str, value: String) -> Result<String> {
    check_name(place, "key", key)?;
    check_length(&place.field("key"), KEY, key)?;
    Ok(cut(TAG, value))
}

/// Checks an experiment's tag.
///
/// # Errors
/// As [`check_name`]; a value that is too long.
pub fn check_experiment_tag(key: &str, value: &str) -> Result<()> {
    check_name(Place::Alone, "key", key)?;
    check_length("key", KEY, key)?;
    check_length("value", EXPERIMENT_TAG, value)
}

/// Checks how many things a batch has.
///
/// # Errors
/// When there are too many of one kind, or together.
pub fn check_batch(metrics: usize, params: usize, tags: usize) -> Result<()> {
    let limits = [
        ("metrics", METRICS, metrics),
        ("params", PARAMS_AND_TAGS, params),
        ("tags", PARAMS_AND_TAGS, tags),
        ("metrics, params, and tags", ENTITIES, metrics + params + tags),
    ];
    for (what, limit, count) in limits {
        if count > limit {
            return Err(Problem::invalid(format!(
                "A batch logging request can contain at most {limit} {what}. Got {count} {what}. Please split up {what} \
                 across multiple requests and try again."
            )));
        }
    }
    Ok(())
}

/// Checks an experiment's name.
///
/// # Errors
/// Empty, or too long.
pub fn check_experiment_name(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Problem::invalid("Invalid experiment name: ''"));
    }
    check_length("name", EXPERIMENT_NAME, name)
}

/// Checks a run's id as clients may give it.
///
/// # Errors
/// When it is not of 1 to 256 letters, digits, `_` and `-`, the first a letter or a digit.
pub fn check_run_id(run_id: &str) -> Result<()> {
    let mut letters = run_id.chars();
    let first = letters.next().is_some_and(|c| c.is_ascii_alphanumeric());
    let rest = letters.clone().count() <= 255 && letters.all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    if first && rest {
        return Ok(());
    }
    Err(Problem::invalid(format!("Invalid value {} for parameter 'run_id' supplied.", shown(&Value::from(run_id)))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_mean_what_posix_says() {
        for (path, means) in [
            ("a/b", "a/b"),
            ("a//b", "a/b"),
            ("./a", "a"),
            ("a/../b", "b"),
            ("../a", "../a"),
            ("/..", "/"),
            ("", "."),
            ("a/..", "."),
            ("//a", "//a"),
            ("///a", "/a"),
        ] {
            assert_eq!(normal_path(path), means, "{path:?}");
        }
    }

    #[test]
    fn names_are_checked() {
        for fine in ["loss", "val/loss", "a b.c-d_e:f", "größe", "日本"] {
            assert!(check_name(Place::Alone, "name", fine).is_ok(), "{fine}");
        }
        for wrong in ["", "../a", "/a", "a/", "a//b", "a?b", "a\n"] {
            assert!(check_name(Place::Of("metrics", 2), "name", wrong).is_err(), "{wrong}");
        }
        let said = check_name(Place::Of("metrics", 2), "name", "a?").unwrap_err();
        assert!(
            said.message().starts_with("Invalid value \"a?\" for parameter 'metrics[2].name' supplied: Names may only")
        );
    }

    #[test]
    fn values_are_shown_as_python_shows_them() {
        let value = serde_json::json!({ "b": "日\n", "a": [1, 0.5, "😀"] });
        assert_eq!(shown(&value), r#"{"a":[1,0.5,"\ud83d\ude00"],"b":"\u65e5\n"}"#);
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut(2, "äöü".to_owned()), "äö");
        assert_eq!(cut(3, "äöü".to_owned()), "äöü");
    }
}
