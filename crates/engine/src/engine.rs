//! The two halves as lake's one engine: planning and running queries, and Delta tables.

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use crannog_lake::model::actions::Add;
use crannog_lake::model::schema::StructType;
use crannog_lake::model::state::Loaded;
use crannog_lake::ports::{BoundQuery, DataFile, Engine, FilesScan, Prepared, RowStream, WriteSpec};
use crannog_storage::Folder;
use crannog_types::Result;

use crate::compute::Compute;
use crate::{DataFusionEngine, Limits, Planner, QueryLimits};

/// The engine of a server.
pub struct LakeEngine {
    tables: DataFusionEngine,
    planner: Planner,
    compute: Compute,
}

impl LakeEngine {
    /// An engine whose queries and writes share these limits.
    ///
    /// # Errors
    /// When the spill folder cannot be used, or no thread can be started.
    pub fn new(queries: &QueryLimits, writes: Limits) -> Result<Self> {
        let compute = Compute::new(queries.partitions, queries.take_priority)?;
        Ok(LakeEngine { tables: DataFusionEngine::new(writes), planner: Planner::new(queries)?, compute })
    }

    /// Queries and writes of which something still computes, whether somebody waits for it or not.
    #[must_use]
    pub fn busy(&self) -> usize {
        self.compute.busy()
    }
}

#[async_trait]
impl Engine for LakeEngine {
    async fn prepare(&self, query: BoundQuery) -> Result<Box<dyn Prepared>> {
        Ok(self.compute.query(self.planner.prepare(query).await?))
    }

    async fn infer(&self, files: &FilesScan) -> Result<StructType> {
        crate::files::infer(files).await
    }

    fn knows_time_zone(&self, zone: &str) -> bool {
        crate::spark::zone::Zone::parse(zone).is_ok()
    }

    async fn load(&self, folder: &Folder) -> Result<Option<(i64, Loaded)>> {
        self.tables.load_version(folder, None).await
    }

    async fn checkpoint(&self, folder: &Folder, version: i64) -> Result<()> {
        self.tables.write_checkpoint(folder, version).await
    }

    async fn write(&self, folder: &Folder, spec: &WriteSpec, rows: RowStream) -> Result<Vec<Add>> {
        let (tables, folder, spec) = (self.tables.clone(), folder.clone(), spec.clone());
        self.compute.run(async move { tables.write_rows(&folder, &spec, rows).await }).await
    }

    async fn encode(&self, spec: &WriteSpec, rows: Vec<RecordBatch>) -> Result<Vec<DataFile>> {
        self.tables.encode_rows(spec, rows).await
    }
}
