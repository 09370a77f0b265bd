//! The committed lists of routes are the routes. `UPDATE_GOLDEN=1` rewrites them; the diff is then what a person reviews.

use std::fs;

use serde_json::Value;

use super::running::{Running, get, root};

fn held(name: &str, found: &str) {
    let file = root().join(name);
    #[expect(clippy::disallowed_methods, reason = "a test's own switch")]
    let update = std::env::var("UPDATE_GOLDEN").is_ok_and(|value| value == "1");
    if update {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, found).unwrap();
        return;
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    let first = committed.lines().zip(found.lines()).find(|(a, b)| a != b);
    assert!(
        committed == found,
        "{name} is not what is served (UPDATE_GOLDEN=1 rewrites it); first difference: {first:?}"
    );
}

#[test]
fn the_routes_are_the_committed_ones() {
    let scratch = tempfile::tempdir().unwrap();
    let server = Running::up(scratch.path());
    let (status, document) = get(&server.url, "/api/openapi.json");
    assert_eq!(status, 200);
    let mut routes = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let asks: Vec<&str> = operation["x-asks"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            let asks = if asks.is_empty() { "public".to_owned() } else { asks.join(" + ") };
            let name = operation["operationId"].as_str().unwrap();
            routes.push(format!("{:6} {path}  [{asks}]  {name}", method.to_uppercase()));
        }
    }
    routes.sort();
    let public: Vec<String> = routes.iter().filter(|route| route.contains("  [public]  ")).cloned().collect();
    held("openapi/openapi.json", &(serde_json::to_string_pretty(&document).unwrap() + "\n"));
    held("openapi/endpoints.txt", &(routes.join("\n") + "\n"));
    held("openapi/public.txt", &(public.join("\n") + "\n"));
}
