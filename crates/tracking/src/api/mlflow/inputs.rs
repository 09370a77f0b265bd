//! Reads requests as MLflow's own server does, and says what is wrong with them in its words.
//!
//! Its server parses protobuf's JSON (proto3 mapping): names in snake_case or camelCase, 64-bit numbers as numbers or texts, null
//! for what is not set, unknown names let through. What does not fit is not refused there but field by field afterwards, in the
//! order of its schema: `Missing value for required parameter 'x'.`, `Invalid value … for parameter 'x' supplied: …`. Upstream's
//! tests compare these texts, so they are made here and nowhere else.
//!
//! [`inputs!`] declares a message. A text that is not there is empty and a list is empty, as in protobuf; whether a number is
//! there can be asked.

use serde_json::{Map, Value};

use crate::model::limits::shown;

/// The end of what MLflow's server says about a field.
const SEE_DOCS: &str = " See the API docs for more information about request parameters.";

/// A type of a message's field.
pub(crate) trait Field: Sized {
    /// What stands there when nothing was sent.
    fn unset() -> Self;
    /// The field of a value that is not null; `None` when it does not fit.
    fn read(value: &Value) -> Option<Self>;
}

impl Field for String {
    fn unset() -> Self {
        String::new()
    }
    fn read(value: &Value) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
}

impl Field for Option<String> {
    fn unset() -> Self {
        None
    }
    fn read(value: &Value) -> Option<Self> {
        value.as_str().map(|text| Some(text.to_owned()))
    }
}

impl Field for Option<i64> {
    fn unset() -> Self {
        None
    }
    fn read(value: &Value) -> Option<Self> {
        integer(value).map(Some)
    }
}

impl Field for Option<f64> {
    fn unset() -> Self {
        None
    }
    fn read(value: &Value) -> Option<Self> {
        double(value).map(Some)
    }
}

impl Field for Option<bool> {
    fn unset() -> Self {
        None
    }
    fn read(value: &Value) -> Option<Self> {
        value.as_bool().map(Some)
    }
}

impl<T: Item> Field for Vec<T> {
    fn unset() -> Self {
        Vec::new()
    }
    fn read(value: &Value) -> Option<Self> {
        value.as_array()?.iter().map(T::read).collect()
    }
}

/// What a list holds.
pub(crate) trait Item: Sized {
    /// `None` when it does not fit.
    fn read(value: &Value) -> Option<Self>;
}

impl Item for String {
    fn read(value: &Value) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            let whole = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 9.0e15)?;
            #[expect(clippy::cast_possible_truncation, reason = "it is whole and small")]
            Some(whole as i64)
        }),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn double(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// What a field's declaration says, for the messages.
pub(crate) struct Declared {
    pub(crate) name: &'static str,
    pub(crate) required: bool,
}

/// The value of a field under either of its names.
///
/// # Errors
/// When both are there.
pub(crate) fn value<'a>(of: &'a Map<String, Value>, name: &str) -> Result<Option<&'a Value>, String> {
    let plain = of.get(name);
    if !name.contains('_') {
        return Ok(plain);
    }
    // Nearly always there is none, and batches have thousands of fields: nothing is made to find that out.
    match (plain, of.iter().find(|(key, _)| is_camel_case_of(key, name))) {
        (Some(_), Some((camel, _))) => {
            Err(format!("Request specifies both '{name}' and '{camel}'; provide only one of them."))
        }
        (plain, other) => Ok(plain.or(other.map(|(_, value)| value))),
    }
}

/// Whether a key is `runId`, of `run_id`.
fn is_camel_case_of(key: &str, name: &str) -> bool {
    let (mut key, mut upper) = (key.bytes(), false);
    for letter in name.bytes() {
        if letter == b'_' {
            upper = true;
        } else if key.next() != Some(if std::mem::take(&mut upper) { letter.to_ascii_uppercase() } else { letter }) {
            return false;
        }
    }
    key.next().is_none()
}

/// Checks the fields of a message in their order; `fits` says which of them protobuf took.
///
/// # Errors
/// MLflow's text about the first that is wrong.
pub(crate) fn check(of: &Map<String, Value>, fields: &[(Declared, bool)]) -> Result<(), String> {
    for (field, fits) in fields {
        if *fits && !field.required {
            continue;
        }
        // Its schema knows snake_case alone, and the old name of a run's id.
        let found = match of.get(field.name) {
            None if field.name == "run_id" => of.get("run_uuid"),
            found => found,
        };
        let absent = matches!(found, None | Some(Value::Null)) || found.and_then(Value::as_str) == Some("");
        if field.required && absent {
            return Err(format!("Missing value for required parameter '{}'.{SEE_DOCS}", field.name));
        }
        if let (Some(found), false) = (found, *fits) {
            return Err(invalid(field.name, found));
        }
    }
    Ok(())
}

/// What MLflow says of a value of a wrong type.
fn invalid(name: &str, value: &Value) -> String {
    let kind = match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    };
    let value = shown(value);
    format!("Invalid value {value} for parameter '{name}' supplied:  Hint: Value was of type '{kind}'.{SEE_DOCS}")
}

/// Declares messages: `required` before the fields that have to be there.
macro_rules! inputs {
    ($(
        $(#[$doc:meta])*
        $visible:vis struct $name:ident {
            $($(#[$field_doc:meta])* $field:ident: $kind:ty $(= $required:ident)?,)*
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, schemars::JsonSchema)]
        $visible struct $name {
            $(
                $(#[$field_doc])*
                #[schemars(default)]
                $visible $field: $kind,
            )*
        }

        impl $name {
            /// Reads a message that is JSON already.
            ///
            /// # Errors
            /// MLflow's text about what is wrong with it.
            #[allow(clippy::allow_attributes, dead_code, reason = "messages of lists, and of routes that are called seldom")]
            $visible fn of_json(json: &serde_json::Value) -> Result<Self, serde_json::Error> {
                match json.as_object() {
                    Some(of) => $name::read_message(of).map_err(serde::de::Error::custom),
                    None => serde::Deserialize::deserialize(json),
                }
            }

            /// Reads a message.
            #[allow(clippy::allow_attributes, unused_mut, reason = "a message may have no fields")]
            fn read_message(of: &serde_json::Map<String, serde_json::Value>) -> Result<Self, String> {
                let mut fields = Vec::new();
                $(
                    let sent = $crate::api::mlflow::inputs::value(of, stringify!($field))?;
                    let sent = sent.filter(|value| !value.is_null());
                    let $field = match sent {
                        None => Some(<$kind as $crate::api::mlflow::inputs::Field>::unset()),
                        Some(value) => <$kind as $crate::api::mlflow::inputs::Field>::read(value),
                    };
                    let required = false $(|| inputs!(@ $required))?;
                    let declared = $crate::api::mlflow::inputs::Declared { name: stringify!($field), required };
                    fields.push((declared, $field.is_some()));
                )*
                $crate::api::mlflow::inputs::check(of, &fields)?;
                match ($($field,)*) {
                    ($(Some($field),)*) => Ok($name { $($field),* }),
                    #[allow(clippy::allow_attributes, unreachable_patterns, reason = "a message may have no fields")]
                    _ => Err("the request is not well formed".to_owned()),
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let of = serde_json::Map::deserialize(from)?;
                $name::read_message(&of).map_err(serde::de::Error::custom)
            }
        }

        impl $crate::api::mlflow::inputs::Item for $name {
            fn read(value: &serde_json::Value) -> Option<Self> {
                $name::read_message(value.as_object()?).ok()
            }
        }
    )*};
    (@ required) => { true };
}
pub(crate) use inputs;

#[cfg(test)]
mod tests {
    use serde_json::json;

    inputs! {
        /// A tag.
        struct Tag {
            /// Its key.
            key: String,
            /// Its value.
            value: String,
        }
        /// A request.
        struct Request {
            /// A run.
            run_id: String = required,
            /// When.
            start_time: Option<i64>,
            /// How much.
            value: Option<f64>,
            /// Tags.
            tags: Vec<Tag>,
        }
    }

    fn read(value: serde_json::Value) -> Result<Request, String> {
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    #[test]
    fn both_spellings_numbers_as_texts_and_nulls_are_taken() {
        let request = read(json!({
            "run_id": "r", "startTime": "12", "value": "NaN", "tags": [{ "key": "k", "value": null, "x": 1 }], "more": {},
        }))
        .unwrap();
        assert_eq!((request.run_id.as_str(), request.start_time), ("r", Some(12)));
        assert!(request.value.unwrap().is_nan());
        assert_eq!((request.tags[0].key.as_str(), request.tags[0].value.as_str()), ("k", ""));
        let request = read(json!({ "run_id": "r", "start_time": 1.0 })).unwrap();
        assert_eq!(request.start_time, Some(1));
    }

    #[test]
    fn what_is_wrong_is_said_in_mlflows_words() {
        let missing = "Missing value for required parameter 'run_id'. See the API docs for more information about request \
                       parameters.";
        assert_eq!(read(json!({})).unwrap_err(), missing);
        assert_eq!(read(json!({ "run_id": "" })).unwrap_err(), missing);
        assert_eq!(read(json!({ "runId": "r" })).unwrap_err(), missing);
        assert_eq!(
            read(json!({ "run_id": 12 })).unwrap_err(),
            "Invalid value 12 for parameter 'run_id' supplied:  Hint: Value was of type 'int'. See the API docs for more \
             information about request parameters."
        );
        assert_eq!(
            read(json!({ "run_id": "r", "runId": "r" })).unwrap_err(),
            "Request specifies both 'run_id' and 'runId'; provide only one of them."
        );
        assert!(read(json!({ "run_id": "r", "start_time": "x" })).unwrap_err().starts_with("Invalid value \"x\""));
    }
}
