//! How system tables are read: while the query runs, a page at a time, the newest rows first, as far as the caller may see them when
//! each page is read.

use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crannog_governance::Governance;
use crannog_security::actions::metastore;
use crannog_security::{Caller, Decision, Evidence, NameOf, Reference, Rule};
use crannog_store::query::{Expr, ExprTrait, LikeExpr, Order, Query, SelectStatement};
use crannog_store::{Row, StoreError};
use crannog_types::{Micros, Result};
use futures::stream;

use super::super::answer::{Cell, Columns, Type, batch};
use crate::on_server::OnServer;
use crate::ports::{RowStream, Wanted};

/// Rows of a page.
pub(super) const PAGE: u64 = 1000;

/// Values of a condition that reach the database; more are looked through by the query.
const VALUES: usize = 1000;

/// Bytes of a text that is looked for inside of others, at most: SQLite takes patterns of 50,000.
const INSIDE: usize = 1000;

/// A look at a system table. Cheap to clone.
#[derive(Clone)]
pub(super) struct Look {
    pub(super) governance: Governance,
    pub(super) caller: Caller,
    pub(super) server: OnServer,
    /// The id of this installation's workspace.
    pub(super) workspace: Option<String>,
}

impl Look {
    /// What the caller reads by now, and whether those are everybody's rows: an administrator's are.
    pub(super) async fn sight(&self) -> Result<(bool, Box<dyn Evidence>)> {
        // Asking outright would put a refusal of everybody who looks at their own rows into the audit.
        let (_, decision) = self.caller.explain(Rule::Admin, &Reference::Root).await?;
        Ok(if matches!(decision, Decision::Allowed(_)) {
            (true, Box::new(self.caller.ask::<metastore::Administer>(NameOf::root()).await?))
        } else {
            (false, Box::new(self.caller.ask::<metastore::Read>(NameOf::root()).await?))
        })
    }
}

/// The time and the id of a row: behind it begins the next page.
pub(super) type Place = (Micros, String);

/// The rows of a table, from a place on: `page` gives the rows of one, all their cells, and the next place while there is one.
pub(super) fn pages<S, F>(
    look: Look,
    columns: Columns,
    wanted: Wanted,
    begin: S,
    page: impl Fn(Look, Arc<Wanted>, S) -> F + Send + 'static,
) -> RowStream
where
    S: Send + 'static,
    F: Future<Output = Result<(Vec<Vec<Cell>>, Option<S>)>> + Send + 'static,
{
    let chosen: Vec<(&str, Type)> = wanted.columns.iter().filter_map(|at| columns.get(*at).copied()).collect();
    let wanted = Arc::new(wanted);
    let next = move |place: Option<S>| {
        let work = place.map(|place| page(look.clone(), Arc::clone(&wanted), place));
        let (server, wanted, chosen) = (look.server.clone(), Arc::clone(&wanted), chosen.clone());
        async move {
            let Some(work) = work else { return Ok(None) };
            let (mut rows, next) = server.run(work).await?;
            for cells in &mut rows {
                let taken =
                    |at: &usize| cells.get_mut(*at).map_or(Cell::Null, |cell| std::mem::replace(cell, Cell::Null));
                *cells = wanted.columns.iter().map(taken).collect();
            }
            Ok(Some((batch(&chosen, &rows)?.1, next)))
        }
    };
    Box::pin(stream::try_unfold(Some(begin), next))
}

/// The table of the database whose rows become those of a system table, each about a principal. Columns by which less is read stand
/// beside those that they are made of.
pub(super) struct Stored {
    pub(super) table: &'static str,
    /// What is read of it: the row's id first.
    pub(super) columns: &'static [&'static str],
    /// The place among them of the time along which it is read.
    pub(super) time: usize,
    pub(super) texts: &'static [(&'static str, &'static str)],
    pub(super) times: &'static [(&'static str, &'static str)],
    /// Maps, which are JSON objects there.
    pub(super) maps: &'static [(&'static str, &'static str)],
}

/// Rows of it, whether those are everybody's, and the place behind them unless they are the last.
pub(super) struct Read {
    pub(super) rows: Vec<Row>,
    pub(super) everything: bool,
    pub(super) next: Option<Place>,
}

impl Stored {
    /// The rows behind a place that the caller may see now.
    pub(super) async fn page(
        &self,
        look: &Look,
        columns: Columns,
        wanted: &Wanted,
        from: Option<Place>,
    ) -> Result<Read> {
        let (everything, evidence) = look.sight().await?;
        let (id, time) = (self.columns[0], self.columns[self.time]);
        let mut query = Query::select();
        query.columns(self.columns.iter().copied()).from(self.table);
        if !everything {
            query.and_where(Expr::col("principal").eq(look.caller.who().id.0));
        }
        self.narrow(&mut query, columns, wanted);
        if let Some((Micros(at), last)) = from {
            let older = Expr::col(time).lt(at).or(Expr::col(id).lt(last));
            // The first says nothing new, but is what an index begins at.
            query.and_where(Expr::col(time).lte(at)).and_where(older);
        }
        query.order_by(time, Order::Desc).order_by(id, Order::Desc).limit(PAGE);
        let rows = look.governance.db.read(&*evidence).select(&query).await?;
        let last = rows.last().filter(|_| rows.len() as u64 == PAGE);
        let next = last.map(|row| Ok::<_, StoreError>((row.micros(self.time)?, row.text(0)?))).transpose()?;
        Ok(Read { rows, everything, next })
    }

    /// Has a query read less where what was asked for allows it.
    fn narrow(&self, query: &mut SelectStatement, columns: Columns, wanted: &Wanted) {
        for (at, texts) in &wanted.only {
            if let (Some(stored), ..=VALUES) = (stored(self.texts, columns, *at), texts.len()) {
                let texts = texts.iter().filter(|text| !text.contains('\0'));
                query.and_where(Expr::col(stored).is_in(texts.map(String::as_str)));
            }
        }
        for (at, range) in &wanted.within {
            if let Some(stored) = stored(self.times, columns, *at) {
                query.and_where(Expr::col(stored).gte(*range.start()));
                query.and_where(Expr::col(stored).lte(*range.end()));
            }
        }
        for (at, text) in &wanted.holding {
            if let (Some(stored), true) = (stored(self.maps, columns, *at), is_plain(text)) {
                let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
                query.and_where(Expr::col(stored).like(LikeExpr::new(format!("%{escaped}%")).escape('\\')));
            }
        }
    }
}

/// Whether a text stands in JSON as it is.
fn is_plain(text: &str) -> bool {
    text.len() <= INSIDE && !text.chars().any(|c| c < ' ' || c == '"' || c == '\\')
}

fn stored(of: &[(&str, &'static str)], columns: Columns, at: usize) -> Option<&'static str> {
    let (column, _) = columns.get(at)?;
    of.iter().find(|(known, _)| known == column).map(|(_, stored)| *stored)
}

/// The moments that some columns of times may all have.
pub(super) fn moments(of: &[&str], columns: Columns, wanted: &Wanted) -> RangeInclusive<i64> {
    let about = |at: usize| columns.get(at).is_some_and(|(column, _)| of.contains(column));
    let ranges = wanted.within.iter().filter(|(at, _)| about(*at)).map(|(_, range)| range);
    ranges.fold(i64::MIN..=i64::MAX, |all, range| {
        *Ord::max(all.start(), range.start())..=*Ord::min(all.end(), range.end())
    })
}
