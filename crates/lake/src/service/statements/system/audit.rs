//! `system.access.audit`: what was done and refused.

use std::sync::Arc;

use crannog_store::Row;
use crannog_types::{Problem, Result, SecurableId};
use serde_json::{Map, Value as Json};

use super::super::answer::{Cell, Columns, Type};
use super::super::history::VIA_VIEW;
use super::pages::{Look, Place, Read, Stored, pages};
use crate::ports::{RowStream, Wanted};

pub(super) const AUDIT: Columns = &[
    ("version", Type::Text),
    ("event_time", Type::Timestamp),
    ("event_date", Type::Date),
    ("workspace_id", Type::Long),
    ("account_id", Type::Text),
    ("source_ip_address", Type::Text),
    ("user_agent", Type::Text),
    ("session_id", Type::Text),
    ("user_identity", Type::Struct(&[("email", Type::Text), ("subject_name", Type::Text)])),
    ("service_name", Type::Text),
    ("action_name", Type::Text),
    ("request_id", Type::Text),
    ("request_params", Type::TextMap),
    ("response", Type::Struct(&[("status_code", Type::Int), ("error_message", Type::Text), ("result", Type::Text)])),
    ("audit_level", Type::Text),
    ("event_id", Type::Text),
    ("identity_metadata", Type::Struct(&[("run_by", Type::Text), ("run_as", Type::Text)])),
    // Ours: joins the history.
    ("statement_id", Type::Text),
];

const STORED: Stored = Stored {
    table: "audit_event",
    columns: &[
        "event_id",
        "event_time",
        "principal_name",
        "source_ip",
        "user_agent",
        "request_id",
        "statement_id",
        "service_name",
        "action_name",
        "request_params",
        "status_code",
        "error_message",
    ],
    time: 1,
    texts: &[
        ("service_name", "service_name"),
        ("action_name", "action_name"),
        ("request_id", "request_id"),
        ("event_id", "event_id"),
        ("statement_id", "statement_id"),
    ],
    times: &[("event_time", "event_time"), ("event_date", "event_time")],
    maps: &[("request_params", "request_params")],
};

pub(super) fn rows(look: Look, wanted: Wanted) -> RowStream {
    pages(look, AUDIT, wanted, None, page)
}

/// Rows behind a place, and the next one unless they are the last.
async fn page(look: Look, wanted: Arc<Wanted>, from: Option<Place>) -> Result<(Vec<Vec<Cell>>, Option<Option<Place>>)> {
    let Read { rows, everything, next } = STORED.page(&look, AUDIT, &wanted, from).await?;
    let shows_params =
        wanted.columns.iter().any(|at| AUDIT.get(*at).is_some_and(|(name, _)| *name == "request_params"));
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        // They are the most of a row, and most queries do not ask for them.
        let params = if shows_params || !everything { params_of(&row.text(9)?)? } else { Map::new() };
        if everything || !params.contains_key(VIA_VIEW) {
            found.push(cells(row, params, look.workspace.as_deref())?);
        }
    }
    Ok((found, next.map(Some)))
}

fn cells(row: &Row, params: Map<String, Json>, workspace: Option<&str>) -> Result<Vec<Cell>> {
    let at = row.micros(1)?;
    let who = row.opt_text(2)?.unwrap_or_else(|| "System-User".to_owned());
    let status = row.int(10)?;
    Ok(vec![
        "2.0".into(),
        at.into(),
        at.into(),
        workspace.and_then(|id| id.parse::<i64>().ok()).into(),
        SecurableId::METASTORE.to_string().into(),
        row.opt_text(3)?.into(),
        row.opt_text(4)?.into(),
        Cell::Null,
        Cell::Struct(vec![who.as_str().into(), Cell::Null]),
        row.text(7)?.into(),
        row.text(8)?.into(),
        row.opt_text(5)?.into(),
        Cell::TextMap(texts_of(params)),
        Cell::Struct(vec![status.into(), row.opt_text(11)?.into(), Cell::Null]),
        "WORKSPACE_LEVEL".into(),
        row.text(0)?.into(),
        Cell::Struct(vec![who.as_str().into(), who.as_str().into()]),
        row.opt_text(6)?.into(),
    ])
}

fn params_of(json: &str) -> Result<Map<String, Json>> {
    serde_json::from_str(json).map_err(|error| Problem::internal("a stored audit row cannot be read", error))
}

/// A JSON object as a map of texts: texts bare, everything else as JSON.
fn texts_of(object: Map<String, Json>) -> Vec<(String, String)> {
    let text = |value: Json| if let Json::String(text) = value { text } else { value.to_string() };
    object.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key, text(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_become_texts() {
        let texts = texts_of(params_of(r#"{"full_name_arg":"main.flights.planes","n":3,"none":null}"#).unwrap());
        assert_eq!(texts, [("full_name_arg".into(), "main.flights.planes".into()), ("n".into(), "3".into())]);
        assert!(params_of("[]").is_err());
    }
}
