//! The OpenAPI document, from the routes' own declarations.

use serde_json::{Map, Value, json};

use crate::endpoint::Body;
use crate::registry::{Registry, Spec};

/// The whole document, OpenAPI 3.1.
pub fn document(registry: &Registry) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for endpoint in registry.endpoints() {
        let spec = endpoint.spec();
        for (number, path) in std::iter::once(&spec.route.path).chain(spec.route.also).enumerate() {
            let entry = paths.entry(path.replace("{*", "{")).or_insert_with(|| json!({}));
            if let Some(entry) = entry.as_object_mut() {
                entry.insert(spec.route.method.word().to_lowercase(), operation(spec, path, number));
            }
        }
    }
    paths.sort_keys();
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Crannog", "version": env!("CARGO_PKG_VERSION") },
        "components": { "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } } },
        "security": [{ "token": [] }],
        "paths": paths,
    })
}

fn operation(spec: &Spec, path: &str, number: usize) -> Value {
    let properties = spec.input.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let required: Vec<&str> = spec
        .input
        .get("required")
        .and_then(Value::as_array)
        .map(|list| list.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let in_path = |name: &str| path.contains(&format!("{{{name}}}")) || path.contains(&format!("{{*{name}}}"));
    let has_body = matches!(spec.route.body, Body::Json | Body::Form);
    let mut parameters = Vec::new();
    let mut body = Map::new();
    for (name, schema) in properties {
        let schema = inline(&schema, &spec.input);
        if in_path(&name) {
            parameters.push(json!({ "name": name, "in": "path", "required": true, "schema": schema }));
        } else if has_body {
            body.insert(name, schema);
        } else {
            let needed = required.contains(&name.as_str());
            parameters.push(json!({ "name": name, "in": "query", "required": needed, "schema": schema }));
        }
    }
    let suffix = if number == 0 { String::new() } else { format!("_{number}") };
    let mut operation = json!({
        "operationId": format!("{}{suffix}", spec.name),
        "summary": spec.route.about,
        "x-asks": spec.actions,
        "responses": responses(spec),
    });
    let Some(object) = operation.as_object_mut() else { return operation };
    if !parameters.is_empty() {
        object.insert("parameters".to_owned(), Value::Array(parameters));
    }
    if has_body {
        let kind = if spec.route.body == Body::Form { "application/x-www-form-urlencoded" } else { "application/json" };
        let needed: Vec<&str> = required.into_iter().filter(|name| body.contains_key(*name)).collect();
        let schema = json!({ "type": "object", "properties": body, "required": needed });
        object.insert("requestBody".to_owned(), json!({ "content": { kind: { "schema": schema } } }));
    } else if spec.route.body == Body::Stream {
        object.insert("requestBody".to_owned(), json!({ "content": { "application/octet-stream": {} } }));
    }
    if spec.public {
        object.insert("security".to_owned(), json!([]));
    }
    operation
}

fn responses(spec: &Spec) -> Value {
    let success = match &spec.output {
        Some(schema) => {
            json!({ "description": "done", "content": { "application/json": { "schema": inline(schema, schema) } } })
        }
        None => json!({ "description": "done" }),
    };
    json!({ "2XX": success, "4XX": { "description": "the caller's fault, in the dialect's words" } })
}

/// Puts definitions in the place of references to them; one that holds itself ends as any value.
fn inline(schema: &Value, root: &Value) -> Value {
    fn walk(schema: &Value, root: &Value, depth: usize) -> Value {
        match schema {
            Value::Object(object) => {
                if let Some(pointer) =
                    object.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix('#'))
                {
                    return match root.pointer(pointer) {
                        Some(found) if depth < 12 => walk(found, root, depth + 1),
                        _ => json!({}),
                    };
                }
                let kept = object.iter().filter(|(key, _)| *key != "$defs");
                Value::Object(kept.map(|(key, value)| (key.clone(), walk(value, root, depth))).collect())
            }
            Value::Array(list) => Value::Array(list.iter().map(|value| walk(value, root, depth)).collect()),
            other => other.clone(),
        }
    }
    walk(schema, root, 0)
}
