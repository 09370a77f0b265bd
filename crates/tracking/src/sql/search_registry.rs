//! Searches over registered models and their versions, in schemas of which the caller may see some.
//!
//! A model is searched for by the name that MLflow's plain registry shows: of those in `main.default` the last part alone.

use crannog_governance::service::models::seen;
use crannog_security::Visible;
use crannog_security::actions::models;
use crannog_store::query::{Expr, ExprTrait, Func, JoinType, Query, SelectStatement};
use crannog_store::{Db, Row};
use crannog_types::Result;

use super::compare::{always, compare, never};
use super::keyset::{self, KeyKind, Segment, SortKey};
use super::page::{Gathering, Page};
use crate::model::registry::{full_name, plain_name};
use crate::model::search::{Compare, Filter, IS_PROMPT, Key, Operator, Order, PageToken, Value};

/// What is searched for.
#[derive(Clone)]
pub struct RegistrySearch<'a> {
    /// Where, as the caller may see it.
    pub schemas: &'a [Visible<models::ReadMetadata>],
    /// Whether prompts are wanted: they are models with a tag, and nobody else wants them.
    pub prompts: bool,
    /// The condition.
    pub filter: Filter,
    /// The order, whole.
    pub order: Vec<Order>,
    /// How many at most, more than none.
    pub max_results: i64,
    /// Behind which page.
    pub page: Option<PageToken>,
}

/// The columns of a model, in the order that `read` gets them; `shown` is the name that is searched for.
const MODEL: [&str; 11] = [
    "id",
    "catalog",
    "schema",
    "name",
    "owner",
    "owner_name",
    "comment",
    "created_at",
    "created_by",
    "updated_at",
    "updated_by",
];

/// Those of a version, before its model's catalog, schema and name.
const VERSION: [&str; 15] = crate::service::registry::versions::COLUMNS;

/// The models that the caller may see, called m.
fn visible_models(schemas: &[Visible<models::ReadMetadata>]) -> SelectStatement {
    let mut query = Query::select();
    let of = |column: &'static str| ("s", column);
    query
        .column(of("id"))
        .expr_as(Expr::col(("c", "name")), "catalog")
        .expr_as(Expr::col(("p", "name")), "schema")
        .column(of("name"))
        .column(of("owner"))
        .expr_as(Expr::col(("o", "name")), "owner_name");
    for column in ["comment", "created_at", "created_by", "updated_at", "updated_by"] {
        query.column(of(column));
    }
    query
        .expr_as(
            Expr::cust(
                "CASE WHEN p.path = 'main.default' THEN s.name ELSE c.name || '.' || p.name || '.' || s.name END",
            ),
            "shown",
        )
        .from_as("securable", "s")
        .join_as(JoinType::InnerJoin, "securable", "p", Expr::col(("p", "id")).equals(("s", "parent")))
        .join_as(JoinType::InnerJoin, "securable", "c", Expr::col(("c", "id")).equals(("p", "parent")))
        .join_as(JoinType::InnerJoin, "principal", "o", Expr::col(("o", "id")).equals(("s", "owner")))
        .and_where(seen(schemas));
    query
}

/// A page of models.
///
/// # Errors
/// When the page is one of another order; what the database says.
pub async fn search_models<T>(
    db: &Db,
    search: &RegistrySearch<'_>,
    read: impl Fn(&Row) -> Result<T>,
) -> Result<Page<T>> {
    let key = |name: &str| match name {
        "last_updated_timestamp" => (Expr::col(("m", "updated_at")), KeyKind::Int),
        _ => (Expr::col(("m", "shown")), KeyKind::Text),
    };
    let mut query = Query::select();
    for column in MODEL {
        query.column(("m", column));
    }
    query.from_subquery(visible_models(search.schemas), "m");
    query.and_where(of_kind(search.prompts));
    query.and_where(condition(&search.filter, &|name| attribute(name), &model_tag));
    page_of(db, search, query, MODEL.len(), &key, read).await
}

/// A page of versions.
///
/// # Errors
/// When the page is one of another order; what the database says.
pub async fn search_versions<T>(
    db: &Db,
    search: &RegistrySearch<'_>,
    read: impl Fn(&Row) -> Result<T>,
) -> Result<Page<T>> {
    let key = |name: &str| match name {
        "name" => (Expr::col(("m", "shown")), KeyKind::Text),
        "version_number" => (Expr::col(("v", "version")), KeyKind::Int),
        "creation_timestamp" => (Expr::col(("v", "created_at")), KeyKind::Int),
        _ => (Expr::col(("v", "updated_at")), KeyKind::Int),
    };
    let mut query = Query::select();
    for column in VERSION {
        query.column(("v", column));
    }
    for column in ["catalog", "schema", "name"] {
        query.column(("m", column));
    }
    query.from_as("model_version", "v").join_subquery(
        JoinType::InnerJoin,
        visible_models(search.schemas),
        "m",
        Expr::col(("m", "id")).equals(("v", "model")),
    );
    query.and_where(of_kind(search.prompts));
    query.and_where(condition(&search.filter, &|name| attribute(name), &version_tag));
    page_of(db, search, query, VERSION.len() + 3, &key, read).await
}

async fn page_of<T>(
    db: &Db,
    search: &RegistrySearch<'_>,
    mut query: SelectStatement,
    columns: usize,
    key: &(dyn Fn(&str) -> (Expr, KeyKind) + Sync),
    read: impl Fn(&Row) -> Result<T>,
) -> Result<Page<T>> {
    let keys: Vec<SortKey> = search
        .order
        .iter()
        .map(|order| {
            let (value, kind) = key(if let Key::Attribute(name) = order.key { name } else { "name" });
            SortKey { value, nan: None, nullable: false, ascending: order.ascending, kind }
        })
        .collect();
    let name = format!("{:?}", search.order.iter().map(|order| (&order.key, order.ascending)).collect::<Vec<_>>());
    let mut gathering = Gathering::of(search.max_results);
    let Some(evidence) = search.schemas.first() else { return gathering.page(name, keys, columns) };
    if let Some((_, values)) = keyset::place(search.page.as_ref(), &name, &keys)? {
        query.and_where(keyset::after(&keys, values, Segment::Value));
    }
    keyset::ordered(&mut query, &keys, Segment::Value);
    query.limit(gathering.wanted());
    gathering.take(db.read(evidence).select(&query).await?, 0, read)?;
    gathering.page(name, keys, columns)
}

fn attribute(name: &str) -> Expr {
    match name {
        "version_number" => Expr::col(("v", "version")),
        "run_id" => Expr::col(("v", "run_id")),
        "source_path" => Expr::col(("v", "source")),
        _ => Expr::col(("m", "shown")),
    }
}

/// The run of a version. To what may match it, that of a version without one is the empty text, as in MLflow; ids are looked up as
/// they stand.
fn run_id(operator: Operator, value: &Value) -> Expr {
    let looked_up = match (operator, value) {
        (Operator::Equal, Value::Text(id)) => !id.is_empty(),
        (Operator::In, Value::List(ids)) => ids.iter().all(|id| !id.is_empty()),
        _ => false,
    };
    let column = attribute("run_id");
    if looked_up { column } else { Func::coalesce([column, Expr::val("")]).into() }
}

fn model_tag(key: &str) -> SelectStatement {
    tagged("registered_model_tag", key).and_where(Expr::col(("t", "model")).equals(("m", "id"))).to_owned()
}

fn version_tag(key: &str) -> SelectStatement {
    tagged("model_version_tag", key)
        .and_where(Expr::col(("t", "model")).equals(("v", "model")))
        .and_where(Expr::col(("t", "version")).equals(("v", "version")))
        .to_owned()
}

fn tagged(table: &'static str, key: &str) -> SelectStatement {
    Query::select().expr(Expr::cust("1")).from_as(table, "t").and_where(Expr::col(("t", "key")).eq(key)).to_owned()
}

/// Prompts, or everything else.
fn of_kind(prompts: bool) -> Expr {
    if prompts {
        return always();
    }
    let marked = Expr::from(Func::lower(Expr::col(("t", "value")))).eq("true");
    Expr::not_exists(model_tag(IS_PROMPT).and_where(marked).to_owned())
}

fn condition(filter: &Filter, attribute: &dyn Fn(&str) -> Expr, tag: &dyn Fn(&str) -> SelectStatement) -> Expr {
    let each = |term: &Filter| condition(term, attribute, tag);
    match filter {
        Filter::All(terms) => terms.iter().map(each).reduce(ExprTrait::and).unwrap_or_else(always),
        Filter::Any(terms) => terms.iter().map(each).reduce(ExprTrait::or).unwrap_or_else(never),
        Filter::Compare(Compare { key, operator, value }) => match key {
            // A name may be said in full where it is shown in short.
            Key::Attribute("name") => compare(attribute("name"), *operator, &as_shown(*operator, value)),
            Key::Attribute("run_id") => compare(run_id(*operator, value), *operator, value),
            Key::Attribute(name) => compare(attribute(name), *operator, value),
            Key::Tag(key) => match operator {
                Operator::IsNull => Expr::not_exists(tag(key)),
                Operator::IsNotNull => Expr::exists(tag(key)),
                _ => Expr::exists(tag(key).and_where(compare(Expr::col(("t", "value")), *operator, value)).to_owned()),
            },
            Key::Metric(_) | Key::Param(_) | Key::Dataset(_) => never(),
        },
    }
}

fn as_shown(operator: Operator, value: &Value) -> Value {
    let shown = |name: &String| plain_name(&full_name(name));
    match (operator, value) {
        (Operator::Equal | Operator::NotEqual, Value::Text(name)) => Value::Text(shown(name)),
        (_, Value::List(names)) => Value::List(names.iter().map(shown).collect()),
        (_, other) => other.clone(),
    }
}
