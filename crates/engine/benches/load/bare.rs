//! DataFusion alone over Parquet files, with its own defaults: what our queries are compared with, built with the same
//! libraries and the same profile.
//!
//! Every file `NAME.parquet` of the folder is the table NAME. Each line of the input is `{"sql", "out"}`; the rows go to
//! the file `out` as an Arrow stream, the time of planning and running to standard output.

use std::fs::File;
use std::io::{BufRead, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use arrow::ipc::writer::StreamWriter;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use serde_json::{Value, json};

use crate::Outcome;

pub(crate) async fn answer(folder: &Path) -> Outcome {
    let threads = std::thread::available_parallelism()?.get();
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(threads));
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if let (Some(name), Some(text)) = (path.file_stem().and_then(|name| name.to_str()), path.to_str())
            && path.extension().is_some_and(|extension| extension == "parquet")
        {
            context.register_parquet(name, text, ParquetReadOptions::default()).await?;
        }
    }
    for line in std::io::stdin().lock().lines() {
        let asked: Value = serde_json::from_str(&line?)?;
        let text = |key: &str| asked[key].as_str().unwrap_or_default().to_owned();
        let said = match query(&context, &text("sql"), Path::new(&text("out"))).await {
            Ok(wall) => json!({ "wall": wall.as_secs_f64() }),
            Err(error) => json!({ "error": error.to_string() }),
        };
        let mut out = std::io::stdout().lock();
        writeln!(out, "{said}")?;
        out.flush()?;
    }
    Ok(())
}

async fn query(
    context: &SessionContext,
    sql: &str,
    out: &Path,
) -> Result<Duration, Box<dyn std::error::Error + Send + Sync>> {
    let began = Instant::now();
    let frame = context.sql(sql).await?;
    let schema = std::sync::Arc::new(frame.schema().as_arrow().clone());
    let batches = frame.collect().await?;
    let wall = began.elapsed();
    let mut writer = StreamWriter::try_new(File::create(out)?, &schema)?;
    for batch in &batches {
        writer.write(batch)?;
    }
    writer.finish()?;
    Ok(wall)
}
