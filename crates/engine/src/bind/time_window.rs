//! `window(time, length[, slide[, start]])`: the stretches of time that a row falls into.
//!
//! As in Spark, the call in GROUP BY or in the list makes a column `window` of its own below the rest of the SELECT: a row is
//! repeated for every window that it is in, which is one unless windows slide, and a row without a time is in none. Lengths are
//! literals; windows are counted from 1970-01-01 UTC, moved by `start`.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, ListArray, StructArray, TimestampMicrosecondArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use datafusion::sql::sqlparser::ast::{self, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, SelectItem};

use super::expr::Cx;
use super::{Binder, Bound, Env, Rel, Scope, ScopeColumn, unexpected_type};
use crate::spark::error::{Result, spark, spark_hint, unsupported};
use crate::spark::{interval, kernel, types};

/// The function, and the column that it makes.
pub(super) const NAME: &str = "window";

/// More windows than these a row is not repeated for.
const MOST: i64 = 10_000;

/// Whether a column was made by a call here, and belongs to no table.
pub(super) fn is_made(column: &ScopeColumn) -> bool {
    matches!(column.qualifier.as_slice(), [call] if call.starts_with("window("))
}

fn text_of(function: &ast::Function) -> String {
    function.to_string().to_lowercase()
}

impl Binder {
    /// The relation with the column that the SELECT's calls of `window` make, if there are any.
    pub(super) fn time_windows(
        &self,
        rel: Rel,
        select: &ast::Select,
        env: &Env<'_>,
        outer: Option<&Scope<'_>>,
    ) -> Result<Rel> {
        let listed = select.projection.iter().filter_map(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
            _ => None,
        });
        let grouped: &[ast::Expr] = match &select.group_by {
            GroupByExpr::Expressions(exprs, _) => exprs,
            GroupByExpr::All(_) => &[],
        };
        let mut calls: Vec<&ast::Function> = Vec::new();
        for expr in listed.chain(grouped) {
            // `window(…).start` is as good.
            let expr = match expr {
                ast::Expr::CompoundFieldAccess { root, .. } => root.as_ref(),
                expr => expr,
            };
            if let ast::Expr::Function(call) = expr
                && call.over.is_none()
                && call.name.to_string().eq_ignore_ascii_case(NAME)
                && !calls.iter().any(|known| text_of(known) == text_of(call))
            {
                calls.push(call);
            }
        }
        let call = match calls.as_slice() {
            [] => return Ok(rel),
            [call] => *call,
            _ => return Err(unsupported("several different time windows in one SELECT")),
        };
        let scope = Scope { columns: &rel.columns, outer };
        let windows = self.windows_of(call, &Cx::new(scope, env, "SELECT"))?;
        let (mut rel, _) = self.generate(rel, "explode", vec![windows])?;
        if let Some(made) = rel.columns.last_mut() {
            made.name = NAME.to_owned();
            made.qualifier = vec![text_of(call)];
        }
        Ok(rel)
    }

    /// The column that a call made.
    pub(super) fn time_window(&self, call: &ast::Function, cx: &Cx<'_>) -> Result<Bound> {
        let text = text_of(call);
        let made = cx.scope.columns.iter().find(|column| is_made(column) && column.qualifier[0] == text);
        made.map(Bound::column).ok_or_else(|| unsupported("a time window outside GROUP BY and the SELECT list"))
    }

    /// The list of windows that a row is in.
    fn windows_of(&self, call: &ast::Function, cx: &Cx<'_>) -> Result<Bound> {
        let FunctionArguments::List(list) = &call.args else { return Err(unsupported(call)) };
        super::calls::arity(NAME, list.args.len(), 2, 4)?;
        let mut args = Vec::new();
        for arg in &list.args {
            match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => args.push(self.expr(expr, cx)?),
                other => return Err(unsupported(format!("the argument {other} of {NAME}"))),
            }
        }
        let mut args = args.into_iter();
        let Some(time) = args.next() else { return Err(unsupported(call)) };
        let time = match time.ty {
            DataType::Timestamp(..) => time,
            DataType::Date32 | DataType::Utf8 | DataType::Null => self.cast(time, &types::timestamp())?,
            _ => return Err(unexpected_type(NAME, &time, "TIMESTAMP or TIMESTAMP_NTZ")),
        };
        let lengths = args.map(|arg| length(&arg)).collect::<Result<Vec<_>>>()?;
        let size = lengths.first().copied().unwrap_or_default();
        let slide = lengths.get(1).copied().unwrap_or(size);
        let start = lengths.get(2).copied().unwrap_or_default();
        if size <= 0 || slide <= 0 || slide > size || start.abs() >= slide {
            return Err(spark_hint(
                "DATATYPE_MISMATCH.PARAMETER_CONSTRAINT_VIOLATION",
                format!("cannot resolve \"{call}\": these lengths make no windows"),
                "the length is positive, the slide positive and no longer than it, the start less than the slide",
            ));
        }
        if size / slide > MOST {
            return Err(spark_hint(
                "STATEMENT_TOO_COMPLEX",
                format!("each row would be in more than {MOST} windows"),
                "let them slide further",
            ));
        }
        let row = types::struct_of([("start", time.ty.clone()), ("end", time.ty.clone())]);
        let (ty, moment) = (types::list_of(row.clone()), time.ty.clone());
        let key = format!("{size} {slide} {start}");
        let expr = kernel::pure("windows", key, ty.clone(), vec![time.expr], move |columns, _| {
            let times = columns[0].as_primitive::<TimestampMicrosecondType>();
            let (mut starts, mut ends, mut lengths) = (Vec::new(), Vec::new(), Vec::with_capacity(times.len()));
            for time in times {
                let before = starts.len();
                if let Some(time) = time {
                    // The last window that begins at this time or before it.
                    let mut from = time.checked_sub((time.wrapping_sub(start)).rem_euclid(slide)).ok_or_else(far)?;
                    while from.checked_add(size).ok_or_else(far)? > time {
                        starts.push(from);
                        ends.push(from + size);
                        from = from.checked_sub(slide).ok_or_else(far)?;
                    }
                }
                lengths.push(starts.len() - before);
            }
            let of = |values: Vec<i64>| -> ArrayRef {
                Arc::new(TimestampMicrosecondArray::from(values).with_data_type(moment.clone()))
            };
            let DataType::Struct(fields) = &row else { return Err(unsupported("this window")) };
            let rows = StructArray::try_new(fields.clone(), vec![of(starts), of(ends)], None)?;
            let element = Arc::new(arrow::datatypes::Field::new("element", row.clone(), true));
            Ok(Arc::new(ListArray::try_new(element, OffsetBuffer::from_lengths(lengths), Arc::new(rows), None)?))
        });
        Ok(Bound::new(expr, ty, NAME))
    }
}

fn far() -> datafusion::error::DataFusionError {
    spark("DATETIME_OVERFLOW", "a window lies beyond the last moment")
}

/// Microseconds of a literal such as `'10 minutes'`.
fn length(arg: &Bound) -> Result<i64> {
    let text = arg.as_text().ok_or_else(|| {
        spark_hint(
            "DATATYPE_MISMATCH.NON_FOLDABLE_INPUT",
            format!("the length \"{}\" of a window is no literal", arg.name),
            "write a text such as '10 minutes'",
        )
    })?;
    match interval::words(text) {
        Some((micros, span)) if !span.is_months() => Ok(micros),
        _ => Err(spark_hint(
            "CANNOT_PARSE_INTERVAL",
            format!("'{text}' is no length of a window"),
            "write weeks, days, hours or less, such as '10 minutes'; months differ in length",
        )),
    }
}
