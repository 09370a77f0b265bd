//! `system.query.history`: what was asked.

use std::sync::Arc;

use crannog_store::Row;
use crannog_types::{Problem, Result, SecurableId};

use super::super::answer::{Cell, Columns, Type};
use super::pages::{Look, Place, Read, Stored, pages};
use crate::ports::{RowStream, Wanted};

pub(super) const HISTORY: Columns = &[
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

const STORED: Stored = Stored {
    table: "statement",
    columns: &[
        "id",
        "principal",
        "principal_name",
        "warehouse",
        "text",
        "kind",
        "status",
        "error",
        "started_at",
        "ended_at",
        "rows_produced",
        "rows_written",
        "reads",
        "source_ip",
        "user_agent",
        "writes",
    ],
    time: 8,
    texts: &[("statement_id", "id"), ("execution_status", "status"), ("executed_by", "principal_name")],
    times: &[("start_time", "started_at"), ("end_time", "ended_at"), ("update_time", "ended_at")],
    maps: &[],
};

pub(super) fn rows(look: Look, wanted: Wanted) -> RowStream {
    pages(look, HISTORY, wanted, None, page)
}

/// Rows behind a place, and the next one unless they are the last.
async fn page(look: Look, wanted: Arc<Wanted>, from: Option<Place>) -> Result<(Vec<Vec<Cell>>, Option<Option<Place>>)> {
    let Read { rows, everything, next } = STORED.page(&look, HISTORY, &wanted, from).await?;
    let found = rows.iter().map(|row| cells(row, everything, look.workspace.as_deref())).collect::<Result<_>>()?;
    Ok((found, next.map(Some)))
}

fn cells(row: &Row, everything: bool, workspace: Option<&str>) -> Result<Vec<Cell>> {
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
}
