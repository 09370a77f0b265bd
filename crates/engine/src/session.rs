//! DataFusion's session as Crannog sets it: bounded memory with spilling, microseconds, plain strings.
//!
//! One runtime (memory pool, spill folder) and one state serve all statements. No catalog is ever filled: relations reach a
//! plan through `bind` only.

use std::path::PathBuf;
use std::sync::Arc;

use crannog_types::{Problem, Result};
use datafusion::execution::SessionState;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::SessionConfig;

use crate::crews::TakePriority;

/// What queries may use.
#[derive(Clone, Debug)]
pub struct QueryLimits {
    /// Bytes of memory for the operators of all queries together.
    pub memory: usize,
    /// Where operators spill; `None`: the system's folder for temporary files.
    pub spill_folder: Option<PathBuf>,
    /// Bytes that all spills together may take.
    pub spill_bytes: u64,
    /// Threads that one query uses.
    pub partitions: usize,
    /// How a thread that computed for long is put behind the others; `None`: it is not.
    pub take_priority: Option<TakePriority>,
}

impl Default for QueryLimits {
    fn default() -> Self {
        QueryLimits { memory: 512 << 20, spill_folder: None, spill_bytes: 20 << 30, partitions: 2, take_priority: None }
    }
}

/// The runtime that all statements share.
#[derive(Clone, Debug)]
pub(crate) struct Runtime {
    hashing: Arc<SessionState>,
    merging: Arc<SessionState>,
}

impl Runtime {
    pub(crate) fn new(limits: &QueryLimits) -> Result<Self> {
        let top = std::num::NonZeroUsize::new(3).unwrap_or(std::num::NonZeroUsize::MIN);
        let pool: Arc<dyn MemoryPool> = Arc::new(TrackConsumersPool::new(FairSpillPool::new(limits.memory), top));
        let mode = match &limits.spill_folder {
            Some(folder) => DiskManagerMode::Directories(vec![folder.clone()]),
            None => DiskManagerMode::OsTmpDirectory,
        };
        let disk = DiskManagerBuilder::default().with_mode(mode).with_max_temp_directory_size(limits.spill_bytes);
        let env = RuntimeEnvBuilder::new()
            .with_memory_pool(pool)
            .with_disk_manager_builder(disk)
            .build_arc()
            .map_err(|error| Problem::internal("the query runtime cannot start", error))?;
        let partitions = limits.partitions.max(1);
        Ok(Runtime {
            hashing: Arc::new(state(&env, partitions, true)),
            merging: Arc::new(state(&env, partitions, false)),
        })
    }

    /// The state of all statements, which know nothing of each other: nothing is ever registered in it. `hash_join` is off
    /// when a join did not fit into memory.
    pub(crate) fn state(&self, hash_join: bool) -> Arc<SessionState> {
        Arc::clone(if hash_join { &self.hashing } else { &self.merging })
    }
}

fn state(env: &Arc<RuntimeEnv>, partitions: usize, hash_join: bool) -> SessionState {
    let mut config = SessionConfig::new()
        .with_target_partitions(partitions)
        .with_information_schema(false)
        .with_create_default_catalog_and_schema(false);
    let options = config.options_mut();
    options.execution.parquet.schema_force_view_types = false;
    // Columns that no filter looks at are only decoded for the rows that the filters leave.
    options.execution.parquet.pushdown_filters = true;
    options.execution.time_zone = Some("UTC".to_owned());
    options.optimizer.prefer_hash_join = hash_join;
    // Spark's `sum` and friends were bound by us: nothing may be coerced again.
    options.sql_parser.map_string_types_to_utf8view = false;
    SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(Arc::clone(env))
        .with_physical_optimizer_rules(crate::lazily::rules())
        .build()
}
