//! Tables whose rows are rows of the database, a page at a time.

use std::sync::Arc;

use crannog_lake::ports::{RowStream, Wanted};
use crannog_lake::service::statements::answer::batch;
use crannog_store::Row;
use crannog_store::query::{Expr, ExprTrait, IntoTableRef, JoinType, Order, Query, SelectStatement};
use crannog_types::Result;
use futures::stream;

use super::Table;
use super::reads::{Groups, Reads, RunKey, Scope, of_experiments};

/// Rows of a page: few enough to be in memory where each has the longest texts.
const PAGE: u64 = 256;

/// Bytes of the texts of runs that are read together, about.
const GROUP: i64 = 1 << 20;

/// A table that is read along a key of its own.
pub(super) struct Along {
    /// Whose grants cut it.
    pub(super) scope: Scope,
    from: fn(&mut SelectStatement),
    /// The key's columns, and whether they are numbers.
    key: &'static [(&'static str, bool)],
}

pub(super) const EXPERIMENTS: Along =
    Along { scope: Scope::Experiments, from: |query| _ = query.from_as("experiment", "e"), key: &[("e.id", true)] };

pub(super) const RUNS: Along = Along {
    scope: Scope::Experiments,
    from: |query| {
        query.from_as("run", "r").cross_join("experiment".into_table_ref().alias("e"));
        query.and_where(Expr::cust("e.id = r.experiment AND r.lifecycle <> 'purged'"));
    },
    key: &[("r.seq", true)],
};

pub(super) const LOGGED_MODELS: Along = Along {
    scope: Scope::Experiments,
    from: |query| {
        query.from_as("logged_model", "m").cross_join("experiment".into_table_ref().alias("e"));
        query.and_where(Expr::cust("e.id = m.experiment AND m.lifecycle <> 'purged'"));
    },
    key: &[("m.seq", true)],
};

pub(super) const MODELS: Along = Along {
    scope: Scope::Models,
    from: |query| {
        query.from_as("securable", "s");
        containers(query);
    },
    key: &[("s.id", false)],
};

pub(super) const VERSIONS: Along = Along {
    scope: Scope::Models,
    from: |query| {
        query.from_as("model_version", "v");
        query.join_as(JoinType::InnerJoin, "securable", "s", Expr::cust("s.id = v.model"));
        containers(query);
    },
    key: &[("v.model", false), ("v.version", true)],
};

pub(super) const ALIASES: Along = Along {
    scope: Scope::Models,
    from: |query| {
        query.from_as("model_alias", "a");
        query.join_as(JoinType::InnerJoin, "securable", "s", Expr::cust("s.id = a.model"));
        containers(query);
    },
    key: &[("a.model", false), ("a.alias", false)],
};

/// The schema and the catalog of a securable called s.
fn containers(query: &mut SelectStatement) {
    query.join_as(JoinType::InnerJoin, "securable", "p", Expr::cust("p.id = s.parent"));
    query.join_as(JoinType::InnerJoin, "securable", "c", Expr::cust("c.id = p.parent"));
}

/// A value of a key.
#[derive(Clone, Debug)]
enum Value {
    Int(i64),
    Text(String),
}

impl Value {
    fn literal(&self) -> Expr {
        match self {
            Value::Int(number) => (*number).into(),
            Value::Text(text) => text.as_str().into(),
        }
    }
}

/// Has a query give its key behind its other columns, in its order, behind a row.
fn keyed(query: &mut SelectStatement, key: &[(&'static str, bool)], behind: Option<&[Value]>) {
    for (at, (column, _)) in key.iter().enumerate() {
        query.expr_as(Expr::cust(*column), format!("k{at}"));
        query.order_by(format!("k{at}"), Order::Asc);
    }
    let Some(behind) = behind else { return };
    let mut further = Expr::cust("1 = 0");
    for ((column, _), value) in key.iter().zip(behind).rev() {
        let is = |literal| Expr::cust(*column).eq(literal);
        further = Expr::cust(*column).gt(value.literal()).or(is(value.literal()).and(further));
    }
    query.and_where(further);
    if let (Some((column, _)), Some(value)) = (key.first(), behind.first()) {
        // Says nothing new, but is what an index begins at.
        query.and_where(Expr::cust(*column).gte(value.literal()));
    }
}

/// The key of a row, behind so many columns.
fn key_of(row: &Row, columns: usize, key: &[(&'static str, bool)]) -> Result<Vec<Value>> {
    let value = |(at, (_, number)): (usize, &(&str, bool))| {
        Ok(match number {
            true => Value::Int(row.int(columns + at)?),
            false => Value::Text(row.text(columns + at)?),
        })
    };
    key.iter().enumerate().map(value).collect()
}

/// The rows of a table that is read along a key.
pub(super) fn along(reads: Reads, table: &'static Table, along: &'static Along, wanted: Wanted) -> RowStream {
    let (columns, wanted) = (table.chosen(&wanted), Arc::new(wanted));
    let page = move |place: Option<Option<Vec<Value>>>| {
        let (reads, wanted, columns) = (reads.clone(), Arc::clone(&wanted), columns.clone());
        async move {
            let Some(behind) = place else { return Ok(None) };
            let mut query = Query::select();
            table.select(&mut query, &wanted);
            (along.from)(&mut query);
            table.narrow(&mut query, &wanted);
            keyed(&mut query, along.key, behind.as_deref());
            query.limit(PAGE);
            let rows = reads.seen(query).await?;
            let next = match rows.last() {
                Some(last) if rows.len() as u64 == PAGE => Some(Some(key_of(last, columns.len(), along.key)?)),
                _ => None,
            };
            let cells = rows.iter().map(|row| table.cells(row, &wanted)).collect::<Result<Vec<_>>>()?;
            Ok(Some((batch(&columns, &cells)?.1, next)))
        }
    };
    Box::pin(stream::try_unfold(Some(None), page))
}

/// A table of what runs have, some by a key each.
pub(super) struct OfRuns {
    table: &'static str,
    weight: &'static str,
}

pub(super) const LATEST_METRICS: OfRuns = OfRuns {
    table: "metric_latest",
    weight: "cast((SELECT count(*) * 100 FROM metric_latest d WHERE d.run = r.seq) AS bigint)",
};

pub(super) const PARAMS: OfRuns = OfRuns {
    table: "run_param",
    weight: "cast(coalesce((SELECT sum(length(d.value) + 100) FROM run_param d WHERE d.run = r.seq), 0) AS bigint)",
};

pub(super) const TAGS: OfRuns = OfRuns {
    table: "run_tag",
    weight: "cast(coalesce((SELECT sum(length(d.value) + 100) FROM run_tag d WHERE d.run = r.seq), 0) AS bigint)",
};

/// The key of what a run has.
const KEY: &[(&str, bool)] = &[("d.key", false)];

/// The rows of a table of what runs have.
pub(super) fn of_runs(reads: Reads, table: &'static Table, of_runs: &'static OfRuns, wanted: Wanted) -> RowStream {
    let columns = table.chosen(&wanted);
    let only = ["run_id", "experiment_id"].map(|column| table.texts(&wanted, column));
    let groups = Groups::new(reads.clone(), only, of_runs.weight, GROUP);
    // A run that is too large for a group is read a page at a time: behind which key.
    let begin: (Groups, Option<(RunKey, Vec<Value>)>) = (groups, None);
    let wanted = Arc::new(wanted);
    let page = move |(mut groups, large): (Groups, Option<(RunKey, Vec<Value>)>)| {
        let (reads, wanted, columns) = (reads.clone(), Arc::clone(&wanted), columns.clone());
        async move {
            let (group, behind) = match large {
                Some((run, behind)) => (vec![run], Some(behind)),
                None => (groups.next().await?, None),
            };
            if group.is_empty() {
                return Ok(None);
            }
            let mut query = Query::select();
            table.select(&mut query, &wanted);
            query.from_as(of_runs.table, "d").cross_join("run".into_table_ref().alias("r"));
            query.and_where(Expr::cust("r.seq = d.run"));
            of_experiments(&mut query);
            query.and_where(Expr::col(("d", "run")).is_in(group.iter().map(|run| run.seq)));
            table.narrow(&mut query, &wanted);
            let mut next = None;
            if let Some(run) = groups.heavy(&group) {
                keyed(&mut query, KEY, behind.as_deref());
                query.limit(PAGE);
                next = Some(run.clone());
            } else {
                query.order_by(("d", "run"), Order::Asc).order_by(("d", "key"), Order::Asc);
                if columns.is_empty() {
                    query.column(("d", "run"));
                }
            }
            let rows = reads.seen(query).await?;
            let large = match (next, rows.last()) {
                (Some(run), Some(last)) if rows.len() as u64 == PAGE => Some((run, key_of(last, columns.len(), KEY)?)),
                _ => None,
            };
            let cells = rows.iter().map(|row| table.cells(row, &wanted)).collect::<Result<Vec<_>>>()?;
            Ok(Some((batch(&columns, &cells)?.1, (groups, large))))
        }
    };
    Box::pin(stream::try_unfold(begin, page))
}
