//! Registered models: their versions, aliases and tags as this program keeps them, and what names of them may be, in MLflow's
//! words (`mlflow/utils/validation.py`, 3.17).

pub mod signature;
pub mod source;

use crannog_governance::model::objects::Object;
use crannog_types::{FullName, Micros, Problem, Result};

use super::experiments::Tag;
use super::limits::{self, Place};

/// Where models of MLflow's plain registry are: they have no other name.
const PLAIN: [&str; 2] = ["main", "default"];

/// Values of tags, in characters.
const TAG: usize = 100_000;
/// Aliases, in characters.
const ALIAS: usize = 255;
/// Sources and links, in bytes; comments and messages too.
pub const TEXT: usize = 64 << 10;

/// A model's full name: `catalog.schema.model`, or the plain name of one in `main.default`.
pub fn full_name(text: &str) -> FullName {
    let parts: Vec<&str> = text.split('.').collect();
    match parts.as_slice() {
        [_, _, _] => FullName::of(parts),
        _ => FullName::of([PLAIN[0], PLAIN[1], text]),
    }
}

/// The schema of plain names.
pub fn plain_schema() -> FullName {
    FullName::of(PLAIN)
}

/// What MLflow's plain registry calls a model.
pub fn plain_name(name: &FullName) -> String {
    match name.parts() {
        [catalog, schema, model] if [catalog.as_str(), schema.as_str()] == PLAIN => model.clone(),
        _ => name.to_string(),
    }
}

/// A registered model.
#[derive(Clone, Debug)]
pub struct Model {
    /// What it has as a governed object.
    pub object: Object,
    /// Its tags, by key.
    pub tags: Vec<Tag>,
    /// Its aliases, by name, with the number of the version that each points at.
    pub aliases: Vec<(String, i64)>,
}

/// Whether a version's files are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// They are being written.
    Pending,
    /// They are there, and stay as they are.
    Ready,
    /// They never came.
    Failed,
}

impl Status {
    /// The word of the wire and of the database.
    pub fn word(self) -> &'static str {
        match self {
            Status::Pending => "PENDING_REGISTRATION",
            Status::Ready => "READY",
            Status::Failed => "FAILED_REGISTRATION",
        }
    }

    /// The status of a word.
    pub fn of_word(word: &str) -> Self {
        match word {
            "PENDING_REGISTRATION" => Status::Pending,
            "FAILED_REGISTRATION" => Status::Failed,
            _ => Status::Ready,
        }
    }
}

/// A version of a model.
#[derive(Clone, Debug)]
pub struct Version {
    /// The model's full name.
    pub model: FullName,
    /// Its number.
    pub number: i64,
    /// Whether its files are there.
    pub status: Status,
    /// Why not.
    pub status_message: Option<String>,
    /// Of old clients: `None`, `Staging`, `Production`, `Archived`.
    pub stage: String,
    /// Where its files come from, as the client said.
    pub source: String,
    /// Where old clients find its files; none: they are its own.
    pub location: Option<String>,
    /// The run that made it, as the client said.
    pub run_id: Option<String>,
    /// A link to that run.
    pub run_link: Option<String>,
    /// The logged model that it was made of.
    pub model_id: Option<String>,
    /// What people say of it.
    pub comment: Option<String>,
    /// When it was made.
    pub created_at: Micros,
    /// By whom.
    pub created_by: String,
    /// When it was last changed.
    pub updated_at: Micros,
    /// By whom.
    pub updated_by: String,
    /// Its tags, by key.
    pub tags: Vec<Tag>,
    /// The aliases that point at it.
    pub aliases: Vec<String>,
}

/// A move of an alias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The alias.
    pub alias: String,
    /// What it points at since; none: it was taken away.
    pub version: Option<i64>,
    /// What it pointed at before.
    pub previous: Option<i64>,
    /// When.
    pub at: Micros,
    /// By whom.
    pub by: String,
    /// Why, as they said.
    pub reason: Option<String>,
}

/// Checks a tag of a model or a version.
///
/// # Errors
/// A key that is no name; a key or a value that is too long.
pub fn check_tag(tag: &Tag) -> Result<()> {
    check_key(&tag.key)?;
    limits::check_length("key", limits::KEY, &tag.key)?;
    limits::check_length("value", TAG, &tag.value)
}

/// Checks the key of a tag.
///
/// # Errors
/// A key that is no name.
pub fn check_key(key: &str) -> Result<()> {
    limits::check_name(Place::Alone, "key", key)
}

/// Checks a text that is kept as it is: a source, a link, a comment.
///
/// # Errors
/// When it is longer than 64 KiB.
pub fn check_text(what: &str, text: Option<&str>) -> Result<()> {
    if text.is_some_and(|text| text.len() > TEXT) {
        return Err(Problem::invalid(format!("'{what}' has more than {TEXT} bytes")));
    }
    Ok(())
}

/// Checks the name of an alias that is asked about.
///
/// # Errors
/// Empty, too long, or with other characters than letters, digits, `_` and `-`.
pub fn check_alias_name(alias: &str) -> Result<()> {
    if alias.is_empty() {
        return Err(Problem::invalid("Registered model alias name cannot be empty."));
    }
    if !alias.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') {
        return Err(Problem::invalid(format!(
            "Invalid alias name: '{alias}'. Names may only contain alphanumerics, underscores (_), and dashes (-)."
        )));
    }
    limits::check_length("Registered model alias name", ALIAS, alias)
}

/// Checks the name of an alias that is to point at something.
///
/// # Errors
/// As [`check_alias_name`]; one that means a version.
pub fn check_alias(alias: &str) -> Result<()> {
    check_alias_name(alias)?;
    if alias.eq_ignore_ascii_case("latest") {
        return Err(Problem::invalid("'latest' alias name (case insensitive) is reserved."));
    }
    let number = alias.strip_prefix(['v', 'V']).filter(|rest| !rest.is_empty());
    if number.is_some_and(|rest| rest.chars().all(char::is_numeric)) {
        return Err(Problem::invalid(format!("Version alias name '{alias}' is reserved.")));
    }
    Ok(())
}

/// The number of a version.
///
/// # Errors
/// What is no whole number.
pub fn number(text: &str) -> Result<i64> {
    text.trim().parse().map_err(|_| Problem::invalid(format!("Parameter 'version' must be an integer, got '{text}'.")))
}

/// A stage by its name, whatever the case.
///
/// # Errors
/// What is none.
pub fn stage(text: &str) -> Result<&'static str> {
    const STAGES: [&str; 4] = ["None", "Staging", "Production", "Archived"];
    STAGES.into_iter().find(|stage| stage.eq_ignore_ascii_case(text)).ok_or_else(|| {
        Problem::invalid(format!(
            "Invalid Model Version stage: {text}. Value must be one of None, Staging, Production, Archived."
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_are_of_one_schema() {
        assert_eq!(full_name("late"), FullName::of(["main", "default", "late"]));
        assert_eq!(full_name("main.flights.late"), FullName::of(["main", "flights", "late"]));
        for name in ["late", "main.flights.late"] {
            assert_eq!(plain_name(&full_name(name)), name);
        }
        assert_eq!(plain_name(&full_name("main.default.late")), "late");
    }

    #[test]
    fn aliases_never_mean_a_version() {
        for fine in ["champion", "a-b_c", "v1a", "v", "日本"] {
            assert!(check_alias(fine).is_ok(), "{fine}");
        }
        for wrong in ["", "latest", "LATEST", "v1", "V23", "a b", "a.b", "a/b"] {
            assert!(check_alias(wrong).is_err(), "{wrong}");
        }
        assert!(check_alias(&"a".repeat(255)).is_ok() && check_alias(&"a".repeat(256)).is_err());
    }
}
