//! Searches over runs.
//!
//! The caller says of which experiments, having a permit on each. The usual order walks the index of runs by their start, an
//! order by a metric that of its latest values, and a page begins where the last one ended: nothing is sorted that an index
//! has in order, however many runs there are. Several experiments, or active and deleted runs at once, are walked one
//! beside the other and merged, as long as they are few.

use crannog_security::Evidence;
use crannog_store::query::{
    Asterisk, BinOper, Expr, ExprTrait, Func, IntoTableRef, JoinType, Query, SelectStatement, UnionType,
};
use crannog_store::{Db, Row};
use crannog_types::{Problem, Result};

use super::compare::{always, compare};
use super::keyset::{self, KeyKind, Segment, SortKey};
use super::page::{Gathering, Page};
use crate::model::search::{Compare, Filter, Key, KeyValue, Operator, Order, PageToken, Value};

/// What is searched for.
#[derive(Clone, Debug)]
pub struct RunSearch<'a> {
    /// The experiments, each of which the caller may read.
    pub experiments: &'a [i64],
    /// `active`, `deleted`, or both.
    pub lifecycles: &'a [&'static str],
    /// The condition.
    pub filter: &'a Filter,
    /// The order; then the latest start first, then by id.
    pub order: &'a [Order],
    /// How many at most, more than none.
    pub max_results: i64,
    /// Behind which page.
    pub page: Option<&'a PageToken>,
}

/// How many columns a run is.
const COLUMNS: usize = 10;

/// As many parts are walked one beside the other; more are sorted.
const MERGED: usize = 8;

/// As many parameters of the filter, in all parts together: each part has them all.
const MERGED_PARAMETERS: usize = 10_000;

/// So many runs are rather found first and then sorted than looked for along an index.
const FEW: u64 = 400;

/// So many experiments fit a statement: SQLite takes 32,766 parameters.
const EXPERIMENTS: usize = 10_000;

/// A page of runs. `read` gets rows of: seq, run_id, experiment, name, user_id, status,
/// start_ms, end_ms, lifecycle and the experiment's artifact_location.
///
/// # Errors
/// When there are more than 10,000 experiments; when the page is one of another order; what the database says.
pub async fn search_runs<T>(
    db: &Db,
    evidence: &dyn Evidence,
    search: &RunSearch<'_>,
    read: impl Fn(&Row) -> Result<T>,
) -> Result<Page<T>> {
    let experiments = distinct(search.experiments)?;
    let sources = sources(search.order);
    let keys: Vec<SortKey> = sources.iter().enumerate().map(|(at, source)| source.key(at)).collect();
    let name = keyset::name(search.order.iter().map(|order| format!("{:?} {}\n", order.key, order.ascending)));
    let place = keyset::place(search.page, &name, &keys)?;
    let mut gathering = Gathering::of(search.max_results);
    let Some(first) = keys.first().filter(|_| !experiments.is_empty() && !search.lifecycles.is_empty()) else {
        return gathering.page(name, keys, COLUMNS);
    };
    let reader = db.read(evidence);
    let metric = match sources.first() {
        Some(Sorted { source: Source::Joined(METRIC, key), .. }) => Some(key.as_str()),
        _ => None,
    };
    let few = metric.is_some()
        && *search.filter != Filter::everything()
        && reader.select(&many_found(search, &experiments)).await?.is_empty();
    for (number, segment) in keyset::segments(first).iter().copied().enumerate().skip(place.map_or(0, |(from, _)| from))
    {
        let behind = place.filter(|(from, _)| *from == number).map(|(_, values)| values);
        let wanted = gathering.wanted();
        let from_runs = match metric.filter(|_| !few && segment == Segment::Nan) {
            Some(metric) => !reader.select(&many_nans(metric, &experiments)).await?.is_empty(),
            None => few,
        };
        let query = Segmented { search, sources: &sources, keys: &keys, segment, behind, wanted, from_runs };
        if gathering.take(reader.select(&query.whole(&experiments)).await?, number, &read)? {
            break;
        }
    }
    gathering.page(name, keys, COLUMNS)
}

/// Each experiment once.
///
/// # Errors
/// When there are more than 10,000.
pub(crate) fn distinct(experiments: &[i64]) -> Result<Vec<i64>> {
    let mut experiments = experiments.to_vec();
    experiments.sort_unstable();
    experiments.dedup();
    if experiments.len() > EXPERIMENTS {
        return Err(Problem::invalid(format!(
            "At most {EXPERIMENTS} experiments can be searched at once, not {}.",
            experiments.len()
        )));
    }
    Ok(experiments)
}

/// Where the value of a key of an order comes from.
enum Source {
    Column(&'static str, KeyKind, bool),
    Uri,
    /// A row of another table, by its key.
    Joined(&'static str, String),
}

struct Sorted {
    source: Source,
    ascending: bool,
}

impl Sorted {
    /// The key, whose table is called by its number where it is another than the runs'.
    fn key(&self, at: usize) -> SortKey {
        let ascending = self.ascending;
        match &self.source {
            Source::Column(column, kind, nullable) => {
                SortKey { value: run(column), nan: None, nullable: *nullable, ascending, kind: *kind }
            }
            Source::Uri => SortKey { value: uri(), nan: None, nullable: false, ascending, kind: KeyKind::Text },
            Source::Joined(table, _) => {
                let metric = *table == METRIC;
                SortKey {
                    value: of_join(at, "value"),
                    nan: metric.then(|| of_join(at, "nan")),
                    nullable: true,
                    ascending,
                    kind: if metric { KeyKind::Real } else { KeyKind::Text },
                }
            }
        }
    }
}

const METRIC: &str = "metric_latest";

fn of_join(at: usize, column: &'static str) -> Expr {
    Expr::col((format!("o{at}"), column))
}

/// The whole order, which no two runs share a place in.
fn sources(orders: &[Order]) -> Vec<Sorted> {
    let mut sources: Vec<Sorted> = orders
        .iter()
        .map(|order| {
            let source = match &order.key {
                Key::Attribute("artifact_uri") => Source::Uri,
                Key::Attribute(name) => match *name {
                    "start_time" => Source::Column("start_ms", KeyKind::Int, true),
                    "end_time" => Source::Column("end_ms", KeyKind::Int, true),
                    "run_id" => Source::Column("run_id", KeyKind::Text, false),
                    "status" => Source::Column("status", KeyKind::Text, false),
                    "user_id" => Source::Column("user_id", KeyKind::Text, false),
                    _ => Source::Column("name", KeyKind::Text, false),
                },
                Key::Metric(key) => Source::Joined(METRIC, key.clone()),
                Key::Param(key) => Source::Joined("run_param", key.clone()),
                Key::Tag(key) => Source::Joined("run_tag", key.clone()),
                // No order has one.
                Key::Dataset(_) => Source::Column("run_id", KeyKind::Text, false),
            };
            Sorted { source, ascending: order.ascending }
        })
        .collect();
    let has = |sources: &[Sorted], column| {
        sources.iter().any(|sorted| matches!(sorted.source, Source::Column(name, ..) if name == column))
    };
    if !has(&sources, "start_ms") {
        sources.push(Sorted { source: Source::Column("start_ms", KeyKind::Int, true), ascending: false });
    }
    if !has(&sources, "run_id") {
        sources.push(Sorted { source: Source::Column("run_id", KeyKind::Text, false), ascending: true });
    }
    sources
}

fn run(column: &'static str) -> Expr {
    Expr::col(("r", column))
}

/// The experiment's own place for artifacts, if it has one.
fn location() -> SelectStatement {
    Query::select()
        .column(("e", "artifact_location"))
        .from_as("experiment", "e")
        .and_where(Expr::col(("e", "id")).equals(("r", "experiment")))
        .to_owned()
}

/// Where a run's artifacts are.
fn uri() -> Expr {
    let own = Func::cust("rtrim").arg(Expr::SubQuery(None, Box::new(location().into()))).arg("/");
    let ours = joined(Expr::val("mlflow-artifacts:/"), run("experiment").cast_as("text"));
    let root = Expr::from(Func::coalesce([Expr::from(own), ours]));
    joined(joined(root, Expr::val("/")), joined(run("run_id"), Expr::val("/artifacts")))
}

fn joined(left: Expr, right: Expr) -> Expr {
    left.binary(BinOper::Custom("||"), right)
}

/// One segment of a search, from where the page begins.
struct Segmented<'a> {
    search: &'a RunSearch<'a>,
    sources: &'a [Sorted],
    keys: &'a [SortKey],
    segment: Segment,
    behind: Option<&'a [KeyValue]>,
    wanted: u64,
    /// Look at runs first, then at their metrics: the condition leaves few of them, or most of them are in the segment.
    from_runs: bool,
}

impl Segmented<'_> {
    /// The query. What is sorted is keys alone; what else is known of a run is read for those of the page.
    fn whole(&self, experiments: &[i64]) -> SelectStatement {
        let mut query = Query::select();
        for column in ["seq", "run_id", "experiment", "name", "user_id", "status", "start_ms", "end_ms", "lifecycle"] {
            query.column(("r", column));
        }
        query.expr_as(Expr::SubQuery(None, Box::new(location().into())), "artifact_location");
        query.from_subquery(self.merged(experiments), "p").cross_join("run".into_table_ref().alias("r"));
        query.and_where(run("seq").equals(("p", "seq")));
        keyset::again(&mut query, "p", self.keys, self.segment);
        query
    }

    /// The keys of the page, of parts that are each in order where they are few.
    fn merged(&self, experiments: &[i64]) -> SelectStatement {
        let lifecycles = self.search.lifecycles;
        let parts = experiments.len() * lifecycles.len();
        if parts > MERGED || parts * parameters(self.search.filter) > MERGED_PARAMETERS {
            return self.part(experiments, lifecycles);
        }
        let pairs =
            experiments.iter().flat_map(|experiment| lifecycles.iter().map(move |lifecycle| (experiment, lifecycle)));
        let mut parts = pairs.map(|(experiment, lifecycle)| self.part(&[*experiment], &[*lifecycle]));
        let first = parts.next().unwrap_or_else(|| self.part(experiments, lifecycles));
        let Some(second) = parts.next() else { return first };
        let all_of = |part| Query::select().column(Asterisk).from_subquery(part, "p").to_owned();
        let mut merged = all_of(first);
        merged.union(UnionType::All, all_of(second));
        for part in parts {
            merged.union(UnionType::All, all_of(part));
        }
        keyset::order_by(&mut merged, self.keys, self.segment);
        merged.limit(self.wanted);
        merged
    }

    fn part(&self, experiments: &[i64], lifecycles: &[&'static str]) -> SelectStatement {
        let mut query = Query::select();
        query.column(("r", "seq"));
        self.first(&mut query, experiments);
        for (at, sorted) in self.sources.iter().enumerate().skip(1) {
            if let Source::Joined(table, key) = &sorted.source {
                let same = of_join(at, "run").equals(("r", "seq")).and(of_join(at, "key").eq(key.as_str()));
                query.join_as(JoinType::LeftJoin, *table, format!("o{at}"), same);
            }
        }
        within(&mut query, experiments, lifecycles, self.search.filter);
        if let Some(values) = self.behind {
            query.and_where(keyset::after(self.keys, values, self.segment));
        }
        keyset::ordered(&mut query, self.keys, self.segment);
        query.limit(self.wanted);
        query
    }

    /// The runs that are in the segment by the first key.
    fn first(&self, query: &mut SelectStatement, experiments: &[i64]) {
        match self.sources.first().map(|sorted| &sorted.source) {
            Some(Source::Joined(table, key)) if self.segment != Segment::Missing => {
                // The join that keeps its order on SQLite: what is walked comes first.
                if *table == METRIC && !self.from_runs {
                    query.from_as(*table, "o0").cross_join("run".into_table_ref().alias("r"));
                } else {
                    query.from_as("run", "r").cross_join((*table).into_table_ref().alias("o0"));
                }
                if *table == METRIC {
                    query.and_where(one_of(of_join(0, "experiment"), experiments.iter().copied()));
                    query.and_where(of_join(0, "nan").eq(i64::from(self.segment == Segment::Nan)));
                }
                query.and_where(of_join(0, "run").equals(("r", "seq"))).and_where(of_join(0, "key").eq(key.as_str()));
            }
            Some(Source::Joined(table, key)) => {
                query.from_as("run", "r").and_where(Expr::not_exists(logged(table, key)));
            }
            Some(Source::Column(column, _, true)) => {
                let column = run(column);
                let there = if self.segment == Segment::Value { column.is_not_null() } else { column.is_null() };
                query.from_as("run", "r").and_where(there);
            }
            _ => _ = query.from_as("run", "r"),
        }
    }
}

/// The runs that are searched, and the condition.
fn within(query: &mut SelectStatement, experiments: &[i64], lifecycles: &[&'static str], filter: &Filter) {
    query.and_where(one_of(run("experiment"), experiments.iter().copied()));
    query.and_where(one_of(run("lifecycle"), lifecycles.iter().copied()));
    for term in filter.terms() {
        query.and_where(named(term, experiments).unwrap_or_else(|| condition(term)));
    }
}

/// How many parameters a condition is, without the experiments that [`named`] adds.
fn parameters(filter: &Filter) -> usize {
    match filter {
        Filter::All(terms) | Filter::Any(terms) => terms.iter().map(parameters).sum(),
        // A key, a value, and whether a metric is a number.
        Filter::Compare(Compare { value, .. }) => 3 + if let Value::List(texts) = value { texts.len() } else { 0 },
    }
}

/// One of more runs than [`FEW`] that the condition leaves.
fn many_found(search: &RunSearch<'_>, experiments: &[i64]) -> SelectStatement {
    let mut query = Query::select();
    query.column(("r", "seq")).from_as("run", "r");
    within(&mut query, experiments, search.lifecycles, search.filter);
    query.offset(FEW).limit(1);
    query
}

/// One of more runs than [`FEW`] where a metric is no number.
fn many_nans(key: &str, experiments: &[i64]) -> SelectStatement {
    Query::select()
        .column(("o", "run"))
        .from_as(METRIC, "o")
        .and_where(one_of(Expr::col(("o", "experiment")), experiments.iter().copied()))
        .and_where(Expr::col(("o", "key")).eq(key))
        .and_where(Expr::col(("o", "nan")).eq(1_i64))
        .offset(FEW)
        .limit(1)
        .to_owned()
}

fn one_of<V: Into<Expr> + Clone>(column: Expr, values: impl ExactSizeIterator<Item = V>) -> Expr {
    let mut values = values;
    match (values.len(), values.next()) {
        (1, Some(only)) => column.eq(only),
        (_, Some(first)) => column.is_in(std::iter::once(first).chain(values).map(Into::<Expr>::into)),
        (_, None) => super::compare::never(),
    }
}

/// What a run logged under a key.
fn logged(table: &'static str, key: &str) -> SelectStatement {
    Query::select()
        .expr(Expr::cust("1"))
        .from_as(table, "f")
        .and_where(Expr::col(("f", "run")).equals(("r", "seq")))
        .and_where(Expr::col(("f", "key")).eq(key))
        .to_owned()
}

/// A condition that all runs found fulfil, where an index over names serves it better than the order's walk. It names the
/// experiments, so that many of them would fill the statement.
fn named(term: &Filter, experiments: &[i64]) -> Option<Expr> {
    match term {
        Filter::Compare(Compare { key: Key::Attribute("run_name"), operator, value })
            if experiments.len() <= MERGED && matches!(operator, Operator::Equal | Operator::In) =>
        {
            let called = Query::select()
                .column(("n", "seq"))
                .from_as("run", "n")
                .and_where(one_of(Expr::col(("n", "experiment")), experiments.iter().copied()))
                .and_where(compare(Expr::col(("n", "name")), *operator, value))
                .to_owned();
            Some(run("seq").in_subquery(called))
        }
        _ => None,
    }
}

/// Whether a run, called r, fulfils a condition. What it does not have is not compared: no comparison with it holds.
fn condition(filter: &Filter) -> Expr {
    match filter {
        Filter::All(terms) => terms.iter().map(condition).reduce(ExprTrait::and).unwrap_or_else(always),
        Filter::Any(terms) => terms.iter().map(condition).reduce(ExprTrait::or).unwrap_or_else(super::compare::never),
        Filter::Compare(Compare { key, operator, value }) => comparison(key, *operator, value),
    }
}

fn comparison(key: &Key, operator: Operator, value: &Value) -> Expr {
    let column = |name| Expr::col(("f", name));
    match key {
        Key::Attribute("artifact_uri") => compare(uri(), operator, value),
        Key::Attribute(name) => {
            let column = match *name {
                "start_time" => "start_ms",
                "end_time" => "end_ms",
                "run_name" => "name",
                other => other,
            };
            compare(run(column), operator, value)
        }
        Key::Metric(key) => {
            let compared = compare(column("value"), operator, value);
            // What is no number differs from every number, and nothing else.
            let compared = if operator == Operator::NotEqual {
                compared.or(column("nan").eq(1_i64))
            } else {
                compared.and(column("nan").eq(0_i64))
            };
            Expr::exists(logged(METRIC, key).and_where(compared).to_owned())
        }
        Key::Param(key) => text("run_param", key, operator, value),
        Key::Tag(key) => text("run_tag", key, operator, value),
        Key::Dataset(name) => {
            let compared = match *name {
                "context" => compare(Expr::col(("d", "context")), operator, value),
                name => compare(column(name), operator, value),
            };
            let used = Query::select()
                .expr(Expr::cust("1"))
                .from_as("run_dataset", "d")
                .join_as(JoinType::InnerJoin, "dataset", "f", column("seq").equals(("d", "dataset")))
                .and_where(Expr::col(("d", "run")).equals(("r", "seq")))
                .and_where(compared)
                .to_owned();
            Expr::exists(used)
        }
    }
}

fn text(table: &'static str, key: &str, operator: Operator, value: &Value) -> Expr {
    match operator {
        Operator::IsNull => Expr::not_exists(logged(table, key)),
        Operator::IsNotNull => Expr::exists(logged(table, key)),
        _ => {
            let compared = compare(Expr::col(("f", "value")), operator, value);
            Expr::exists(logged(table, key).and_where(compared).to_owned())
        }
    }
}
