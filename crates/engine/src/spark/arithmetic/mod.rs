//! `+ - * / DIV %`, bits and signs, with ANSI overflow.
//!
//! Integers and decimals run in kernels that fail on overflow; doubles run in DataFusion's own operators but for division.
//! The sign of `%` is the dividend's. Kernels of one batch run over plain slices: a NULL's slot is passed over, and an
//! error that `try_` functions swallow becomes a NULL.

mod decimals;
mod temporal;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::kernels::numeric;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
};
use arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, Operator};

pub(crate) use self::decimals::{checked_decimal, mean_decimal, narrowed_sum};
pub(crate) use self::temporal::{plus_day_time, plus_months};
use super::casts::Mode;
use super::error::{Result, divide_by_zero, spark_hint, unsupported};
use super::{kernel, types};
use crate::bind::expr::binary;
use crate::bind::{Binder, Bound, unexpected_type};

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

/// Binds `left op right`.
pub(crate) fn operate(binder: &Binder, op: Op, left: Bound, right: Bound, mode: Mode) -> Result<Bound> {
    let name = if op == Op::Pmod {
        format!("pmod({}, {})", left.name, right.name)
    } else {
        format!("({} {} {})", left.name, op.sign(), right.name)
    };
    if let Some(bound) = temporal::temporal(binder, op, &left, &right, &name, mode)? {
        let interval = |ty: &DataType| types::is_interval(ty);
        let days = |ty: &DataType| types::is_integral(ty) || *ty == DataType::Null;
        let name = match (&left.ty, &right.ty) {
            (DataType::Date32, r) if days(r) && bound.ty == DataType::Date32 => {
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
        return decimals::decimal(binder, op, left, right, mode, name);
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

/// Runs `f` over the values of two columns where neither is NULL.
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
    let nulls = NullBuffer::union(left.nulls(), right.nulls());
    let mut out: Vec<V::Native> = Vec::with_capacity(left.len());
    let mut failed: Vec<usize> = Vec::new();
    for (row, (a, b)) in left.values().iter().zip(right.values().iter()).enumerate() {
        if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            out.push(V::Native::default());
            continue;
        }
        match f(*a, *b) {
            Ok(value) => out.push(value),
            Err(_) if mode == Mode::Try => {
                failed.push(row);
                out.push(V::Native::default());
            }
            Err(error) => return Err(error),
        }
    }
    let nulls = match failed.as_slice() {
        [] => nulls,
        failed => {
            let mut next = failed.iter().peekable();
            let worked = BooleanBuffer::collect_bool(out.len(), |row| next.next_if(|at| **at == row).is_none());
            NullBuffer::union(nulls.as_ref(), Some(&NullBuffer::new(worked)))
        }
    };
    Ok(PrimitiveArray::new(out.into(), nulls))
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

/// What errors call a type.
fn word_of(ty: &DataType) -> &'static str {
    match ty {
        DataType::Int8 => "tinyint",
        DataType::Int16 => "smallint",
        DataType::Int64 => "long",
        _ => "integer",
    }
}

/// Whether the operator gives a value for every row, as long as nothing overflows: it divides by no 0.
fn divides_safely(op: Op, by: &Expr, mode: Mode) -> bool {
    if mode == Mode::Try {
        return true;
    }
    let Expr::Literal(by, _) = by else { return false };
    let zero = ScalarValue::new_zero(&by.data_type()).is_ok_and(|zero| zero == *by);
    // The least number divided by -1 is one more than the largest.
    let minus_one = ScalarValue::new_negative_one(&by.data_type()).is_ok_and(|minus_one| minus_one == *by);
    match op {
        Op::Divide | Op::Div => !by.is_null() && !zero && !minus_one,
        Op::Modulo | Op::Pmod => !by.is_null() && !zero,
        Op::Add | Op::Subtract | Op::Multiply => false,
    }
}

fn integers(op: Op, left: Expr, right: Expr, ty: &DataType, mode: Mode) -> Expr {
    let total = divides_safely(op, &right, mode);
    kernel::pure_if(total, op.sign(), format!("{op:?} {mode:?}"), ty.clone(), vec![left, right], move |columns, _| {
        let (left, right) = (&columns[0], &columns[1]);
        // Arrow's kernels check a whole column at once.
        let checked = match (mode, op) {
            (Mode::Ansi, Op::Add) => Some(numeric::add(left, right)),
            (Mode::Ansi, Op::Subtract) => Some(numeric::sub(left, right)),
            (Mode::Ansi, Op::Multiply) => Some(numeric::mul(left, right)),
            _ => None,
        };
        if let Some(checked) = checked {
            return checked.map_err(|error| match error {
                ArrowError::ArithmeticOverflow(_) => integer_overflow(word_of(left.data_type())),
                other => other.into(),
            });
        }
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
    let total = divides_safely(op, &right, mode);
    kernel::pure_if(total, op.sign(), format!("{op:?} {mode:?}"), ty.clone(), vec![left, right], move |columns, _| {
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

/// `-x`.
pub(crate) fn negate(binder: &Binder, value: Bound) -> Result<Bound> {
    let name = value.name.clone();
    let value = match value.ty {
        DataType::Utf8 | DataType::Null => binder.cast(value, &DataType::Float64)?,
        _ => value,
    };
    let (ty, span) = (value.ty.clone(), value.span());
    if types::is_float(&ty) {
        return Ok(Bound::new(Expr::Negative(Box::new(value.expr)), ty, name));
    }
    if !types::is_numeric(&ty) && !types::is_interval(&ty) {
        return Err(unexpected_type("- x", &value, "NUMERIC or INTERVAL"));
    }
    let expr = kernel::pure("negative", "", ty.clone(), vec![value.expr], move |columns, _| {
        arrow::compute::kernels::numeric::neg(&columns[0]).map_err(|error| match error {
            ArrowError::ArithmeticOverflow(_) => integer_overflow(word_of(columns[0].data_type())),
            other => other.into(),
        })
    });
    Ok(Bound::new(expr, ty, name).spanned(span))
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
