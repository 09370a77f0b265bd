//! An engine that invents data files: enough for everything that commits.

use std::sync::atomic::{AtomicI64, Ordering};

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use async_trait::async_trait;
use crannog_lake::model::actions::Add;
use crannog_lake::model::schema::StructType;
use crannog_lake::model::state::Loaded;
use crannog_lake::model::stats::FileStats;
use crannog_lake::ports::{BoundQuery, DataFile, Engine, FilesScan, Prepared, RowStream, WriteSpec};
use crannog_storage::Folder;
use crannog_types::{Problem, Result};
use futures::StreamExt;

/// A value that [`FakeEngine::encode`] has something against.
pub(crate) const REFUSED: i64 = -1;

#[derive(Default)]
pub(crate) struct FakeEngine {
    files: AtomicI64,
}

#[async_trait]
impl Engine for FakeEngine {
    async fn prepare(&self, _: BoundQuery) -> Result<Box<dyn Prepared>> {
        Err(Problem::invalid("this engine plans nothing"))
    }

    fn knows_time_zone(&self, zone: &str) -> bool {
        zone != "Nowhere"
    }

    async fn infer(&self, _: &FilesScan) -> Result<StructType> {
        Err(Problem::invalid("this engine reads no files"))
    }

    /// Replays the log from its first commit.
    async fn load(&self, folder: &Folder) -> Result<Option<(i64, Loaded)>> {
        use crannog_lake::model::TableState;
        use crannog_lake::service::table_log::read_commit;
        let Some(first) = read_commit(folder, 0).await? else { return Ok(None) };
        let mut state = TableState::create(&first)?;
        while let Some(actions) = read_commit(folder, state.version + 1).await? {
            state = state.advance_despite_faults(state.version + 1, &actions)?.0;
        }
        let loaded = Loaded {
            protocol: (*state.protocol).clone(),
            metadata: (*state.metadata).clone(),
            txns: state.txns.values().cloned().collect(),
            domains: Vec::new(),
            adds: state.files.iter().map(|add| (**add).clone()).collect(),
            timestamp: state.timestamp,
        };
        Ok(Some((state.version, loaded)))
    }

    async fn checkpoint(&self, _: &Folder, _: i64) -> Result<()> {
        Ok(())
    }

    /// One file, there from the beginning; when the rows fail it is deleted.
    async fn write(&self, folder: &Folder, _: &WriteSpec, mut rows: RowStream) -> Result<Vec<Add>> {
        let add = self.invent(0);
        folder.put(&add.path, "rows").await?;
        let mut count = 0;
        while let Some(batch) = rows.next().await {
            match batch {
                Ok(batch) => count += i64::try_from(batch.num_rows()).unwrap(),
                Err(problem) => {
                    folder.delete(&add.path).await?;
                    return Err(problem);
                }
            }
        }
        Ok(vec![Add { stats: Some(FileStats::of_rows(count).render()), ..add }])
    }

    /// Refuses a row of [`REFUSED`].
    async fn encode(&self, _: &WriteSpec, rows: Vec<RecordBatch>) -> Result<Vec<DataFile>> {
        let refused = |batch: &RecordBatch| {
            batch
                .column(0)
                .as_primitive_opt::<Int64Type>()
                .is_some_and(|n| n.iter().any(|value| value == Some(REFUSED)))
        };
        if rows.iter().any(refused) {
            return Err(Problem::invalid("a row that this engine refuses"));
        }
        let count = rows.iter().map(RecordBatch::num_rows).sum::<usize>();
        Ok(vec![DataFile { add: self.invent(i64::try_from(count).unwrap()), bytes: "rows".into() }])
    }
}

impl FakeEngine {
    fn invent(&self, count: i64) -> Add {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        let path = format!("part-{number:05}-{}.parquet", uuid::Uuid::new_v4());
        Add {
            path,
            partition_values: Default::default(),
            size: 1,
            modification_time: 0,
            data_change: true,
            stats: Some(FileStats::of_rows(count).render()),
            tags: None,
            deletion_vector: None,
            base_row_id: None,
            default_row_commit_version: None,
            clustering_provider: None,
        }
    }
}
