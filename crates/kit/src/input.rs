//! Joins path, query and body into the one object that an endpoint's input is read from.
//!
//! Texts of the path and the query become numbers, booleans and lists where the input's schema says so. A client's unknown
//! fields are let through: clients are newer than servers.

use std::collections::HashSet;

use crannog_types::{Problem, Result};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

/// What becomes of a text that is not of the type that the schema asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It is refused here.
    Refused,
    /// It stays a text: whoever reads the input says what is wrong with it, in words of its own.
    Left,
}

/// Reads `a=1&b=x%20y` with a schema's types. Of a name that comes twice the first counts, as in MLflow and most frameworks, unless
/// the schema calls it an array.
pub fn read_pairs(text: &str, schema: &Value, unfit: Unfit, into: &mut Map<String, Value>) -> Result<()> {
    let mut seen = HashSet::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(&name.replace('+', " "))?, decode(&value.replace('+', " "))?);
        if seen.insert(name.clone()) || is_list(&name, schema) {
            put_text(name, &value, schema, unfit, into)?;
        }
    }
    Ok(())
}

/// Puts one text of the path or the query in place.
pub fn put_text(name: String, text: &str, schema: &Value, unfit: Unfit, into: &mut Map<String, Value>) -> Result<()> {
    let types = types_of_property(&name, schema);
    if types.contains(&"array") {
        let entry = into.entry(name).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(list) = entry {
            list.push(Value::String(text.to_owned()));
        }
        return Ok(());
    }
    let value = match typed(text, &types) {
        Ok(value) => value,
        Err(_) if unfit == Unfit::Left => Value::String(text.to_owned()),
        Err(_) if text.is_empty() && types.contains(&"null") => Value::Null,
        Err(wanted) => return Err(Problem::invalid(format!("{name} is {text:?}, not {wanted}"))),
    };
    into.insert(name, value);
    Ok(())
}

/// A text as the type that is asked for, or what that is.
fn typed(text: &str, types: &[&str]) -> std::result::Result<Value, &'static str> {
    if types.contains(&"integer") {
        text.parse::<i64>().map(Value::from).map_err(|_| "a whole number")
    } else if types.contains(&"number") {
        text.parse::<f64>().map(Value::from).map_err(|_| "a number")
    } else if types.contains(&"boolean") {
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Ok(Value::Bool(true)),
            "false" | "0" => Ok(Value::Bool(false)),
            _ => Err("true or false"),
        }
    } else {
        Ok(Value::String(text.to_owned()))
    }
}

/// Undoes percent-encoding, once.
pub fn decode(text: &str) -> Result<String> {
    percent_decode_str(text)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| Problem::invalid("the address is not UTF-8 after percent-decoding"))
}

fn resolve<'a>(schema: &'a Value, property: Option<&'a Value>) -> Option<&'a Value> {
    let property = property?;
    match property.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#')) {
        Some(pointer) => schema.pointer(pointer),
        None => Some(property),
    }
}

fn types_of<'a>(schema: &'a Value, property: Option<&'a Value>) -> Vec<&'a str> {
    let Some(property) = property else { return Vec::new() };
    match property.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => {
            let choices = property.get("anyOf").and_then(Value::as_array);
            choices.map_or_else(Vec::new, |choices| {
                choices.iter().flat_map(|choice| types_of(schema, resolve(schema, Some(choice)))).collect()
            })
        }
    }
}

fn types_of_property<'a>(name: &str, schema: &'a Value) -> Vec<&'a str> {
    types_of(schema, resolve(schema, schema.pointer("/properties").and_then(|properties| properties.get(name))))
}

fn is_list(name: &str, schema: &Value) -> bool {
    types_of_property(name, schema).contains(&"array")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_take_the_types_of_the_schema() {
        let schema = json!({ "properties": {
            "max_results": { "type": ["integer", "null"] },
            "force": { "type": "boolean" },
            "name": { "type": "string" },
            "kinds": { "type": "array" },
        }});
        let mut found = Map::new();
        let query = "max_results=10&force=true&name=a%20b+c&kinds=x&kinds=y&other=1&max_results=7&other=2&name=";
        read_pairs(query, &schema, Unfit::Refused, &mut found).unwrap();
        assert_eq!(
            Value::Object(found),
            json!({ "max_results": 10, "force": true, "name": "a b c", "kinds": ["x", "y"], "other": "1" })
        );
        assert!(read_pairs("name=%ff", &schema, Unfit::Left, &mut Map::new()).is_err());
        let read = |query, unfit| {
            let mut found = Map::new();
            read_pairs(query, &schema, unfit, &mut found).map(|()| Value::Object(found))
        };
        assert!(read("max_results=ten", Unfit::Refused).is_err());
        assert_eq!(read("max_results=ten", Unfit::Left).unwrap(), json!({ "max_results": "ten" }));
        assert_eq!(read("max_results=", Unfit::Refused).unwrap(), json!({ "max_results": null }));
        assert_eq!(read("max_results=", Unfit::Left).unwrap(), json!({ "max_results": "" }));
    }
}
