//! Conditions, NULLs, arithmetic by name, the session's facts.

use std::sync::Arc;

use arrow::array::{Array, BooleanArray, StringArray};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, Operator};

use super::Call;
use crate::bind::expr::binary;
use crate::bind::from::coalesce;
use crate::bind::{Binder, Bound, unexpected_type};
use crate::spark::arithmetic::{Op, operate};
use crate::spark::casts::Mode;
use crate::spark::error::{Result, spark};
use crate::spark::{kernel, types};

fn take<const N: usize>(call: &mut Call<'_>) -> Result<[Bound; N]> {
    call.arity(N, N)?;
    let found = call.args.len();
    <[Bound; N]>::try_from(std::mem::take(&mut call.args))
        .map_err(|_| crate::bind::calls::wrong_count(call.name, found, &N.to_string()))
}

/// Binds the call if it is one of these functions.
pub(crate) fn call(binder: &Binder, call: &mut Call<'_>) -> Result<Option<Bound>> {
    let text = call.text();
    let name = call.name;
    let bound = match name {
        "if" => {
            let [condition, yes, no] = take(call)?;
            let text = format!("(IF({}, {}, {}))", condition.name, yes.name, no.name);
            let condition = binder.implicit(condition, &DataType::Boolean, "IF")?;
            return Ok(Some(binder.case_of(vec![condition], vec![yes, no])?.named(text)));
        }
        "coalesce" => {
            call.arity(1, usize::MAX)?;
            let (items, ty) = binder.unify(std::mem::take(&mut call.args), "coalesce")?;
            Bound::new(coalesce(items.into_iter().map(|item| item.expr).collect()), ty, "")
        }
        "ifnull" | "nvl" => {
            let [a, b] = take(call)?;
            let (items, ty) = binder.unify(vec![a, b], name)?;
            Bound::new(coalesce(items.into_iter().map(|item| item.expr).collect()), ty, "")
        }
        "nvl2" => {
            let [a, b, c] = take(call)?;
            let present = Bound::new(Expr::IsNotNull(Box::new(a.expr)), DataType::Boolean, "");
            binder.case_of(vec![present], vec![b, c])?
        }
        "nullif" => {
            let [a, b] = take(call)?;
            let same = binder.compare(Operator::Eq, a.clone(), b)?;
            let ty = a.ty.clone();
            let null = Bound::literal(ScalarValue::Null, "NULL");
            if ty == DataType::Null { a } else { binder.case_of(vec![same], vec![null, a])? }
        }
        "zeroifnull" => {
            let [a] = take(call)?;
            let zero = Bound::literal(ScalarValue::Int32(Some(0)), "0");
            let (items, ty) = binder.unify(vec![a, zero], name)?;
            Bound::new(coalesce(items.into_iter().map(|item| item.expr).collect()), ty, "")
        }
        "nullifzero" => {
            let [a] = take(call)?;
            let zero = Bound::literal(ScalarValue::Int32(Some(0)), "0");
            let same = binder.compare(Operator::Eq, a.clone(), zero)?;
            binder.case_of(vec![same], vec![Bound::literal(ScalarValue::Null, "NULL"), a])?
        }
        "isnull" => {
            let [a] = take(call)?;
            let shown = format!("({} IS NULL)", a.name);
            return Ok(Some(Bound::new(Expr::IsNull(Box::new(a.expr)), DataType::Boolean, shown)));
        }
        "isnotnull" => {
            let [a] = take(call)?;
            let shown = format!("({} IS NOT NULL)", a.name);
            return Ok(Some(Bound::new(Expr::IsNotNull(Box::new(a.expr)), DataType::Boolean, shown)));
        }
        "equal_null" => {
            let [a, b] = take(call)?;
            binder.compare(Operator::IsNotDistinctFrom, a, b)?
        }
        "isnan" => {
            let [a] = take(call)?;
            let a = binder.implicit(a, &DataType::Float64, &text)?;
            let nan = Expr::Literal(ScalarValue::Float64(Some(f64::NAN)), None);
            Bound::new(binary(a.expr, Operator::IsNotDistinctFrom, nan), DataType::Boolean, "")
        }
        "nanvl" => {
            let [a, b] = take(call)?;
            let ty = if a.ty == DataType::Float32 && b.ty == DataType::Float32 {
                DataType::Float32
            } else {
                DataType::Float64
            };
            let (a, b) = (binder.implicit(a, &ty, &text)?, binder.implicit(b, &ty, &text)?);
            let nan = if ty == DataType::Float32 {
                ScalarValue::Float32(Some(f32::NAN))
            } else {
                ScalarValue::Float64(Some(f64::NAN))
            };
            let is_nan = Bound::new(
                binary(a.expr.clone(), Operator::IsNotDistinctFrom, Expr::Literal(nan, None)),
                DataType::Boolean,
                "",
            );
            binder.case_of(vec![is_nan], vec![b, a])?
        }
        "greatest" | "least" => {
            if call.args.len() < 2 {
                return Err(crate::bind::calls::wrong_count(name, call.args.len(), "> 1"));
            }
            let mixed = |ty: &DataType| *ty != DataType::Utf8 && *ty != DataType::Null;
            if call.args.iter().any(|arg| arg.ty == DataType::Utf8) && call.args.iter().any(|arg| mixed(&arg.ty)) {
                return Err(spark(
                    "DATATYPE_MISMATCH.DATA_DIFF_TYPES",
                    format!("the input of {name} should all be of one type: it takes no string for another type"),
                ));
            }
            let (items, ty) = binder.unify(std::mem::take(&mut call.args), name)?;
            extreme(items, ty, name == "greatest")?
        }
        "decode" if call.args.len() > 2 => {
            let mut args = std::mem::take(&mut call.args);
            let value = args.remove(0);
            let otherwise = if args.len() % 2 == 1 { args.pop() } else { None };
            let (mut whens, mut thens) = (Vec::new(), Vec::new());
            let mut args = args.into_iter();
            while let (Some(key), Some(then)) = (args.next(), args.next()) {
                whens.push(binder.compare(Operator::IsNotDistinctFrom, value.clone(), key)?);
                thens.push(then);
            }
            thens.extend(otherwise);
            binder.case_of(whens, thens)?
        }
        "typeof" => {
            let [a] = take(call)?;
            Bound::literal(ScalarValue::Utf8(Some(a.type_text())), "")
        }
        "assert_true" => {
            call.arity(1, 2)?;
            let condition = call.args[0].clone();
            let shown = condition.name.clone();
            let message = call.args.get(1).and_then(Bound::as_text).map(str::to_owned);
            let condition = binder.implicit(condition, &DataType::Boolean, &text)?;
            let text = message.unwrap_or_else(|| format!("'{shown}' is not true!"));
            let expr = kernel::volatile(
                "assert_true",
                text.clone(),
                DataType::Null,
                vec![condition.expr],
                move |columns, rows| {
                    let truth = arrow::array::AsArray::as_boolean(&columns[0]);
                    if (0..truth.len()).any(|row| truth.is_null(row) || !truth.value(row)) {
                        return Err(spark("USER_RAISED_EXCEPTION", text.clone()));
                    }
                    Ok(arrow::array::new_null_array(&DataType::Null, rows))
                },
            );
            let shown = format!("assert_true({shown}, '{shown}' is not true!)");
            return Ok(Some(Bound::new(expr, DataType::Null, shown)));
        }
        "raise_error" => {
            call.arity(1, 2)?;
            let message = binder.implicit(call.args[0].clone(), &DataType::Utf8, &text)?;
            let expr = kernel::volatile("raise_error", "", DataType::Null, vec![message.expr], |columns, rows| {
                let messages = arrow::array::AsArray::as_string::<i32>(&columns[0]);
                match messages.iter().next() {
                    Some(message) => Err(spark("USER_RAISED_EXCEPTION", message.unwrap_or("null").to_owned())),
                    None => Ok(arrow::array::new_null_array(&DataType::Null, rows)),
                }
            });
            Bound::new(expr, DataType::Null, "")
        }
        "mod" | "pmod" | "div" | "try_add" | "try_subtract" | "try_multiply" | "try_divide" | "try_mod" => {
            let [a, b] = take(call)?;
            let mode = if name.starts_with("try_") { Mode::Try } else { Mode::Ansi };
            let op = match name {
                "mod" | "try_mod" => Op::Modulo,
                "pmod" => Op::Pmod,
                "div" => Op::Div,
                "try_add" => Op::Add,
                "try_subtract" => Op::Subtract,
                "try_multiply" => Op::Multiply,
                _ => Op::Divide,
            };
            let bound = operate(binder, op, a, b, mode)?;
            return Ok(Some(if name == "div" { bound } else { bound.named(text) }));
        }
        "rlike" | "regexp" | "regexp_like" => {
            let [a, b] = take(call)?;
            let shown = if name == "regexp_like" { "REGEXP_LIKE" } else { "RLIKE" };
            return Ok(Some(super::like::rlike(binder, a, b, shown)?));
        }
        "like" | "ilike" => {
            let [a, b] = take(call)?;
            return Ok(Some(binder.like_of(a, b, '\\', name == "ilike")?));
        }
        "negative" => {
            let [a] = take(call)?;
            crate::spark::arithmetic::negate(binder, a)?
        }
        "positive" => {
            let [a] = take(call)?;
            let shown = format!("(+ {})", a.name);
            let a =
                if matches!(a.ty, DataType::Utf8 | DataType::Null) { binder.cast(a, &DataType::Float64)? } else { a };
            if !types::is_numeric(&a.ty) && !types::is_interval(&a.ty) {
                return Err(unexpected_type(&text, &a, "NUMERIC or INTERVAL"));
            }
            return Ok(Some(a.named(shown)));
        }
        "current_user" | "user" | "session_user" => {
            call.arity(0, 0)?;
            Bound::literal(ScalarValue::Utf8(Some(binder.facts.user.clone())), "")
        }
        "current_catalog" => Bound::literal(ScalarValue::Utf8(Some(binder.facts.catalog.clone())), ""),
        "current_schema" | "current_database" => {
            Bound::literal(ScalarValue::Utf8(Some(binder.facts.schema.clone())), "")
        }
        "current_timezone" => Bound::literal(ScalarValue::Utf8(Some(binder.facts.zone_name.clone())), ""),
        "now" | "current_timestamp" => {
            Bound::literal(ScalarValue::TimestampMicrosecond(Some(binder.facts.now), Some("UTC".into())), "")
        }
        "localtimestamp" => {
            Bound::literal(ScalarValue::TimestampMicrosecond(Some(binder.zone().to_local(binder.facts.now)), None), "")
        }
        "current_date" | "curdate" => {
            let days = binder.zone().to_local(binder.facts.now).div_euclid(86_400_000_000);
            return Ok(Some(Bound::literal(ScalarValue::Date32(i32::try_from(days).ok()), "current_date()")));
        }
        "version" => Bound::literal(ScalarValue::Utf8(Some("4.2.0".to_owned())), ""),
        "is_account_group_member" | "is_member" => {
            let [group] = take(call)?;
            let groups: Vec<String> = binder.facts.groups.iter().map(|group| group.to_lowercase()).collect();
            let group = binder.implicit(group, &DataType::Utf8, &text)?;
            let expr =
                kernel::pure(name, format!("{groups:?}"), DataType::Boolean, vec![group.expr], move |columns, _| {
                    let asked = arrow::array::AsArray::as_string::<i32>(&columns[0]);
                    let out: BooleanArray =
                        asked.iter().map(|asked| asked.map(|asked| groups.contains(&asked.to_lowercase()))).collect();
                    Ok(Arc::new(out))
                });
            Bound::new(expr, DataType::Boolean, "")
        }
        "uuid" => {
            call.arity(0, 0)?;
            let expr =
                kernel::volatile("uuid", format!("{}", binder.fresh()), DataType::Utf8, Vec::new(), |_, rows| {
                    let out: StringArray = (0..rows).map(|_| Some(uuid_text())).collect();
                    Ok(Arc::new(out))
                });
            Bound::new(expr, DataType::Utf8, "")
        }
        "int" | "integer" | "string" | "double" | "date" | "timestamp" | "boolean" | "bigint" | "decimal" | "float"
        | "binary" | "smallint" | "tinyint" => {
            let [a] = take(call)?;
            let ty = match name {
                "int" | "integer" => DataType::Int32,
                "string" => DataType::Utf8,
                "double" => DataType::Float64,
                "date" => DataType::Date32,
                "timestamp" => types::timestamp(),
                "boolean" => DataType::Boolean,
                "bigint" => DataType::Int64,
                "decimal" => DataType::Decimal128(10, 0),
                "float" => DataType::Float32,
                "binary" => DataType::Binary,
                "smallint" => DataType::Int16,
                _ => DataType::Int8,
            };
            let shown = a.name.clone();
            return Ok(Some(binder.explicit_cast(a, &ty, false)?.named(shown)));
        }
        _ => return Ok(None),
    };
    Ok(Some(bound.named(text)))
}

fn uuid_text() -> String {
    let mut bytes = [0_u8; 16];
    for chunk in bytes.chunks_mut(8) {
        // A fresh keyed hasher is the standard library's source of randomness.
        let random = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0_u8).to_le_bytes();
        chunk.copy_from_slice(&random);
    }
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let hex = hex.concat();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// `greatest` and `least`: NULLs do not take part, NaN is the largest.
fn extreme(items: Vec<Bound>, ty: DataType, greatest: bool) -> Result<Bound> {
    let key = format!("{greatest}");
    let name = if greatest { "greatest" } else { "least" };
    let expr =
        kernel::pure(name, key, ty.clone(), items.into_iter().map(|item| item.expr).collect(), move |columns, rows| {
            let mut places: Vec<(usize, usize)> = Vec::with_capacity(rows);
            let comparators = compare_all(columns)?;
            let nulls = columns.len();
            for row in 0..rows {
                let mut best: Option<usize> = None;
                for at in 0..columns.len() {
                    if columns[at].is_null(row) {
                        continue;
                    }
                    best = Some(match best {
                        None => at,
                        Some(before) => {
                            let order = comparators[before][at](row, row);
                            let better = if greatest { order.is_lt() } else { order.is_gt() };
                            if better { at } else { before }
                        }
                    });
                }
                places.push(best.map_or((nulls, 0), |at| (at, row)));
            }
            let empty = arrow::array::new_null_array(columns[0].data_type(), 1);
            let mut all: Vec<&dyn Array> = columns.iter().map(AsRef::as_ref).collect();
            all.push(empty.as_ref());
            Ok(arrow::compute::interleave(&all, &places)?)
        });
    Ok(Bound::new(expr, ty, ""))
}

fn compare_all(columns: &[arrow::array::ArrayRef]) -> Result<Vec<Vec<arrow::array::DynComparator>>> {
    columns
        .iter()
        .map(|left| {
            columns
                .iter()
                .map(|right| {
                    Ok(arrow::array::make_comparator(
                        left.as_ref(),
                        right.as_ref(),
                        arrow::compute::SortOptions::default(),
                    )?)
                })
                .collect()
        })
        .collect()
}
