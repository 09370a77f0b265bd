//! The routes as the server's own OpenAPI document describes them, and requests made of their examples.

use serde_json::{Map, Value};

use super::world::{Places, Sent};

/// One operation.
pub(super) struct Operation {
    /// The type's name; a further path of the same type has a number after it.
    pub(super) id: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) public: bool,
    pub(super) asks: Vec<String>,
    declared: Value,
    place: Vec<(String, bool, Value)>,
    body: Option<(String, Value)>,
}

impl Operation {
    /// All of a document.
    pub(super) fn all(document: &Value) -> Vec<Operation> {
        let mut found = Vec::new();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                found.push(Self::read(path, method, operation));
            }
        }
        found
    }

    fn read(path: &str, method: &str, operation: &Value) -> Operation {
        let id = operation["operationId"].as_str().unwrap().to_owned();
        let mut place = Vec::new();
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap().to_owned();
            match parameter.get("example") {
                // The rules are about what a route does without being told more.
                _ if parameter["in"] == "header" => {}
                Some(example) => place.push((name, parameter["in"] == "path", example.clone())),
                None => assert_ne!(parameter["required"], true, "{id}: the example has no {name}"),
            }
        }
        let contents = operation.pointer("/requestBody/content").and_then(Value::as_object);
        let body = contents.and_then(|contents| contents.iter().next()).map(|(kind, content)| {
            let example = content.get("example").cloned().unwrap_or(Value::String("1,2\n".to_owned()));
            for needed in content.pointer("/schema/required").and_then(Value::as_array).into_iter().flatten() {
                let needed = needed.as_str().unwrap();
                assert!(example.get(needed).is_some(), "{id}: the example has no {needed}");
            }
            (kind.clone(), example)
        });
        let asks = operation["x-asks"].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect();
        Operation {
            id,
            method: method.to_uppercase(),
            path: path.to_owned(),
            public: operation.get("security").is_some(),
            asks,
            declared: operation["responses"].clone(),
            place,
            body,
        }
    }

    /// The type's name.
    pub(super) fn name(&self) -> &str {
        self.id.split('_').next().unwrap_or_default()
    }

    pub(super) fn changes(&self) -> bool {
        !matches!(self.method.as_str(), "GET" | "HEAD")
    }

    /// All that the example says.
    pub(super) fn spoken(&self) -> String {
        let place: Vec<&Value> = self.place.iter().map(|(_, _, example)| example).collect();
        serde_json::to_string(&(place, self.body.as_ref().map(|(_, example)| example))).unwrap()
    }

    /// The example as a request about these objects.
    pub(super) fn request(&self, objects: &Places) -> Sent {
        let text = |example: &Value| match example {
            Value::String(text) => objects.fill(text),
            other => objects.fill(&other.to_string()),
        };
        let (mut path, mut query) = (self.path.clone(), Vec::new());
        for (name, in_path, example) in &self.place {
            if *in_path {
                path = path.replace(&format!("{{{name}}}"), &encoded(&text(example), "/"));
            } else {
                // A list is its name once for each of its values.
                let values = example.as_array().map_or(std::slice::from_ref(example), Vec::as_slice);
                query.extend(values.iter().map(|value| format!("{name}={}", encoded(&text(value), ""))));
            }
        }
        if !query.is_empty() {
            path = format!("{path}?{}", query.join("&"));
        }
        let body = self.body.as_ref().map(|(kind, example)| {
            let body = match (kind.as_str(), example) {
                ("application/x-www-form-urlencoded", Value::Object(fields)) => form(fields, objects),
                (_, example) => text(example),
            };
            (kind.clone(), body.into_bytes())
        });
        Sent { method: self.method.parse().unwrap(), path, body }
    }

    /// Whether the document declares an answer: its status, and the keys that must be in its body.
    pub(super) fn declares<'a>(
        &'a self,
        document: &'a Value,
        status: u16,
        kind: &str,
        body: &Value,
    ) -> Result<(), String> {
        let at = |found: &'a Value| match found["$ref"].as_str() {
            Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
            None => found,
        };
        let answer = at(self.declared.get(status.to_string()).ok_or_else(|| format!("{status} is not declared"))?);
        let Some(content) = answer.get("content").and_then(Value::as_object) else { return Ok(()) };
        let kind = kind.split(';').next().unwrap_or_default();
        if self.method == "HEAD" {
            return Ok(());
        }
        let content = content.get(kind).ok_or_else(|| format!("{status} with {kind:?} is not declared"))?;
        for needed in at(&content["schema"])["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if body.get(needed).is_none() {
                return Err(format!("{status} has no {needed}: {body}"));
            }
        }
        Ok(())
    }
}

fn form(fields: &Map<String, Value>, objects: &Places) -> String {
    let field = |(name, value): (&String, &Value)| {
        format!("{name}={}", encoded(&objects.fill(value.as_str().unwrap_or_default()), ""))
    };
    fields.iter().map(field).collect::<Vec<_>>().join("&")
}

fn encoded(text: &str, also: &str) -> String {
    let keep = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte) || also.as_bytes().contains(byte);
    text.bytes().map(|byte| if keep(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
