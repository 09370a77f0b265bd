//! `system.access.audit` and `system.query.history`: what was done, asked and refused, as tables. Those of lineage, which are
//! cut by what one may see of what they name, are in `lineage`.
//!
//! The columns are Databricks', so that queries written for its system tables work; what this server does not measure is
//! NULL. An administrator sees every row, anybody else only rows about themselves. What was recorded a moment ago is
//! written before it is read.
//!
//! At most the newest 100,000 rows of each are read: the query's own filters run afterwards.
//!
//! Other components have tables here, too ([`crate::ports::SystemTables`]), which are read while the query runs.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use crannog_security::actions::metastore;
use crannog_security::{Decision, Evidence, NameOf, Reference, Rule};
use crannog_store::{Row, Value, params};
use crannog_types::{Problem, Result, SecurableId};
use serde_json::{Map, Value as Json};

use super::answer::{Cell, Columns, Type, batch};
use super::history::VIA_VIEW;
use super::{Lake, Run, lineage};
use crate::ports::{Served, SystemTable};

/// Rows that are read of a system table.
pub(super) const NEWEST: u32 = 100_000;

/// Those of this component.
const TABLES: &[SystemTable] = &[
    ("access", "audit", AUDIT),
    ("access", lineage::OF_TABLES, lineage::TABLE_LINEAGE),
    ("access", lineage::OF_MODELS, lineage::MODEL_LINEAGE),
    ("query", "history", HISTORY),
];

const AUDIT: Columns = &[
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

const HISTORY: Columns = &[
    ("account_id", Type::Text),
    ("workspace_id", Type::Text),
    ("statement_id", Type::Text),
    ("session_id", Type::Text),
    ("execution_status", Type::Text),
    ("compute", Type::Struct(&[("type", Type::Text), ("cluster_id", Type::Text), ("warehouse_id", Type::Text)])),
    ("executed_by_user_id", Type::Text),
    ("executed_by", Type::Text),
    ("statement_text", Type::Text),
    ("statement_type", Type::Text),
    ("error_message", Type::Text),
    ("client_application", Type::Text),
    ("client_driver", Type::Text),
    ("total_duration_ms", Type::Long),
    ("waiting_for_compute_duration_ms", Type::Long),
    ("waiting_at_capacity_duration_ms", Type::Long),
    ("execution_duration_ms", Type::Long),
    ("compilation_duration_ms", Type::Long),
    ("total_task_duration_ms", Type::Long),
    ("result_fetch_duration_ms", Type::Long),
    ("start_time", Type::Timestamp),
    ("end_time", Type::Timestamp),
    ("update_time", Type::Timestamp),
    ("read_partitions", Type::Long),
    ("pruned_files", Type::Long),
    ("read_files", Type::Long),
    ("read_rows", Type::Long),
    ("produced_rows", Type::Long),
    ("read_bytes", Type::Long),
    ("from_result_cache", Type::Bool),
    ("spilled_local_bytes", Type::Long),
    ("written_bytes", Type::Long),
    ("written_rows", Type::Long),
    ("executed_as_user_id", Type::Text),
    ("executed_as", Type::Text),
    // Ours: who read what. Columns are full names, `catalog.schema.table.column`.
    ("read_tables", Type::TextList),
    ("read_columns", Type::TextList),
    ("written_tables", Type::TextList),
    ("source_ip_address", Type::Text),
    ("user_agent", Type::Text),
];

/// The rows of a system table that the caller may see; `None` when there is no such table.
pub(super) async fn relation(run: &Run, schema: &str, table: &str) -> Result<Option<(SchemaRef, Vec<RecordBatch>)>> {
    if !TABLES.iter().any(|(of, name, _)| *of == schema && *name == table) {
        return Ok(None);
    }
    if table == lineage::OF_TABLES || table == lineage::OF_MODELS {
        return lineage::relation(run, table).await.map(Some);
    }
    let (root, caller) = (Reference::Root, &run.caller);
    // Asking outright would put a refusal of everybody who looks at their own rows into the audit.
    let (_, decision) = caller.explain(Rule::Admin, &root).await?;
    let (everything, evidence): (bool, Box<dyn Evidence>) = if matches!(decision, Decision::Allowed(_)) {
        (true, Box::new(caller.ask::<metastore::Administer>(NameOf::root()).await?))
    } else {
        (false, Box::new(caller.ask::<metastore::Read>(NameOf::root()).await?))
    };
    let governance = &run.lake.governance;
    let reader = governance.db.read(&*evidence);
    let workspace = workspace(run, &*evidence).await?;
    let which: Vec<Value> = params![i64::from(everything), caller.who().id, i64::from(NEWEST)];
    // The history records reads in the audit: it goes first.
    run.lake.history.flush().await;
    run.lake.follower.flush().await;
    let (columns, rows): (Columns, Vec<Vec<Cell>>) = if table == "audit" {
        governance.authority.recorder().flush().await;
        let rows = reader.rows(SELECT_AUDIT, which).await?;
        let mut cells = Vec::with_capacity(rows.len());
        for row in &rows {
            let params = params_of(&row.text(9)?)?;
            if everything || !params.contains_key(VIA_VIEW) {
                cells.push(audit_cells(row, params, workspace.as_deref())?);
            }
        }
        (AUDIT, cells)
    } else {
        let rows = reader.rows(SELECT_HISTORY, which).await?;
        (HISTORY, rows.iter().map(|row| history_cells(row, everything, workspace.as_deref())).collect::<Result<_>>()?)
    };
    let (schema, batch) = batch(columns, &rows)?;
    Ok(Some((schema, vec![batch])))
}

/// All system tables.
pub(super) fn tables(lake: &Lake) -> impl Iterator<Item = SystemTable> {
    TABLES.iter().copied().chain(lake.system_tables.iter().flat_map(|of| of.tables()))
}

/// The id of this installation's workspace.
pub(super) async fn workspace(run: &Run, evidence: &dyn Evidence) -> Result<Option<String>> {
    let reader = run.lake.governance.db.read(evidence);
    let setting = reader.row("SELECT value FROM setting WHERE name = 'workspace_id'", params![]).await?;
    Ok(setting.map(|row| row.text(0)).transpose()?)
}

/// The columns of a system table; `None` when there is no such table. Names are folded.
pub(super) fn columns(lake: &Lake, schema: &str, table: &str) -> Option<Columns> {
    tables(lake).find(|(of, name, _)| *of == schema && *name == table).map(|(_, _, columns)| columns)
}

/// A table of another component, as the caller may see it. Inside of a view that is whoever asks, too, not the view's owner.
pub(super) fn served(run: &Run, schema: &str, table: &str) -> Option<Arc<dyn Served>> {
    run.lake.system_tables.iter().find_map(|of| of.open(&run.caller, schema, table))
}

const SELECT_AUDIT: &str = "SELECT event_id, event_time, principal_name, source_ip, user_agent, request_id, statement_id, \
     service_name, action_name, request_params, status_code, error_message FROM audit_event \
     WHERE ($1 = 1 OR principal = $2) ORDER BY event_time DESC, event_id DESC LIMIT $3";

fn audit_cells(row: &Row, params: Map<String, Json>, workspace: Option<&str>) -> Result<Vec<Cell>> {
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

const SELECT_HISTORY: &str = "SELECT id, principal, principal_name, warehouse, text, kind, status, error, started_at, ended_at, \
     rows_produced, rows_written, reads, source_ip, user_agent, writes FROM statement \
     WHERE ($1 = 1 OR principal = $2) ORDER BY started_at DESC, id DESC LIMIT $3";

fn history_cells(row: &Row, everything: bool, workspace: Option<&str>) -> Result<Vec<Cell>> {
    let (user_id, user) = (row.int(1)?.to_string(), row.text(2)?);
    let (started, ended) = (row.micros(8)?, row.micros(9)?);
    let took = (ended.0 - started.0).max(0) / 1_000;
    let warehouse = row.opt_text(3)?;
    let compute = match &warehouse {
        Some(id) => Cell::Struct(vec!["WAREHOUSE".into(), Cell::Null, id.as_str().into()]),
        None => Cell::Null,
    };
    let (tables, columns) = reads_of(&row.text(12)?, everything)?;
    let kind = row.opt_text(5)?;
    Ok(vec![
        SecurableId::METASTORE.to_string().into(),
        workspace.map(str::to_owned).into(),
        row.text(0)?.into(),
        Cell::Null,
        row.text(6)?.into(),
        compute,
        user_id.as_str().into(),
        user.as_str().into(),
        row.text(4)?.into(),
        kind.as_deref().map_or("OTHER", statement_type).into(),
        row.opt_text(7)?.into(),
        Cell::Null,
        Cell::Null,
        took.into(),
        Cell::Null,
        Cell::Null,
        Cell::Null,
        Cell::Null,
        Cell::Null,
        Cell::Null,
        started.into(),
        ended.into(),
        ended.into(),
        Cell::Null,
        Cell::Null,
        Cell::Null,
        Cell::Null,
        row.opt_int(10)?.into(),
        Cell::Null,
        // There is no cache of results.
        false.into(),
        Cell::Null,
        Cell::Null,
        row.opt_int(11)?.into(),
        user_id.into(),
        user.into(),
        Cell::TextList(tables),
        Cell::TextList(columns),
        Cell::TextList(writes_of(&row.text(15)?)?),
        row.opt_text(13)?.into(),
        row.opt_text(14)?.into(),
    ])
}

/// The tables and the columns that a statement read, from the list that the history keeps. What it read with the rights of
/// a view's owner is for administrators.
fn reads_of(json: &str, everything: bool) -> Result<(Vec<String>, Vec<String>)> {
    #[derive(serde::Deserialize)]
    struct Read {
        table: String,
        columns: Vec<String>,
        via: Option<String>,
    }
    let mut reads: Vec<Read> =
        serde_json::from_str(json).map_err(|error| Problem::internal("a stored statement cannot be read", error))?;
    reads.retain(|read| everything || read.via.is_none());
    let full =
        |read: &Read| -> Vec<String> { read.columns.iter().map(|column| format!("{}.{column}", read.table)).collect() };
    let columns = reads.iter().flat_map(full).collect();
    Ok((reads.into_iter().map(|read| read.table).collect(), columns))
}

/// The tables that a statement wrote.
fn writes_of(json: &str) -> Result<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct Write {
        table: String,
    }
    let writes: Vec<Write> =
        serde_json::from_str(json).map_err(|error| Problem::internal("a stored statement cannot be read", error))?;
    Ok(writes.into_iter().map(|write| write.table).collect())
}

/// Databricks' word for a kind of statement.
fn statement_type(kind: &str) -> &'static str {
    match kind {
        "Query" => "SELECT",
        "Explain" => "EXPLAIN",
        "Insert" => "INSERT",
        "CopyInto" => "COPY",
        "Delete" => "DELETE",
        "Update" => "UPDATE",
        "Merge" => "MERGE",
        "Truncate" => "TRUNCATE",
        "CreateTable" | "CloneTable" | "CreateView" | "CreateFunction" | "CreateSchema" | "CreateCatalog"
        | "CreateVolume" => "CREATE",
        "Drop" => "DROP",
        "Alter" | "CommentOn" => "ALTER",
        "Grant" => "GRANT",
        "Revoke" => "REVOKE",
        "Show" | "ShowGrants" => "SHOW",
        "Describe" => "DESCRIBE",
        "Use" => "USE",
        "Set" | "Reset" => "SET",
        "Vacuum" => "VACUUM",
        "Optimize" => "OPTIMIZE",
        "Analyze" => "ANALYZE",
        "RefreshTable" => "REFRESH",
        _ => "OTHER",
    }
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

    #[test]
    fn reads_become_tables_and_columns() {
        let (tables, columns) =
            reads_of(r#"[{"table":"a.b.t","columns":["x","y"]},{"table":"a.b.u","columns":[]}]"#, false).unwrap();
        assert_eq!(tables, ["a.b.t", "a.b.u"]);
        assert_eq!(columns, ["a.b.t.x", "a.b.t.y"]);
        let through_a_view = r#"[{"table":"a.b.v","columns":[]},{"table":"a.b.t","columns":["x"],"via":"a.b.v"}]"#;
        assert_eq!(reads_of(through_a_view, false).unwrap(), (vec!["a.b.v".to_owned()], Vec::new()));
        assert_eq!(reads_of(through_a_view, true).unwrap().0, ["a.b.v", "a.b.t"]);
        assert_eq!(writes_of(r#"[{"table":"a.b.t","rows":null}]"#).unwrap(), ["a.b.t"]);
    }

    #[test]
    fn empty_tables_have_all_their_columns() {
        for (_, _, columns) in TABLES {
            let (schema, batch) = batch(columns, &[]).unwrap();
            assert_eq!((schema.fields().len(), batch.num_rows()), (columns.len(), 0));
        }
    }
}
