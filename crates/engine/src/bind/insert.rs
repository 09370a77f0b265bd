//! The rows of an INSERT: matched to the table's columns and cast by Spark's store assignment (ANSI).
//!
//! A cast that could lose meaning (STRING to INT) is refused while planning; one that may overflow (BIGINT to INT) is
//! checked row by row; NOT NULL is checked row by row.

use std::sync::Arc;

use arrow::datatypes::DataType;
use crannog_lake::ports::InsertInto;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;

use super::from::column_of;
use super::{Binder, Bound, Rel};
use crate::spark::casts::{self, Mode};
use crate::spark::error::{Result, find, spark, spark_hint};
use crate::spark::{kernel, types};

/// `Cast.canANSIStoreAssign`.
fn storable(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    if from == to {
        return true;
    }
    match (from, to) {
        (T::Null, _) => true,
        (from, to) if types::is_numeric(from) && types::is_numeric(to) => true,
        (from, T::Utf8) => types::is_atomic(from),
        (from, to) if types::is_datetime(from) && types::is_datetime(to) => true,
        (T::List(a), T::List(b)) => storable(a.data_type(), b.data_type()),
        (T::Map(a, _), T::Map(b, _)) => match (types::map_fields(a), types::map_fields(b)) {
            (Some((ak, av)), Some((bk, bv))) => {
                storable(ak.data_type(), bk.data_type()) && storable(av.data_type(), bv.data_type())
            }
            _ => false,
        },
        (T::Struct(a), T::Struct(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| storable(a.data_type(), b.data_type()))
        }
        _ => false,
    }
}

impl Binder {
    /// Projects a query to exactly the table's columns, in the table's order.
    pub(crate) fn insert(&self, rel: Rel, into: &InsertInto) -> Result<Rel> {
        let visible: Vec<Bound> = rel.columns.iter().filter(|column| !column.hidden).map(column_of).collect();
        let fields = &into.schema.fields;
        let target = |name: &str| {
            fields.iter().position(|field| field.name.to_lowercase() == name.to_lowercase()).ok_or_else(|| {
                let known: Vec<String> = fields.iter().map(|field| format!("`{}`", field.name)).collect();
                spark_hint(
                    "UNRESOLVED_COLUMN.WITH_SUGGESTION",
                    format!("the table {} has no column `{name}`", into.table),
                    format!("its columns are {}", known.join(", ")),
                )
            })
        };
        let mut values: Vec<Option<Bound>> = fields.iter().map(|_| None).collect();
        let mut give = |at: usize, value: Bound| -> Result<()> {
            if values[at].is_some() {
                return Err(spark("COLUMN_ALREADY_EXISTS", format!("the column `{}` is given twice", fields[at].name)));
            }
            values[at] = Some(value);
            Ok(())
        };
        let arity = |wanted: usize| {
            let (condition, which) = if visible.len() > wanted {
                ("INSERT_COLUMN_ARITY_MISMATCH.TOO_MANY_DATA_COLUMNS", "too many")
            } else {
                ("INSERT_COLUMN_ARITY_MISMATCH.NOT_ENOUGH_DATA_COLUMNS", "not enough")
            };
            spark_hint(
                condition,
                format!(
                    "cannot write to {}: {which} data columns, {} are given where {wanted} are needed",
                    into.table,
                    visible.len()
                ),
                "list the columns that you give behind the table's name",
            )
        };
        if into.by_name {
            for value in &visible {
                give(target(&value.name)?, value.clone())?;
            }
        } else if let Some(columns) = &into.columns {
            if columns.len() != visible.len() {
                return Err(arity(columns.len()));
            }
            for (name, value) in columns.iter().zip(&visible) {
                give(target(name)?, value.clone())?;
            }
        } else {
            if fields.len() != visible.len() {
                return Err(arity(fields.len()));
            }
            for (at, value) in visible.iter().enumerate() {
                give(at, value.clone())?;
            }
        }
        let mut out = Vec::new();
        for (field, value) in fields.iter().zip(values) {
            let ty = types::normal(&field.data_type.to_arrow());
            let value = value.unwrap_or_else(|| Bound::literal(ScalarValue::Null, field.name.clone()));
            let mut value = self.store(value, &ty, &field.name, &into.table)?;
            if !field.nullable {
                value = present(value, &field.name);
            }
            out.push(value.named(field.name.clone()));
        }
        self.project_to(rel, out)
    }

    fn store(&self, value: Bound, to: &DataType, column: &str, table: &str) -> Result<Bound> {
        if value.ty == *to {
            return Ok(value);
        }
        if !storable(&value.ty, to) {
            return Err(spark_hint(
                "INCOMPATIBLE_DATA_FOR_TABLE.CANNOT_SAFELY_CAST",
                format!(
                    "cannot write incompatible data for the table {table}: cannot safely cast `{column}` \"{}\" to \"{}\"",
                    types::sql(&value.ty),
                    types::sql(to)
                ),
                "cast it in the query",
            ));
        }
        if casts::is_widening(&value.ty, to) || value.ty == DataType::Null {
            return self.cast(value, to);
        }
        let (zone, target, from) = (self.zone(), to.clone(), value.ty.clone());
        let shown = column.to_owned();
        let key = format!("{zone:?} {column} {from}");
        let name = value.name.clone();
        let expr = kernel::pure("store", key, to.clone(), vec![value.expr], move |columns, _| {
            casts::cast(&columns[0], &target, &zone, Mode::Ansi).map_err(|error| match find(&error) {
                Some(found) if found.condition.starts_with("CAST_OVERFLOW") || found.condition.starts_with("NUMERIC_VALUE") => spark_hint(
                    "CAST_OVERFLOW_IN_TABLE_INSERT",
                    format!(
                        "fail to assign a value of \"{}\" type to the \"{}\" type column `{shown}` due to an overflow",
                        types::sql(&from),
                        types::sql(&target)
                    ),
                    "use try_cast to store NULL instead",
                ),
                _ => error,
            })
        });
        Ok(Bound::new(expr, to.clone(), name))
    }
}

/// The value, or an error where it is NULL.
fn present(value: Bound, column: &str) -> Bound {
    let Bound { expr, ty, name, span } = value;
    let column = column.to_owned();
    let out = ty.clone();
    let expr: Expr = kernel::volatile("not_null", column.clone(), ty.clone(), vec![expr], move |columns, _| {
        if columns[0].logical_null_count() > 0 {
            return Err(spark_hint(
                "DELTA_NOT_NULL_CONSTRAINT_VIOLATED",
                format!("NOT NULL constraint violated for column: {column}"),
                "give a value, or leave such rows out",
            ));
        }
        debug_assert_eq!(*columns[0].data_type(), out);
        Ok(Arc::clone(&columns[0]))
    });
    Bound { expr, ty, name, span }
}
