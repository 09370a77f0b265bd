//! One statement over the Statement Execution API: begin, poll, fetch; Ctrl-C cancels it on the server.

use std::io::Write;
use std::time::Duration;

use crannog_lake::grammar::Statement;
use crannog_lake::grammar::statement::{Set, TimeZone, Use};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::cli::Failure;
use crate::client::{Asked, Client, escaped};
use crate::output::{Column, Rows, shown, watched};

const STATEMENTS: &str = "/api/2.0/sql/statements";

/// How often a running statement is asked after.
const POLL: Duration = Duration::from_millis(250);

/// What stays from one statement to the next.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) warehouse: String,
    pub(super) catalog: Option<String>,
    pub(super) schema: Option<String>,
}

/// How a statement ended.
pub(super) enum Outcome {
    /// With rows; without columns there was nothing to give.
    Rows { columns: Vec<Column>, rows: Rows },
    /// With an error, in the server's words.
    Failed(String),
    /// By Ctrl-C; it was cancelled on the server.
    Interrupted,
}

impl Session {
    /// Runs it to its end.
    pub(super) async fn run(&mut self, text: &str) -> Result<Outcome, Failure> {
        let mut body = Map::new();
        body.insert("statement".to_owned(), json!(text));
        body.insert("warehouse_id".to_owned(), json!(self.warehouse));
        body.insert("wait_timeout".to_owned(), json!("0s"));
        body.insert("on_wait_timeout".to_owned(), json!("CONTINUE"));
        body.insert("format".to_owned(), json!("JSON_ARRAY"));
        body.insert("disposition".to_owned(), json!("INLINE"));
        for (name, value) in [("catalog", &self.catalog), ("schema", &self.schema)] {
            if let Some(value) = value {
                body.insert(name.to_owned(), json!(value));
            }
        }
        let mut answer = match self.client.post(STATEMENTS, &Value::Object(body)).await {
            Ok(answer) => answer,
            Err(Asked::Refused(refused)) if refused.status != 401 => return Ok(Outcome::Failed(refused.message)),
            Err(other) => return Err(other.into()),
        };
        let id = text_at(&answer, "/statement_id").unwrap_or_default().to_owned();
        let path = format!("{STATEMENTS}/{}", escaped(&id));
        let progress = Progress::begin();
        let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
        while matches!(text_at(&answer, "/status/state"), Some("PENDING" | "RUNNING")) {
            tokio::select! {
                _ = &mut interrupted => {
                    progress.end();
                    self.client.post(&format!("{path}/cancel"), &json!({})).await?;
                    eprintln!("cancelled");
                    return Ok(Outcome::Interrupted);
                }
                () = tokio::time::sleep(if progress.young() { POLL / 10 } else { POLL }) => {}
            }
            progress.show();
            answer = self.client.get(&path).await?;
        }
        progress.end();
        match text_at(&answer, "/status/state") {
            Some("SUCCEEDED") => {}
            state => {
                let state = state.unwrap_or("an unknown state").to_owned();
                let message = text_at(&answer, "/status/error/message").map(shown);
                return Ok(Outcome::Failed(message.unwrap_or(format!("the statement ended in {state}"))));
            }
        }
        let columns = columns(&answer);
        let mut rows = Rows::new();
        let mut part = answer.get("result").cloned();
        while let Some(chunk) = part.take() {
            rows.extend(chunk.get("data_array").and_then(Value::as_array).into_iter().flatten().map(row));
            if let Some(next) = chunk.get("next_chunk_index").and_then(Value::as_u64) {
                part = Some(self.client.get(&format!("{path}/result/chunks/{next}")).await?);
            }
        }
        if answer.pointer("/manifest/truncated").and_then(Value::as_bool) == Some(true) {
            eprintln!("the result was cut at the server's limit: these are its first {} rows", rows.len());
        }
        if let Some(note) = self.remember(text) {
            eprintln!("{note}");
        }
        Ok(Outcome::Rows { columns, rows })
    }

    /// Keeps what a successful USE said; says so of a setting that cannot be kept.
    fn remember(&mut self, text: &str) -> Option<String> {
        match crannog_lake::grammar::parse(text) {
            Ok(Statement::Use(Use::Catalog(catalog))) => {
                self.catalog = Some(catalog);
                self.schema = None;
            }
            Ok(Statement::Use(Use::Schema(name))) => match name.parts() {
                [schema] => self.schema = Some(schema.clone()),
                [catalog, schema] => (self.catalog, self.schema) = (Some(catalog.clone()), Some(schema.clone())),
                _ => {}
            },
            Ok(Statement::Set(Set::TimeZone(TimeZone::Named(zone)))) => return ended(&zone),
            Ok(Statement::Set(Set::Value { key, value }))
                if ["timezone", "spark.sql.session.timezone"].contains(&key.to_ascii_lowercase().as_str()) =>
            {
                return ended(&value);
            }
            _ => {}
        }
        None
    }
}

/// What is said after a time zone was set: the Statement Execution API has fields for the catalog and the schema of a
/// statement's session, and none for its time zone, so that it cannot be sent along.
fn ended(zone: &str) -> Option<String> {
    let kept = ["utc", "etc/utc", "z"].contains(&zone.to_ascii_lowercase().as_str());
    (!kept).then(|| {
        format!(
            "note: the next statement is in UTC again, for the statement API keeps no time zone between statements; convert \
             in the statement: from_utc_timestamp(…, '{}')",
            shown(zone)
        )
    })
}

fn text_at<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

fn columns(answer: &Value) -> Vec<Column> {
    let listed = answer.pointer("/manifest/schema/columns").and_then(Value::as_array);
    let column = |column: &Value| {
        let kind = text_at(column, "/type_name").unwrap_or_default();
        let bare = matches!(kind, "BYTE" | "SHORT" | "INT" | "LONG" | "FLOAT" | "DOUBLE" | "DECIMAL" | "BOOLEAN");
        Column { name: text_at(column, "/name").unwrap_or_default().to_owned(), bare }
    };
    listed.into_iter().flatten().map(column).collect()
}

fn row(row: &Value) -> Vec<Option<String>> {
    let cell = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    row.as_array().into_iter().flatten().map(cell).collect()
}

/// A line on the terminal that says how long it has been; nothing where nobody looks.
struct Progress {
    began: Instant,
    seen: bool,
}

impl Progress {
    fn begin() -> Self {
        Progress { began: Instant::now(), seen: watched() }
    }

    fn young(&self) -> bool {
        self.began.elapsed() < Duration::from_secs(1)
    }

    fn show(&self) {
        if self.seen && !self.young() {
            eprint!("\rrunning, {} s (Ctrl-C cancels)", self.began.elapsed().as_secs());
            let _ = std::io::stderr().flush();
        }
    }

    fn end(&self) {
        if self.seen && !self.young() {
            eprint!("\r\u{1b}[K");
            let _ = std::io::stderr().flush();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Connect;

    #[test]
    fn use_is_remembered() {
        let client = Connect::default().client().unwrap();
        let mut session = Session { client, warehouse: String::new(), catalog: None, schema: None };
        for (text, catalog, schema) in [
            ("USE main.flights", Some("main"), Some("flights")),
            ("USE other", Some("main"), Some("other")),
            ("USE CATALOG lab", Some("lab"), None),
            ("SELECT 1", Some("lab"), None),
        ] {
            assert_eq!(session.remember(text), None);
            assert_eq!((session.catalog.as_deref(), session.schema.as_deref()), (catalog, schema), "{text}");
        }
    }

    #[test]
    fn a_time_zone_that_ends_with_its_statement_is_told() {
        let client = Connect::default().client().unwrap();
        let mut session = Session { client, warehouse: String::new(), catalog: None, schema: None };
        for (text, told) in [
            ("SET TIME ZONE 'Europe/Zurich'", true),
            ("SET timezone = Europe/Zurich", true),
            ("SET TIME ZONE 'UTC'", false),
            ("SET TIME ZONE LOCAL", false),
            ("SET ansi_mode = true", false),
            ("SET TIME ZONE", false),
        ] {
            assert_eq!(session.remember(text).is_some(), told, "{text}");
        }
    }

    #[test]
    fn an_answer_is_read() {
        let answer = json!({
            "manifest": { "schema": { "columns": [
                { "name": "n", "type_name": "LONG" }, { "name": "t", "type_name": "STRING" }
            ] } },
        });
        let found: Vec<_> = columns(&answer).into_iter().map(|column| (column.name, column.bare)).collect();
        assert_eq!(found, [("n".to_owned(), true), ("t".to_owned(), false)]);
        assert_eq!(row(&json!(["1", null])), [Some("1".to_owned()), None]);
    }
}
