//! Runs with their points, and logged models: read in windows, sent in batches, while the next are read.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crannog_tracking::model::imports::{Known, Outcome, POINTS, Part, Run, RunKey, packed};
use crannog_tracking::model::runs::Metric;
use tokio::sync::mpsc;

use super::report::{Progress, Report};
use super::source::Source;
use super::{ask, post, unreadable};
use crate::cli::Failure;
use crate::client::Client;

/// A batch is sent when it has so many points, or so many bytes of texts.
const BATCH_POINTS: usize = 50_000;
const BATCH_BYTES: usize = 1 << 20;

/// More bytes than this the server does not take in one request.
const LARGEST: usize = 15 << 20;

/// A request's worth of a run, and how many points and bytes that is.
struct Chunk {
    run: Run,
    points: usize,
    bytes: usize,
}

/// Takes runs over, of experiments that are here.
pub(super) async fn take_over(
    client: &Client,
    source: &mut Source,
    experiments: &BTreeSet<i64>,
    report: &mut Report,
) -> Result<(), Failure> {
    let (runs, points) = source.size().await?;
    let passed = Arc::new(AtomicU64::new(0));
    let mut progress = Progress::new(runs, points, Arc::clone(&passed));
    let (chunks, waiting) = mpsc::channel(2);
    let mut read = Report::default();
    let reading = read_all(client, source, experiments, (&mut read, &passed), chunks);
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
    source: &mut Source,
    experiments: &BTreeSet<i64>,
    (report, passed): (&mut Report, &AtomicU64),
    chunks: mpsc::Sender<Chunk>,
) -> Result<(), Failure> {
    let mut last: Option<String> = None;
    loop {
        let mut window = source.runs_behind(last.as_deref()).await?;
        let Some(end) = window.last() else { return Ok(()) };
        last = Some(end.key.run_id.clone());
        let read = window.len();
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
        passed.fetch_add((read - window.len()) as u64, Ordering::Relaxed);
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
async fn send_window(source: &mut Source, window: Vec<Run>, chunks: &mpsc::Sender<Chunk>) -> Result<bool, Failure> {
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
    source: &mut Source,
    experiments: &BTreeSet<i64>,
    report: &mut Report,
) -> Result<(), Failure> {
    let mut last: Option<String> = None;
    loop {
        let mut window = source.models_behind(last.as_deref()).await?;
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
            report.add("logged models", &post(client, "logged-models", "models", &window).await?);
        }
    }
}
