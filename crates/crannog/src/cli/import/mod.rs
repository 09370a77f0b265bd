//! `crannog import mlflow`: brings another tracker's experiments, runs, models and files to a running server, with their ids.
//!
//! What it reads it never changes. What it sends goes through routes of the server, for an administrator, as everything else: the
//! server decides what is there already and what is in use, so that running it again goes on where it was ended, and running it
//! twice changes nothing.

mod database;
mod files;
mod folder;
mod places;
mod registry;
mod report;
mod runs;
mod source;

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Subcommand;
use crannog_store::StoreError;
use crannog_tracking::model::imports::{Experiment, Outcome};
use crannog_types::Problem;
use serde::Serialize;
use serde_json::{Value, json};

use self::places::Places;
use self::report::Report;
use self::source::Source;
use super::{ConnectArgs, Environment, Failure};
use crate::client::Client;

const AFTER: &str = "\
Ids of experiments, runs, logged models and versions stay, so do times, histories of metrics, aliases and stages. An id that
something else has here is reported and left. What is here already stays as it is: after an import that was ended, run it again.
The source may be in use: it is read as it was at one moment, and never written to.

A model whose name has no dot lands in main.default, one called a.b.c in the schema a.b of the catalog a, which has to be there.
Characters that names here cannot have (dots, slashes, spaces) become '_', and the report says which names changed.

Files on this machine are copied to the server; files in buckets (s3://…) stay where they are. Files behind an MLflow server
(mlflow-artifacts:/…) are read from the folder of --artifacts.

Exits with 0 when all of it is here, with 3 when something was left out: the report says what, and why.";

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Brings experiments, runs, models and files of MLflow, with their ids; for administrators.
    #[command(after_help = AFTER)]
    Mlflow(Mlflow),
}

#[derive(clap::Args)]
struct Mlflow {
    #[command(flatten)]
    connect: ConnectArgs,
    /// MLflow's database, a SQLite file or postgresql://user:password@host/database; or its folder `mlruns`.
    source: String,
    /// The folder that MLflow's server keeps the files of mlflow-artifacts:/ in (its --artifacts-destination).
    #[arg(long, value_name = "FOLDER")]
    artifacts: Option<PathBuf>,
}

/// Where the routes are.
const ROUTES: &str = "/api/2.0/crannog/imports/mlflow";

/// How many experiments one request has.
const EXPERIMENTS: usize = 200;

pub(super) async fn run(args: Args, environment: &Environment) -> Result<(), Failure> {
    let What::Mlflow(args) = args.what;
    let client = args.connect.connect(environment).client()?;
    let mut source = Source::open(&args.source).await?;
    let places = Places::new(source.folder(), args.artifacts)?;
    let mut report = Report::default();

    let found = source.experiments(&places, &mut report).await?;
    let taken = experiments(&client, &found, &mut report).await?;
    runs::take_over(&client, &mut source, &taken, &mut report).await?;
    runs::models(&client, &mut source, &taken, &mut report).await?;
    files::take_over(&client, &mut source, &places, &taken, &mut report).await?;
    registry::take_over(&client, &mut source, &places, &mut report).await?;
    source.left_out(&mut report).await?;

    report.print()?;
    if report.is_whole() { Ok(()) } else { Err(Failure::quiet(3)) }
}

/// Takes experiments over; gives the ids of those that are here.
async fn experiments(client: &Client, found: &[Experiment], report: &mut Report) -> Result<BTreeSet<i64>, Failure> {
    let mut taken: BTreeSet<i64> = found.iter().map(|one| one.id).collect();
    for some in found.chunks(EXPERIMENTS) {
        let outcome = post(client, "experiments", "experiments", &some).await?;
        for note in &outcome.left {
            note.id.parse().map(|id: i64| taken.remove(&id)).unwrap_or_default();
        }
        report.add("experiments", &outcome);
    }
    Ok(taken)
}

/// Sends a batch.
async fn post(client: &Client, route: &str, field: &str, batch: &impl Serialize) -> Result<Outcome, Failure> {
    let answer = ask(client, route, field, batch).await?;
    serde_json::from_value(answer).map_err(unreadable)
}

async fn ask(client: &Client, route: &str, field: &str, batch: &impl Serialize) -> Result<Value, Failure> {
    let batch = serde_json::to_value(batch).map_err(unreadable)?;
    Ok(client.post(&format!("{ROUTES}/{route}"), &json!({ field: batch })).await?)
}

fn unreadable(error: serde_json::Error) -> Failure {
    Failure::new(format!("what was sent or answered cannot be read: {error}; are command and server of one version?"))
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure::new(format!("the source cannot be read: {}", Problem::from(error).chain()))
    }
}
