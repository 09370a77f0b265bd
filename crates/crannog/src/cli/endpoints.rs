//! `crannog endpoints`: the routes of this very program, without a server.
//!
//! It prints the committed list, which a test holds to the routes themselves.

use serde_json::{Value, json};

use super::Failure;
use super::user::cells;
use crate::output::{self, Column, Format};

/// Method, path, what is asked for, name: a line each.
const ENDPOINTS: &str = include_str!("../../../../openapi/endpoints.txt");

#[derive(clap::Args)]
pub(super) struct Args {
    /// How to print them.
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let found: Vec<Value> = ENDPOINTS.lines().filter_map(row).collect();
    match args.output {
        Format::Table => output::say(ENDPOINTS.trim_end()),
        Format::Json => {
            output::say(&serde_json::to_string_pretty(&found).map_err(|error| Failure::new(error.to_string()))?)
        }
        Format::Csv => {
            let asks = |one: &Value| {
                let asks = one.get("asks").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
                asks.collect::<Vec<_>>().join(" + ")
            };
            let rows = found.iter().map(|one| {
                let mut cells = cells(one, &["method", "path", "name", "public"]);
                cells.push(Some(asks(one)));
                cells
            });
            let columns = ["method", "path", "name", "public", "asks"].map(Column::text);
            output::rows(args.output, &columns, &rows.collect())
        }
    }
}

fn row(line: &str) -> Option<Value> {
    let (method, rest) = line.split_once(' ')?;
    let (path, rest) = rest.trim_start().split_once("  [")?;
    let (asks, name) = rest.split_once("]  ")?;
    let asks: Vec<&str> = if asks == "public" { Vec::new() } else { asks.split(" + ").collect() };
    Some(json!({ "method": method, "path": path, "name": name, "public": asks.is_empty(), "asks": asks }))
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_line_is_read() {
        assert!(super::ENDPOINTS.lines().all(|line| super::row(line).is_some()));
        let row = super::row("GET    /livez  [public]  Livez").unwrap();
        assert_eq!((row["method"].as_str(), row["path"].as_str()), (Some("GET"), Some("/livez")));
        let row = super::row("POST   /a/{b}  [x.y + z.w]  DoIt").unwrap();
        assert_eq!(row["asks"], serde_json::json!(["x.y", "z.w"]));
    }
}
