//! What an import sends and is told: the one definition of it for the command that reads another tracker and for the server.
//!
//! Ids, times and values are those of where it comes from. What is sent twice is there once.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crannog_types::{Problem, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::experiments::Tag;
use super::points;
use super::runs::{DatasetInput, Metric, stored};

/// The largest body of a batch, in bytes.
pub const BODY: usize = 16 << 20;

/// Points of one request, at most: what one row of the database gets.
pub const POINTS: usize = 50_000;

/// The greatest id of an experiment that is taken over: file stores make 18 digits up, and numbers above are left for others.
pub const LAST_EXPERIMENT: i64 = 4_000_000_000_000_000_000;

/// What became of a batch.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// How many were taken over.
    pub made: usize,
    /// How many were there already.
    pub there: usize,
    /// What was left, and why.
    pub left: Vec<Note>,
    /// What was taken over with a change, and which.
    pub changed: Vec<Note>,
}

/// Something about one of a batch.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Note {
    /// Its id.
    pub id: String,
    /// What there is to say.
    pub about: String,
}

impl Outcome {
    /// One was left.
    pub fn left(&mut self, id: impl Into<String>, about: impl Into<String>) {
        self.left.push(Note { id: id.into(), about: about.into() });
    }

    /// One is another than it was.
    pub fn changed(&mut self, id: impl Into<String>, about: impl Into<String>) {
        self.changed.push(Note { id: id.into(), about: about.into() });
    }
}

/// An experiment.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Experiment {
    /// Its id.
    #[schemars(range(min = 0, max = 4_000_000_000_000_000_000_i64))]
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Where its runs' files are, when that is not in this server's storage.
    pub artifact_location: Option<String>,
    /// Whether it is deleted.
    pub deleted: bool,
    /// When it was made, in milliseconds since 1970; 0: nobody knows.
    pub created_ms: i64,
    /// When it was last changed.
    pub updated_ms: i64,
    /// Its tags.
    pub tags: Vec<Tag>,
}

/// What tells a run from others.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RunKey {
    /// Its id.
    pub run_id: String,
    /// Its experiment.
    pub experiment_id: i64,
    /// When it began, in milliseconds since 1970.
    pub start_ms: Option<i64>,
}

/// Which runs are here.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Known {
    /// Those that are, as they were sent or would be.
    pub there: Vec<String>,
    /// Those whose ids are in use by other runs.
    pub left: Vec<Note>,
}

/// Which of a run's requests one is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The only one.
    #[default]
    Whole,
    /// The first; nobody sees the run before the last.
    First,
    /// One with further points.
    Next,
    /// The last.
    Last,
}

/// A run.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// What tells it from others.
    #[serde(flatten)]
    pub key: RunKey,
    /// Which of its requests this is; those after the first have points alone.
    #[serde(default)]
    pub part: Part,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Who ran it.
    #[serde(default)]
    pub user_id: String,
    /// `FINISHED`, …
    #[serde(default)]
    pub status: String,
    /// When it ended, in milliseconds since 1970.
    #[serde(default)]
    pub end_ms: Option<i64>,
    /// Whether it is deleted.
    #[serde(default)]
    pub deleted: bool,
    /// When it was deleted.
    #[serde(default)]
    pub deleted_ms: Option<i64>,
    /// Its parameters.
    #[serde(default)]
    pub params: Vec<Tag>,
    /// Its tags.
    #[serde(default)]
    pub tags: Vec<Tag>,
    /// The datasets that it used.
    #[serde(default)]
    pub datasets: Vec<DatasetInput>,
    /// Points of its metrics: base64 of the form in which the server keeps them.
    #[serde(default)]
    pub points: String,
}

/// A logged model.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LoggedModel {
    /// Its id: `m-…`.
    pub model_id: String,
    /// Its experiment.
    pub experiment_id: i64,
    /// Its name.
    pub name: String,
    /// What kind of model.
    pub model_type: String,
    /// The run that made it; empty for none.
    pub source_run_id: String,
    /// `READY`, …
    pub status: String,
    /// More about that.
    pub status_message: Option<String>,
    /// Whether it is deleted.
    pub deleted: bool,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was last changed.
    pub updated_ms: i64,
    /// Its parameters.
    pub params: Vec<Tag>,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// What runs measured of it.
    pub metrics: Vec<ModelPoint>,
    /// The runs that used it.
    pub used_by: Vec<String>,
    /// The runs that made it, each with the step.
    pub made_by: Vec<MadeBy>,
}

/// A run that made a model.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MadeBy {
    /// The run.
    pub run_id: String,
    /// At which step.
    pub step: i64,
}

/// A point of a metric about a model.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ModelPoint {
    /// The run that measured it.
    pub run_id: String,
    /// The metric.
    pub key: String,
    /// Its value; null for NaN.
    pub value: Option<f64>,
    /// When, in milliseconds since 1970.
    pub time_ms: i64,
    /// Its step.
    pub step: i64,
    /// The dataset that it was measured on; empty for none.
    pub dataset_name: String,
    /// Which state of it; empty for any.
    pub dataset_digest: String,
}

/// A registered model with its versions.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RegisteredModel {
    /// `catalog.schema.model`
    pub full_name: String,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was last changed.
    pub updated_ms: i64,
    /// What it is for.
    pub comment: Option<String>,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// Its aliases, each with the number of a version.
    pub aliases: Vec<Alias>,
    /// Its versions.
    pub versions: Vec<ModelVersion>,
}

/// An alias.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Alias {
    /// Its name.
    pub alias: String,
    /// The number of the version that it points at.
    pub version: i64,
}

/// A version of a registered model.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ModelVersion {
    /// Its number.
    #[schemars(range(min = 1))]
    pub version: i64,
    /// `READY`, …
    pub status: String,
    /// More about that.
    pub status_message: Option<String>,
    /// `None`, `Staging`, `Production`, `Archived`.
    pub stage: String,
    /// Where its files came from, as its maker said.
    pub source: String,
    /// Where clients find its files.
    pub location: Option<String>,
    /// Whose files it has, of those that this server keeps: `runs/<id>` or `models/<id>`.
    pub files_of: Option<String>,
    /// The folder below; empty for all of them.
    pub folder: String,
    /// The run that made it.
    pub run_id: Option<String>,
    /// A link to that run.
    pub run_link: Option<String>,
    /// The logged model that it was made of.
    pub model_id: Option<String>,
    /// What people say of it.
    pub comment: Option<String>,
    /// Who made it.
    pub user_id: Option<String>,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was last changed.
    pub updated_ms: i64,
    /// Its tags.
    pub tags: Vec<Tag>,
}

/// A file of a run or a logged model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct File {
    /// `runs/<id>` or `models/<id>`
    pub holder: String,
    /// Below that.
    pub path: String,
    /// In bytes.
    pub size: i64,
}

/// Points as they are sent.
pub fn packed(points: &[Metric]) -> String {
    match points {
        [] => String::new(),
        points => STANDARD.encode(points::encode(points)),
    }
}

/// Reads [`packed`], with infinities as they are kept.
///
/// # Errors
/// Other texts; more points than one request may have.
pub fn unpacked(text: &str) -> Result<Vec<Metric>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let wrong = || Problem::invalid("the points are not those of an import").hint("crannog import sends them");
    let bytes = STANDARD.decode(text).map_err(|_| wrong())?;
    let mut found = Vec::new();
    points::decode_all(&bytes, &mut found).ok_or_else(wrong)?;
    if found.len() > POINTS {
        return Err(Problem::invalid(format!("a request can have at most {POINTS} points of a run")));
    }
    for point in &mut found {
        point.value = stored(point.value);
    }
    Ok(found)
}
