//! Searches over experiments: those that the caller may see, as every list is cut inside its query.

use crannog_security::{Action, Listing, Visible};
use crannog_store::query::{Expr, ExprTrait, Query, SelectStatement};
use crannog_store::{Db, Row};
use crannog_types::Result;

use super::compare::{always, compare, never};
use super::keyset::{self, KeyKind, Segment, SortKey};
use super::page::{Gathering, Page};
use crate::model::search::{Compare, Filter, Key, Operator, Order, PageToken, Value};

/// What is searched for.
#[derive(Clone, Debug)]
pub struct ExperimentSearch<'a> {
    /// `active`, `deleted`, or both.
    pub lifecycles: &'a [&'static str],
    /// The condition.
    pub filter: &'a Filter,
    /// The order, as `experiments_order` gives it: whole.
    pub order: &'a [Order],
    /// How many at most, more than none.
    pub max_results: i64,
    /// Behind which page.
    pub page: Option<&'a PageToken>,
}

/// How many columns an experiment is.
const COLUMNS: usize = 7;

/// A page of experiments. `read` gets rows of: securable, id, name, artifact_location,
/// lifecycle, created_ms, updated_ms.
///
/// # Errors
/// When the page is one of another order; what the database says.
pub async fn search_experiments<A: Action, T>(
    db: &Db,
    visible: &Visible<A>,
    search: &ExperimentSearch<'_>,
    read: impl Fn(&Row) -> Result<T>,
) -> Result<Page<T>> {
    let keys: Vec<SortKey> = search.order.iter().map(key).collect();
    let name = format!("{:?}", search.order.iter().map(|order| (&order.key, order.ascending)).collect::<Vec<_>>());
    let place = keyset::place(search.page, &name, &keys)?;
    let mut gathering = Gathering::of(search.max_results);
    if visible.listing() == Listing::Nothing {
        return gathering.page(name, keys, COLUMNS);
    }
    let mut query = Query::select();
    for column in ["securable", "id", "name", "artifact_location", "lifecycle", "created_ms", "updated_ms"] {
        query.column(("e", column));
    }
    query.from_as("experiment", "e");
    query.and_where(Expr::col(("e", "lifecycle")).is_in(search.lifecycles.iter().copied()));
    if visible.listing() != Listing::All {
        query.and_where(seen_by(visible.who().id.0));
    }
    query.and_where(condition(search.filter));
    if let Some((_, values)) = place {
        query.and_where(keyset::after(&keys, values, Segment::Value));
    }
    keyset::ordered(&mut query, &keys, Segment::Value);
    query.limit(gathering.wanted());
    gathering.take(db.read(visible).select(&query).await?, 0, read)?;
    gathering.page(name, keys, COLUMNS)
}

fn key(order: &Order) -> SortKey {
    let (column, kind) = match order.key {
        Key::Attribute("name") => ("name", KeyKind::Text),
        Key::Attribute("creation_time") => ("created_ms", KeyKind::Int),
        Key::Attribute("last_update_time") => ("updated_ms", KeyKind::Int),
        _ => ("id", KeyKind::Int),
    };
    SortKey { value: Expr::col(("e", column)), nan: None, nullable: false, ascending: order.ascending, kind }
}

/// Whether somebody, or a group that they are in, owns the experiment or has a grant on it.
pub(crate) fn seen_by(member: i64) -> Expr {
    let closure = || {
        Query::select()
            .column(("c", "principal"))
            .from_as("closure", "c")
            .and_where(Expr::col(("c", "member")).eq(member))
            .to_owned()
    };
    let securable = |column: &'static str, condition: Expr| {
        Query::select()
            .column(("s", column))
            .from_as(if column == "id" { "securable" } else { "securable_grant" }, "s")
            .and_where(condition)
            .to_owned()
    };
    let owned = securable("id", Expr::col(("s", "owner")).in_subquery(closure()));
    let granted = securable("securable", Expr::col(("s", "principal")).in_subquery(closure()));
    let id = || Expr::col(("e", "securable"));
    id().in_subquery(owned).or(id().in_subquery(granted))
}

fn condition(filter: &Filter) -> Expr {
    match filter {
        Filter::All(terms) => terms.iter().map(condition).reduce(ExprTrait::and).unwrap_or_else(always),
        Filter::Any(terms) => terms.iter().map(condition).reduce(ExprTrait::or).unwrap_or_else(never),
        Filter::Compare(Compare { key, operator, value }) => match key {
            Key::Attribute("experiment_id") => compare_id(*operator, value),
            Key::Attribute(name) => {
                let column = match *name {
                    "creation_time" => "created_ms",
                    "last_update_time" => "updated_ms",
                    other => other,
                };
                compare(Expr::col(("e", column)), *operator, value)
            }
            Key::Tag(key) => tag(key, *operator, value),
            Key::Metric(_) | Key::Param(_) | Key::Dataset(_) => never(),
        },
    }
}

/// Ids are texts in filters and numbers in the database; the parser let whole numbers through alone.
fn compare_id(operator: Operator, value: &Value) -> Expr {
    let column = Expr::col(("e", "id"));
    let number = |text: &String| text.parse::<i64>().ok();
    match (operator, value) {
        (Operator::In, Value::List(texts)) => column.is_in(texts.iter().filter_map(number)),
        (Operator::NotIn, Value::List(texts)) => column.is_not_in(texts.iter().filter_map(number)),
        (_, Value::Text(text)) => number(text).map_or_else(never, |id| compare(column, operator, &Value::Int(id))),
        _ => never(),
    }
}

fn tag(key: &str, operator: Operator, value: &Value) -> Expr {
    let tagged = || -> SelectStatement {
        Query::select()
            .expr(Expr::cust("1"))
            .from_as("experiment_tag", "t")
            .and_where(Expr::col(("t", "experiment")).equals(("e", "id")))
            .and_where(Expr::col(("t", "key")).eq(key))
            .to_owned()
    };
    match operator {
        Operator::IsNull => Expr::not_exists(tagged()),
        Operator::IsNotNull => Expr::exists(tagged()),
        _ => Expr::exists(tagged().and_where(compare(Expr::col(("t", "value")), operator, value)).to_owned()),
    }
}
