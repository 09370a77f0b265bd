//! The engine behind lake's ports: DataFusion plans and runs, delta_kernel reads logs, object_store holds the bytes.
//!
//! This crate is the only one that knows DataFusion and delta_kernel, and nothing depends on it but the program. It decides
//! nothing about who may read what: a table comes with the permit to read it, and only what came with one can be scanned.
//! It never commits: it writes data files and gives their `add` actions back.
//!
//! - `kernel`, `checkpoint`: logs, deletion vectors and checkpoints, by delta_kernel where it can
//! - `scan`, `scan_files`, `prune`, `mapping`: a Delta table as DataFusion reads it
//! - `served`: tables whose rows another component reads while the query runs
//! - `footers`: what the ends of data files say, kept
//! - `plan`, `constant`: queries, and rows that need no plan
//! - `lazily`: what can fail runs only where the conditions left of it let it
//! - `generator`: many rows of one
//! - `write`, `bounds`: rows into data files, with statistics
//! - `compute`, `crews`: the threads that all of it computes on, own ones for each query
//! - `interrupts`: what would compute on and on is given up when nobody waits for it
//! - `errors`: what went wrong, in the caller's words

mod bind;
mod bounds;
mod checkpoint;
mod compute;
mod constant;
mod crews;
mod engine;
mod errors;
mod files;
mod footers;
mod generator;
mod interrupts;
mod kernel;
mod lazily;
mod mapping;
mod plan;
mod prune;
pub mod render;
mod scan;
mod scan_files;
mod served;
mod session;
mod spark;
#[doc(hidden)]
pub mod testing;
mod write;

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use crannog_lake::model::actions::Add;
use crannog_lake::model::state::Loaded;
use crannog_lake::ports::{DataFile, RowStream, TableScan, WriteSpec};
use crannog_storage::Folder;
use crannog_types::Result;
use datafusion::catalog::TableProvider;

use footers::{Footers, Readers};

pub use crews::TakePriority;
pub use engine::LakeEngine;
pub use plan::Planner;
pub use session::QueryLimits;
pub use write::Limits;

/// The engine. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct DataFusionEngine {
    limits: Limits,
}

impl DataFusionEngine {
    /// An engine whose writes keep these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits }
    }

    /// Reads a table's log cold; see [`crannog_lake::ports::Engine::load`]. The number is the version that was found.
    pub async fn load_version(&self, folder: &Folder, version: Option<i64>) -> Result<Option<(i64, Loaded)>> {
        kernel::load(folder.object_store(), version).await
    }

    /// See [`crannog_lake::ports::Engine::checkpoint`].
    pub async fn write_checkpoint(&self, folder: &Folder, version: i64) -> Result<()> {
        kernel::checkpoint(folder.object_store(), version, crannog_kit::clock::now()).await
    }

    /// See [`crannog_lake::ports::Engine::write`].
    pub async fn write_rows(&self, folder: &Folder, spec: &WriteSpec, rows: RowStream) -> Result<Vec<Add>> {
        write::write(folder.object_store(), spec, self.limits, rows).await
    }

    /// See [`crannog_lake::ports::Engine::encode`].
    pub async fn encode_rows(&self, spec: &WriteSpec, rows: Vec<RecordBatch>) -> Result<Vec<DataFile>> {
        write::encode(spec, self.limits, rows).await
    }
}

/// A table that the caller may read, for DataFusion. `name` is for plans and errors. Filters and masks of the permit are
/// the planner's business: the provider gives the rows as they are.
///
/// # Errors
/// `Unimplemented` for tables that this engine would read wrongly.
pub(crate) fn table_provider(scan: &TableScan, name: &str, footers: &Arc<Footers>) -> Result<Arc<dyn TableProvider>> {
    let store = scan.folder.read_only().object_store();
    let readers = Readers::new(Arc::clone(&store), Arc::clone(footers), scan.folder.location().to_string().into());
    Ok(Arc::new(scan::DeltaTable::new(name.to_owned(), store, readers, Arc::clone(&scan.state))?))
}
