//! Joins path, query and body into the one object that an endpoint's input is read from.
//!
//! Texts of the path and the query become numbers, booleans and lists where the input's schema says so. A client's unknown
//! fields are let through: clients are newer than servers.

use crannog_types::{Problem, Result};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

/// Reads `a=1&b=x%20y` with a schema's types. A name that comes twice, or that the schema calls an array, is a list.
pub fn read_pairs(text: &str, schema: &Value, into: &mut Map<String, Value>) -> Result<()> {
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(&name.replace('+', " "))?, decode(&value.replace('+', " "))?);
        put_text(name, &value, schema, into)?;
    }
    Ok(())
}

/// Puts one text of the path or the query in place.
pub fn put_text(name: String, text: &str, schema: &Value, into: &mut Map<String, Value>) -> Result<()> {
    let property = resolve(schema, schema.pointer("/properties").and_then(|properties| properties.get(&name)));
    let types = types_of(schema, property);
    if types.contains(&"array") {
        let entry = into.entry(name).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(list) = entry {
            list.push(Value::String(text.to_owned()));
        }
        return Ok(());
    }
    let value = if text.is_empty() && types.contains(&"null") && !types.contains(&"string") {
        Value::Null
    } else if types.contains(&"integer") {
        Value::from(text.parse::<i64>().map_err(|_| wrong(&name, text, "a whole number"))?)
    } else if types.contains(&"number") {
        Value::from(text.parse::<f64>().map_err(|_| wrong(&name, text, "a number"))?)
    } else if types.contains(&"boolean") {
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Value::Bool(true),
            "false" | "0" => Value::Bool(false),
            _ => return Err(wrong(&name, text, "true or false")),
        }
    } else {
        Value::String(text.to_owned())
    };
    into.insert(name, value);
    Ok(())
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

fn wrong(name: &str, text: &str, wanted: &str) -> Problem {
    Problem::invalid(format!("{name} is {text:?}, not {wanted}"))
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
        read_pairs("max_results=10&force=true&name=a%20b+c&kinds=x&kinds=y&other=1", &schema, &mut found).unwrap();
        assert_eq!(
            Value::Object(found),
            json!({ "max_results": 10, "force": true, "name": "a b c", "kinds": ["x", "y"], "other": "1" })
        );
        assert!(read_pairs("max_results=ten", &schema, &mut Map::new()).is_err());
        assert!(read_pairs("name=%ff", &schema, &mut Map::new()).is_err());
    }
}
