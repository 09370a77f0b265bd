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

    /// Where the next page begins when this one keeps its first so many.
    ///
    /// # Errors
    /// As [`Page::behind`].
    pub fn cut(&mut self, kept: usize) -> Result<Option<PageToken>> {
        match kept.checked_sub(1) {
            Some(last) if kept < self.rows.len() => self.behind(last).map(Some),
            _ => Ok(self.next.take()),
        }
    }
}

/// What is gathered for a page, segment after segment.
pub(super) struct Gathering<T> {
    most: usize,
    found: Vec<T>,
    rows: Vec<(usize, Row)>,
    more: bool,
}

impl<T> Gathering<T> {
    /// Nothing yet, of at most so many.
    pub(super) fn of(max_results: i64) -> Self {
        let most = usize::try_from(max_results).unwrap_or(usize::MAX);
        Gathering { most, found: Vec::new(), rows: Vec::new(), more: false }
    }

    /// How many rows to ask for: as many as there is room for, and one that says that there are more.
    pub(super) fn wanted(&self) -> u64 {
        (self.most - self.found.len()) as u64 + 1
    }

    /// Takes the rows of a segment, and says whether there are more than fit.
    pub(super) fn take(&mut self, rows: Vec<Row>, segment: usize, read: impl Fn(&Row) -> Result<T>) -> Result<bool> {
        let room = self.most - self.found.len();
        self.more = rows.len() > room;
        for row in rows.into_iter().take(room) {
            self.found.push(read(&row)?);
            self.rows.push((segment, row));
        }
        Ok(self.more)
    }

    /// The page, in the order that is called `order`; so many columns stand before those of the keys.
    ///
    /// # Errors
    /// When the keys of the last row cannot be read.
    pub(super) fn page(self, order: String, keys: Vec<SortKey>, columns: usize) -> Result<Page<T>> {
        let mut page = Page { found: self.found, next: None, order, keys, columns, rows: self.rows };
        if self.more {
            page.next = Some(page.behind(page.rows.len().saturating_sub(1))?);
        }
        Ok(page)
    }
}
