//! What comes from another tracker, with its ids and times: experiments, runs, logged models, registered models, files.
//!
//! A batch is one transaction with one row of the audit. What is there already, by its id and the time at which it was made, stays
//! as it is, so that an import that was ended goes on by beginning anew. An id that something else has is never touched.

pub mod experiments;
pub mod files;
pub mod models;
pub mod registry;
pub mod runs;

use std::collections::{BTreeMap, HashMap};

use crannog_store::{Audit, Tx, params};
use crannog_types::{PrincipalId, Result, fold};

use crate::model::experiments::Tag;
use crate::model::limits;

/// A parameter's value, in bytes: what an import may bring of what older servers let in.
const PARAM: usize = 64 << 10;
/// A tag's.
const TAG: usize = 1_000_000;

fn audit(action: &'static str) -> Audit {
    Audit::of("mlflowExperiment", action)
}

/// Pairs by their keys: the last of one counts.
fn distinct(pairs: &[Tag]) -> BTreeMap<&str, &str> {
    pairs.iter().map(|pair| (pair.key.as_str(), pair.value.as_str())).collect()
}

fn check_pairs(what: &str, most: usize, pairs: &[Tag]) -> Result<()> {
    for pair in pairs {
        check_text(what, limits::KEY, &pair.key)?;
        check_text(what, most, &pair.value)?;
    }
    Ok(())
}

/// Refuses what the databases do not keep.
fn check_text(what: &str, most: usize, text: &str) -> Result<()> {
    if text.contains('\0') {
        return Err(crannog_types::Problem::invalid(format!("'{what}' has a NUL character")));
    }
    limits::check_length(what, most, text)
}

/// Who of this server somebody of the other one is, by name; nobody of theirs: who imports.
#[derive(Default)]
struct People(HashMap<String, Option<i64>>);

impl People {
    async fn find(&mut self, tx: &mut Tx, name: &str, importer: PrincipalId) -> Result<PrincipalId> {
        if !self.0.contains_key(name) {
            let row = match name.contains('\0') {
                true => None,
                false => {
                    let by_name = "SELECT id FROM principal WHERE folded = $1 AND kind <> 'group'";
                    tx.row(by_name, params![fold(name)]).await?
                }
            };
            self.0.insert(name.to_owned(), row.map(|row| row.int(0)).transpose()?);
        }
        Ok(self.0.get(name).copied().flatten().map_or(importer, PrincipalId))
    }
}
