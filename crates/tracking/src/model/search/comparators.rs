//! Which comparators each key takes, and the typed comparison that comes of it.

use crannog_types::{Problem, Result};

use super::values::{Class, EXPERIMENT_ATTRIBUTES, LOGGED_ATTRIBUTES, Raw, VERSION_NUMBERS};
use super::{Compare, Entity, Key, Operator, Value, python};

const NUMBERS: [&str; 6] = ["!=", "<", "<=", "=", ">", ">="];
const STRINGS: [&str; 6] = ["!=", "=", "ILIKE", "IN", "LIKE", "NOT IN"];
const TEXTS: [&str; 6] = ["!=", "=", "ILIKE", "IS NOT NULL", "IS NULL", "LIKE"];

/// SQLite compares in a time that grows with the pattern's length times the value's.
const MAX_PATTERN: usize = 1_000;

pub(super) fn check(entity: Entity, raw: Raw) -> Result<Compare> {
    match entity {
        Entity::Runs => run(raw),
        Entity::Experiments => experiment(raw),
        Entity::RegisteredModels | Entity::ModelVersions => registry(raw),
        Entity::LoggedModels => logged_model(raw),
    }
}

fn run(raw: Raw) -> Result<Compare> {
    let comparator = raw.comparator.as_str();
    // One quote is missing in most of them, upstream too.
    let (valid, shown, end): (&[&str], &[&str], &str) = match raw.class {
        Class::Attribute if is_time(&raw.key) => (&NUMBERS, &STRINGS, ""),
        Class::Attribute => (&STRINGS, &STRINGS, "'"),
        Class::Metric => (&NUMBERS, &NUMBERS, ""),
        Class::Param => (&TEXTS, &TEXTS, "'"),
        Class::Tag => (&TEXTS, &TEXTS, ""),
        Class::Dataset => (&STRINGS, &STRINGS, ""),
    };
    if !valid.contains(&comparator) && !our_list(&raw) {
        let shown = python::set(shown);
        return Err(Problem::invalid(format!("Invalid comparator '{comparator}' not one of '{shown}{end}")));
    }
    let key = match raw.class {
        Class::Attribute => Key::Attribute(run_attribute(&raw.key)),
        Class::Metric => Key::Metric(raw.key),
        Class::Param => Key::Param(raw.key),
        Class::Tag => Key::Tag(raw.key),
        Class::Dataset => Key::Dataset(match raw.key.as_str() {
            "name" => "name",
            "digest" => "digest",
            _ => "context",
        }),
    };
    compare(key, &raw.comparator, raw.value)
}

/// A list on a tag or a parameter: more than upstream has.
fn our_list(raw: &Raw) -> bool {
    matches!(raw.class, Class::Tag | Class::Param) && matches!(raw.value, Value::List(_))
}

fn is_time(key: &str) -> bool {
    matches!(key, "start_time" | "end_time" | "created" | "Created")
}

/// The one name of an attribute that was checked.
pub(super) fn run_attribute(key: &str) -> &'static str {
    match key {
        "run_id" => "run_id",
        "status" => "status",
        "artifact_uri" => "artifact_uri",
        "user_id" => "user_id",
        "end_time" => "end_time",
        "start_time" | "created" | "Created" => "start_time",
        _ => "run_name",
    }
}

/// The one name of an attribute out of a list that it was checked against.
pub(super) fn named(key: &str, attributes: &[&'static str]) -> &'static str {
    attributes.iter().find(|name| **name == key).copied().unwrap_or("name")
}

fn experiment(raw: Raw) -> Result<Compare> {
    let comparator = raw.comparator.as_str();
    if raw.class == Class::Tag {
        let nullity = matches!(comparator, "IS NULL" | "IS NOT NULL");
        if !nullity && !["=", "!=", "LIKE", "ILIKE"].contains(&comparator) && !our_list(&raw) {
            return Err(Problem::invalid(format!("Invalid comparator for tag: {comparator}")));
        }
        return compare(Key::Tag(raw.key), &raw.comparator, raw.value);
    }
    let key = Key::Attribute(named(&raw.key, &EXPERIMENT_ATTRIBUTES));
    let invalid = |end: &str| {
        let shown = python::set(&STRINGS);
        Problem::invalid(format!("Invalid comparator '{comparator}' not one of '{shown}{end}"))
    };
    match raw.key.as_str() {
        "experiment_id" => {
            if !["=", "!=", "IN", "NOT IN"].contains(&comparator) {
                return Err(Problem::invalid(format!("Invalid comparator for experiment_id: {comparator}")));
            }
            let id = |text: &String| match text.trim().parse::<i64>() {
                Ok(id) => Ok(id.to_string()),
                Err(_) => Err(Problem::invalid(format!(
                    "Invalid experiment ID '{text}'. Experiment ID must be a valid integer."
                ))),
            };
            let value = match &raw.value {
                Value::List(texts) => Value::List(texts.iter().map(id).collect::<Result<_>>()?),
                Value::Text(text) => Value::Text(id(text)?),
                other => other.clone(),
            };
            compare(key, comparator, value)
        }
        "name" if !STRINGS.contains(&comparator) => Err(invalid("'")),
        "name" => compare(key, comparator, raw.value),
        _ if !NUMBERS.contains(&comparator) => Err(invalid("")),
        number => match raw.value {
            Value::Real(value) => {
                let shown = python::float(value);
                Err(Problem::invalid(format!("Invalid value for numeric attribute '{number}': '{shown}'")))
            }
            value => compare(key, comparator, value),
        },
    }
}

fn registry(raw: Raw) -> Result<Compare> {
    let comparator = raw.comparator.as_str();
    if raw.class == Class::Tag {
        if !["=", "!=", "LIKE", "ILIKE"].contains(&comparator) && !our_list(&raw) {
            return Err(Problem::invalid(format!("Invalid comparator for tag: {comparator}")));
        }
        return compare(Key::Tag(raw.key), &raw.comparator, raw.value);
    }
    let name = raw.key.as_str();
    if VERSION_NUMBERS.contains(&name) {
        if !NUMBERS.contains(&comparator) {
            return Err(Problem::invalid(format!("Invalid comparator for attribute {name}: {comparator}")));
        }
        let invalid =
            |value: String| Problem::invalid(format!("Invalid value for numeric attribute '{name}': {value}"));
        let value = match raw.value {
            Value::Real(value) => return Err(invalid(python::float(value))),
            Value::Text(text) => Value::Int(text.trim().parse().map_err(|_| invalid(python::repr(&text)))?),
            other => other,
        };
        return compare(Key::Attribute("version_number"), comparator, value);
    }
    let lists = matches!(comparator, "IN" | "NOT IN");
    if !STRINGS.contains(&comparator) || lists && !matches!(name, "run_id" | "name") {
        return Err(Problem::invalid(format!("Invalid comparator for attribute: {comparator}")));
    }
    compare(Key::Attribute(named(name, &["name", "run_id", "source_path"])), comparator, raw.value)
}

fn logged_model(raw: Raw) -> Result<Compare> {
    let key = match raw.class {
        Class::Metric => Key::Metric(raw.key),
        Class::Param => Key::Param(raw.key),
        Class::Tag => Key::Tag(raw.key),
        Class::Attribute | Class::Dataset => {
            let name = raw.key.strip_suffix("_ms").unwrap_or(&raw.key);
            if !LOGGED_ATTRIBUTES.contains(&name) {
                let valid = python::set(&LOGGED_ATTRIBUTES);
                return Err(Problem::invalid(format!(
                    "Invalid attribute key '{name}' specified. Valid keys are '{valid}'"
                )));
            }
            Key::Attribute(named(name, &LOGGED_ATTRIBUTES))
        }
    };
    compare(key, &raw.comparator, raw.value)
}

fn compare(key: Key, comparator: &str, value: Value) -> Result<Compare> {
    use Operator::*;
    let operator = match comparator.to_uppercase().as_str() {
        "=" => Equal,
        "!=" => NotEqual,
        "<" => Less,
        "<=" => LessOrEqual,
        ">" => Greater,
        ">=" => GreaterOrEqual,
        "LIKE" => Like,
        "ILIKE" => ILike,
        "IN" => In,
        "NOT IN" => NotIn,
        "IS NULL" => IsNull,
        "IS NOT NULL" => IsNotNull,
        _ => return Err(Problem::invalid(format!("Invalid comparator '{comparator}'"))),
    };
    if matches!(value, Value::List(_)) && !matches!(operator, In | NotIn) {
        return Err(Problem::invalid(format!("Invalid comparator '{comparator}' for a list; IN and NOT IN take one")));
    }
    let length = if let Value::Text(text) = &value { text.len() } else { 0 };
    if matches!(operator, Like | ILike) && length > MAX_PATTERN {
        return Err(Problem::invalid(format!("A pattern has at most {MAX_PATTERN} bytes, not {length}")));
    }
    Ok(Compare { key, operator, value })
}
