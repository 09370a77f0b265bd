//! Searches over logged models, of experiments each of which the caller may read.
//!
//! Models are few beside runs: what is ordered by is looked up for each that the condition leaves, and sorted.

use crannog_security::Evidence;
use crannog_store::query::{Expr, ExprTrait, Order, Query, SelectStatement};
use crannog_store::{Db, Row};
use crannog_types::Result;

use super::compare::{always, compare, never};
use super::keyset::{self, KeyKind, Segment, SortKey};
use super::page::{Gathering, Page};
use super::search_runs::distinct;
use crate::model::logged_models::DatasetFilter;
use crate::model::search::{Compare, Filter, Key, ModelOrder, Operator, PageToken, Value};

/// What is searched for.
#[derive(Clone, Debug)]
pub struct ModelSearch<'a> {
    /// The experiments, each of which the caller may read.
    pub experiments: &'a [i64],
    /// The condition.
    pub filter: &'a Filter,
    /// Datasets, one of which the metrics of the condition have to be about; without such metrics, any metric of the model.
    pub datasets: &'a [DatasetFilter],
    /// The order; then the latest first, then by id.
    pub order: &'a [ModelOrder],
    /// How many at most, more than none.
    pub max_results: i64,
    /// Behind which page.
    pub page: Option<&'a PageToken>,
}

const COLUMNS: [&str; 11] = [
    "seq",
    "model_id",
    "experiment",
    "name",
    "model_type",
    "source_run",
    "status",
    "status_message",
    "lifecycle",
    "created_ms",
    "updated_ms",
];

const METRIC: &str = "logged_model_metric";

/// A page of models that are not deleted. `read` gets rows of: seq, model_id,
/// experiment, name, model_type, source_run, status, status_message, lifecycle, created_ms, updated_ms and the experiment's
/// artifact_location.
///
/// # Errors
/// When there are more than 10,000 experiments; when the page is one of another order; what the database says.
pub async fn search_logged_models<T>(
    db: &Db,
    evidence: &dyn Evidence,
    search: &ModelSearch<'_>,
    read: impl Fn(&Row) -> Result<T>,
) -> Result<Page<T>> {
    let experiments = distinct(search.experiments)?;
    let sources = sources(search.order);
    let keys: Vec<SortKey> = sources.iter().enumerate().map(|(at, source)| source.key(at)).collect();
    let name = keyset::name(search.order.iter().map(|order| format!("{order:?}\n")));
    let place = keyset::place(search.page, &name, &keys)?;
    let mut gathering = Gathering::of(search.max_results);
    let Some(first) = keys.first().filter(|_| !experiments.is_empty()) else {
        return gathering.page(name, keys, COLUMNS.len() + 1);
    };
    let reader = db.read(evidence);
    let begin = place.map_or(0, |(segment, _)| segment);
    for (number, segment) in keyset::segments(first).iter().copied().enumerate().skip(begin) {
        let mut query = Query::select();
        for column in COLUMNS {
            query.column(("p", column));
        }
        query.column(("p", "artifact_location")).from_subquery(models(search, &experiments, &sources), "p");
        query.and_where(within(first, segment));
        if let Some((_, values)) = place.filter(|(begin, _)| *begin == number) {
            query.and_where(keyset::after(&keys, values, segment));
        }
        keyset::ordered(&mut query, &keys, segment);
        query.limit(gathering.wanted());
        if gathering.take(reader.select(&query).await?, number, &read)? {
            break;
        }
    }
    gathering.page(name, keys, COLUMNS.len() + 1)
}

/// Where the value of a key of an order comes from.
enum Source<'a> {
    Column(&'static str, KeyKind),
    Metric(&'a str, &'a ModelOrder),
}

struct Sorted<'a> {
    source: Source<'a>,
    ascending: bool,
}

impl Sorted<'_> {
    fn key(&self, at: usize) -> SortKey {
        let ascending = self.ascending;
        let of = |column: String| Expr::col(("p", column));
        match self.source {
            Source::Column(column, kind) => {
                SortKey { value: of(column.to_owned()), nan: None, nullable: false, ascending, kind }
            }
            Source::Metric(..) => SortKey {
                value: of(format!("v{at}")),
                nan: Some(of(format!("n{at}"))),
                nullable: true,
                ascending,
                kind: KeyKind::Real,
            },
        }
    }
}

fn column(attribute: &str) -> (&'static str, KeyKind) {
    match attribute {
        "creation_time" | "creation_timestamp" => ("created_ms", KeyKind::Int),
        "last_updated_time" | "last_updated_timestamp" => ("updated_ms", KeyKind::Int),
        "model_id" => ("model_id", KeyKind::Text),
        "model_type" => ("model_type", KeyKind::Text),
        "status" => ("status", KeyKind::Text),
        "source_run_id" => ("source_run", KeyKind::Text),
        _ => ("name", KeyKind::Text),
    }
}

/// The whole order, which no two models share a place in.
fn sources(orders: &[ModelOrder]) -> Vec<Sorted<'_>> {
    let mut sources: Vec<Sorted> = orders
        .iter()
        .map(|by| {
            let source = match &by.order.key {
                Key::Metric(key) => Source::Metric(key, by),
                Key::Attribute(name) => {
                    let (column, kind) = column(name);
                    Source::Column(column, kind)
                }
                // No order has one.
                Key::Param(_) | Key::Tag(_) | Key::Dataset(_) => Source::Column("model_id", KeyKind::Text),
            };
            Sorted { source, ascending: by.order.ascending }
        })
        .collect();
    for (column, kind, ascending) in [("created_ms", KeyKind::Int, false), ("model_id", KeyKind::Text, true)] {
        if !sources.iter().any(|sorted| matches!(sorted.source, Source::Column(name, _) if name == column)) {
            sources.push(Sorted { source: Source::Column(column, kind), ascending });
        }
    }
    sources
}

fn model(column: &'static str) -> Expr {
    Expr::col(("m", column))
}

/// The models that the condition leaves, called m, with what metrics they are ordered by.
fn models(search: &ModelSearch<'_>, experiments: &[i64], sources: &[Sorted<'_>]) -> SelectStatement {
    let mut query = Query::select();
    for column in COLUMNS {
        query.column(("m", column));
    }
    let location = Query::select()
        .column(("e", "artifact_location"))
        .from_as("experiment", "e")
        .and_where(Expr::col(("e", "id")).equals(("m", "experiment")))
        .to_owned();
    query.expr_as(Expr::SubQuery(None, Box::new(location.into())), "artifact_location");
    for (at, sorted) in sources.iter().enumerate() {
        if let Source::Metric(key, by) = sorted.source {
            for (name, column) in [("v", "value"), ("n", "nan")] {
                let latest = latest(key, by, column);
                query.expr_as(Expr::SubQuery(None, Box::new(latest.into())), format!("{name}{at}"));
            }
        }
    }
    query.from_as("logged_model", "m");
    query.and_where(model("lifecycle").eq("active"));
    query.and_where(model("experiment").is_in(experiments.iter().copied()));
    query.and_where(condition(search.filter, search.datasets));
    if !search.datasets.is_empty() && !of_metrics(search.filter) {
        query.and_where(Expr::exists(measured(search.datasets)));
    }
    query
}

/// The last value of a metric of a model: by time, then by step, then of the run that began first.
fn latest(key: &str, by: &ModelOrder, column: &'static str) -> SelectStatement {
    let mut query = Query::select();
    query.column(("o", column)).from_as(METRIC, "o");
    query.and_where(Expr::col(("o", "model")).equals(("m", "seq"))).and_where(Expr::col(("o", "key")).eq(key));
    for (column, text) in [("dataset_name", &by.dataset_name), ("dataset_digest", &by.dataset_digest)] {
        if let Some(text) = text {
            query.and_where(Expr::col(("o", column)).eq(text.as_str()));
        }
    }
    query.order_by(("o", "time_ms"), Order::Desc).order_by(("o", "step"), Order::Desc);
    // The rest of the key, so that value and nan are of one row.
    for column in ["run", "dataset_name", "dataset_digest", "value", "nan"] {
        query.order_by(("o", column), Order::Asc);
    }
    query.limit(1).to_owned()
}

fn within(first: &SortKey, segment: Segment) -> Expr {
    match (segment, &first.nan) {
        (Segment::Value, Some(nan)) => nan.clone().eq(0_i64),
        (Segment::Nan, Some(nan)) => nan.clone().eq(1_i64),
        (Segment::Missing, _) => first.value.clone().is_null(),
        _ => always(),
    }
}

/// Metrics of a model, called f, on one of some datasets.
fn measured(datasets: &[DatasetFilter]) -> SelectStatement {
    let mut query = Query::select();
    query.expr(Expr::cust("1")).from_as(METRIC, "f").and_where(Expr::col(("f", "model")).equals(("m", "seq")));
    let one = |dataset: &DatasetFilter| {
        let named = Expr::col(("f", "dataset_name")).eq(dataset.name.as_str());
        match &dataset.digest {
            Some(digest) => named.and(Expr::col(("f", "dataset_digest")).eq(digest.as_str())),
            None => named,
        }
    };
    if let Some(any) = datasets.iter().map(one).reduce(ExprTrait::or) {
        query.and_where(any);
    }
    query
}

/// Whether a condition speaks of metrics.
fn of_metrics(filter: &Filter) -> bool {
    match filter {
        Filter::All(terms) | Filter::Any(terms) => terms.iter().any(of_metrics),
        Filter::Compare(compare) => matches!(compare.key, Key::Metric(_)),
    }
}

/// Whether a model, called m, fulfils a condition. What it does not have is not compared: no comparison with it holds.
fn condition(filter: &Filter, datasets: &[DatasetFilter]) -> Expr {
    let each = |term: &Filter| condition(term, datasets);
    match filter {
        Filter::All(terms) => terms.iter().map(each).reduce(ExprTrait::and).unwrap_or_else(always),
        Filter::Any(terms) => terms.iter().map(each).reduce(ExprTrait::or).unwrap_or_else(never),
        Filter::Compare(Compare { key, operator, value }) => match key {
            Key::Attribute(name) => compare(model(column(name).0), *operator, value),
            Key::Metric(key) => {
                let compared = compare(Expr::col(("f", "value")), *operator, value);
                let nan = Expr::col(("f", "nan"));
                // What is no number differs from every number, and nothing else.
                let compared = match operator {
                    Operator::NotEqual => compared.or(nan.eq(1_i64)),
                    _ => compared.and(nan.eq(0_i64)),
                };
                let mut points = measured(datasets);
                points.and_where(Expr::col(("f", "key")).eq(key.as_str())).and_where(compared);
                Expr::exists(points)
            }
            Key::Param(key) => text("logged_model_param", key, *operator, value),
            Key::Tag(key) => text("logged_model_tag", key, *operator, value),
            Key::Dataset(_) => never(),
        },
    }
}

fn text(table: &'static str, key: &str, operator: Operator, value: &Value) -> Expr {
    let logged = Query::select()
        .expr(Expr::cust("1"))
        .from_as(table, "f")
        .and_where(Expr::col(("f", "model")).equals(("m", "seq")))
        .and_where(Expr::col(("f", "key")).eq(key))
        .and_where(compare(Expr::col(("f", "value")), operator, value))
        .to_owned();
    Expr::exists(logged)
}
