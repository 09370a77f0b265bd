//! A page of a search, which may be cut: a page ends early where what belongs to its rows is too large for one answer.

use crannog_store::Row;
use crannog_types::{Problem, Result};

use super::keyset::{self, Segment, SortKey};
use crate::model::search::PageToken;

/// A page, and where others begin.
#[derive(Debug)]
pub struct Page<T> {
    /// What was found.
    pub found: Vec<T>,
    /// Where the next page begins, if there is one.
    pub next: Option<PageToken>,
    order: String,
    keys: Vec<SortKey>,
    /// How many columns stand before those of the keys.
    columns: usize,
    /// The rows of what was found, each with its segment.
    rows: Vec<(usize, Row)>,
}

impl<T> Page<T> {
    /// A page of nothing.
    pub(super) fn new(order: String, keys: Vec<SortKey>, columns: usize) -> Self {
        Page { found: Vec::new(), next: None, order, keys, columns, rows: Vec::new() }
    }

    /// Puts one behind the others.
    pub(super) fn push(&mut self, found: T, segment: usize, row: Row) {
        self.found.push(found);
        self.rows.push((segment, row));
    }

    /// Says that there is more behind the last one.
    pub(super) fn goes_on(mut self) -> Result<Self> {
        self.next = Some(self.behind(self.rows.len().saturating_sub(1))?);
        Ok(self)
    }

    /// Where a page begins behind one of this, by its place in it.
    ///
    /// # Errors
    /// When there is no such place.
    pub fn behind(&self, at: usize) -> Result<PageToken> {
        let there = self.rows.get(at).zip(self.keys.first());
        let Some(((number, row), first)) = there else {
            return Err(Problem::internal("a page was cut where it has nothing", format!("place {at}")));
        };
        let segment = keyset::segments(first).get(*number).copied().unwrap_or(Segment::Value);
        let keys = keyset::read(row, self.columns, &self.keys, segment)?;
        Ok(PageToken { order: self.order.clone(), segment: *number, keys })
    }
}
