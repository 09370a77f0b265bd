//! `+ - * / DIV %`, bits, and access to fields, with ANSI overflow.
//!
//! Integers and decimals run in kernels that fail on overflow; doubles run in DataFusion's own operators but for division.
//! Result types of decimals: Spark's `DecimalPrecision`. The sign of `%` is the dividend's.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, DurationMicrosecondArray, Float64Array, Int64Array,
    IntervalYearMonthArray, ListArray, PrimitiveArray,
};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, DurationMicrosecondType, Field, Float32Type, Float64Type,
    Int8Type, Int16Type, Int32Type, Int64Type, IntervalUnit, IntervalYearMonthType, TimestampMicrosecondType, i256,
};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, Operator};

use super::casts::{Mode, rescale};
use super::error::{Result, divide_by_zero, overflow, spark, spark_hint, unsupported};
use super::zone::{Zone, add_months};
use super::{kernel, parse, text, types};
use crate::bind::expr::binary;
use crate::bind::{Binder, Bound, unexpected_type};

/// What a function does with its arguments' columns.
type Compute = Box<dyn Fn(&[ArrayRef]) -> Result<ArrayRef> + Send + Sync>;

/// An arithmetic operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Op {
    Add,
    Subtract,
    Multiply,
    Divide,
    /// `DIV`.
    Div,
    Modulo,
    /// `pmod`.
    Pmod,
}

impl Op {
    fn sign(self) -> &'static str {
        match self {
            Op::Add => "+",
            Op::Subtract => "-",
            Op::Multiply => "*",
            Op::Divide => "/",
            Op::Div => "div",
            Op::Modulo => "%",
            Op::Pmod => "pmod",
        }
    }
}

/// A bitwise operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Bit {
    And,
    Or,
    Xor,
}

fn mismatch(name: &str, left: &DataType, right: &DataType) -> datafusion::error::DataFusionError {
    spark_hint(
        "DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES",
        format!(
            "cannot resolve \"{name}\": the operands have incompatible types (\"{}\" and \"{}\")",
            types::sql(left),
            types::sql(right)
        ),
        "cast one of them",
    )
}

fn wrong_type(name: &str, ty: &DataType) -> datafusion::error::DataFusionError {
    spark_hint(
        "DATATYPE_MISMATCH.BINARY_OP_WRONG_TYPE",
        format!("cannot resolve \"{name}\": the operator needs numbers or intervals, not \"{}\"", types::sql(ty)),
        "cast it",
    )
}

/// A literal whole number takes only as many decimal digits as it has.
fn decimal_type_of(value: &Bound) -> Option<(u8, i8)> {
    if types::is_integral(&value.ty)
        && let Some(number) = value.as_integer()
    {
        return u8::try_from(number.unsigned_abs().to_string().len()).ok().map(|digits| (digits, 0));
    }
    types::integral_as_decimal(&value.ty)
}

/// Binds `left op right`.
pub(crate) fn operate(binder: &Binder, op: Op, left: Bound, right: Bound, mode: Mode) -> Result<Bound> {
    let name = if op == Op::Pmod {
        format!("pmod({}, {})", left.name, right.name)
    } else {
        format!("({} {} {})", left.name, op.sign(), right.name)
    };
    if let Some(bound) = temporal(binder, op, &left, &right, &name, mode)? {
        let interval = |ty: &DataType| types::is_interval(ty);
        let days = |ty: &DataType| types::is_integral(ty) || *ty == DataType::Null;
        let name = match (&left.ty, &right.ty) {
            (DataType::Date32, r) if days(r) => {
                format!("date_{}({}, {})", if op == Op::Add { "add" } else { "sub" }, left.name, right.name)
            }
            (l, DataType::Date32) if days(l) => format!("date_add({}, {})", right.name, left.name),
            (DataType::Date32, r)
                if interval(r) && bound.ty == DataType::Date32 && matches!(r, DataType::Duration(_)) =>
            {
                format!(
                    "date_{}({}, extractansiintervaldays({}))",
                    if op == Op::Add { "add" } else { "sub" },
                    left.name,
                    right.name
                )
            }
            (l, r) if types::is_datetime(l) && interval(r) => format!("{} {} {}", left.name, op.sign(), right.name),
            (l, r) if interval(l) && types::is_datetime(r) => format!("{} {} {}", right.name, op.sign(), left.name),
            _ => name,
        };
        return Ok(bound.named(name));
    }
    // Strings become numbers beside numbers; two strings become doubles.
    let (left, right) = match (&left.ty, &right.ty) {
        (DataType::Utf8, DataType::Utf8) if op != Op::Div => return Err(wrong_type(&name, &left.ty)),
        (DataType::Utf8, DataType::Utf8) => {
            let to = if op == Op::Div { DataType::Int64 } else { DataType::Float64 };
            (binder.cast(left, &to)?, binder.cast(right, &to)?)
        }
        (DataType::Utf8, other) if types::is_numeric(other) || *other == DataType::Null => {
            let to = if types::is_integral(other) { DataType::Int64 } else { DataType::Float64 };
            (binder.cast(left, &to)?, right)
        }
        (other, DataType::Utf8) if types::is_numeric(other) || *other == DataType::Null => {
            let to = if types::is_integral(other) { DataType::Int64 } else { DataType::Float64 };
            let right = binder.cast(right, &to)?;
            (left, right)
        }
        _ => (left, right),
    };
    let (left, right) = match (&left.ty, &right.ty) {
        (DataType::Null, DataType::Null) => {
            let to = if op == Op::Div { DataType::Int64 } else { DataType::Float64 };
            (binder.cast(left, &to)?, binder.cast(right, &to)?)
        }
        (DataType::Null, other) => {
            let to = other.clone();
            (binder.cast(left, &to)?, right)
        }
        (other, DataType::Null) => {
            let to = other.clone();
            let right = binder.cast(right, &to)?;
            (left, right)
        }
        _ => (left, right),
    };
    if !types::is_numeric(&left.ty) || !types::is_numeric(&right.ty) {
        return Err(if left.ty == right.ty {
            wrong_type(&name, &left.ty)
        } else {
            mismatch(&name, &left.ty, &right.ty)
        });
    }
    let decimals = (types::is_decimal(&left.ty) || types::is_decimal(&right.ty))
        && !types::is_float(&left.ty)
        && !types::is_float(&right.ty);
    if decimals {
        return decimal(binder, op, left, right, mode, name);
    }
    let floats = types::is_float(&left.ty) || types::is_float(&right.ty) || op == Op::Divide;
    if floats && op != Op::Div {
        let both_float = left.ty == DataType::Float32 && right.ty == DataType::Float32 && op != Op::Divide;
        let ty = if both_float { DataType::Float32 } else { DataType::Float64 };
        let (left, right) = (binder.cast(left, &ty)?, binder.cast(right, &ty)?);
        return Ok(Bound::new(floating(op, left.expr, right.expr, &ty, mode), ty, name));
    }
    if op == Op::Div {
        if floats {
            return Err(wrong_type(&name, if types::is_float(&left.ty) { &left.ty } else { &right.ty }));
        }
        let (left, right) = (binder.cast(left, &DataType::Int64)?, binder.cast(right, &DataType::Int64)?);
        return Ok(Bound::new(integers(op, left.expr, right.expr, &DataType::Int64, mode), DataType::Int64, name));
    }
    let ty = types::common(&left.ty, &right.ty).ok_or_else(|| mismatch(&name, &left.ty, &right.ty))?;
    let (left, right) = (binder.cast(left, &ty)?, binder.cast(right, &ty)?);
    Ok(Bound::new(integers(op, left.expr, right.expr, &ty, mode), ty, name))
}

fn each<T, U, V>(
    left: &ArrayRef,
    right: &ArrayRef,
    mode: Mode,
    f: impl Fn(T::Native, U::Native) -> Result<V::Native>,
) -> Result<PrimitiveArray<V>>
where
    T: ArrowPrimitiveType,
    U: ArrowPrimitiveType,
    V: ArrowPrimitiveType,
{
    let (left, right) = (left.as_primitive::<T>(), right.as_primitive::<U>());
    let mut builder = PrimitiveArray::<V>::builder(left.len());
    for row in 0..left.len() {
        if left.is_null(row) || right.is_null(row) {
            builder.append_null();
            continue;
        }
        match f(left.value(row), right.value(row)) {
            Ok(value) => builder.append_value(value),
            Err(_) if mode == Mode::Try => builder.append_null(),
            Err(error) => return Err(error),
        }
    }
    Ok(builder.finish())
}

macro_rules! integer_kernel {
    ($op:expr, $left:expr, $right:expr, $mode:expr, $arrow:ty, $name:literal) => {{
        let op = $op;
        let out = each::<$arrow, $arrow, $arrow>($left, $right, $mode, |a, b| {
            let value = match op {
                Op::Add => a.checked_add(b),
                Op::Subtract => a.checked_sub(b),
                Op::Multiply => a.checked_mul(b),
                Op::Div | Op::Divide => {
                    if b == 0 {
                        return Err(divide_by_zero());
                    }
                    a.checked_div(b)
                }
                Op::Modulo => {
                    if b == 0 {
                        return Err(remainder_by_zero());
                    }
                    Some(a.wrapping_rem(b))
                }
                Op::Pmod => {
                    if b == 0 {
                        return Err(remainder_by_zero());
                    }
                    let rest = a.wrapping_rem(b);
                    Some(if rest < 0 { rest.wrapping_add(b).wrapping_rem(b) } else { rest })
                }
            };
            value.ok_or_else(|| integer_overflow($name))
        })?;
        Ok(Arc::new(out) as ArrayRef)
    }};
}

/// `x % 0`.
fn remainder_by_zero() -> datafusion::error::DataFusionError {
    spark_hint("REMAINDER_BY_ZERO", "remainder by zero", "use try_mod to get NULL instead")
}

fn integer_overflow(what: &str) -> datafusion::error::DataFusionError {
    if what == "tinyint" || what == "smallint" {
        spark_hint("BINARY_ARITHMETIC_OVERFLOW", format!("{what} overflow"), "cast to a wider type first")
    } else {
        spark_hint(
            "ARITHMETIC_OVERFLOW",
            format!("{what} overflow"),
            "use the try_ function of the operator to get NULL instead",
        )
    }
}

fn integers(op: Op, left: Expr, right: Expr, ty: &DataType, mode: Mode) -> Expr {
    kernel::pure(op.sign(), format!("{op:?} {mode:?}"), ty.clone(), vec![left, right], move |columns, _| {
        let (left, right) = (&columns[0], &columns[1]);
        match left.data_type() {
            DataType::Int8 => integer_kernel!(op, left, right, mode, Int8Type, "tinyint"),
            DataType::Int16 => integer_kernel!(op, left, right, mode, Int16Type, "smallint"),
            DataType::Int32 => integer_kernel!(op, left, right, mode, Int32Type, "integer"),
            DataType::Int64 => integer_kernel!(op, left, right, mode, Int64Type, "long"),
            other => Err(unsupported(format!("arithmetic on {other}"))),
        }
    })
}

fn floating(op: Op, left: Expr, right: Expr, ty: &DataType, mode: Mode) -> Expr {
    let operator = match op {
        Op::Add => Some(Operator::Plus),
        Op::Subtract => Some(Operator::Minus),
        Op::Multiply => Some(Operator::Multiply),
        _ => None,
    };
    if let Some(operator) = operator {
        return binary(left, operator, right);
    }
    kernel::pure(op.sign(), format!("{op:?} {mode:?}"), ty.clone(), vec![left, right], move |columns, _| {
        macro_rules! run {
            ($arrow:ty) => {{
                let out = each::<$arrow, $arrow, $arrow>(&columns[0], &columns[1], mode, |a, b| {
                    if b == 0.0 {
                        return Err(if op == Op::Divide { divide_by_zero() } else { remainder_by_zero() });
                    }
                    Ok(match op {
                        Op::Divide | Op::Div => a / b,
                        Op::Pmod => {
                            let rest = a % b;
                            if rest < 0.0 { (rest + b) % b } else { rest }
                        }
                        _ => a % b,
                    })
                })?;
                Ok(Arc::new(out) as ArrayRef)
            }};
        }
        match columns[0].data_type() {
            DataType::Float32 => run!(Float32Type),
            _ => run!(Float64Type),
        }
    })
}

/// Result type of an operator on decimals.
fn decimal_result(op: Op, (p1, s1): (u8, i8), (p2, s2): (u8, i8)) -> (u8, i8) {
    let (p1, s1, p2, s2) = (i32::from(p1), i32::from(s1), i32::from(p2), i32::from(s2));
    match op {
        Op::Add | Op::Subtract => {
            let scale = s1.max(s2);
            types::adjusted((p1 - s1).max(p2 - s2) + scale + 1, scale)
        }
        Op::Multiply => types::adjusted(p1 + p2 + 1, s1 + s2),
        Op::Divide => {
            let scale = 6.max(s1 + p2 + 1);
            types::adjusted(p1 - s1 + s2 + scale, scale)
        }
        Op::Div => {
            let whole = (p1 - s1 + s2).max(1);
            types::bounded(whole, 0)
        }
        Op::Modulo | Op::Pmod => {
            let scale = s1.max(s2);
            types::adjusted((p1 - s1).min(p2 - s2) + scale, scale)
        }
    }
}

fn ten(exponent: u32) -> i256 {
    i256::from_i128(10).wrapping_pow(exponent)
}

/// `a / b` rounded half up.
fn divide_half_up(a: i256, b: i256) -> i256 {
    let (quotient, rest) = (a.wrapping_div(b), a.wrapping_rem(b));
    let twice = rest.wrapping_abs().wrapping_mul(i256::from_i128(2));
    if twice >= b.wrapping_abs() {
        let negative = (a < i256::ZERO) != (b < i256::ZERO);
        quotient.wrapping_add(i256::from_i128(if negative { -1 } else { 1 }))
    } else {
        quotient
    }
}

fn at_scale(value: i256, from: i32, to: i32) -> i256 {
    if to >= from {
        value.wrapping_mul(ten(u32::try_from(to - from).unwrap_or(0)))
    } else {
        divide_half_up(value, ten(u32::try_from(from - to).unwrap_or(0)))
    }
}

fn decimal(binder: &Binder, op: Op, left: Bound, right: Bound, mode: Mode, name: String) -> Result<Bound> {
    let (Some(a), Some(b)) = (decimal_type_of(&left), decimal_type_of(&right)) else {
        return Err(mismatch(&name, &left.ty, &right.ty));
    };
    let left = binder.cast(left, &DataType::Decimal128(a.0, a.1))?;
    let right = binder.cast(right, &DataType::Decimal128(b.0, b.1))?;
    let (precision, scale) = decimal_result(op, a, b);
    let ty = if op == Op::Div { DataType::Int64 } else { DataType::Decimal128(precision, scale) };
    let (s1, s2, s) = (i32::from(a.1), i32::from(b.1), i32::from(scale));
    let compute = move |x: i128, y: i128| -> Result<i128> {
        let (x, y) = (i256::from_i128(x), i256::from_i128(y));
        let common = s1.max(s2);
        let exact = match op {
            Op::Add => at_scale(at_scale(x, s1, common).wrapping_add(at_scale(y, s2, common)), common, s),
            Op::Subtract => at_scale(at_scale(x, s1, common).wrapping_sub(at_scale(y, s2, common)), common, s),
            Op::Multiply => at_scale(x.wrapping_mul(y), s1 + s2, s),
            Op::Divide | Op::Div => {
                if y == i256::ZERO {
                    return Err(divide_by_zero());
                }
                if op == Op::Div {
                    at_scale(x, s1, common).wrapping_div(at_scale(y, s2, common))
                } else {
                    // x/10^s1 / (y/10^s2) = x*10^(s2-s1)/y; wanted times 10^s
                    let shift = s + s2 - s1;
                    if shift >= 0 {
                        divide_half_up(x.wrapping_mul(ten(u32::try_from(shift).unwrap_or(0))), y)
                    } else {
                        divide_half_up(x, y.wrapping_mul(ten(u32::try_from(-shift).unwrap_or(0))))
                    }
                }
            }
            Op::Modulo | Op::Pmod => {
                if y == i256::ZERO {
                    return Err(remainder_by_zero());
                }
                let (x, y) = (at_scale(x, s1, common), at_scale(y, s2, common));
                let mut rest = x.wrapping_rem(y);
                if op == Op::Pmod && rest < i256::ZERO {
                    rest = rest.wrapping_add(y).wrapping_rem(y);
                }
                at_scale(rest, common, s)
            }
        };
        let too_big = || {
            spark_hint(
                "NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION",
                format!("the result cannot be represented as Decimal({precision}, {scale})"),
                "cast the operands to fewer digits, or use the try_ function",
            )
        };
        let value = exact.to_i128().ok_or_else(too_big)?;
        if op != Op::Div && !parse::fits(value, precision) {
            return Err(too_big());
        }
        Ok(value)
    };
    let key = format!("{op:?} {a:?} {b:?} {mode:?}");
    let expr = kernel::pure(op.sign(), key, ty.clone(), vec![left.expr, right.expr], move |columns, _| {
        if op == Op::Div {
            let out = each::<Decimal128Type, Decimal128Type, Int64Type>(&columns[0], &columns[1], mode, |x, y| {
                i64::try_from(compute(x, y)?).map_err(|_| overflow("long"))
            })?;
            return Ok(Arc::new(out));
        }
        let out = each::<Decimal128Type, Decimal128Type, Decimal128Type>(&columns[0], &columns[1], mode, compute)?;
        Ok(Arc::new(out.with_precision_and_scale(precision, scale)?))
    });
    Ok(Bound::new(expr, ty, name))
}

/// A sum of BIGINTs that ran in decimals, narrowed again.
pub(crate) fn narrowed_sum(sum: Expr, mode: Mode) -> Expr {
    kernel::pure("narrow", format!("{mode:?}"), DataType::Int64, vec![sum], move |columns, _| {
        let sums = columns[0].as_primitive::<Decimal128Type>();
        let out = sums
            .iter()
            .map(|sum| match sum.map(i64::try_from) {
                None => Ok(None),
                Some(Ok(sum)) => Ok(Some(sum)),
                Some(Err(_)) if mode == Mode::Try => Ok(None),
                Some(Err(_)) => {
                    Err(spark_hint("ARITHMETIC_OVERFLOW", "long overflow", "use try_sum to get NULL instead"))
                }
            })
            .collect::<Result<Int64Array>>()?;
        Ok(Arc::new(out))
    })
}

/// A decimal that must have no more digits than its type.
pub(crate) fn checked_decimal(value: Expr, precision: u8, scale: i8, mode: Mode) -> Expr {
    let ty = DataType::Decimal128(precision, scale);
    kernel::pure("check_digits", format!("{mode:?}"), ty, vec![value], move |columns, _| {
        let values = columns[0].as_primitive::<Decimal128Type>();
        let from = match columns[0].data_type() {
            DataType::Decimal128(_, from) => *from,
            _ => scale,
        };
        let out = values
            .iter()
            .map(|value| {
                let Some(value) = value else { return Ok(None) };
                match rescale(value, from, scale).filter(|value| parse::fits(*value, precision)) {
                    Some(value) => Ok(Some(value)),
                    None if mode == Mode::Try => Ok(None),
                    None => Err(spark_hint(
                        "ARITHMETIC_OVERFLOW",
                        format!("the sum {} does not fit DECIMAL({precision},{scale})", text::decimal(value, from)),
                        "use try_sum to get NULL instead",
                    )),
                }
            })
            .collect::<Result<Decimal128Array>>()?;
        Ok(Arc::new(out.with_precision_and_scale(precision, scale)?))
    })
}

/// A decimal sum over its count, rounded half up.
pub(crate) fn mean_decimal(sum: Expr, count: Expr, sum_scale: i8, precision: u8, scale: i8) -> Expr {
    let ty = DataType::Decimal128(precision, scale);
    kernel::pure("mean", format!("{sum_scale}"), ty, vec![sum, count], move |columns, _| {
        let out =
            each::<Decimal128Type, Int64Type, Decimal128Type>(&columns[0], &columns[1], Mode::Try, |sum, count| {
                let scaled = at_scale(i256::from_i128(sum), i32::from(sum_scale), i32::from(scale));
                if count == 0 {
                    return Err(divide_by_zero());
                }
                divide_half_up(scaled, i256::from_i128(i128::from(count))).to_i128().ok_or_else(|| overflow("decimal"))
            })?;
        Ok(Arc::new(out.with_precision_and_scale(precision, scale)?))
    })
}

/// `-x`.
pub(crate) fn negate(binder: &Binder, value: Bound) -> Result<Bound> {
    let name = value.name.clone();
    let value = match value.ty {
        DataType::Utf8 | DataType::Null => binder.cast(value, &DataType::Float64)?,
        _ => value,
    };
    let ty = value.ty.clone();
    if types::is_float(&ty) {
        return Ok(Bound::new(Expr::Negative(Box::new(value.expr)), ty, name));
    }
    if !types::is_numeric(&ty) && !types::is_interval(&ty) {
        return Err(unexpected_type("- x", &value, "NUMERIC or INTERVAL"));
    }
    let expr = kernel::pure("negative", "", ty.clone(), vec![value.expr], move |columns, _| {
        arrow::compute::kernels::numeric::neg(&columns[0]).map_err(|error| match error {
            arrow::error::ArrowError::ArithmeticOverflow(_) => match columns[0].data_type() {
                DataType::Int8 => integer_overflow("tinyint"),
                DataType::Int16 => integer_overflow("smallint"),
                DataType::Int64 => integer_overflow("long"),
                _ => integer_overflow("integer"),
            },
            other => other.into(),
        })
    });
    Ok(Bound::new(expr, ty, name))
}

/// `~x`.
pub(crate) fn bit_not(binder: &Binder, value: Bound) -> Result<Bound> {
    let name = format!("~{}", value.name);
    let value = match value.ty {
        DataType::Utf8 => binder.cast(value, &DataType::Int64)?,
        DataType::Null => binder.cast(value, &DataType::Int32)?,
        _ => value,
    };
    if !types::is_integral(&value.ty) {
        return Err(unexpected_type(&name, &value, "INTEGRAL"));
    }
    let ty = value.ty.clone();
    let minus_one = binder.cast(Bound::literal(ScalarValue::Int8(Some(-1)), "-1"), &ty)?;
    Ok(Bound::new(binary(value.expr, Operator::BitwiseXor, minus_one.expr), ty, name))
}

/// `& | ^`.
pub(crate) fn bitwise(binder: &Binder, bit: Bit, left: Bound, right: Bound) -> Result<Bound> {
    let (sign, operator) = match bit {
        Bit::And => ("&", Operator::BitwiseAnd),
        Bit::Or => ("|", Operator::BitwiseOr),
        Bit::Xor => ("^", Operator::BitwiseXor),
    };
    let name = format!("({} {sign} {})", left.name, right.name);
    let ty = match types::common(&left.ty, &right.ty) {
        Some(DataType::Null) => DataType::Int32,
        Some(ty) if types::is_integral(&ty) => ty,
        Some(ty) => return Err(wrong_type(&name, &ty)),
        None => return Err(mismatch(&name, &left.ty, &right.ty)),
    };
    let (left, right) = (binder.cast(left, &ty)?, binder.cast(right, &ty)?);
    Ok(Bound::new(binary(left.expr, operator, right.expr), ty, name))
}

/// A field of a struct, by its place; NULL where the struct is NULL.
pub(crate) fn field_of(value: Bound, at: usize) -> Result<Bound> {
    let DataType::Struct(fields) = &value.ty else { return Err(unsupported("a field of what is no struct")) };
    let ty = fields[at].data_type().clone();
    let name = value.name.clone();
    let expr = kernel::pure("field", format!("{at}"), ty.clone(), vec![value.expr], move |columns, _| {
        let rows = columns[0].as_struct();
        let column = rows.column(at);
        Ok(match rows.nulls() {
            Some(nulls) if nulls.null_count() > 0 => {
                let mask = arrow::array::BooleanArray::new(!nulls.inner(), None);
                arrow::compute::nullif(column, &mask)?
            }
            _ => Arc::clone(column),
        })
    });
    Ok(Bound::new(expr, ty, name))
}

/// The same field of each element of a list.
pub(crate) fn field_of_elements(value: Bound, at: usize) -> Result<Bound> {
    let DataType::List(element) = &value.ty else { return Err(unsupported("a field of what is no list")) };
    let DataType::Struct(fields) = element.data_type() else { return Err(unsupported("a field of what is no struct")) };
    let ty = types::list_of(fields[at].data_type().clone());
    let inner = Arc::new(Field::new("element", fields[at].data_type().clone(), true));
    let name = value.name.clone();
    let expr = kernel::pure("fields", format!("{at}"), ty.clone(), vec![value.expr], move |columns, _| {
        let list = columns[0].as_list::<i32>();
        let rows = list.values().as_struct();
        let column = match rows.nulls() {
            Some(nulls) if nulls.null_count() > 0 => {
                let mask = arrow::array::BooleanArray::new(!nulls.inner(), None);
                arrow::compute::nullif(rows.column(at), &mask)?
            }
            _ => Arc::clone(rows.column(at)),
        };
        Ok(Arc::new(ListArray::try_new(Arc::clone(&inner), list.offsets().clone(), column, list.nulls().cloned())?))
    });
    Ok(Bound::new(expr, ty, name))
}

const DAY: i64 = 86_400_000_000;

/// A date and months, or a moment and months, in a zone.
pub(crate) fn plus_months(micros: i64, months: i64, zone: Option<&Zone>) -> i64 {
    let local = zone.map_or(micros, |zone| zone.to_local(micros));
    let (day, rest) = (local.div_euclid(DAY), local.rem_euclid(DAY));
    let moved = add_months(day, months) * DAY + rest;
    zone.map_or(moved, |zone| zone.to_instant(moved))
}

/// A moment and a day-time interval: whole days move the wall clock, the rest the instant.
pub(crate) fn plus_day_time(micros: i64, interval: i64, zone: Option<&Zone>) -> Option<i64> {
    let Some(zone) = zone else { return micros.checked_add(interval) };
    let days = interval / DAY;
    let rest = interval % DAY;
    let moved =
        if days == 0 { micros } else { zone.to_instant(zone.to_local(micros).checked_add(days.checked_mul(DAY)?)?) };
    moved.checked_add(rest)
}

fn temporal(binder: &Binder, op: Op, left: &Bound, right: &Bound, name: &str, mode: Mode) -> Result<Option<Bound>> {
    use DataType as T;
    let zone = binder.zone();
    let (l, r) = (&left.ty, &right.ty);
    if !types::is_datetime(l) && !types::is_datetime(r) && !types::is_interval(l) && !types::is_interval(r) {
        return Ok(None);
    }
    let interval = |ty: &T| types::is_interval(ty);
    let call = |ty: T, args: Vec<Expr>, f: Compute| {
        let key = format!("{op:?} {l} {r} {zone:?} {mode:?}");
        Ok(Some(Bound::new(kernel::pure(op.sign(), key, ty.clone(), args, move |columns, _| f(columns)), ty, name)))
    };
    let sign: i64 = if op == Op::Subtract { -1 } else { 1 };
    match (op, l, r) {
        // dates and days
        (Op::Add | Op::Subtract, T::Date32, T::Int8 | T::Int16 | T::Int32 | T::Null)
            if !(op == Op::Subtract && *r == T::Null) =>
        {
            let days = binder.cast(right.clone(), &T::Int32)?;
            let f = move |columns: &[ArrayRef]| -> Result<ArrayRef> {
                let out = each::<Date32Type, Int32Type, Date32Type>(&columns[0], &columns[1], mode, |a, b| {
                    i32::try_from(i64::from(a) + sign * i64::from(b)).map_err(|_| overflow("integer"))
                })?;
                Ok(Arc::new(out))
            };
            call(T::Date32, vec![left.expr.clone(), days.expr], Box::new(f))
        }
        (Op::Add, T::Int8 | T::Int16 | T::Int32, T::Date32) => Ok(temporal(binder, op, right, left, name, mode)?),
        (Op::Add | Op::Subtract, T::Date32, T::Utf8) => {
            if op == Op::Subtract {
                let date = binder.cast(right.clone(), &T::Date32)?;
                return temporal(binder, op, left, &date, name, mode);
            }
            Err(unexpected_type(name, right, "INT, SMALLINT or TINYINT"))
        }
        (Op::Subtract, T::Date32, T::Date32) => {
            let f = move |columns: &[ArrayRef]| -> Result<ArrayRef> {
                let out =
                    each::<Date32Type, Date32Type, DurationMicrosecondType>(&columns[0], &columns[1], mode, |a, b| {
                        Ok((i64::from(a) - i64::from(b)) * DAY)
                    })?;
                Ok(Arc::new(out))
            };
            call(types::day_time(), vec![left.expr.clone(), right.expr.clone()], Box::new(f))
        }
        (Op::Subtract, T::Timestamp(..) | T::Date32 | T::Utf8, T::Timestamp(..) | T::Date32)
        | (Op::Subtract, T::Timestamp(..), T::Utf8) => {
            let ty = match (l, r) {
                (T::Utf8, other) | (other, T::Utf8) => other.clone(),
                _ => types::common(l, r).unwrap_or_else(types::timestamp),
            };
            let zoned = matches!(ty, T::Timestamp(_, Some(_)));
            let (left, right) = (binder.cast(left.clone(), &ty)?, binder.cast(right.clone(), &ty)?);
            let f = move |columns: &[ArrayRef]| -> Result<ArrayRef> {
                let out = each::<TimestampMicrosecondType, TimestampMicrosecondType, DurationMicrosecondType>(
                    &columns[0],
                    &columns[1],
                    mode,
                    // The difference of wall clocks, as Spark's SubtractTimestamps.
                    |a, b| Ok(if zoned { zone.to_local(a) - zone.to_local(b) } else { a - b }),
                )?;
                Ok(Arc::new(out))
            };
            call(types::day_time(), vec![left.expr, right.expr], Box::new(f))
        }
        // moments and intervals
        (Op::Add | Op::Subtract, T::Date32 | T::Timestamp(..) | T::Utf8, r)
            if interval(r) && !matches!((op, l), (_, T::Utf8)) =>
        {
            moment_and_interval(binder, op, left.clone(), right.clone(), name, mode).map(Some)
        }
        (Op::Add, l, T::Date32 | T::Timestamp(..)) if interval(l) => {
            moment_and_interval(binder, op, right.clone(), left.clone(), name, mode).map(Some)
        }
        // intervals among themselves
        (Op::Add | Op::Subtract, T::Duration(_), T::Duration(_)) => {
            let f = move |columns: &[ArrayRef]| -> Result<ArrayRef> {
                let out = each::<DurationMicrosecondType, DurationMicrosecondType, DurationMicrosecondType>(
                    &columns[0],
                    &columns[1],
                    mode,
                    |a, b| a.checked_add(sign * b).ok_or_else(interval_overflow),
                )?;
                Ok(Arc::new(out))
            };
            call(l.clone(), vec![left.expr.clone(), right.expr.clone()], Box::new(f))
        }
        (Op::Add | Op::Subtract, T::Interval(IntervalUnit::YearMonth), T::Interval(IntervalUnit::YearMonth)) => {
            let sign = if op == Op::Subtract { -1 } else { 1 };
            let f = move |columns: &[ArrayRef]| -> Result<ArrayRef> {
                let out = each::<IntervalYearMonthType, IntervalYearMonthType, IntervalYearMonthType>(
                    &columns[0],
                    &columns[1],
                    mode,
                    |a, b| a.checked_add(sign * b).ok_or_else(interval_overflow),
                )?;
                Ok(Arc::new(out))
            };
            call(l.clone(), vec![left.expr.clone(), right.expr.clone()], Box::new(f))
        }
        (Op::Multiply | Op::Divide, l, r)
            if interval(l) && (types::is_numeric(r) || matches!(r, T::Utf8 | T::Null)) =>
        {
            scale_interval(binder, op, left.clone(), right.clone(), name, mode).map(Some)
        }
        (Op::Multiply, l, r) if interval(r) && (types::is_numeric(l) || matches!(l, T::Utf8 | T::Null)) => {
            scale_interval(binder, op, right.clone(), left.clone(), name, mode).map(Some)
        }
        (_, T::Null, _) | (_, _, T::Null) => {
            Ok(Some(Bound::literal(ScalarValue::try_from(if *l == T::Null { r } else { l })?, name)))
        }
        (Op::Add | Op::Subtract, T::Date32, ty) if types::is_numeric(ty) => Err(spark_hint(
            "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE",
            format!("cannot resolve \"{name}\": days are INT, SMALLINT or TINYINT, not \"{}\"", types::sql(ty)),
            "cast the number to INT",
        )),
        _ if l == r => Err(wrong_type(name, l)),
        _ => Err(mismatch(name, l, r)),
    }
}

fn interval_overflow() -> datafusion::error::DataFusionError {
    spark("INTERVAL_ARITHMETIC_OVERFLOW.WITHOUT_SUGGESTION", "integer overflow while operating with intervals")
}

fn moment_and_interval(
    binder: &Binder,
    op: Op,
    moment: Bound,
    interval: Bound,
    name: &str,
    mode: Mode,
) -> Result<Bound> {
    let zone = binder.zone();
    let sign: i64 = if op == Op::Subtract { -1 } else { 1 };
    let key = format!("{op:?} {} {} {zone:?} {mode:?}", moment.ty, interval.ty);
    let months = matches!(interval.ty, DataType::Interval(IntervalUnit::YearMonth));
    if matches!(interval.ty, DataType::Interval(IntervalUnit::MonthDayNano)) {
        return Err(unsupported("a calendar interval beside a date"));
    }
    if moment.ty == DataType::Date32 {
        if months {
            let expr =
                kernel::pure(op.sign(), key, DataType::Date32, vec![moment.expr, interval.expr], move |columns, _| {
                    let out = each::<Date32Type, IntervalYearMonthType, Date32Type>(
                        &columns[0],
                        &columns[1],
                        mode,
                        |a, b| {
                            i32::try_from(add_months(i64::from(a), sign * i64::from(b)))
                                .map_err(|_| overflow("integer"))
                        },
                    )?;
                    Ok(Arc::new(out))
                });
            return Ok(Bound::new(expr, DataType::Date32, name));
        }
        // A literal of whole days keeps a date a date.
        if let Some(ScalarValue::DurationMicrosecond(Some(micros))) = interval.as_literal()
            && interval.name.ends_with("DAY")
        {
            let days = Bound::literal(ScalarValue::Int32(i32::try_from(micros / DAY).ok()), "");
            return operate(binder, op, moment, days, mode).map(|bound| bound.named(name));
        }
    }
    let ty = if moment.ty == DataType::Date32 { types::timestamp() } else { moment.ty.clone() };
    let moment = binder.cast(moment, &ty)?;
    let zoned = matches!(ty, DataType::Timestamp(_, Some(_)));
    let out_ty = ty.clone();
    let expr = kernel::pure(op.sign(), key, ty.clone(), vec![moment.expr, interval.expr], move |columns, _| {
        let zone = zoned.then_some(&zone);
        let out = if months {
            each::<TimestampMicrosecondType, IntervalYearMonthType, TimestampMicrosecondType>(
                &columns[0],
                &columns[1],
                mode,
                |a, b| Ok(plus_months(a, sign * i64::from(b), zone)),
            )?
        } else {
            each::<TimestampMicrosecondType, DurationMicrosecondType, TimestampMicrosecondType>(
                &columns[0],
                &columns[1],
                mode,
                |a, b| {
                    plus_day_time(a, sign * b, zone)
                        .ok_or_else(|| spark("DATETIME_OVERFLOW", "datetime operation overflow"))
                },
            )?
        };
        Ok(Arc::new(out.with_data_type(out_ty.clone())))
    });
    Ok(Bound::new(expr, ty, name))
}

fn scale_interval(binder: &Binder, op: Op, interval: Bound, number: Bound, name: &str, mode: Mode) -> Result<Bound> {
    let ty = interval.ty.clone();
    let zero = || spark_hint("INTERVAL_DIVIDED_BY_ZERO", "division by zero", "use try_divide to get NULL instead");
    let decimal = types::is_decimal(&number.ty);
    let number = binder.cast(number, &if decimal { DataType::Decimal128(38, 18) } else { DataType::Float64 })?;
    let key = format!("{op:?} {ty} {mode:?} {decimal}");
    let apply = move |value: i64, by: f64| -> Result<i64> {
        #[expect(clippy::cast_precision_loss, reason = "Spark computes it in doubles, rounded half up")]
        let out = match op {
            Op::Divide if by == 0.0 => return Err(zero()),
            Op::Divide => (value as f64 / by).round(),
            _ => (value as f64 * by).round(),
        };
        if out.is_nan() || out.abs() > 9.3e18 {
            return Err(interval_overflow());
        }
        #[expect(clippy::cast_possible_truncation, reason = "checked just above")]
        Ok(out as i64)
    };
    let as_double = move |columns: &[ArrayRef]| -> Result<Float64Array> {
        let doubles = super::casts::cast(&columns[1], &DataType::Float64, &Zone::Fixed(0), Mode::Ansi)?;
        Ok(doubles.as_primitive::<Float64Type>().clone())
    };
    let expr = kernel::pure(op.sign(), key, ty.clone(), vec![interval.expr, number.expr], move |columns, _| {
        let by = as_double(columns)?;
        let by: ArrayRef = Arc::new(by);
        match columns[0].data_type() {
            DataType::Interval(_) => {
                let out: IntervalYearMonthArray = each::<IntervalYearMonthType, Float64Type, IntervalYearMonthType>(
                    &columns[0],
                    &by,
                    mode,
                    |a, b| i32::try_from(apply(i64::from(a), b)?).map_err(|_| interval_overflow()),
                )?;
                Ok(Arc::new(out))
            }
            _ => {
                let out: DurationMicrosecondArray = each::<
                    DurationMicrosecondType,
                    Float64Type,
                    DurationMicrosecondType,
                >(&columns[0], &by, mode, apply)?;
                Ok(Arc::new(out))
            }
        }
    });
    Ok(Bound::new(expr, ty, name))
}
