//! `system.access.table_lineage` and `system.access.model_lineage`: what flowed from where to where, as tables.
//!
//! The columns of the first are Databricks', in its order; there is no such table for models there. A row is there for those
//! who may see all that it names: `crannog_governance::service::lineage` says how. What a statement did a moment ago is
//! written before it is read.

use std::collections::HashMap;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use crannog_governance::model::lineage::{Node, NodeType, Recorded};
use crannog_governance::service::lineage::{self as flows, Wanted};
use crannog_security::NameOf;
use crannog_security::actions::metastore;
use crannog_types::{Result, SecurableId};

use super::Run;
use super::answer::{Cell, Columns, Type, batch};
use super::system::{NEWEST, workspace};

/// The names of both.
pub(super) const OF_TABLES: &str = "table_lineage";
pub(super) const OF_MODELS: &str = "model_lineage";

/// The entity that a run of MLflow is.
const RUN: &str = "MLFLOW_RUN";

pub(super) const TABLE_LINEAGE: Columns = &[
    ("account_id", Type::Text),
    ("metastore_id", Type::Text),
    ("workspace_id", Type::Text),
    ("entity_type", Type::Text),
    ("entity_id", Type::Text),
    ("entity_run_id", Type::Text),
    ("source_table_full_name", Type::Text),
    ("source_table_catalog", Type::Text),
    ("source_table_schema", Type::Text),
    ("source_table_name", Type::Text),
    ("source_path", Type::Text),
    ("source_type", Type::Text),
    ("target_table_full_name", Type::Text),
    ("target_table_catalog", Type::Text),
    ("target_table_schema", Type::Text),
    ("target_table_name", Type::Text),
    ("target_path", Type::Text),
    ("target_type", Type::Text),
    ("created_by", Type::Text),
    ("event_time", Type::Timestamp),
    ("event_date", Type::Date),
    ("record_id", Type::Text),
    ("event_id", Type::Text),
    ("statement_id", Type::Text),
    (
        "entity_metadata",
        Type::Struct(&[
            ("job_info", Type::Struct(&[("job_id", Type::Text), ("job_run_id", Type::Text)])),
            ("dashboard_id", Type::Text),
            ("legacy_dashboard_id", Type::Text),
            ("notebook_id", Type::Text),
            ("sql_query_id", Type::Text),
            ("dlt_pipeline_info", Type::Struct(&[("dlt_pipeline_id", Type::Text), ("dlt_update_id", Type::Text)])),
        ]),
    ),
    // Ours: the version of the table that a run read, where the run says it.
    ("source_version", Type::Long),
];

pub(super) const MODEL_LINEAGE: Columns = &[
    ("account_id", Type::Text),
    ("metastore_id", Type::Text),
    ("workspace_id", Type::Text),
    ("model_full_name", Type::Text),
    ("model_catalog", Type::Text),
    ("model_schema", Type::Text),
    ("model_name", Type::Text),
    ("model_version", Type::Long),
    ("aliases", Type::TextList),
    ("logged_model_id", Type::Text),
    ("experiment_id", Type::Text),
    ("run_id", Type::Text),
    ("context", Type::Text),
    ("source_table_full_name", Type::Text),
    ("source_table_catalog", Type::Text),
    ("source_table_schema", Type::Text),
    ("source_table_name", Type::Text),
    ("source_type", Type::Text),
    ("source_version", Type::Long),
    ("created_by", Type::Text),
    ("event_time", Type::Timestamp),
    ("event_date", Type::Date),
];

/// The rows of one of them that the caller may see.
pub(super) async fn relation(run: &Run, table: &str) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    // Lineage of statements is written with the history, and what they committed is followed before.
    run.lake.follower.flush().await;
    run.lake.history.flush().await;
    let (db, caller) = (&run.lake.governance.db, &run.caller);
    let permit = caller.ask::<metastore::Read>(NameOf::root()).await?;
    let workspace = workspace(run, &permit).await?;
    let front = |cells: Vec<Cell>| -> Vec<Cell> {
        let id = SecurableId::METASTORE.to_string();
        [id.as_str().into(), id.as_str().into(), workspace.clone().into()].into_iter().chain(cells).collect()
    };
    let (columns, rows): (Columns, Vec<Vec<Cell>>) = if table == OF_TABLES {
        let found = flows::list(db, caller, Wanted::OfTables, NEWEST.into()).await?;
        (TABLE_LINEAGE, found.iter().map(|recorded| front(table_cells(recorded))).collect())
    } else {
        let found = flows::list(db, caller, Wanted::OfModels, NEWEST.into()).await?;
        let aliases = flows::aliases(db, caller).await?;
        (MODEL_LINEAGE, model_rows(&found, &aliases).into_iter().map(front).collect())
    };
    let (schema, batch) = batch(columns, &rows)?;
    Ok((schema, vec![batch]))
}

fn table_cells(recorded: &Recorded) -> Vec<Cell> {
    let entity = recorded.run_id.as_ref().map(|_| RUN);
    let mut cells: Vec<Cell> = vec![entity.into(), recorded.experiment.clone().into(), recorded.run_id.clone().into()];
    for node in [&recorded.flow.source, &recorded.flow.target] {
        let is_path = node.as_ref().is_some_and(|node| node.node_type == NodeType::Path);
        cells.extend(name_cells(node.as_ref().filter(|_| !is_path)));
        cells.push(node.as_ref().and_then(|node| node.path.clone()).into());
        cells.push(node.as_ref().map(|node| node.node_type.word()).into());
    }
    cells.extend([recorded.who.as_str().into(), recorded.at.into(), recorded.at.into()]);
    cells.extend([recorded.record_id.as_str().into(), recorded.event_id.as_str().into()]);
    cells.extend([recorded.statement.clone().into(), Cell::Null]);
    cells.push(recorded.flow.source.as_ref().and_then(|source| source.version).into());
    cells
}

/// A full name, and its three parts.
fn name_cells(node: Option<&Node>) -> Vec<Cell> {
    let Some(node) = node else { return vec![Cell::Null; 4] };
    let part = |at: usize| Cell::from(node.name.parts().get(at).cloned());
    vec![node.name.to_string().into(), part(0), part(1), part(2)]
}

/// A row for each version and each table that it was made of; one without a table where none is known.
fn model_rows(found: &[Recorded], aliases: &HashMap<(SecurableId, i64), Vec<String>>) -> Vec<Vec<Cell>> {
    let mut reads: HashMap<&str, Vec<&Recorded>> = HashMap::new();
    for read in found.iter().filter(|recorded| recorded.flow.target.is_none()) {
        reads.entry(read.run_id.as_deref().unwrap_or_default()).or_default().push(read);
    }
    let mut rows = Vec::new();
    for of in found {
        let Some(model) = &of.flow.target else { continue };
        let version = model.version.unwrap_or_default();
        let mut row = |source: &Recorded| {
            let mut cells = name_cells(Some(model));
            cells.push(version.into());
            cells.push(Cell::TextList(aliases.get(&(model.id, version)).cloned().unwrap_or_default()));
            cells.extend([of.model_id.clone().into(), of.experiment.clone().into(), of.run_id.clone().into()]);
            cells.push(source.flow.context.clone().into());
            let node = source.flow.source.as_ref();
            cells.extend(name_cells(node));
            cells.push(node.map(|node| node.node_type.word()).into());
            cells.push(node.and_then(|node| node.version).into());
            cells.extend([of.who.as_str().into(), of.at.into(), of.at.into()]);
            rows.push(cells);
        };
        match of.run_id.as_deref().and_then(|run| reads.get(run)) {
            Some(read) if of.flow.source.is_none() => read.iter().for_each(|source| row(source)),
            _ => row(of),
        }
    }
    rows
}
