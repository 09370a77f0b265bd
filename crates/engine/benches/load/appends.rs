//! One-row appends at the arbiter's port: no HTTP, no SQL, no permits, but the real engine, durable files and checkpoints.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Int64Array, RecordBatch};
use crannog_engine::{LakeEngine, Limits, QueryLimits};
use crannog_kit::Tasks;
use crannog_lake::model::actions::{Action, Format, Metadata};
use crannog_lake::model::commit::{Operation, TableDescription};
use crannog_lake::model::features::protocol_for;
use crannog_lake::model::{DataType, StructField, StructType};
use crannog_lake::service::arbiter::{Arbiter, Author};
use crannog_security::{System, Task};
use crannog_storage::{Access, External, Folder, Managed, Storage};
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{Outcome, percentile};

type Failed = Box<dyn std::error::Error + Send + Sync>;

pub(crate) async fn append(data: &Path, writers: usize, lasting: Duration) -> Outcome {
    let engine = LakeEngine::new(&QueryLimits::default(), Limits::default())?;
    let tasks = Tasks::new();
    let arbiter = Arbiter::new(Arc::new(engine), tasks.clone());
    let folder = table(&arbiter, data).await?;

    let began = Instant::now();
    let mut working = JoinSet::new();
    for writer in 0..writers {
        let (arbiter, folder) = (Arc::clone(&arbiter), folder.clone());
        working.spawn(async move {
            let mut times = Vec::new();
            let mut failed = Vec::new();
            while began.elapsed() < lasting {
                let sent = Instant::now();
                let row = row(i64::try_from(writer).unwrap_or_default());
                let done = match row {
                    Ok(row) => append_one(&arbiter, &folder, row).await,
                    Err(error) => Err(error),
                };
                match done {
                    Ok(_) => times.push(sent.elapsed()),
                    Err(error) => failed.push(error.to_string()),
                }
            }
            (times, failed)
        });
    }
    let (mut times, mut failed) = (Vec::new(), Vec::new());
    while let Some(done) = working.join_next().await {
        let (more, wrong) = done?;
        times.extend(more);
        failed.extend(wrong);
    }
    let seconds = began.elapsed().as_secs_f64();
    times.sort_unstable();
    let state = arbiter.open(&folder).await?;
    println!(
        "{}",
        json!({
            "done": times.len(),
            "failed": failed.len(),
            "first_failure": failed.first(),
            "rows": state.files.rows(),
            "versions": state.version,
            "seconds": seconds,
            "p50_ms": percentile(&times, 0.5).as_secs_f64() * 1e3,
            "p99_ms": percentile(&times, 0.99).as_secs_f64() * 1e3,
        })
    );
    tasks.stop().await;
    Ok(())
}

/// As a statement does it: the table is opened first.
async fn append_one(arbiter: &Arc<Arbiter>, folder: &Folder, row: RecordBatch) -> Result<(), Failed> {
    let read = arbiter.open(folder).await?;
    arbiter.append_rows(folder, read, vec![row], Author::default()).await?;
    Ok(())
}

async fn table(arbiter: &Arbiter, data: &Path) -> Result<Folder, Failed> {
    let storage = Storage::new(data, External::Nowhere)?;
    #[expect(clippy::disallowed_methods, reason = "the measure stands in for a permit")]
    let system = System::task(Task::Probe);
    let folder = storage.open(&system, &storage.managed(Managed::Tables, Uuid::now_v7()), Access::ReadWrite)?;
    let schema = StructType::new(vec![StructField::new("n", DataType::Long, true)])?;
    let metadata = Metadata {
        id: Uuid::now_v7().to_string(),
        name: None,
        description: None,
        format: Format::default(),
        schema_string: schema.to_schema_string(),
        partition_columns: Vec::new(),
        configuration: Default::default(),
        created_time: Some(0),
    };
    let operation = Operation::CreateTable(TableDescription::of(&metadata, true));
    let actions = vec![Action::Protocol(protocol_for(&schema, &metadata)?), Action::Metadata(metadata)];
    arbiter.create(&folder, &operation, &Author::default(), actions).await?;
    Ok(folder)
}

fn row(n: i64) -> Result<RecordBatch, Failed> {
    let schema = StructType::new(vec![StructField::new("n", DataType::Long, true)])?;
    Ok(RecordBatch::try_new(Arc::new(schema.to_arrow()), vec![Arc::new(Int64Array::from(vec![n]))])?)
}
