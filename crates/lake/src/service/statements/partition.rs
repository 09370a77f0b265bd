//! `PARTITION (p = value, q)` of INSERT: the rows come without the columns that have a value there.
//!
//! The value becomes a column of the query, so that the engine casts and checks it like any other. With OVERWRITE it says
//! which partitions are replaced: those that have it, and no other.

use std::collections::BTreeMap;

use crannog_types::{Problem, Result};
use sqlparser::ast::{Expr, Query, SetExpr, TableFactor, UnaryOperator, Value, ValueWithSpan};

use crate::grammar;
use crate::grammar::quote_if_needed;
use crate::model::schema::DataType;
use crate::model::state::TableState;
use crate::model::values::Scalar;
use crate::ports::InsertInto;

/// A partition column with its value.
pub(super) struct Fixed {
    column: String,
    data_type: DataType,
    /// The value's text; `None` for NULL.
    text: Option<String>,
    value: Option<Scalar>,
}

/// The columns that were given a value, spelled as the table spells them.
///
/// # Errors
/// A column that the table is not partitioned by, or a value that is no constant of its type.
pub(super) fn fixed(state: &TableState, partition: Vec<(String, Option<Expr>)>) -> Result<Vec<Fixed>> {
    let mut found: Vec<Fixed> = Vec::new();
    for (name, value) in partition {
        let partitioned = state.metadata.partition_columns.iter().find(|column| column.eq_ignore_ascii_case(&name));
        let field = partitioned.and_then(|column| state.schema.fields.iter().find(|field| field.name == *column));
        let Some(field) = field else {
            return Err(Problem::invalid(format!("the table is not partitioned by {name}"))
                .reason("NON_PARTITION_COLUMN")
                .sql_state("42000")
                .hint(match state.metadata.partition_columns.as_slice() {
                    [] => "it is not partitioned: leave PARTITION out".to_owned(),
                    columns => format!("it is partitioned by {}", columns.join(", ")),
                }));
        };
        // Without a value the column is the query's, as without PARTITION.
        let Some(value) = value else { continue };
        if found.iter().any(|other| other.column == field.name) {
            return Err(Problem::invalid(format!("{name} has two values")).sql_state("42601"));
        }
        let text = text_of(&value).ok_or_else(|| {
            Problem::invalid(format!("the value {value} of {name} is not a constant"))
                .sql_state("42601")
                .hint("write a text, a number, a boolean or NULL")
        })?;
        let parsed = text.as_deref().map(|text| Scalar::parse(text, &field.data_type)).transpose()?;
        found.push(Fixed { column: field.name.clone(), data_type: field.data_type.clone(), text, value: parsed });
    }
    Ok(found)
}

/// The text of a constant as a partition value is written.
#[expect(clippy::option_option, reason = "no constant, NULL, or a text: three things")]
fn text_of(value: &Expr) -> Option<Option<String>> {
    match value {
        Expr::Value(ValueWithSpan { value, .. }) => match value {
            Value::Null => Some(None),
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => Some(Some(text.clone())),
            Value::Number(..) | Value::Boolean(_) => Some(Some(value.to_string())),
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => Some(Some(format!("-{}", text_of(expr)??))),
        Expr::TypedString(typed) => text_of(&Expr::Value(typed.value.clone())),
        Expr::Cast { expr, .. } => text_of(expr),
        _ => None,
    }
}

/// The query with the values as further columns, and the columns that it then gives.
pub(super) fn with_values(source: Query, into: &mut InsertInto, fixed: &[Fixed]) -> Result<Query> {
    if fixed.is_empty() {
        return Ok(source);
    }
    let is_fixed = |name: &str| fixed.iter().any(|fixed| fixed.column.eq_ignore_ascii_case(name));
    if !into.by_name {
        let given = into.columns.take().unwrap_or_else(|| {
            let names = into.schema.fields.iter().map(|field| field.name.clone());
            names.filter(|name| !is_fixed(name)).collect()
        });
        if let Some(twice) = given.iter().find(|name| is_fixed(name)) {
            return Err(Problem::invalid(format!("{twice} has a value in PARTITION and one in the list of columns"))
                .sql_state("42601"));
        }
        into.columns = Some(given.into_iter().chain(fixed.iter().map(|fixed| fixed.column.clone())).collect());
    }
    let values = fixed.iter().map(|fixed| {
        let text = fixed.text.as_ref().map_or_else(|| "NULL".to_owned(), |text| literal(text));
        format!(", CAST({text} AS {}) AS {}", fixed.data_type.to_type_text(), quote_if_needed(&fixed.column))
    });
    let text = format!("SELECT *{} FROM (SELECT 1) AS the_rows", values.collect::<String>());
    let mut query = *grammar::parse_query(&text)?;
    let derived = match query.body.as_mut() {
        SetExpr::Select(select) => select.from.first_mut().map(|from| &mut from.relation),
        _ => None,
    };
    match derived {
        Some(TableFactor::Derived { subquery, .. }) => **subquery = source,
        _ => return Err(Problem::internal("PARTITION cannot be put into the query", "it was read as something else")),
    }
    Ok(query)
}

/// Whether a file's partition has these values.
pub(super) fn has(values: &BTreeMap<String, Option<String>>, fixed: &[Fixed]) -> Result<bool> {
    for Fixed { column, data_type, value, .. } in fixed {
        let of_file = values.get(column).cloned().flatten().filter(|text| !text.is_empty());
        let of_file = of_file.map(|text| Scalar::parse(&text, data_type)).transpose()?;
        if of_file != *value {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What is replaced, as SQL: for the table's history.
pub(super) fn predicate(fixed: &[Fixed]) -> String {
    let one = |fixed: &Fixed| match &fixed.text {
        Some(text) => format!("{} = {}", quote_if_needed(&fixed.column), literal(text)),
        None => format!("{} IS NULL", quote_if_needed(&fixed.column)),
    };
    fixed.iter().map(one).collect::<Vec<_>>().join(" AND ")
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
