//! `crannog purge`: deletes runs and experiments for good, as `mlflow gc` does beside MLflow's server. The server decides who may, and does it; here is
//! only which runs. One that nobody deleted is never purged unless that is said.

use serde_json::{Value, json};

use super::{ConnectArgs, Environment, Failure};
use crate::client::{Client, escaped};

/// How many deleted runs one answer has.
const PAGE: i64 = 1000;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    connect: ConnectArgs,
    /// Runs that were deleted, by their ids.
    #[arg(value_name = "RUN", required_unless_present = "experiment")]
    runs: Vec<String>,
    /// All deleted runs of an experiment, by its id; an experiment that is deleted itself goes with all that is in it.
    #[arg(long, value_name = "ID")]
    experiment: Vec<String>,
    /// Purges the named runs although nobody deleted them.
    #[arg(long)]
    even_active: bool,
}

pub(super) async fn run(args: Args, environment: &Environment) -> Result<(), Failure> {
    let client = args.connect.connect(environment).client()?;
    // Before the first is gone: all of them may go, or none does.
    if !args.even_active {
        for run in &args.runs {
            deleted(&client, run).await?;
        }
    }
    let mut purged = 0_u64;
    for run in &args.runs {
        purge(&client, run).await?;
        purged += 1;
    }
    let mut refused = false;
    for experiment in &args.experiment {
        if is_deleted(&client, experiment).await? {
            client.post("/api/2.0/crannog/experiments/purge", &json!({ "experiment_id": experiment })).await?;
            purged += 1;
            continue;
        }
        for run in deleted_in(&client, experiment).await? {
            // One that stays keeps no other.
            match purge(&client, &run).await {
                Ok(()) => purged += 1,
                Err(failure) => {
                    eprintln!("crannog: {run}: {failure}");
                    refused = true;
                }
            }
        }
    }
    println!("{purged} purged");
    if refused { Err(Failure::quiet(1)) } else { Ok(()) }
}

/// Fails for a run that nobody deleted.
async fn deleted(client: &Client, run: &str) -> Result<(), Failure> {
    let found = client.get(&format!("/api/2.0/mlflow/runs/get?run_id={}", escaped(run))).await?;
    match found.pointer("/run/info/lifecycle_stage").and_then(Value::as_str) {
        Some("deleted") => Ok(()),
        _ => Err(Failure::new(format!(
            "the run {run} is not deleted, and nothing was purged; delete it first, or say --even-active"
        ))),
    }
}

/// Whether an experiment can be purged itself: the first one stays, deleted or not.
async fn is_deleted(client: &Client, experiment: &str) -> Result<bool, Failure> {
    let found = client.get(&format!("/api/2.0/mlflow/experiments/get?experiment_id={}", escaped(experiment))).await?;
    let stage = found.pointer("/experiment/lifecycle_stage").and_then(Value::as_str);
    Ok(stage == Some("deleted") && experiment != "0")
}

/// All deleted runs of an experiment. Their pages are read before any goes, since a page begins behind a run of the one before.
async fn deleted_in(client: &Client, experiment: &str) -> Result<Vec<String>, Failure> {
    let mut asked = json!({ "experiment_ids": [experiment], "run_view_type": "DELETED_ONLY", "max_results": PAGE });
    let mut all = Vec::new();
    loop {
        let found = client.post("/api/2.0/mlflow/runs/search", &asked).await?;
        let runs = found.get("runs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        all.extend(runs.iter().filter_map(|run| run.pointer("/info/run_id")?.as_str().map(str::to_owned)));
        match found.get("next_page_token").and_then(Value::as_str) {
            Some(token) if !token.is_empty() => asked["page_token"] = token.into(),
            _ => return Ok(all),
        }
    }
}

async fn purge(client: &Client, run: &str) -> Result<(), Failure> {
    client.post("/api/2.0/crannog/runs/purge", &json!({ "run_id": run })).await?;
    Ok(())
}
