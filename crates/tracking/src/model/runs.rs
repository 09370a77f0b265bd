//! Runs and what they log.

use crannog_types::{Problem, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::experiments::{Lifecycle, Tag};

/// The tag that carries a run's name.
pub const NAME_TAG: &str = "mlflow.runName";

/// What a run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It runs.
    Running,
    /// It is to run.
    Scheduled,
    /// It ended well.
    Finished,
    /// It failed.
    Failed,
    /// Somebody ended it.
    Killed,
}

impl Status {
    /// Every status with its number in MLflow's protocol.
    pub const ALL: [(Status, i64); 5] =
        [(Status::Running, 1), (Status::Scheduled, 2), (Status::Finished, 3), (Status::Failed, 4), (Status::Killed, 5)];

    /// The word of the wire and of the database.
    pub fn word(self) -> &'static str {
        match self {
            Status::Running => "RUNNING",
            Status::Scheduled => "SCHEDULED",
            Status::Finished => "FINISHED",
            Status::Failed => "FAILED",
            Status::Killed => "KILLED",
        }
    }

    /// Reads [`Status::word`].
    pub fn of_word(word: &str) -> Option<Self> {
        Status::ALL.into_iter().find(|(status, _)| status.word() == word).map(|(status, _)| status)
    }
}

/// What is known of a run without what it logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunInfo {
    /// Its key in the database.
    pub seq: i64,
    /// What clients call it.
    pub run_id: String,
    /// Its experiment.
    pub experiment: i64,
    /// What people call it.
    pub name: String,
    /// Who runs it, as the client says.
    pub user_id: String,
    /// What it is doing.
    pub status: Status,
    /// When it began, in milliseconds since 1970, as the client says.
    pub start_ms: Option<i64>,
    /// When it ended.
    pub end_ms: Option<i64>,
    /// Whether it is there.
    pub lifecycle: Lifecycle,
    /// Where its files are.
    pub artifact_uri: String,
}

/// A point of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// Its name.
    pub key: String,
    /// Its value; never infinite (see [`stored`]).
    pub value: f64,
    /// When, in milliseconds since 1970.
    pub time_ms: i64,
    /// Its step.
    pub step: i64,
}

/// A dataset that a run used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DatasetInput {
    /// Its name.
    pub name: String,
    /// Its digest.
    pub digest: String,
    /// `delta_table`, `local`, …
    pub source_type: String,
    /// JSON about where it comes from.
    pub source: String,
    /// JSON of its columns.
    pub schema: Option<String>,
    /// JSON of its size.
    pub profile: Option<String>,
    /// What it was used for.
    pub tags: Vec<Tag>,
}

/// A run with what it logged.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// What is known of it.
    pub info: RunInfo,
    /// The last point of each metric.
    pub metrics: Vec<Metric>,
    /// Its parameters.
    pub params: Vec<Tag>,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// Its datasets.
    pub inputs: Vec<DatasetInput>,
    /// The ids of models that it used.
    pub models_in: Vec<String>,
    /// The ids of models that it made, each with the step.
    pub models_out: Vec<(String, i64)>,
}

impl Run {
    /// A run that logged nothing.
    pub fn empty(info: RunInfo) -> Self {
        Run {
            info,
            metrics: Vec::new(),
            params: Vec::new(),
            tags: Vec::new(),
            inputs: Vec::new(),
            models_in: Vec::new(),
            models_out: Vec::new(),
        }
    }
}

/// A value as it is kept: infinities as the largest doubles, which is what MLflow's clients get back from its own server.
pub fn stored(value: f64) -> f64 {
    if value.is_infinite() { f64::MAX.copysign(value) } else { value }
}

/// The name of a new run.
///
/// # Errors
/// When the name and the tag that carries it differ.
pub fn name_of(name: &str, tags: &[Tag]) -> Result<Option<String>> {
    let tag = tags.iter().find(|tag| tag.key == NAME_TAG).map(|tag| tag.value.as_str()).unwrap_or_default();
    match (name, tag) {
        ("", "") => Ok(None),
        ("", name) | (name, "") => Ok(Some(name.to_owned())),
        (name, tag) if name == tag => Ok(Some(name.to_owned())),
        (name, tag) => Err(Problem::invalid(format!(
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values \
             (run_name='{name}', mlflow.runName='{tag}')."
        ))),
    }
}

/// A name for a run that was given none: two words and a number, from random bits.
pub fn random_name(bits: u64) -> String {
    const HOW: [&str; 32] = [
        "amber", "bold", "brisk", "calm", "clear", "dapper", "deft", "eager", "early", "fair", "fleet", "gentle",
        "glad", "keen", "kind", "light", "lively", "lucky", "mellow", "merry", "mild", "neat", "nimble", "plucky",
        "proud", "quick", "quiet", "rapid", "rosy", "spry", "steady", "sunny",
    ];
    const WHO: [&str; 32] = [
        "badger", "beaver", "bittern", "bream", "coot", "crane", "curlew", "dipper", "duck", "eel", "egret", "finch",
        "grebe", "gull", "heron", "ibis", "kestrel", "lapwing", "loach", "mallard", "marten", "newt", "osprey",
        "otter", "perch", "pike", "plover", "swan", "teal", "tench", "trout", "wader",
    ];
    let (how, who) = ((bits & 31) as usize, (bits >> 5 & 31) as usize);
    format!("{}-{}-{}", HOW[how], WHO[who], (bits >> 10) % 1000)
}
