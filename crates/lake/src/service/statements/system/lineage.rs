//! `system.access.table_lineage` and `system.access.model_lineage`: what flowed from where to where, as tables.
//!
//! The columns of the first are Databricks', in its order; there is no such table for models there. A row is there for those
//! who may see all that it names: `crannog_governance::service::lineage` says how. What a statement did a moment ago is
//! written before it is read.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crannog_governance::model::lineage::{Node, NodeType, Recorded};
use crannog_governance::service::lineage::{self as flows, Asked, Place, Which};
use crannog_types::{Result, SecurableId};

use super::super::answer::{Cell, Columns, Type};
use super::pages::{Look, PAGE, moments, pages};
use crate::ports::{RowStream, Wanted};

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

const TIMES: &[&str] = &["event_time", "event_date"];

pub(super) fn of_tables(look: Look, wanted: Wanted) -> RowStream {
    pages(look, TABLE_LINEAGE, wanted, None, table_page)
}

/// Rows behind a place, and the next one unless they are the last.
async fn table_page(
    look: Look,
    wanted: Arc<Wanted>,
    from: Option<Place>,
) -> Result<(Vec<Vec<Cell>>, Option<Option<Place>>)> {
    let within = moments(TIMES, TABLE_LINEAGE, &wanted);
    let asked = Asked { which: Which::OfTables, within, behind: from, most: PAGE };
    let found = flows::page(&look.governance.db, &look.caller, &asked).await?;
    let next = asked.next(&found).map(Some);
    Ok((found.iter().map(|recorded| front(&look, table_cells(recorded))).collect(), next))
}

pub(super) fn of_models(look: Look, wanted: Wanted) -> RowStream {
    pages(look, MODEL_LINEAGE, wanted, OfModels::Versions(None), model_page)
}

/// Versions of models, or what their runs read, of one page.
const OF_MODELS: u64 = 250;

/// How far the rows of versions of models were read.
enum OfModels {
    /// To a place among the versions.
    Versions(Option<Place>),
    /// To a place among what the runs of some versions read.
    Reads(Versions, Option<Place>),
}

/// A page of versions.
struct Versions {
    found: Vec<Recorded>,
    aliases: HashMap<(SecurableId, i64), Vec<String>>,
    /// Runs that made them.
    runs: Vec<String>,
    /// Those of which something is known that they read.
    read: HashSet<String>,
    next: Option<Place>,
}

/// The run whose tables are those of a version.
fn run_of(version: &Recorded) -> Option<&str> {
    version.run_id.as_deref().filter(|_| version.flow.source.is_none())
}

impl Versions {
    async fn behind(look: &Look, wanted: &Wanted, from: Option<Place>) -> Result<Self> {
        let (db, caller) = (&look.governance.db, &look.caller);
        let within = moments(TIMES, MODEL_LINEAGE, wanted);
        let asked = Asked { which: Which::OfVersions, within, behind: from, most: OF_MODELS };
        let found = flows::page(db, caller, &asked).await?;
        let models: BTreeSet<_> = found.iter().filter_map(|of| of.flow.target.as_ref().map(|model| model.id)).collect();
        let runs: BTreeSet<&str> = found.iter().filter_map(run_of).collect();
        Ok(Versions {
            aliases: flows::aliases(db, caller, models).await?,
            runs: runs.into_iter().map(str::to_owned).collect(),
            read: HashSet::new(),
            next: asked.next(&found),
            found,
        })
    }

    /// A version and a table that it was made of.
    fn row(&self, look: &Look, version: &Recorded, source: &Recorded) -> Vec<Cell> {
        let model = version.flow.target.as_ref();
        let number = model.and_then(|model| model.version);
        let aliases = model.zip(number).and_then(|(model, number)| self.aliases.get(&(model.id, number)));
        let mut cells = name_cells(model);
        cells.extend([number.into(), Cell::TextList(aliases.cloned().unwrap_or_default())]);
        cells.extend([&version.model_id, &version.experiment, &version.run_id].map(|text| text.clone().into()));
        cells.push(source.flow.context.clone().into());
        let table = source.flow.source.as_ref();
        cells.extend(name_cells(table));
        cells.push(table.map(|table| table.node_type.word()).into());
        cells.push(table.and_then(|table| table.version).into());
        cells.extend([version.who.as_str().into(), version.at.into(), version.at.into()]);
        front(look, cells)
    }
}

/// A row for each version and each table that it was made of; one without a table where none is known.
async fn model_page(look: Look, wanted: Arc<Wanted>, from: OfModels) -> Result<(Vec<Vec<Cell>>, Option<OfModels>)> {
    let (mut versions, behind) = match from {
        OfModels::Versions(from) => (Versions::behind(&look, &wanted, from).await?, None),
        OfModels::Reads(versions, behind) => (versions, behind),
    };
    let which = Which::OfRuns(versions.runs.clone());
    let asked = Asked { which, within: i64::MIN..=i64::MAX, behind, most: OF_MODELS };
    let found = flows::page(&look.governance.db, &look.caller, &asked).await?;
    let mut rows = Vec::new();
    for read in &found {
        let of_run = versions.found.iter().filter(|version| run_of(version) == read.run_id.as_deref());
        rows.extend(of_run.map(|version| versions.row(&look, version, read)));
    }
    versions.read.extend(found.iter().filter_map(|read| read.run_id.clone()));
    if let Some(place) = asked.next(&found) {
        return Ok((rows, Some(OfModels::Reads(versions, Some(place)))));
    }
    let alone = versions.found.iter().filter(|version| !run_of(version).is_some_and(|run| versions.read.contains(run)));
    rows.extend(alone.map(|version| versions.row(&look, version, version)));
    Ok((rows, versions.next.map(|place| OfModels::Versions(Some(place)))))
}

/// Cells behind those that each row begins with.
fn front(look: &Look, cells: Vec<Cell>) -> Vec<Cell> {
    let id = SecurableId::METASTORE.to_string();
    [id.as_str().into(), id.as_str().into(), look.workspace.clone().into()].into_iter().chain(cells).collect()
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
