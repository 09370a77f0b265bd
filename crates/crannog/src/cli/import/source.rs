//! Where an import comes from, behind one face: MLflow's database, or its folder.

use std::collections::BTreeSet;
use std::path::Path;

use crannog_tracking::model::experiments::Tag;
use crannog_tracking::model::imports::{Alias, Experiment, LoggedModel, ModelVersion, Run};
use crannog_tracking::model::runs::Metric;

use super::database::{self, Database};
use super::folder::{self, Folder};
use super::places::Places;
use super::report::Report;
use crate::cli::Failure;

/// How many runs are read together.
pub(super) const RUNS: u64 = 200;

/// How many logged models.
pub(super) const MODELS: usize = 100;

/// How many files the server is asked about together, and of how many runs they are.
pub(super) const FILES: usize = 1000;

/// MLflow's database, or its folder.
pub(super) enum Source {
    Database(Database),
    Folder(Folder),
}

/// Who has files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holders {
    Runs,
    Models,
}

impl Holders {
    /// What the server calls the root of the files of one.
    pub(super) fn root(self, id: &str) -> String {
        match self {
            Holders::Runs => format!("runs/{id}"),
            Holders::Models => format!("models/{id}"),
        }
    }

    /// What the report calls their folders.
    pub(super) fn folders(self) -> &'static str {
        match self {
            Holders::Runs => "folders of runs",
            Holders::Models => "folders of logged models",
        }
    }
}

/// Where somebody's files are.
#[derive(Clone, Debug)]
pub(super) struct Home {
    pub(super) id: String,
    pub(super) experiment: i64,
    pub(super) address: String,
}

/// A registered model; where its versions' files are is not said yet.
pub(super) struct FoundModel {
    pub(super) created_ms: i64,
    pub(super) updated_ms: i64,
    pub(super) comment: Option<String>,
    pub(super) tags: Vec<Tag>,
    pub(super) aliases: Vec<Alias>,
    pub(super) versions: Vec<ModelVersion>,
}

/// Points, one after the other: those of a run together.
pub(super) enum Points<'a> {
    Database(database::Points<'a>),
    Folder(folder::Points),
}

impl Points<'_> {
    /// The next point, and the run that logged it.
    pub(super) async fn next(&mut self) -> Result<Option<(String, Metric)>, Failure> {
        match self {
            Points::Database(points) => points.next().await,
            Points::Folder(points) => points.next(),
        }
    }
}

/// The word of a logged model's status, which MLflow keeps as a number.
pub(super) fn status_of_model(number: i64) -> &'static str {
    match number {
        1 => "PENDING",
        2 => "READY",
        3 => "FAILED",
        _ => "UNSPECIFIED",
    }
}

impl Source {
    pub(super) async fn open(source: &str) -> Result<Self, Failure> {
        let path = Path::new(source.strip_prefix("file://").unwrap_or(source));
        match path.is_dir() {
            true => Ok(Source::Folder(Folder::open(path)?)),
            false => Ok(Source::Database(Database::open(source).await?)),
        }
    }

    /// What relative paths are below.
    pub(super) fn folder(&self) -> &Path {
        match self {
            Source::Database(database) => &database.folder,
            Source::Folder(folder) => &folder.above,
        }
    }

    /// How many runs and points there are; no points where nobody counted them.
    pub(super) async fn size(&mut self) -> Result<(u64, u64), Failure> {
        match self {
            Source::Database(database) => Ok((database.count("runs").await?, database.count("metrics").await?)),
            Source::Folder(folder) => Ok((folder.runs.len() as u64, 0)),
        }
    }

    /// Every experiment, by id.
    pub(super) async fn experiments(
        &mut self,
        places: &Places,
        report: &mut Report,
    ) -> Result<Vec<Experiment>, Failure> {
        match self {
            Source::Database(database) => database.experiments(places, report).await,
            Source::Folder(folder) => Ok(folder.experiments.clone()),
        }
    }

    /// The next runs behind an id, without what they logged.
    pub(super) async fn runs_behind(&mut self, last: Option<&str>) -> Result<Vec<Run>, Failure> {
        match self {
            Source::Database(database) => database.runs_behind(last).await,
            Source::Folder(folder) => Ok(folder.runs_behind(last)),
        }
    }

    /// Reads what runs logged, but for their points.
    pub(super) async fn logged(&mut self, runs: &mut [Run]) -> Result<(), Failure> {
        match self {
            Source::Database(database) => database.logged(runs).await,
            Source::Folder(folder) => folder.logged(runs),
        }
    }

    /// Points of metrics of runs.
    pub(super) async fn points(&mut self, ids: &[String]) -> Result<Points<'_>, Failure> {
        match self {
            Source::Database(database) => Ok(Points::Database(database.points(ids).await?)),
            Source::Folder(folder) => Ok(Points::Folder(folder.points(ids)?)),
        }
    }

    /// The next logged models behind an id, with everything that is said of them.
    pub(super) async fn models_behind(&mut self, last: Option<&str>) -> Result<Vec<LoggedModel>, Failure> {
        match self {
            Source::Database(database) => database.models_behind(last).await,
            Source::Folder(folder) => folder.models_behind(last),
        }
    }

    /// Where files are of the next runs or logged models behind an id.
    pub(super) async fn homes_behind(&mut self, of: Holders, last: Option<&str>) -> Result<Vec<Home>, Failure> {
        match self {
            Source::Database(database) => database.homes_behind(of, last).await,
            Source::Folder(folder) => Ok(folder.homes_behind(of, last)),
        }
    }

    /// The same of some, by their ids.
    pub(super) async fn homes_of(&mut self, of: Holders, ids: &BTreeSet<String>) -> Result<Vec<Home>, Failure> {
        match self {
            Source::Database(database) => database.homes_of(of, ids).await,
            Source::Folder(folder) => Ok(folder.homes_of(of, ids)),
        }
    }

    /// The names of the registered models, in order.
    pub(super) async fn registered(&mut self) -> Result<Vec<String>, Failure> {
        match self {
            Source::Database(database) => database.registered().await,
            Source::Folder(folder) => folder.registered(),
        }
    }

    /// A registered model, with its versions by number.
    pub(super) async fn registered_model(&mut self, name: &str) -> Result<FoundModel, Failure> {
        match self {
            Source::Database(database) => database.registered_model(name).await,
            Source::Folder(folder) => folder.registered_model(name),
        }
    }

    /// Says what is there and is not taken over.
    pub(super) async fn left_out(&mut self, report: &mut Report) -> Result<(), Failure> {
        match self {
            Source::Database(database) => database.left_out(report).await,
            Source::Folder(folder) => {
                report.left("traces", "nothing here holds them yet", folder.traces, "");
                for (file, why) in &folder.unreadable {
                    report.left("files of the source", why, 1, file);
                }
                Ok(())
            }
        }
    }
}
