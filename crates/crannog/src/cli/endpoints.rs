//! `crannog endpoints`: the routes of this very program, without a server.
//!
//! It prints the committed list, which a test holds to the routes themselves.

use serde_json::json;

use super::Failure;
use crate::output::say;

/// Method, path, what is asked for, name: a line each.
const ENDPOINTS: &str = include_str!("../../../../openapi/endpoints.txt");

#[derive(clap::Args)]
pub(super) struct Args {
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    if !args.json {
        return say(ENDPOINTS.trim_end());
    }
    let rows: Vec<_> = ENDPOINTS.lines().filter_map(row).collect();
    say(&serde_json::to_string_pretty(&rows).map_err(|error| Failure::new(error.to_string()))?)
}

fn row(line: &str) -> Option<serde_json::Value> {
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
