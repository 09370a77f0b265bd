//! Mathematics.

use std::sync::Arc;

use arrow::array::{AsArray, Decimal128Array};
use arrow::datatypes::{DataType, Decimal128Type};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;

use super::Call;
use super::rows::{call as row, coerce};
use crate::bind::{Binder, Bound, unexpected_type};
use crate::spark::arithmetic::negate;
use crate::spark::error::{Result, overflow, spark_hint};
use crate::spark::{kernel, parse, text, types};

const D: DataType = DataType::Float64;

/// A function of one double; `None` is NULL.
type Unary = fn(f64) -> Option<f64>;

/// Functions from a double to a double; Spark shows these names in capitals.
fn unary(name: &str) -> Option<(Unary, bool)> {
    Some(match name {
        "sqrt" => (|x| Some(x.sqrt()), true),
        "cbrt" => (|x| Some(x.cbrt()), true),
        "exp" => (|x| Some(x.exp()), true),
        "expm1" => (|x| Some(x.exp_m1()), true),
        "ln" => (|x| (x > 0.0).then(|| x.ln()), false),
        "log10" => (|x| (x > 0.0).then(|| x.log10()), true),
        "log2" => (|x| (x > 0.0).then(|| x.log2()), true),
        "log1p" => (|x| (x > -1.0).then(|| x.ln_1p()), true),
        "sin" => (|x| Some(x.sin()), true),
        "cos" => (|x| Some(x.cos()), true),
        "tan" => (|x| Some(x.tan()), true),
        "asin" => (|x| Some(x.asin()), true),
        "acos" => (|x| Some(x.acos()), true),
        "atan" => (|x| Some(x.atan()), true),
        "sinh" => (|x| Some(x.sinh()), true),
        "cosh" => (|x| Some(x.cosh()), true),
        "tanh" => (|x| Some(x.tanh()), true),
        "asinh" => (|x| Some(x.asinh()), true),
        "acosh" => (|x| Some(x.acosh()), true),
        "atanh" => (|x| Some(x.atanh()), true),
        "sec" => (|x| Some(1.0 / x.cos()), true),
        "csc" => (|x| Some(1.0 / x.sin()), true),
        "cot" => (|x| Some(1.0 / x.tan()), true),
        "degrees" => (|x| Some(x.to_degrees()), true),
        "radians" => (|x| Some(x.to_radians()), true),
        "signum" => (|x| Some(if x == 0.0 || x.is_nan() { x } else { x.signum() }), true),
        "sign" => (|x| Some(if x == 0.0 || x.is_nan() { x } else { x.signum() }), false),
        "rint" => (|x| Some(x.round_ties_even()), false),
        _ => return None,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    HalfUp,
    HalfEven,
    Up,
    Down,
}

/// An unscaled value at another scale; `None` when it is too large there.
fn rounded(value: i128, from: i32, to: i32, way: Way) -> Option<i128> {
    if to >= from {
        return Some(value);
    }
    let Some(unit) = 10_i128.checked_pow(u32::try_from(from - to).unwrap_or(0)) else {
        // Every value is nearer to 0 than to such a unit.
        return match way {
            Way::Up if value > 0 => None,
            Way::Down if value < 0 => None,
            _ => Some(0),
        };
    };
    let (quotient, rest) = (value.div_euclid(unit), value.rem_euclid(unit));
    let half = rest.cmp(&(unit - rest));
    let up = match way {
        Way::Up => rest > 0,
        Way::Down => false,
        Way::HalfEven => half.is_gt() || half.is_eq() && quotient % 2 != 0,
        // Away from zero: a negative value at the half goes down.
        Way::HalfUp if value < 0 => half.is_gt(),
        Way::HalfUp => half.is_ge(),
    };
    (quotient + i128::from(up)).checked_mul(unit)
}

/// More places than any value has, on either side of the point.
const PLACES: i32 = 400;

fn round(binder: &Binder, call: &mut Call<'_>, way: Way) -> Result<Bound> {
    call.arity(1, 2)?;
    let text_name = call.text();
    let explicit = call.args.len() == 2;
    let places = match call.args.get(1) {
        Some(places) => {
            let places = binder.implicit(places.clone(), &DataType::Int32, &text_name)?;
            match binder.constant(&places)? {
                ScalarValue::Int32(Some(places)) => places,
                _ => return Ok(Bound::literal(ScalarValue::Null, text_name)),
            }
        }
        None => 0,
    };
    let value = call.args.remove(0);
    let rounding = matches!(way, Way::HalfUp | Way::HalfEven);
    let value = match &value.ty {
        DataType::Utf8 | DataType::Null => binder.cast(value, &D)?,
        ty if types::is_numeric(ty) => value,
        _ => return Err(unexpected_type(&text_name, &value, "NUMERIC")),
    };
    let name = if rounding {
        format!("{}({}, {places})", call.name, value.name)
    } else if explicit {
        text_name
    } else if call.name == "ceiling" {
        format!("ceiling({})", value.name)
    } else {
        format!("{}({})", call.name.to_uppercase(), value.name)
    };
    let places = places.clamp(-PLACES, PLACES);
    let key = format!("{way:?} {places}");
    // ceil and floor with a second argument work on decimals, without one give BIGINT.
    let value = match (&value.ty, rounding, explicit) {
        (ty, false, true) if types::is_integral(ty) => {
            let (precision, scale) = types::integral_as_decimal(ty).unwrap_or((20, 0));
            binder.cast(value, &DataType::Decimal128(precision, scale))?
        }
        (ty, false, true) if types::is_float(ty) => binder.cast(value, &DataType::Decimal128(30, 15))?,
        _ => value,
    };
    match value.ty.clone() {
        DataType::Decimal128(precision, scale) => {
            let (p, s) = (i32::from(precision), i32::from(scale));
            let whole = p - s + 1;
            let (out_p, out_s) = if places < 0 {
                ((whole.max(-places + 1)).min(38), 0)
            } else {
                let new = s.min(places);
                ((whole + new).min(38), new)
            };
            let (out_p, out_s) = (u8::try_from(out_p).unwrap_or(38), i8::try_from(out_s).unwrap_or(0));
            let ty = DataType::Decimal128(out_p, out_s);
            let expr = kernel::pure(call.name, key, ty.clone(), vec![value.expr], move |columns, _| {
                let values = columns[0].as_primitive::<Decimal128Type>();
                let out = values
                    .iter()
                    .map(|value| {
                        let Some(value) = value else { return Ok(None) };
                        let value = rounded(value, s, places, way)
                            .and_then(|value| crate::spark::casts::rescale(value, scale, out_s))
                            .filter(|value| parse::fits(*value, out_p));
                        value.map(Some).ok_or_else(|| overflow("decimal"))
                    })
                    .collect::<Result<Decimal128Array>>()?;
                Ok(Arc::new(out.with_precision_and_scale(out_p, out_s)?))
            });
            Ok(Bound::new(expr, ty, name))
        }
        ty if types::is_integral(&ty) => {
            if !rounding {
                return Ok(binder.cast(value, &DataType::Int64)?.named(name));
            }
            let wide = binder.cast(value, &DataType::Int64)?;
            let out = ty.clone();
            let (low, high) = match ty {
                DataType::Int8 => (i64::from(i8::MIN), i64::from(i8::MAX)),
                DataType::Int16 => (i64::from(i16::MIN), i64::from(i16::MAX)),
                DataType::Int32 => (i64::from(i32::MIN), i64::from(i32::MAX)),
                _ => (i64::MIN, i64::MAX),
            };
            let bound = row(call.name, key, vec![wide], move |r| {
                let value = rounded(i128::from(r.long(0)), 0, places, way);
                match value.and_then(|value| i64::try_from(value).ok()) {
                    Some(value) if (low..=high).contains(&value) => Ok(Some(value)),
                    _ => Err(overflow("integer")),
                }
            });
            Ok(binder.cast(bound, &out)?.named(name))
        }
        ty => {
            if !rounding {
                let wide = binder.cast(value, &D)?;
                #[expect(clippy::cast_possible_truncation, reason = "saturating, as Java's")]
                return Ok(row(call.name, key, vec![wide], move |r| {
                    let value = r.double(0);
                    Ok(Some((if way == Way::Up { value.ceil() } else { value.floor() }) as i64))
                })
                .named(name));
            }
            let wide = binder.cast(value, &D)?;
            let bound = row(call.name, key, vec![wide], move |r| {
                let value = r.double(0);
                if !value.is_finite() || places > 300 {
                    return Ok(Some(value));
                }
                // Through the shortest decimal text, as Java's BigDecimal.valueOf.
                let Some(digits) = parse::digits(&text::double(value)) else { return Ok(Some(value)) };
                let scale: i8 = 16;
                match digits.at_scale(38, scale) {
                    Some(unscaled) if places < 16 => {
                        let out = rounded(unscaled, i32::from(scale), places, way);
                        Ok(out.and_then(|out| text::decimal(out, scale).parse().ok()).or(Some(value)))
                    }
                    _ => Ok(Some(value)),
                }
            });
            Ok(binder.cast(bound, &ty)?.named(name))
        }
    }
}

/// Binds the call if it is one of these functions.
pub(crate) fn call(binder: &Binder, call: &mut Call<'_>) -> Result<Option<Bound>> {
    let text_name = call.text();
    let name = call.name;
    if let Some((f, capitals)) = unary(name) {
        let values = coerce(binder, call, 1, &[D])?;
        let shown = if capitals { format!("{}({})", name.to_uppercase(), values[0].name) } else { text_name };
        return Ok(Some(row(name, "", values, move |r| Ok(f(r.double(0)))).named(shown)));
    }
    let upper = |call: &Call<'_>| {
        let shown: Vec<&str> = call.args.iter().map(|arg| arg.name.as_str()).collect();
        format!("{}({})", call.name.to_uppercase(), shown.join(", "))
    };
    let bound = match name {
        "round" => return Ok(Some(round(binder, call, Way::HalfUp)?)),
        "bround" => return Ok(Some(round(binder, call, Way::HalfEven)?)),
        "ceil" | "ceiling" => return Ok(Some(round(binder, call, Way::Up)?)),
        "floor" => return Ok(Some(round(binder, call, Way::Down)?)),
        "pow" | "power" => {
            let shown = if name == "power" { upper(call) } else { text_name };
            let values = coerce(binder, call, 2, &[D, D])?;
            return Ok(Some(row(name, "", values, |r| Ok(Some(r.double(0).powf(r.double(1))))).named(shown)));
        }
        "atan2" | "hypot" => {
            let shown = upper(call);
            let hypot = name == "hypot";
            let values = coerce(binder, call, 2, &[D, D])?;
            return Ok(Some(
                row(name, "", values, move |r| {
                    Ok(Some(if hypot { r.double(0).hypot(r.double(1)) } else { r.double(0).atan2(r.double(1)) }))
                })
                .named(shown),
            ));
        }
        "log" => {
            let shown = if call.args.len() == 1 { format!("LOG(E(), {})", call.args[0].name) } else { upper(call) };
            let values = coerce(binder, call, 1, &[D, D])?;
            let one = values.len() == 1;
            return Ok(Some(
                row(name, "", values, move |r| {
                    if one {
                        return Ok((r.double(0) > 0.0).then(|| r.double(0).ln()));
                    }
                    Ok((r.double(0) > 0.0 && r.double(1) > 0.0).then(|| r.double(1).ln() / r.double(0).ln()))
                })
                .named(shown),
            ));
        }
        "pi" => return Ok(Some(Bound::literal(ScalarValue::Float64(Some(std::f64::consts::PI)), "PI()"))),
        "e" => return Ok(Some(Bound::literal(ScalarValue::Float64(Some(std::f64::consts::E)), "E()"))),
        "abs" => {
            call.arity(1, 1)?;
            let value = call.args.remove(0);
            let value =
                if matches!(value.ty, DataType::Utf8 | DataType::Null) { binder.cast(value, &D)? } else { value };
            if !types::is_numeric(&value.ty) && !types::is_interval(&value.ty) {
                return Err(unexpected_type(&text_name, &value, "NUMERIC or INTERVAL"));
            }
            if types::is_float(&value.ty) {
                let ty = value.ty.clone();
                let wide = binder.cast(value, &D)?;
                let bound = row(name, "", vec![wide], |r| Ok(Some(r.double(0).abs())));
                binder.cast(bound, &ty)?
            } else {
                let zero = Bound::literal(ScalarValue::new_zero(&value.ty)?, "0");
                let negative = binder.compare(datafusion::logical_expr::Operator::Lt, value.clone(), zero)?;
                let turned = negate(binder, value.clone())?;
                binder.case_of(vec![negative], vec![turned, value])?
            }
        }
        "factorial" => row(name, "", coerce(binder, call, 1, &[DataType::Int32])?, |r| {
            Ok(if (0..=20).contains(&r.int(0)) { Some((1..=i64::from(r.int(0))).product::<i64>()) } else { None })
        }),
        "bin" => row(name, "", coerce(binder, call, 1, &[DataType::Int64])?, |r| Ok(Some(format!("{:b}", r.long(0))))),
        "conv" => row(name, "", coerce(binder, call, 3, &[DataType::Utf8, DataType::Int32, DataType::Int32])?, |r| {
            Ok(conv(r.text(0), r.int(1), r.int(2)))
        }),
        "width_bucket" => row(name, "", coerce(binder, call, 4, &[D, D, D, DataType::Int64])?, |r| {
            let (value, low, high, count) = (r.double(0), r.double(1), r.double(2), r.long(3));
            if count <= 0 || count == i64::MAX || low == high || value.is_nan() || !low.is_finite() || !high.is_finite()
            {
                return Ok(None);
            }
            #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "buckets")]
            let place = |share: f64| ((share * count as f64) as i64).saturating_add(1);
            Ok(Some(if low < high {
                if value < low {
                    0
                } else if value >= high {
                    count + 1
                } else {
                    place((value - low) / (high - low))
                }
            } else if value > low {
                0
            } else if value <= high {
                count + 1
            } else {
                place((low - value) / (low - high))
            }))
        }),
        "bit_count" => {
            call.arity(1, 1)?;
            let value = call.args.remove(0);
            let wide = if value.ty == DataType::Boolean {
                binder.cast(value, &DataType::Int64)?
            } else {
                binder.implicit(value, &DataType::Int64, &text_name)?
            };
            row(name, "", vec![wide], |r| Ok(Some(i32::try_from(r.long(0).count_ones()).unwrap_or(0))))
        }
        "bit_get" | "getbit" => {
            let bits = match call.args.first().map(|arg| &arg.ty) {
                Some(DataType::Int8) => 8,
                Some(DataType::Int16) => 16,
                Some(DataType::Int32) => 32,
                _ => 64,
            };
            let values = coerce(binder, call, 2, &[DataType::Int64, DataType::Int32])?;
            let bound = row(name, format!("{bits}"), values, move |r| {
                let at = r.int(1);
                if !(0..bits).contains(&at) {
                    return Err(spark_hint(
                        "INVALID_PARAMETER_VALUE.BIT_POSITION_RANGE",
                        format!("the bit position {at} is not within 0 and {}", bits - 1),
                        "count the bits from 0, the lowest first",
                    ));
                }
                Ok(Some(i32::from(r.long(0) >> at & 1 == 1)))
            });
            Bound::new(
                Expr::Cast(datafusion::logical_expr::Cast::new(Box::new(bound.expr), DataType::Int8)),
                DataType::Int8,
                "",
            )
        }
        "shiftleft" | "shiftright" | "shiftrightunsigned" => {
            call.arity(2, 2)?;
            let long = call.args[0].ty == DataType::Int64;
            let kind = name.to_owned();
            if long {
                row(name, "l", coerce(binder, call, 2, &[DataType::Int64, DataType::Int32])?, move |r| {
                    let (value, by) = (r.long(0), u32::try_from(r.int(1) & 63).unwrap_or(0));
                    Ok(Some(match kind.as_str() {
                        "shiftleft" => value.wrapping_shl(by),
                        "shiftright" => value.wrapping_shr(by),
                        _ => value.cast_unsigned().wrapping_shr(by).cast_signed(),
                    }))
                })
            } else {
                row(name, "i", coerce(binder, call, 2, &[DataType::Int32, DataType::Int32])?, move |r| {
                    let (value, by) = (r.int(0), u32::try_from(r.int(1) & 31).unwrap_or(0));
                    Ok(Some(match kind.as_str() {
                        "shiftleft" => value.wrapping_shl(by),
                        "shiftright" => value.wrapping_shr(by),
                        _ => value.cast_unsigned().wrapping_shr(by).cast_signed(),
                    }))
                })
            }
        }
        _ => return Ok(None),
    };
    Ok(Some(bound.named(text_name)))
}

/// A number in another base.
fn conv(text: &str, from: i32, to: i32) -> Option<String> {
    let text = text.trim();
    if text.is_empty() || !(2..=36).contains(&from) || !(2..=36).contains(&to.abs()) {
        return None;
    }
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let base = u32::try_from(from).ok()?;
    let mut value: u64 = 0;
    for c in digits.chars() {
        let Some(digit) = c.to_digit(base) else { break };
        value = value
            .checked_mul(u64::from(base))
            .and_then(|value| value.checked_add(u64::from(digit)))
            .unwrap_or(u64::MAX);
    }
    let mut value = if negative { value.wrapping_neg() } else { value };
    let mut sign = "";
    if to < 0 && value.cast_signed() < 0 {
        sign = "-";
        value = value.wrapping_neg();
    }
    let base = u64::from(to.unsigned_abs());
    let mut out = Vec::new();
    loop {
        let digit = u32::try_from(value % base).ok()?;
        out.push(char::from_digit(digit, 36)?.to_ascii_uppercase());
        value /= base;
        if value == 0 {
            break;
        }
    }
    let out: String = out.into_iter().rev().collect();
    Some(format!("{sign}{out}"))
}
