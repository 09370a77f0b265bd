//! Verbs. Each takes a permit; a permit on a run or a model names it.

pub mod artifacts;
pub mod experiments;
pub mod history;
pub mod imports;
pub mod inputs;
pub mod keeper;
pub mod lineage;
pub mod logged_models;
pub mod logging;
pub mod pages;
mod purge;
pub mod registry;
pub mod runs;
pub mod tables;
mod together;
mod touched;
pub mod ui;

use std::sync::Arc;

use crannog_security::{Action, Permit, kinds};
use crannog_store::Db;
use crannog_types::{Code, Problem, Result};

use crate::model::search::PageToken;

pub use self::keeper::Keeper;
pub use self::logging::Logger;
pub use self::purge::Purged;

/// What a search is asked for, as it was sent.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// MLflow's filter grammar, or ours above it.
    pub filter: &'a str,
    /// `metrics.loss DESC`, …
    pub order_by: &'a [String],
    /// How many at most, more than none.
    pub max_results: i64,
    /// Of the page before; empty for the first.
    pub page_token: &'a str,
}

impl Asked<'_> {
    fn page(&self) -> Result<Option<PageToken>> {
        (!self.page_token.is_empty()).then(|| PageToken::decode(self.page_token)).transpose()
    }
}

/// The run that a permit is for.
pub(crate) fn run_of<A: Action<On = kinds::Run>>(permit: &Permit<A>) -> Result<Arc<str>> {
    part_of(permit)
}

/// The part of an experiment that a permit is for: a run, a model.
pub(crate) fn part_of<A: Action>(permit: &Permit<A>) -> Result<Arc<str>> {
    let part = permit.target().part.clone();
    part.ok_or_else(|| {
        Problem::internal("a permit for a part of an experiment names none", "asked for by another word")
    })
}

/// The answer about a run that was purged a moment ago.
pub(crate) fn no_run(run_id: &str) -> Problem {
    Problem::new(Code::NotFound, format!("Run with id={run_id} not found")).reason("RESOURCE_DOES_NOT_EXIST")
}

/// Why nothing is logged to a run: it is deleted, or not there.
pub(crate) async fn not_active(db: &Db, evidence: &dyn crannog_security::Evidence, run_id: &str) -> Problem {
    let row =
        db.read(evidence).row("SELECT lifecycle FROM run WHERE run_id = $1", crannog_store::params![run_id]).await;
    match row.map(|row| row.map(|row| row.text(0))) {
        Ok(Some(Ok(state))) => {
            Problem::invalid(format!("The run {run_id} must be in the 'active' state. Current state is {state}."))
        }
        Ok(None) => no_run(run_id),
        Ok(Some(Err(error))) | Err(error) => error.into(),
    }
}
