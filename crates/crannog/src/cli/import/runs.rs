//! Runs with their points, and logged models: read in windows, sent in batches, while the next are read.

use std::collections::{BTreeSet, HashMap, HashSet};

use crannog_store::query::{Expr, ExprTrait, Order};
use crannog_tracking::model::imports::{
    Known, LoggedModel, MadeBy, ModelPoint, Outcome, POINTS, Part, Run, RunKey, packed,
};
use crannog_tracking::model::runs::Metric;
use tokio::sync::mpsc;

use super::database::Database;
use super::report::{Progress, Report};
use super::{ask, post, unreadable};
use crate::cli::Failure;
use crate::client::Client;

/// A batch is sent when it has so many points, or so many bytes of texts.
const BATCH_POINTS: usize = 50_000;
const BATCH_BYTES: usize = 1 << 20;

/// More bytes than this the server does not take in one request.
const LARGEST: usize = 15 << 20;

/// How many logged models are read and sent together.
const MODELS: u64 = 100;

/// A request's worth of a run, and how many points and bytes that is.
struct Chunk {
    run: Run,
    points: usize,
    bytes: usize,
}

/// Takes runs over, of experiments that are here.
pub(super) async fn take_over(
    client: &Client,
    source: &mut Database,
    experiments: &BTreeSet<i64>,
    report: &mut Report,
) -> Result<(), Failure> {
    let mut progress = Progress::new(source.count("runs").await?, source.count("metrics").await?);
    let (chunks, waiting) = mpsc::channel(2);
    let mut read = Report::default();
    let reading = read_all(client, source, experiments, &mut read, chunks);
    let sending = send_all(client, waiting, report, &mut progress);
    let (reading, sending) = tokio::join!(reading, sending);
    progress.end();
    // Who sends says best what went wrong: who reads sees only that nobody takes it.
    sending?;
    reading?;
    report.merge(read);
    Ok(())
}

async fn read_all(
    client: &Client,
    source: &mut Database,
    experiments: &BTreeSet<i64>,
    report: &mut Report,
    chunks: mpsc::Sender<Chunk>,
) -> Result<(), Failure> {
    let mut last: Option<String> = None;
    loop {
        let mut window = source.runs_behind(last.as_deref()).await?;
        let Some(end) = window.last() else { return Ok(()) };
        last = Some(end.key.run_id.clone());
        window.retain(|run| {
            let here = experiments.contains(&run.key.experiment_id);
            if !here {
                report.left("runs", "their experiment was left out", 1, &run.key.run_id);
            }
            here
        });
        let keys: Vec<&RunKey> = window.iter().map(|run| &run.key).collect();
        let known: Known =
            serde_json::from_value(ask(client, "known-runs", "runs", &keys).await?).map_err(unreadable)?;
        let there: HashSet<&str> =
            known.there.iter().map(String::as_str).chain(known.left.iter().map(|note| note.id.as_str())).collect();
        window.retain(|run| !there.contains(run.key.run_id.as_str()));
        report.add("runs", &Outcome { there: known.there.len(), left: known.left.clone(), ..Outcome::default() });
        if window.is_empty() {
            continue;
        }
        source.logged(&mut window).await?;
        if !send_window(source, window, &chunks).await? {
            return Ok(());
        }
    }
}

/// Sends the runs of a window with their points; says whether anybody takes them.
async fn send_window(source: &mut Database, window: Vec<Run>, chunks: &mpsc::Sender<Chunk>) -> Result<bool, Failure> {
    let ids: Vec<String> = window.iter().map(|run| run.key.run_id.clone()).collect();
    let mut waiting: HashMap<String, Run> = window.into_iter().map(|run| (run.key.run_id.clone(), run)).collect();
    let mut points = source.points(&ids).await?;
    let (mut run, mut some): (Option<Run>, Vec<Metric>) = (None, Vec::new());
    while let Some((id, point)) = points.next().await? {
        if run.as_ref().is_none_or(|run| run.key.run_id != id) {
            if let Some(whole) = run.take()
                && chunks.send(chunk(whole, &mut some, true)).await.is_err()
            {
                return Ok(false);
            }
            run = waiting.remove(&id);
        }
        if some.len() == POINTS
            && let Some(begun) = &mut run
        {
            let rest = rest_of(begun);
            let part = std::mem::replace(begun, rest);
            if chunks.send(chunk(part, &mut some, false)).await.is_err() {
                return Ok(false);
            }
        }
        some.push(point);
    }
    for whole in run.into_iter().chain(waiting.into_values()) {
        if chunks.send(chunk(whole, &mut some, true)).await.is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What is left of a run when its beginning is sent: points.
fn rest_of(run: &Run) -> Run {
    Run {
        part: Part::Next,
        params: Vec::new(),
        tags: Vec::new(),
        datasets: Vec::new(),
        points: String::new(),
        ..run.clone()
    }
}

/// A request's worth of a run, which may be all that is left of it.
fn chunk(mut run: Run, points: &mut Vec<Metric>, all: bool) -> Chunk {
    run.part = match (run.part, all) {
        (Part::Whole, true) => Part::Whole,
        (Part::Whole, false) => Part::First,
        (_, true) => Part::Last,
        (_, false) => Part::Next,
    };
    run.points = packed(points);
    let count = points.len();
    points.clear();
    let pairs = run.params.iter().chain(&run.tags).map(|pair| 30 + pair.key.len() + pair.value.len());
    let texts = run.datasets.iter().map(|dataset| {
        let long = [Some(&dataset.source), dataset.schema.as_ref(), dataset.profile.as_ref()];
        300 + long.into_iter().flatten().map(String::len).sum::<usize>()
    });
    let bytes = 300 + pairs.sum::<usize>() + texts.sum::<usize>();
    Chunk { run, points: count, bytes }
}

/// Sends what comes, together.
async fn send_all(
    client: &Client,
    mut chunks: mpsc::Receiver<Chunk>,
    report: &mut Report,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let (mut batch, mut points, mut bytes) = (Vec::new(), 0, 0);
    while let Some(chunk) = chunks.recv().await {
        if chunk.bytes > LARGEST {
            report.left("runs", "their parameters, tags and datasets are more than 15 MB", 1, &chunk.run.key.run_id);
            continue;
        }
        if !batch.is_empty() && (points + chunk.points > BATCH_POINTS || bytes + chunk.bytes > BATCH_BYTES) {
            send(client, std::mem::take(&mut batch), points, report, progress).await?;
            (points, bytes) = (0, 0);
        }
        points += chunk.points;
        bytes += chunk.bytes;
        batch.push(chunk.run);
    }
    if !batch.is_empty() {
        send(client, batch, points, report, progress).await?;
    }
    Ok(())
}

async fn send(
    client: &Client,
    batch: Vec<Run>,
    points: usize,
    report: &mut Report,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let outcome = post(client, "runs", "runs", &batch).await?;
    report.add("runs", &outcome);
    report.count("points", points as u64, 0);
    progress.add(outcome.made as u64, points as u64);
    Ok(())
}

/// Takes logged models over, of experiments that are here.
pub(super) async fn models(
    client: &Client,
    source: &mut Database,
    experiments: &BTreeSet<i64>,
    report: &mut Report,
) -> Result<(), Failure> {
    if !source.has("logged_models").await? {
        return Ok(());
    }
    let mut last: Option<String> = None;
    loop {
        let mut window = models_behind(source, last.as_deref()).await?;
        let Some(end) = window.last() else { return Ok(()) };
        last = Some(end.model_id.clone());
        window.retain(|model| {
            let here = experiments.contains(&model.experiment_id);
            if !here {
                report.left("logged models", "their experiment was left out", 1, &model.model_id);
            }
            here
        });
        if !window.is_empty() {
            said(source, &mut window).await?;
            report.add("logged models", &post(client, "logged-models", "models", &window).await?);
        }
    }
}

async fn models_behind(source: &mut Database, last: Option<&str>) -> Result<Vec<LoggedModel>, Failure> {
    let columns = [
        "model_id",
        "experiment_id",
        "name",
        "model_type",
        "source_run_id",
        "status",
        "status_message",
        "lifecycle_stage",
        "creation_timestamp_ms",
        "last_updated_timestamp_ms",
    ];
    let mut select = source.select("logged_models", &columns).await?;
    if let Some(last) = last {
        select.and_where(Expr::col("model_id").gt(last));
    }
    select.order_by("model_id", Order::Asc).limit(MODELS);
    let mut found = Vec::new();
    for row in source.rows(&select).await? {
        found.push(LoggedModel {
            model_id: row.text(0)?,
            experiment_id: row.int(1)?,
            name: row.text(2)?,
            model_type: row.opt_text(3)?.unwrap_or_default(),
            source_run_id: row.opt_text(4)?.unwrap_or_default(),
            status: match row.int(5)? {
                1 => "PENDING",
                2 => "READY",
                3 => "FAILED",
                _ => "UNSPECIFIED",
            }
            .to_owned(),
            status_message: row.opt_text(6)?,
            deleted: row.opt_text(7)?.is_some_and(|stage| stage == "deleted"),
            created_ms: row.int(8)?,
            updated_ms: row.int(9)?,
            params: Vec::new(),
            tags: Vec::new(),
            metrics: Vec::new(),
            used_by: Vec::new(),
            made_by: Vec::new(),
        });
    }
    Ok(found)
}

/// Reads what is said of models.
async fn said(source: &mut Database, models: &mut [LoggedModel]) -> Result<(), Failure> {
    let ids: Vec<String> = models.iter().map(|model| model.model_id.clone()).collect();
    let among = || ids.iter().map(String::as_str);
    let mut params = source.pairs("logged_model_params", "model_id", ["param_key", "param_value"], &ids).await?;
    let mut tags = source.pairs("logged_model_tags", "model_id", ["tag_key", "tag_value"], &ids).await?;
    let columns = [
        "model_id",
        "run_id",
        "metric_name",
        "metric_value",
        "metric_timestamp_ms",
        "metric_step",
        "dataset_name",
        "dataset_digest",
    ];
    let mut select = source.select("logged_model_metrics", &columns).await?;
    select.and_where(Expr::col("model_id").is_in(among()));
    let mut metrics: HashMap<String, Vec<ModelPoint>> = HashMap::new();
    for row in source.rows(&select).await? {
        metrics.entry(row.text(0)?).or_default().push(ModelPoint {
            run_id: row.text(1)?,
            key: row.text(2)?,
            value: row.opt_real(3)?,
            time_ms: row.int(4)?,
            step: row.int(5)?,
            dataset_name: row.opt_text(6)?.unwrap_or_default(),
            dataset_digest: row.opt_text(7)?.unwrap_or_default(),
        });
    }
    let mut select = source.select("inputs", &["destination_id", "source_id", "destination_type", "step"]).await?;
    select
        .and_where(Expr::col("destination_type").is_in(["MODEL_INPUT", "MODEL_OUTPUT"]))
        .and_where(Expr::col("destination_id").is_in(among()));
    let mut links: HashMap<String, (Vec<String>, Vec<MadeBy>)> = HashMap::new();
    for row in source.rows(&select).await? {
        let (used, made) = links.entry(row.text(0)?).or_default();
        let run_id = row.text(1)?;
        match row.text(2)?.as_str() {
            "MODEL_OUTPUT" => made.push(MadeBy { run_id, step: row.opt_int(3)?.unwrap_or_default() }),
            _ => used.push(run_id),
        }
    }
    for model in models {
        let id = model.model_id.as_str();
        model.params = params.remove(id).unwrap_or_default();
        model.tags = tags.remove(id).unwrap_or_default();
        model.metrics = metrics.remove(id).unwrap_or_default();
        (model.used_by, model.made_by) = links.remove(id).unwrap_or_default();
    }
    Ok(())
}
