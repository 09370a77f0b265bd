//! A comparison's names and values, as each entity has them.

use crannog_types::{Problem, Result};

use super::parse::Piece;
use super::python::{self, Item};
use super::tokens::Kind;
use super::{Entity, Value};

/// Of which kind a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Attribute,
    Metric,
    Param,
    Tag,
    Dataset,
}

impl Class {
    /// What upstream's messages call it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Class::Attribute => "attribute",
            Class::Metric => "metric",
            Class::Param => "parameter",
            Class::Tag => "tag",
            Class::Dataset => "dataset",
        }
    }
}

/// A comparison whose comparator nobody looked at yet.
pub(super) struct Raw {
    pub(super) class: Class,
    pub(super) key: String,
    /// As messages quote it.
    pub(super) comparator: String,
    pub(super) value: Value,
}

pub(super) const RUN_ATTRIBUTES: [&str; 12] = [
    "artifact_uri",
    "end_time",
    "run_id",
    "run_name",
    "start_time",
    "status",
    "user_id",
    "created",
    "Created",
    "run name",
    "Run name",
    "Run Name",
];
/// The names of a run's name have no place in orders.
pub(super) const RUN_ORDERS: &[&str] = RUN_ATTRIBUTES.split_at(9).0;
pub(super) const EXPERIMENT_ATTRIBUTES: [&str; 4] = ["name", "experiment_id", "creation_time", "last_update_time"];
pub(super) const VERSION_ATTRIBUTES: [&str; 4] = ["name", "version_number", "run_id", "source_path"];
pub(super) const VERSION_NUMBERS: [&str; 3] = ["version_number", "creation_timestamp", "last_updated_timestamp"];
pub(super) const LOGGED_ATTRIBUTES: [&str; 9] = [
    "name",
    "model_id",
    "model_type",
    "status",
    "source_run_id",
    "creation_timestamp",
    "creation_time",
    "last_updated_timestamp",
    "last_updated_time",
];
const DATASET_ATTRIBUTES: [&str; 3] = ["name", "digest", "context"];

pub(super) fn read(entity: Entity, pieces: Vec<Piece>, text: String) -> Result<Raw> {
    if entity == Entity::LoggedModels {
        return logged_model(&pieces, &text);
    }
    let nullity = pieces.len() == 2 && matches!(entity, Entity::Runs | Entity::Experiments);
    if pieces.len() != 3 && !nullity {
        let count = pieces.len();
        return Err(Problem::invalid(format!("Invalid comparison clause. Expected 3 tokens found {count}")));
    }
    let (left, written) = &pieces[0];
    if *left != Kind::Identifier {
        return Err(Problem::invalid(format!("Invalid comparison clause. Expected 'Identifier' found '{written}'")));
    }
    let (class, key) = match entity {
        Entity::Runs => run_key(written, &RUN_ATTRIBUTES)?,
        Entity::Experiments => entity_key(written, &EXPERIMENT_ATTRIBUTES, true)?,
        Entity::RegisteredModels => entity_key(written, &["name"], false)?,
        _ => entity_key(written, &VERSION_ATTRIBUTES, false)?,
    };
    let comparator = pieces[1].1.clone();
    let Some((kind, value)) = pieces.get(2) else {
        return nothing(entity, class, key, comparator);
    };
    let value = match entity {
        Entity::Runs | Entity::Experiments => tracked_value(entity, class, &key, &comparator, *kind, value)?,
        _ => registry_value(entity, class, &key, &comparator, *kind, value)?,
    };
    let upper = matches!(entity, Entity::RegisteredModels | Entity::ModelVersions | Entity::Runs);
    Ok(Raw { class, key, comparator: if upper { comparator.to_uppercase() } else { comparator }, value })
}

/// `IS NULL` and `IS NOT NULL`.
fn nothing(entity: Entity, class: Class, key: String, comparator: String) -> Result<Raw> {
    let word = class.word();
    match (entity, class) {
        (Entity::Runs, Class::Tag | Class::Param) | (Entity::Experiments, Class::Tag) => {
            Ok(Raw { class, key, comparator, value: Value::Nothing })
        }
        (Entity::Runs, _) => Err(Problem::invalid(format!(
            "IS NULL / IS NOT NULL is only supported for tags and params, not for '{word}' '{key}'"
        ))),
        _ => Err(Problem::invalid(format!(
            "IS NULL / IS NOT NULL is only supported for tags, not for attribute '{key}'"
        ))),
    }
}

/// What a name of a run's filter or order means.
pub(super) fn run_key(written: &str, attributes: &[&str]) -> Result<(Class, String)> {
    let (entity, key) = written.split_once('.').unwrap_or(("attribute", written));
    let entity = within(entity, '`');
    let class = match entity {
        "attribute" | "attr" | "attributes" | "run" => Class::Attribute,
        "metric" | "metrics" => Class::Metric,
        "parameter" | "parameters" | "param" | "params" => Class::Param,
        "tag" | "tags" => Class::Tag,
        "dataset" | "datasets" => Class::Dataset,
        _ => {
            let valid = python::list(&["metric", "parameter", "tag", "attribute", "dataset"]);
            return Err(Problem::invalid(format!("Invalid entity type '{entity}'. Valid values are {valid}")));
        }
    };
    let key = trimmed(key);
    if class == Class::Attribute && !attributes.contains(&key) {
        return Err(invalid_attribute(key, attributes));
    }
    if class == Class::Dataset && !DATASET_ATTRIBUTES.contains(&key) {
        let valid = python::set(&DATASET_ATTRIBUTES);
        return Err(Problem::invalid(format!("Invalid dataset key '{key}' specified. Valid keys are '{valid}'")));
    }
    Ok((class, key.to_owned()))
}

/// The same of experiments and registered models, which have attributes and tags alone. `trim_first`: an attribute may
/// stand in quotes.
pub(super) fn entity_key(written: &str, attributes: &[&str], trim_first: bool) -> Result<(Class, String)> {
    let (entity, key) = written.split_once('.').unwrap_or(("attribute", written));
    let class = match entity {
        "attribute" => Class::Attribute,
        "tag" | "tags" => Class::Tag,
        _ => {
            let valid = python::tuple(&["attribute", "tag", "tags"]);
            return Err(Problem::invalid(format!("Invalid entity type '{entity}'. Valid entity types are {valid}")));
        }
    };
    let compared = if trim_first { trimmed(key) } else { key };
    if class == Class::Attribute && !attributes.contains(&compared) {
        return Err(invalid_attribute(compared, attributes));
    }
    Ok((class, trimmed(key).to_owned()))
}

fn invalid_attribute(key: &str, attributes: &[&str]) -> Problem {
    let valid = python::set(attributes);
    Problem::invalid(format!("Invalid attribute key '{key}' specified. Valid keys are '{valid}'"))
}

/// A key without its quotes, then without its backticks.
fn trimmed(key: &str) -> &str {
    let key = match within(key, '\'') {
        same if same.len() == key.len() => within(key, '"'),
        inner => inner,
    };
    within(key, '`')
}

fn within(text: &str, quote: char) -> &str {
    text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)).unwrap_or(text)
}

/// Whether a list can be on the right.
fn listing(comparator: &str) -> bool {
    comparator.eq_ignore_ascii_case("IN") || comparator.eq_ignore_ascii_case("NOT IN")
}

fn tracked_value(entity: Entity, class: Class, key: &str, comparator: &str, kind: Kind, text: &str) -> Result<Value> {
    let is_text = matches!(kind, Kind::Single | Kind::Identifier);
    let is_number = matches!(kind, Kind::Int | Kind::Float);
    let is_list = kind == Kind::Parenthesis && listing(comparator);
    match class {
        Class::Metric if is_number => Ok(Value::Real(real(text)?)),
        Class::Metric => Err(Problem::invalid(format!("Expected numeric value type for metric. Found {text}"))),
        Class::Param | Class::Tag if is_text => unquoted(text),
        Class::Param | Class::Tag if is_list => list(text),
        Class::Param | Class::Tag => Err(quoted_expected(class, text)),
        Class::Attribute => {
            let numeric: &[&str] = match entity {
                Entity::Runs => &["start_time", "end_time", "created", "Created"],
                _ => &["creation_time", "last_update_time"],
            };
            if numeric.contains(&key) {
                return match kind {
                    Kind::Int | Kind::Float => number(kind, text),
                    _ => Err(Problem::invalid(format!(
                        "Expected numeric value type for numeric attribute: {key}. Found {text}"
                    ))),
                };
            }
            if is_text {
                return unquoted(text);
            }
            if kind == Kind::Parenthesis {
                let listed = if entity == Entity::Runs { "run_id" } else { "experiment_id" };
                supports_lists(key, &[listed])?;
                return list(text);
            }
            Err(Problem::invalid(format!("Expected a quoted string value for attributes. Got value {text}")))
        }
        Class::Dataset if is_text => unquoted(text),
        Class::Dataset if kind == Kind::Parenthesis => list(text),
        Class::Dataset => {
            Err(Problem::invalid(format!("Expected a quoted string value for dataset attributes. Got value {text}")))
        }
    }
}

fn registry_value(entity: Entity, class: Class, key: &str, comparator: &str, kind: Kind, text: &str) -> Result<Value> {
    let is_list = kind == Kind::Parenthesis && listing(comparator);
    if matches!(kind, Kind::Single | Kind::Identifier) {
        return unquoted(text);
    }
    if class == Class::Tag {
        return if is_list { list(text) } else { Err(quoted_expected(class, text)) };
    }
    if kind == Kind::Parenthesis {
        let listed: &[&str] = if entity == Entity::RegisteredModels { &["name"] } else { &["name", "run_id"] };
        supports_lists(key, listed)?;
        return list(text);
    }
    if entity == Entity::ModelVersions && matches!(kind, Kind::Int | Kind::Float) {
        if !VERSION_NUMBERS.contains(&key) {
            let numbers = python::set(&VERSION_NUMBERS);
            return Err(Problem::invalid(format!(
                "Only the '{numbers}' attributes support comparison with numeric values."
            )));
        }
        return number(kind, text);
    }
    Err(Problem::invalid(format!(
        "Expected a quoted string value or a list of quoted string values for attributes. Got value {text}"
    )))
}

/// Logged models have a reader of their own upstream, more lenient with quotes and with other words.
fn logged_model(pieces: &[Piece], text: &str) -> Result<Raw> {
    let [(_, written), (_, comparator), (kind, value)] = pieces else {
        return Err(Problem::invalid(format!("Invalid comparison: {text}. Expected a comparison with 3 tokens.")));
    };
    let entity = written.split_once('.').filter(|(entity, key)| {
        !key.is_empty() && !entity.is_empty() && entity.chars().all(|c| c.is_ascii_lowercase())
    });
    let (class, shown, key) = match entity {
        None => (Class::Attribute, "attributes", written.as_str()),
        Some((entity, key)) => {
            let class = match entity {
                "attributes" => Class::Attribute,
                "metrics" => Class::Metric,
                "params" => Class::Param,
                "tags" => Class::Tag,
                _ => {
                    let valid = python::list(&["attributes", "metrics", "params", "tags"]);
                    let entity = python::repr(entity);
                    return Err(Problem::invalid(format!("Invalid entity type: {entity}. Expected one of {valid}.")));
                }
            };
            (class, entity, key)
        }
    };
    let key = within(key.trim_matches('`'), '"');
    let key = match key {
        "creation_time" | "creation_timestamp" if class == Class::Attribute => "creation_timestamp_ms",
        "last_updated_time" | "last_updated_timestamp" if class == Class::Attribute => "last_updated_timestamp_ms",
        other => other,
    };
    let numeric = class == Class::Metric || class == Class::Attribute && key.ends_with("_timestamp_ms");
    let comparator = comparator.to_uppercase();
    let valid: &[&str] =
        if numeric { &["<", "<=", ">", ">=", "=", "!="] } else { &["=", "!=", "LIKE", "ILIKE", "IN", "NOT IN"] };
    if !valid.contains(&comparator.as_str()) {
        let (comparator, valid) = (python::repr(&comparator), python::tuple(valid));
        return Err(Problem::invalid(format!(
            "Invalid comparison operator for {shown}.{key}: {comparator}. Expected one of {valid}."
        )));
    }
    let value = if numeric {
        Value::Real(real(value)?)
    } else if *kind == Kind::Parenthesis {
        list(value)?
    } else {
        Value::Text(within(value.trim_matches('\''), '"').to_owned())
    };
    Ok(Raw { class, key: key.to_owned(), comparator, value })
}

fn supports_lists(key: &str, keys: &[&str]) -> Result<()> {
    if keys.contains(&key) {
        return Ok(());
    }
    let keys = python::list(keys);
    Err(Problem::invalid(format!("Only {keys} attributes support comparison with a list of quoted string values.")))
}

fn quoted_expected(class: Class, text: &str) -> Problem {
    let word = class.word();
    Problem::invalid(format!("Expected a quoted string value for {word} (e.g. 'my-value'). Got value {text}"))
}

fn unquoted(text: &str) -> Result<Value> {
    for quote in ['\'', '"'] {
        if text.len() >= 2 && text.starts_with(quote) && text.ends_with(quote) {
            return Ok(Value::Text(within(text, quote).to_owned()));
        }
    }
    Err(Problem::invalid(format!(
        "Parameter value is either not quoted or unidentified quote types used for string value {text}. Use either single \
         or double quotes."
    )))
}

fn number(kind: Kind, text: &str) -> Result<Value> {
    match text.parse() {
        Ok(whole) if kind == Kind::Int => Ok(Value::Int(whole)),
        _ => Ok(Value::Real(real(text)?)),
    }
}

fn real(text: &str) -> Result<f64> {
    match text.parse::<f64>() {
        Ok(number) if !number.is_nan() => Ok(number),
        _ => Err(Problem::invalid(format!("Expected numeric value type. Found {text}"))),
    }
}

fn list(text: &str) -> Result<Value> {
    const EMPTY: &str = "While parsing a list in the query, expected a non-empty list of string values, but got ";
    let items = python::literals(text).ok_or_else(|| Problem::invalid(format!("{EMPTY}ill-formed list.")))?;
    if items.is_empty() {
        return Err(Problem::invalid(format!("{EMPTY}empty list")));
    }
    if items.iter().any(|item| matches!(item, Item::Other(_))) {
        let shown: Vec<String> = items
            .iter()
            .map(|item| match item {
                Item::Text(text) => python::repr(text),
                Item::Other(text) => text.clone(),
            })
            .collect();
        let comma = if shown.len() == 1 { "," } else { "" };
        return Err(Problem::invalid(format!(
            "While parsing a list in the query, expected string value, punctuation, or whitespace, but got different type \
             in list: ({}{comma})",
            shown.join(", ")
        )));
    }
    Ok(Value::List(
        items
            .into_iter()
            .filter_map(|item| match item {
                Item::Text(text) => Some(text),
                Item::Other(_) => None,
            })
            .collect(),
    ))
}
