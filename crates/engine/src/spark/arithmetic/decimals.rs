//! Arithmetic on decimals. Result types are Spark's `DecimalPrecision`.
//!
//! Most operands have so few digits that the exact result cannot leave 128 bits: those run as plain loops over integers.
//! The others are tried in 128 bits value by value, and in 256 bits where that does not hold them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Int64Array};
use arrow::compute::binary as over_both;
use arrow::datatypes::{DataType, Decimal128Type, Int64Type, i256};
use datafusion::logical_expr::Expr;

use super::{Op, divides_safely, each, mismatch, remainder_by_zero};
use crate::bind::{Binder, Bound};
use crate::spark::casts::{Mode, rescale};
use crate::spark::error::{Result, divide_by_zero, overflow, spark_hint};
use crate::spark::{kernel, parse, text, types};

/// A literal whole number takes only as many decimal digits as it has.
fn decimal_type_of(value: &Bound) -> Option<(u8, i8)> {
    if types::is_integral(&value.ty)
        && let Some(number) = value.as_integer()
    {
        return u8::try_from(number.unsigned_abs().to_string().len()).ok().map(|digits| (digits, 0));
    }
    types::integral_as_decimal(&value.ty)
}

/// Result type of an operator on decimals, and whether it has all digits that an exact result can have.
fn decimal_result(op: Op, (p1, s1): (u8, i8), (p2, s2): (u8, i8)) -> ((u8, i8), bool) {
    let (p1, s1, p2, s2) = (i32::from(p1), i32::from(s1), i32::from(p2), i32::from(s2));
    let adjusted = |precision: i32, scale: i32| (types::adjusted(precision, scale), precision <= 38);
    match op {
        Op::Add | Op::Subtract => {
            let scale = s1.max(s2);
            adjusted((p1 - s1).max(p2 - s2) + scale + 1, scale)
        }
        Op::Multiply => adjusted(p1 + p2 + 1, s1 + s2),
        Op::Divide => {
            let scale = 6.max(s1 + p2 + 1);
            adjusted(p1 - s1 + s2 + scale, scale)
        }
        Op::Div => {
            let whole = (p1 - s1 + s2).max(1);
            (types::bounded(whole, 0), false)
        }
        Op::Modulo | Op::Pmod => {
            let scale = s1.max(s2);
            adjusted((p1 - s1).min(p2 - s2) + scale, scale)
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

/// [`divide_half_up`] in 128 bits; the divisor is not 0.
fn divide_half_up_small(a: i128, b: i128) -> i128 {
    let (quotient, rest) = (a.wrapping_div(b), a.wrapping_rem(b));
    let (rest, unit) = (rest.unsigned_abs(), b.unsigned_abs());
    if rest >= unit - rest { if (a < 0) != (b < 0) { quotient - 1 } else { quotient + 1 } } else { quotient }
}

fn at_scale(value: i256, from: i32, to: i32) -> i256 {
    if to >= from {
        value.wrapping_mul(ten(u32::try_from(to - from).unwrap_or(0)))
    } else {
        divide_half_up(value, ten(u32::try_from(from - to).unwrap_or(0)))
    }
}

/// An operator over operands of certain scales.
#[derive(Clone, Copy)]
struct Exact {
    op: Op,
    left: i32,
    right: i32,
    /// The scale of the result.
    scale: i32,
}

impl Exact {
    /// In 256 bits, where everything has room.
    fn large(self, x: i128, y: i128) -> Result<i256> {
        let Exact { op, left, right, scale } = self;
        let (x, y) = (i256::from_i128(x), i256::from_i128(y));
        let common = left.max(right);
        let (x_common, y_common) = (at_scale(x, left, common), at_scale(y, right, common));
        Ok(match op {
            Op::Add => at_scale(x_common.wrapping_add(y_common), common, scale),
            Op::Subtract => at_scale(x_common.wrapping_sub(y_common), common, scale),
            Op::Multiply => at_scale(x.wrapping_mul(y), left + right, scale),
            Op::Divide | Op::Div if y == i256::ZERO => return Err(divide_by_zero()),
            Op::Div => x_common.wrapping_div(y_common),
            Op::Divide => {
                // x/10^left / (y/10^right) = x*10^(right-left)/y; wanted times 10^scale
                let shift = scale + right - left;
                let power = ten(shift.unsigned_abs());
                if shift >= 0 {
                    divide_half_up(x.wrapping_mul(power), y)
                } else {
                    divide_half_up(x, y.wrapping_mul(power))
                }
            }
            Op::Modulo | Op::Pmod if y == i256::ZERO => return Err(remainder_by_zero()),
            Op::Modulo | Op::Pmod => {
                let mut rest = x_common.wrapping_rem(y_common);
                if op == Op::Pmod && rest < i256::ZERO {
                    rest = rest.wrapping_add(y_common).wrapping_rem(y_common);
                }
                at_scale(rest, common, scale)
            }
        })
    }

    /// In 128 bits; `None` when a step leaves them, or the operator is a rare one.
    fn small(self, x: i128, y: i128, powers: Powers) -> Option<i128> {
        let narrowed = |value: i128| match powers.down {
            1 => value,
            down => divide_half_up_small(value, down),
        };
        match self.op {
            Op::Add => x.checked_mul(powers.left)?.checked_add(y.checked_mul(powers.right)?).map(narrowed),
            Op::Subtract => x.checked_mul(powers.left)?.checked_sub(y.checked_mul(powers.right)?).map(narrowed),
            Op::Multiply => x.checked_mul(y).map(narrowed),
            Op::Divide if y != 0 && powers.up > 0 => Some(divide_half_up_small(x.checked_mul(powers.up)?, y)),
            _ => None,
        }
    }
}

/// Powers of ten that bring operands to a common scale and a result to its own; 0 where there is none in 128 bits.
#[derive(Clone, Copy)]
struct Powers {
    left: i128,
    right: i128,
    /// What the exact result is divided by.
    down: i128,
    /// What the dividend is multiplied by.
    up: i128,
}

impl Powers {
    fn of(exact: Exact) -> Option<Powers> {
        let power = |exponent: i32| u32::try_from(exponent).ok().and_then(|exponent| 10_i128.checked_pow(exponent));
        let common = exact.left.max(exact.right);
        let made = if exact.op == Op::Multiply { exact.left + exact.right } else { common };
        Some(Powers {
            left: power(common - exact.left)?,
            right: power(common - exact.right)?,
            down: if exact.op == Op::Divide { 1 } else { power(made - exact.scale)? },
            up: power(exact.scale + exact.right - exact.left).unwrap_or(0),
        })
    }
}

/// Binds an operator on two decimals.
pub(super) fn decimal(binder: &Binder, op: Op, left: Bound, right: Bound, mode: Mode, name: String) -> Result<Bound> {
    let (Some(a), Some(b)) = (decimal_type_of(&left), decimal_type_of(&right)) else {
        return Err(mismatch(&name, &left.ty, &right.ty));
    };
    let safe = divides_safely(op, &right.expr, mode);
    let left = binder.cast(left, &DataType::Decimal128(a.0, a.1))?;
    let right = binder.cast(right, &DataType::Decimal128(b.0, b.1))?;
    let ((precision, scale), holds_all) = decimal_result(op, a, b);
    let ty = if op == Op::Div { DataType::Int64 } else { DataType::Decimal128(precision, scale) };
    let exact = Exact { op, left: i32::from(a.1), right: i32::from(b.1), scale: i32::from(scale) };
    let powers = Powers::of(exact);
    let too_big = move || {
        spark_hint(
            "NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION",
            format!("the result cannot be represented as Decimal({precision}, {scale})"),
            "cast the operands to fewer digits, or use the try_ function",
        )
    };
    let compute = move |x: i128, y: i128| -> Result<i128> {
        let value = match powers.and_then(|powers| exact.small(x, y, powers)) {
            Some(value) => value,
            None => exact.large(x, y)?.to_i128().ok_or_else(too_big)?,
        };
        if op != Op::Div && !parse::fits(value, precision) {
            return Err(too_big());
        }
        Ok(value)
    };
    // The result has room for every digit, so nothing can go wrong and nothing is checked.
    let plain = if holds_all { powers } else { None };
    let key = format!("{op:?} {a:?} {b:?} {mode:?}");
    let total = mode == Mode::Try || plain.is_some() && (matches!(op, Op::Add | Op::Subtract | Op::Multiply) || safe);
    let expr = kernel::pure_if(total, op.sign(), key, ty.clone(), vec![left.expr, right.expr], move |columns, _| {
        if op == Op::Div {
            let out = each::<Decimal128Type, Decimal128Type, Int64Type>(&columns[0], &columns[1], mode, |x, y| {
                i64::try_from(compute(x, y)?).map_err(|_| overflow("long"))
            })?;
            return Ok(Arc::new(out));
        }
        let (x, y) = (columns[0].as_primitive::<Decimal128Type>(), columns[1].as_primitive::<Decimal128Type>());
        let out: Decimal128Array = match (op, plain) {
            (Op::Add, Some(Powers { left, right, .. })) => {
                over_both(x, y, |x, y| x.wrapping_mul(left).wrapping_add(y.wrapping_mul(right)))?
            }
            (Op::Subtract, Some(Powers { left, right, .. })) => {
                over_both(x, y, |x, y| x.wrapping_mul(left).wrapping_sub(y.wrapping_mul(right)))?
            }
            (Op::Multiply, Some(_)) => over_both(x, y, i128::wrapping_mul)?,
            _ => each::<Decimal128Type, Decimal128Type, Decimal128Type>(&columns[0], &columns[1], mode, compute)?,
        };
        let out: ArrayRef = Arc::new(out.with_precision_and_scale(precision, scale)?);
        Ok(out)
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
