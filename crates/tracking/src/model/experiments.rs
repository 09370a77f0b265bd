//! Experiments.

use crannog_types::{Problem, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether something is there, or deleted and kept for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifecycle {
    /// There.
    Active,
    /// Deleted; it can be restored until it is purged.
    Deleted,
}

impl Lifecycle {
    /// The word of the wire and of the database.
    pub fn word(self) -> &'static str {
        match self {
            Lifecycle::Active => "active",
            Lifecycle::Deleted => "deleted",
        }
    }

    /// Reads [`Lifecycle::word`].
    pub fn of_word(word: &str) -> Self {
        if word == "deleted" { Lifecycle::Deleted } else { Lifecycle::Active }
    }
}

/// Which of them a search shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Those that are there.
    ActiveOnly,
    /// Those that are deleted.
    DeletedOnly,
    /// All.
    All,
}

impl View {
    /// The words of what it shows.
    pub fn lifecycles(self) -> &'static [&'static str] {
        match self {
            View::ActiveOnly => &["active"],
            View::DeletedOnly => &["deleted"],
            View::All => &["active", "deleted"],
        }
    }
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tag {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// An experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Experiment {
    /// What clients call it, a number.
    pub id: i64,
    /// What people call it.
    pub name: String,
    /// Where its runs' files are, if not in the server's own storage.
    pub artifact_location: Option<String>,
    /// Whether it is there.
    pub lifecycle: Lifecycle,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was last changed, in milliseconds since 1970.
    pub updated_ms: i64,
    /// Its tags.
    pub tags: Vec<Tag>,
}

impl Experiment {
    /// Where its runs' files are: in the server's storage for a client of plain MLflow, if nowhere else.
    pub fn location(&self) -> String {
        self.artifact_location.clone().unwrap_or_else(|| format!("mlflow-artifacts:/{}", self.id))
    }
}

/// The experiment that runs go to when nobody says which.
pub const DEFAULT: i64 = 0;

/// Reads an experiment's id; empty means the default one.
///
/// # Errors
/// When it is no number.
pub fn experiment_id(text: &str) -> Result<i64> {
    if text.is_empty() {
        return Ok(DEFAULT);
    }
    text.trim().parse().map_err(|_| {
        Problem::invalid(format!("Invalid experiment ID '{text}'. Experiment ID must be a valid integer."))
    })
}
