//! One statement over the Statement Execution API: begin, poll, fetch; Ctrl-C cancels it on the server.
//!
//! The API keeps nothing between statements. What USE and SET TIME ZONE said is remembered here and sent along.

use std::io::Write;
use std::time::Duration;

use crannog_lake::grammar::Statement;
use crannog_lake::grammar::statement::{Set, TimeZone, Use};
use serde_json::{Map, Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};
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
    /// The server's own while nothing else was set.
    time_zone: Option<String>,
    /// Ctrl-C, from the first statement on: one that comes while nobody listens is not lost.
    interrupts: Signal,
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
    /// A session that begins with the server's own settings.
    pub(super) fn new(
        client: Client,
        warehouse: String,
        catalog: Option<String>,
        schema: Option<String>,
    ) -> Result<Self, Failure> {
        let interrupts = signal(SignalKind::interrupt())?;
        Ok(Session { client, warehouse, catalog, schema, time_zone: None, interrupts })
    }

    /// Forgets a Ctrl-C from before the line that is about to run. It ended the writing of an earlier line, and one that
    /// comes while the terminal is between the editor and us reaches us as a signal.
    pub(super) async fn forget_interrupts(&mut self) {
        while let Ok(Some(())) = tokio::time::timeout(Duration::ZERO, self.interrupts.recv()).await {}
    }

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
        if let Some(zone) = &self.time_zone {
            body.insert("session_confs".to_owned(), json!({ "TIMEZONE": zone }));
        }
        let mut answer = match self.client.post(STATEMENTS, &Value::Object(body)).await {
            Ok(answer) => answer,
            Err(Asked::Refused(refused)) if refused.status != 401 => return Ok(Outcome::Failed(refused.message)),
            Err(other) => return Err(other.into()),
        };
        let id = text_at(&answer, "/statement_id").unwrap_or_default().to_owned();
        let path = format!("{STATEMENTS}/{}", escaped(&id));
        let progress = Progress::begin();
        while matches!(text_at(&answer, "/status/state"), Some("PENDING" | "RUNNING")) {
            tokio::select! {
                _ = self.interrupts.recv() => {
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
                let path = format!("{path}/result/chunks/{next}");
                part = tokio::select! {
                    _ = self.interrupts.recv() => {
                        eprintln!("the rest of the rows was not fetched");
                        return Ok(Outcome::Interrupted);
                    }
                    chunk = self.client.get(&path) => Some(chunk?),
                };
            }
        }
        if answer.pointer("/manifest/truncated").and_then(Value::as_bool) == Some(true) {
            eprintln!("the result was cut at the server's limit: these are its first {} rows", rows.len());
        }
        self.remember(text);
        Ok(Outcome::Rows { columns, rows })
    }

    /// Keeps what a successful USE, SET TIME ZONE or RESET said.
    fn remember(&mut self, text: &str) {
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
            Ok(Statement::Set(Set::TimeZone(TimeZone::Named(zone)))) => self.time_zone = Some(zone),
            Ok(Statement::Set(Set::Value { key, value })) if is_time_zone(&key) => self.time_zone = Some(value),
            Ok(Statement::Set(Set::TimeZone(TimeZone::Local))) => self.time_zone = None,
            Ok(Statement::Reset(key)) if key.as_deref().is_none_or(is_time_zone) => self.time_zone = None,
            _ => {}
        }
    }
}

fn is_time_zone(key: &str) -> bool {
    ["timezone", "spark.sql.session.timezone"].contains(&key.to_ascii_lowercase().as_str())
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

    #[tokio::test]
    async fn what_use_and_set_said_is_remembered() {
        let client = Connect::default().client().unwrap();
        let mut session = Session::new(client, String::new(), None, None).unwrap();
        for (text, catalog, schema, zone) in [
            ("USE main.flights", Some("main"), Some("flights"), None),
            ("USE other", Some("main"), Some("other"), None),
            ("USE CATALOG lab", Some("lab"), None, None),
            ("SELECT 1", Some("lab"), None, None),
            ("SET TIME ZONE 'Europe/Zurich'", Some("lab"), None, Some("Europe/Zurich")),
            ("SET ansi_mode = true", Some("lab"), None, Some("Europe/Zurich")),
            ("SET TIME ZONE", Some("lab"), None, Some("Europe/Zurich")),
            ("SET TIME ZONE LOCAL", Some("lab"), None, None),
            ("SET timezone = Asia/Tokyo", Some("lab"), None, Some("Asia/Tokyo")),
            ("RESET ansi_mode", Some("lab"), None, Some("Asia/Tokyo")),
            ("RESET", Some("lab"), None, None),
        ] {
            session.remember(text);
            let is = (session.catalog.as_deref(), session.schema.as_deref(), session.time_zone.as_deref());
            assert_eq!(is, (catalog, schema, zone), "{text}");
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
