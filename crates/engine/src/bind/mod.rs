//! From sqlparser's tree to DataFusion's logical plan, by Spark's rules.
//!
//! DataFusion's own `SqlToRel` is not used: literals, `CASE`, `IN`, column names, duplicate column names, lateral aliases
//! and generators have no hook there, and it ignores clauses in silence. Here every name is resolved against the relations
//! that the caller was permitted (there is no catalog), every expression knows its Spark type and Spark's name for it, and
//! every cast is explicit, so DataFusion's own coercion finds nothing to do. What is not understood is an error.
//!
//! Every column of a plan has a name of its own (`a#12`), as Spark's expression ids; users' names live in [`Scope`] and come
//! back at the very end. So two columns may have one name, and nothing is ambiguous below.

pub(crate) mod aggregate;
pub(crate) mod calls;
pub(crate) mod compare;
pub(crate) mod expr;
pub(crate) mod from;
pub(crate) mod generate;
pub(crate) mod group;
pub(crate) mod higher;
pub(crate) mod insert;
pub(crate) mod join;
pub(crate) mod lambda;
pub(crate) mod literal;
pub(crate) mod names;
pub(crate) mod query;
pub(crate) mod reshape;
pub(crate) mod select;
pub(crate) mod sql_type;
pub(crate) mod time_window;
pub(crate) mod window;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use crannog_lake::model::interval::Span;
use datafusion::catalog::TableProvider;
use datafusion::common::{Column, ScalarValue, TableReference};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::sql::sqlparser::ast;

use crate::spark::casts::{self, Mode};
use crate::spark::error::{Result, spark_hint};
use crate::spark::types;
use crate::spark::zone::Zone;
use crate::spark::{interval, kernel};

/// What a statement knows of its session.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) catalog: String,
    pub(crate) schema: String,
    pub(crate) zone: Zone,
    pub(crate) zone_name: String,
    pub(crate) user: String,
    pub(crate) groups: Vec<String>,
    /// Microseconds since 1970.
    pub(crate) now: i64,
}

/// What a name stands for, ready to be planned.
pub(crate) enum Source {
    Provider(Arc<dyn TableProvider>),
    View(Box<View>),
}

/// A view, with its own names.
pub(crate) struct View {
    pub(crate) query: ast::Query,
    pub(crate) columns: Option<Vec<String>>,
    pub(crate) catalog: String,
    pub(crate) schema: String,
    pub(crate) sources: Sources,
}

pub(crate) type Sources = HashMap<Vec<String>, Source>;

/// An expression with its type and Spark's name for it.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    pub(crate) expr: Expr,
    pub(crate) ty: DataType,
    pub(crate) name: String,
    /// An interval's units, where they are not all of its kind.
    span: Option<Span>,
}

impl Bound {
    pub(crate) fn new(expr: Expr, ty: DataType, name: impl Into<String>) -> Self {
        Bound { expr, ty, name: name.into(), span: None }
    }

    pub(crate) fn literal(value: ScalarValue, name: impl Into<String>) -> Self {
        let ty = value.data_type();
        Bound { expr: Expr::Literal(value, None), ty, name: name.into(), span: None }
    }

    /// A column that a name means.
    pub(crate) fn column(column: &ScopeColumn) -> Self {
        let expr = Expr::Column(column.column.clone());
        Bound { expr, ty: column.ty.clone(), name: column.name.clone(), span: column.span }
    }

    /// With these units.
    pub(crate) fn spanned(mut self, span: Option<Span>) -> Self {
        self.span = span;
        self
    }

    /// With these units, if it has none of its own.
    pub(crate) fn or_spanned(mut self, span: Option<Span>) -> Self {
        self.span = self.span.or(span);
        self
    }

    /// An interval's units; `None` for all else.
    pub(crate) fn span(&self) -> Option<Span> {
        let all = Span::of_type(&self.ty)?;
        Some(self.span.unwrap_or(all))
    }

    /// Spark's `simpleString` of its type.
    pub(crate) fn type_text(&self) -> String {
        self.span().map_or_else(|| types::text(&self.ty), |span| format!("interval {span}"))
    }

    pub(crate) fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    pub(crate) fn as_literal(&self) -> Option<&ScalarValue> {
        match &self.expr {
            Expr::Literal(value, _) => Some(value),
            _ => None,
        }
    }

    /// The text of a string literal.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self.as_literal() {
            Some(ScalarValue::Utf8(Some(text))) => Some(text),
            _ => None,
        }
    }

    /// The value of a literal whole number.
    pub(crate) fn as_integer(&self) -> Option<i64> {
        match self.as_literal()? {
            ScalarValue::Int8(Some(value)) => Some(i64::from(*value)),
            ScalarValue::Int16(Some(value)) => Some(i64::from(*value)),
            ScalarValue::Int32(Some(value)) => Some(i64::from(*value)),
            ScalarValue::Int64(Some(value)) => Some(*value),
            _ => None,
        }
    }
}

/// A column that a name can mean.
#[derive(Clone, Debug)]
pub(crate) struct ScopeColumn {
    /// `["main", "flights", "planes"]` or `["p"]`, folded.
    pub(crate) qualifier: Vec<String>,
    pub(crate) name: String,
    pub(crate) column: Column,
    pub(crate) ty: DataType,
    /// An interval's units, where they are not all of its kind.
    pub(crate) span: Option<Span>,
    /// Not in `*`: the losing side of USING, which only its qualifier reaches, and `_metadata`.
    pub(crate) hidden: bool,
}

/// A planned relation and the names of its columns.
#[derive(Clone)]
pub(crate) struct Rel {
    pub(crate) plan: LogicalPlan,
    pub(crate) columns: Vec<ScopeColumn>,
}

/// The names around an expression.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) columns: &'a [ScopeColumn],
    pub(crate) outer: Option<&'a Scope<'a>>,
}

/// The relations around a query.
#[derive(Clone)]
pub(crate) struct Env<'a> {
    pub(crate) sources: &'a Sources,
    pub(crate) catalog: &'a str,
    pub(crate) schema: &'a str,
    pub(crate) ctes: HashMap<String, Arc<Rel>>,
    /// A view's columns are its own business: a query's outer scope ends there.
    pub(crate) depth: usize,
}

/// One binding of one statement.
pub(crate) struct Binder {
    pub(crate) facts: Facts,
    next: Cell<usize>,
    /// For each relation, the alias of its scans: column reads are counted by it.
    pub(crate) scans: RefCell<Vec<(String, Vec<String>)>>,
    pub(crate) state: Arc<SessionState>,
}

impl Binder {
    pub(crate) fn new(facts: Facts, state: Arc<SessionState>) -> Self {
        Binder { facts, next: Cell::new(0), scans: RefCell::default(), state }
    }

    pub(crate) fn fresh(&self) -> usize {
        let id = self.next.get();
        self.next.set(id + 1);
        id
    }

    /// A column name that nothing else in the plan has.
    pub(crate) fn column_name(&self, name: &str) -> String {
        format!("{name}#{}", self.fresh())
    }

    /// A relation name that nothing else in the plan has.
    pub(crate) fn relation_name(&self, name: &str) -> String {
        format!("{name}#{}", self.fresh())
    }

    pub(crate) fn zone(&self) -> Zone {
        self.facts.zone
    }

    /// The cast that the user wrote, or that Spark inserts: no check whether Spark would insert it.
    pub(crate) fn cast(&self, bound: Bound, to: &DataType) -> Result<Bound> {
        self.cast_mode(bound, to, Mode::Ansi)
    }

    pub(crate) fn cast_mode(&self, bound: Bound, to: &DataType, mode: Mode) -> Result<Bound> {
        if bound.ty == *to {
            return Ok(bound);
        }
        let name = bound.name.clone();
        if let Some(value) = bound.as_literal()
            && (value.is_null() || bound.ty == DataType::Null)
        {
            return Ok(Bound::literal(ScalarValue::try_from(to)?, name));
        }
        if let Some(span) = Span::of_type(to) {
            return interval::cast_to(self, bound, span, mode);
        }
        if let Some(span) = bound.span() {
            return interval::cast_from(self, bound, span, to, mode);
        }
        if !casts::allowed(&bound.ty, to) {
            return Err(casts::refusal(&bound.ty, to));
        }
        if casts::is_widening(&bound.ty, to) {
            if let Some(value) = bound.as_literal() {
                return Ok(Bound::literal(value.cast_to(to)?, name));
            }
            let expr = Expr::Cast(datafusion::logical_expr::Cast::new(Box::new(bound.expr), to.clone()));
            return Ok(Bound::new(expr, to.clone(), name));
        }
        let (zone, target) = (self.zone(), to.clone());
        // A time of day alone is one of today.
        let timed = bound.ty == DataType::Utf8 && *to == types::timestamp();
        let today = timed.then(|| zone.to_local(self.facts.now).div_euclid(86_400_000_000));
        let label = if mode == Mode::Try { "try_cast" } else { "cast" };
        let key = format!("{mode:?} {:?} {zone:?} {today:?}", bound.ty);
        let total = mode == Mode::Try || casts::is_total(&bound.ty, to);
        let expr = kernel::cast(total, label, key, to.clone(), bound.expr, move |column| match today {
            Some(today) => casts::cast(&casts::dated(column, today), &target, &zone, mode),
            None => casts::cast(column, &target, &zone, mode),
        });
        Ok(Bound::new(expr, to.clone(), name))
    }

    /// The cast of an argument to the type that a function wants.
    ///
    /// # Errors
    /// `DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE` where ANSI mode does not cast by itself.
    pub(crate) fn implicit(&self, bound: Bound, to: &DataType, call: &str) -> Result<Bound> {
        if types::implicitly_castable(&bound.ty, to) {
            return self.cast(bound, to);
        }
        Err(unexpected_type(call, &bound, &types::sql(to)))
    }

    /// The common type of several expressions, for `coalesce`, `CASE`, `IN` …
    pub(crate) fn unify(&self, items: Vec<Bound>, what: &str) -> Result<(Vec<Bound>, DataType)> {
        let ty = types::common_of(items.iter().map(|item| &item.ty)).ok_or_else(|| {
            let found: Vec<String> = items.iter().map(|item| format!("\"{}\"", types::sql(&item.ty))).collect();
            spark_hint(
                "DATATYPE_MISMATCH.DATA_DIFF_TYPES",
                format!("the input of {what} should all be of one type, but it is [{}]", found.join(", ")),
                "cast them to one type",
            )
        })?;
        let items = items.into_iter().map(|item| self.cast(item, &ty)).collect::<Result<Vec<_>>>()?;
        Ok((items, ty))
    }
}

/// The units of the intervals among these, if it is they that make a value of this type.
pub(crate) fn span_of<'b>(items: impl IntoIterator<Item = &'b Bound>, ty: &DataType) -> Option<Span> {
    items.into_iter().filter(|item| item.ty == *ty).filter_map(Bound::span).reduce(Span::union)
}

/// `DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE`.
pub(crate) fn unexpected_type(call: &str, found: &Bound, wanted: &str) -> datafusion::error::DataFusionError {
    spark_hint(
        "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE",
        format!(
            "cannot resolve \"{call}\": \"{}\" has the type \"{}\" where \"{wanted}\" is required",
            found.name,
            types::sql(&found.ty)
        ),
        "cast it",
    )
}

/// A field for a schema.
pub(crate) fn field(name: &str, ty: &DataType) -> Field {
    Field::new(name, ty.clone(), true)
}

/// A column without a relation.
pub(crate) fn plain(name: impl Into<String>) -> Column {
    Column::new(None::<TableReference>, name)
}
