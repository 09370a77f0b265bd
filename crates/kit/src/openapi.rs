//! The OpenAPI document, from the routes' own declarations.
//!
//! It says all that a client can meet: every parameter with its type, every answer with its body, failures included, and an
//! example that works on the objects of [`Fixture::documented`]. Requests and answers are held to it by tests.

use serde_json::{Map, Value, json};

use crate::fixture::Fixture;
use crate::registry::{AnyEndpoint, Registry, Spec};
use crate::route::{Answer, Body, Dialect, Header, Method};

/// The whole document, OpenAPI 3.1.
pub fn document(registry: &Registry) -> Value {
    let fixture = Fixture::documented();
    let mut paths: Map<String, Value> = Map::new();
    for endpoint in registry.endpoints() {
        let route = endpoint.spec().route;
        for (number, path) in std::iter::once(&route.path).chain(route.also).enumerate() {
            let entry = paths.entry(path.replace("{*", "{")).or_insert_with(|| json!({}));
            if let Some(entry) = entry.as_object_mut() {
                entry.insert(route.method.word().to_lowercase(), operation(&**endpoint, &fixture, path, number));
            }
        }
    }
    paths.sort_keys();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Crannog",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Names of objects are compared without case. Times are milliseconds since 1970 and sizes are \
                bytes, unless a field says otherwise. Fields that are not known are let through.",
        },
        "servers": [{ "url": "/" }],
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "headers": {
                "X-Request-Id": {
                    "description": "What the server's log and the audit call this request.",
                    "schema": { "type": "string", "format": "uuid" },
                },
            },
            "responses": problems(registry),
            "schemas": DIALECTS.iter().filter_map(|dialect| Some((problem_name(*dialect)?, problem(*dialect)))).collect::<Map<_, _>>(),
        },
        "security": [{ "token": [] }],
        "x-examples-are-about": fixture.values(),
        "x-served-below": registry.mounts().iter().map(|mount| (mount.below.to_owned(), json!(mount.paths))).collect::<Map<_, _>>(),
        "paths": paths,
    })
}

const DIALECTS: [Dialect; 5] = [Dialect::Databricks, Dialect::Unity, Dialect::Mlflow, Dialect::Scim, Dialect::OAuth];

fn operation(endpoint: &dyn AnyEndpoint, fixture: &Fixture, path: &str, number: usize) -> Value {
    let spec = endpoint.spec();
    let example = endpoint.example(fixture);
    let properties = spec.input.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let required: Vec<&str> = spec
        .input
        .get("required")
        .and_then(Value::as_array)
        .map(|list| list.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let in_path = |name: &str| path.contains(&format!("{{{name}}}")) || path.contains(&format!("{{*{name}}}"));
    let has_body = matches!(spec.route.body, Body::Json | Body::Form);
    let (mut parameters, mut body, mut of_body) = (Vec::new(), Map::new(), Map::new());
    for (name, schema) in properties {
        let schema = inline(&schema, &spec.input);
        let value = example.get(&name).filter(|value| !value.is_null());
        if in_path(&name) || !has_body {
            let needed = in_path(&name) || required.contains(&name.as_str());
            let place = if in_path(&name) { "path" } else { "query" };
            parameters.push(parameter(&name, place, needed, schema, value));
        } else {
            body.insert(name.clone(), schema);
            of_body.extend(value.map(|value| (name, value.clone())));
        }
    }
    parameters.extend(spec.route.headers.iter().map(header));
    let suffix = if number == 0 { String::new() } else { format!("_{number}") };
    let mut operation = json!({
        "operationId": format!("{}{suffix}", spec.name),
        "summary": spec.route.about.trim_end_matches('.'),
        "tags": [tag(path)],
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
        let must = !needed.is_empty();
        let schema = json!({ "type": "object", "properties": body, "required": needed });
        let content = json!({ kind: { "schema": schema, "example": of_body } });
        object.insert("requestBody".to_owned(), json!({ "required": must, "content": content }));
    } else if spec.route.body == Body::Stream {
        let content = json!({ "application/octet-stream": { "schema": { "type": "string", "format": "binary" } } });
        object.insert("requestBody".to_owned(), json!({ "content": content }));
    }
    if spec.public {
        object.insert("security".to_owned(), json!([]));
    }
    operation
}

/// `unity-catalog/tables`, `sql/statements`: what documents are ordered by.
fn tag(path: &str) -> String {
    let versionless = |part: &&str| !matches!(*part, "api" | "preview" | "v1" | "v2" | "2.0" | "2.1");
    let fixed = path.split('/').filter(|part| !part.is_empty() && !part.starts_with('{'));
    fixed.filter(versionless).take(2).collect::<Vec<_>>().join("/")
}

/// A parameter of the path or the query: there, `null` cannot be written, only left out.
fn parameter(name: &str, place: &str, needed: bool, mut schema: Value, example: Option<&Value>) -> Value {
    let mut parameter = json!({ "name": name, "in": place, "required": needed });
    if let (Some(into), Some(schema)) = (parameter.as_object_mut(), schema.as_object_mut()) {
        into.extend(schema.remove("description").map(|text| ("description".to_owned(), text)));
        without_null(schema);
        into.extend(example.map(|value| ("example".to_owned(), value.clone())));
        into.insert("schema".to_owned(), Value::Object(std::mem::take(schema)));
    }
    parameter
}

/// A header that the route reads.
fn header(header: &Header) -> Value {
    let mut schema = json!({ "type": "string" });
    if !header.values.is_empty() {
        schema["enum"] = json!(header.values);
    }
    json!({
        "name": header.name,
        "in": "header",
        "required": false,
        "description": header.about,
        "example": header.example,
        "schema": schema,
    })
}

fn without_null(schema: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            schema.insert("type".to_owned(), one);
        }
    }
    schema.remove("default");
}

/// Every answer by its status: those that the route declares, and the failures of its dialect.
fn responses(spec: &Spec) -> Value {
    let mut found: std::collections::BTreeMap<u16, Value> = std::collections::BTreeMap::new();
    let own = [spec.answer];
    let declared = if spec.route.answers.is_empty() { &own } else { spec.route.answers };
    for answer in declared {
        let one = found.entry(answer.status).or_insert_with(|| described(answer.about));
        if let Some(media) = answer.media {
            one["content"][media] = body_of(spec, answer);
        }
    }
    for (status, about) in failures(spec) {
        let Some((media, schema)) = body_of_problem(spec) else {
            found.entry(status).or_insert_with(|| described(about));
            continue;
        };
        match found.get_mut(&status) {
            None => {
                let reference = format!("#/components/responses/{:?}{status}", spec.route.dialect);
                found.insert(status, json!({ "$ref": reference }));
            }
            // Where the route has an answer of its own under this status, it may be either.
            Some(one) => {
                let own = one.pointer(&format!("/content/{}/schema", media.replace('/', "~1")));
                let schema = own.map_or_else(|| schema.clone(), |own| json!({ "anyOf": [own, schema] }));
                one["content"][media] = json!({ "schema": schema });
            }
        }
    }
    Value::Object(found.into_iter().map(|(status, answer)| (status.to_string(), answer)).collect())
}

/// The failures of all dialects, for `responses` to refer to.
fn problems(registry: &Registry) -> Value {
    let mut found: std::collections::BTreeMap<String, Value> = std::collections::BTreeMap::new();
    for endpoint in registry.endpoints() {
        let spec = endpoint.spec();
        let Some((media, schema)) = body_of_problem(spec) else { continue };
        for (status, about) in failures(spec) {
            let mut one = described(about);
            one["content"] = json!({ media: { "schema": schema } });
            found.insert(format!("{:?}{status}", spec.route.dialect), one);
        }
    }
    json!(found)
}

/// The body of a route's failures; none for HEAD.
fn body_of_problem(spec: &Spec) -> Option<(&'static str, Value)> {
    let dialect = spec.route.dialect;
    if spec.route.method == Method::Head {
        return None;
    }
    Some(match problem_name(dialect) {
        None => ("text/plain", json!({ "type": "string" })),
        Some(name) => {
            let media = if dialect == Dialect::Scim { "application/scim+json" } else { "application/json" };
            (media, json!({ "$ref": format!("#/components/schemas/{name}") }))
        }
    })
}

fn described(about: &str) -> Value {
    json!({
        "description": about,
        "headers": { "X-Request-Id": { "$ref": "#/components/headers/X-Request-Id" } },
    })
}

fn body_of(spec: &Spec, answer: &Answer) -> Value {
    match (&spec.output, answer.media) {
        (Some(schema), media) if media == spec.answer.media => json!({ "schema": inline(schema, schema) }),
        (_, Some("application/json")) => json!({ "schema": { "type": "object" } }),
        (_, Some(media)) if media.starts_with("text/") || media.ends_with("/xml") => {
            json!({ "schema": { "type": "string" } })
        }
        _ => json!({ "schema": { "type": "string", "format": "binary" } }),
    }
}

/// The failures that a route may answer with (`docs/errors.md` has the words).
fn failures(spec: &Spec) -> Vec<(u16, &'static str)> {
    let changes = !matches!(spec.route.method, Method::Get | Method::Head);
    let reads_body = matches!(spec.route.body, Body::Json | Body::Form);
    let oauth = spec.route.dialect == Dialect::OAuth;
    let all = [
        (400, "the request is wrong, or does not fit what is there", true),
        (401, "no token, or one that is not in force", !spec.public || oauth),
        (403, "a grant is missing; the body says which", true),
        (404, "not there, or not to be seen by the caller", true),
        (409, "something else is there, or changed meanwhile", changes),
        (413, "the body is too large", reads_body),
        (429, "too many at a time, or too many wrong tokens; Retry-After says when", true),
        (501, "not served here; nothing was changed", spec.route.dialect == Dialect::Mlflow),
        (500, "the server's own fault; its log has the cause under the request id", true),
        (503, "not now: the disk is full, or the database does not answer; Retry-After says when", true),
        (504, "it took too long", true),
    ];
    all.into_iter().filter(|(_, _, may)| *may).map(|(status, about, _)| (status, about)).collect()
}

/// The name of a dialect's problems among the schemas; none where they are plain text.
fn problem_name(dialect: Dialect) -> Option<String> {
    match dialect {
        Dialect::Html => None,
        other => Some(format!("{other:?}Problem")),
    }
}

/// How a failure looks: what `dialects::render` writes.
fn problem(dialect: Dialect) -> Value {
    let text = |about: &str| json!({ "type": "string", "description": about });
    let of = |properties: Value, required: Value| json!({ "type": "object", "properties": properties, "required": required });
    let detail = of(
        json!({
            "@type": text("`type.googleapis.com/google.rpc.` with ErrorInfo, RetryInfo or RequestInfo."),
            "reason": text("ErrorInfo: the same as `error_code`."),
            "domain": text("ErrorInfo: `crannog`."),
            "metadata": { "type": "object", "description": "ErrorInfo: facts, such as `missing_grant`.", "additionalProperties": { "type": "string" } },
            "retry_delay": text("RetryInfo: seconds to wait, such as `2.5s`."),
            "request_id": text("RequestInfo: as in X-Request-Id."),
            "serving_data": text("RequestInfo: empty."),
        }),
        json!(["@type"]),
    );
    let mut databricks = json!({
        "error_code": text("The kind of failure, in capitals: `PERMISSION_DENIED`."),
        "message": text("What failed, the facts, the next step."),
        "details": { "type": "array", "items": detail, "description": "The same for programs." },
    });
    match dialect {
        Dialect::Scim => of(
            json!({
                "schemas": { "type": "array", "items": { "const": "urn:ietf:params:scim:api:messages:2.0:Error" } },
                "detail": text("What failed, the facts, the next step."),
                "status": text("The status, as a text."),
                "scimType": text("RFC 7644's word, where it has one: `uniqueness`, `invalidValue`."),
            }),
            json!(["schemas", "detail", "status"]),
        ),
        Dialect::OAuth => of(
            json!({
                "error": text("RFC 6749's word: `invalid_client`."),
                "error_description": text("What failed, the facts, the next step."),
            }),
            json!(["error", "error_description"]),
        ),
        Dialect::Unity => {
            databricks["stack_trace"] =
                json!({ "type": "null", "description": "For old clients, which want it there." });
            of(databricks, json!(["error_code", "message", "details", "stack_trace"]))
        }
        Dialect::Mlflow => {
            if let Some(properties) = databricks.as_object_mut() {
                properties.shift_remove("details");
                properties
                    .insert("sqlstate".to_owned(), text("MLflow's SQLSTATE of the kind, where it has one: `KAM00`."));
                properties.insert("error_class".to_owned(), text("MLflow's class of the kind, where it has one."));
            }
            of(databricks, json!(["error_code", "message"]))
        }
        Dialect::Databricks | Dialect::Html => of(databricks, json!(["error_code", "message", "details"])),
    }
}

/// Puts definitions in the place of references to them; one that holds itself ends as any value.
fn inline(schema: &Value, root: &Value) -> Value {
    fn walk(schema: &Value, root: &Value, depth: usize) -> Value {
        match schema {
            Value::Object(object) => {
                if let Some(pointer) =
                    object.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix('#'))
                {
                    let mut found = match root.pointer(pointer) {
                        Some(found) if depth < 12 => walk(found, root, depth + 1),
                        _ => json!({}),
                    };
                    // What is said of the field goes before what is said of its type.
                    if let (Some(found), Some(about)) = (found.as_object_mut(), object.get("description")) {
                        found.insert("description".to_owned(), about.clone());
                    }
                    return found;
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
