//! `format_string` and `printf`: the conversions of Java's `Formatter` that numbers and texts need.
//!
//! A value keeps Spark's inner form, so a date is its number of days. A conversion that does not go with its value is an
//! error, as in Java.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, TimestampMicrosecondType};

use super::Call;
use super::room::Room;
use super::rows::gather;
use crate::bind::{Binder, Bound};
use crate::spark::error::{Result, spark_hint};
use crate::spark::zone::Zone;
use crate::spark::{kernel, text};

/// The widest field that a format may ask for.
const WIDEST: usize = 1 << 20;

enum Arg {
    Null,
    Flag(bool),
    /// A whole number and its width in bits.
    Whole(i128, u32),
    Real(f64, String),
    Text(String),
}

fn wrong(what: impl std::fmt::Display) -> datafusion::error::DataFusionError {
    spark_hint(
        "INVALID_PARAMETER_VALUE",
        format!("the format of `format_string` is invalid: {what}"),
        "use %s, %d, %x, %o, %f, %e, %c, %b or %%, each with an argument of its kind",
    )
}

fn arg(array: &ArrayRef, row: usize, zone: &Zone) -> Result<Arg> {
    if array.is_null(row) || *array.data_type() == DataType::Null {
        return Ok(Arg::Null);
    }
    let shown = |zone: &Zone| {
        Ok::<String, datafusion::error::DataFusionError>(text::value(array, row, zone)?.unwrap_or_default())
    };
    Ok(match array.data_type() {
        DataType::Boolean => Arg::Flag(array.as_boolean().value(row)),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            let bits = match array.data_type() {
                DataType::Int8 => 8,
                DataType::Int16 => 16,
                DataType::Int32 => 32,
                _ => 64,
            };
            Arg::Whole(shown(zone)?.parse().map_err(wrong)?, bits)
        }
        DataType::Date32 => Arg::Whole(i128::from(array.as_primitive::<Date32Type>().value(row)), 32),
        DataType::Timestamp(..) => {
            Arg::Whole(i128::from(array.as_primitive::<TimestampMicrosecondType>().value(row)), 64)
        }
        DataType::Float32 | DataType::Float64 => {
            let shown = shown(zone)?;
            let value = match shown.as_str() {
                "Infinity" => f64::INFINITY,
                "-Infinity" => f64::NEG_INFINITY,
                shown => shown.parse().unwrap_or(f64::NAN),
            };
            Arg::Real(value, shown)
        }
        DataType::Decimal128(_, scale) => {
            let shown = text::decimal(array.as_primitive::<Decimal128Type>().value(row), *scale);
            Arg::Real(shown.parse().map_err(wrong)?, shown)
        }
        _ => Arg::Text(shown(zone)?),
    })
}

/// `%[argument$][flags][width][.precision]conversion`.
struct Spec {
    argument: Option<usize>,
    flags: String,
    width: usize,
    precision: Option<usize>,
    conversion: char,
}

impl Spec {
    /// Reads what follows a percent sign; also the rest.
    fn read(text: &str) -> Result<(Spec, &str)> {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let size = |text: &str| match text.parse::<usize>() {
            Ok(size) if size <= WIDEST => Ok(size),
            _ => Err(wrong(format!("the size {text} is too large"))),
        };
        let mut rest = text;
        let mut argument = None;
        let count = digits(rest);
        if count > 0 && rest[count..].starts_with('$') {
            argument = Some(size(&rest[..count])?);
            rest = &rest[count + 1..];
        }
        let flags: String = rest.chars().take_while(|c| "-#+ 0,(".contains(*c)).collect();
        rest = &rest[flags.len()..];
        let count = digits(rest);
        let width = if count == 0 { 0 } else { size(&rest[..count])? };
        rest = &rest[count..];
        let mut precision = None;
        if let Some(after) = rest.strip_prefix('.') {
            let count = digits(after);
            precision = Some(size(&after[..count])?);
            rest = &after[count..];
        }
        let conversion = rest.chars().next().ok_or_else(|| wrong("it ends within a conversion"))?;
        Ok((Spec { argument, flags, width, precision, conversion }, &rest[conversion.len_utf8()..]))
    }

    fn has(&self, flag: char) -> bool {
        self.flags.contains(flag)
    }

    fn padded(&self, text: String) -> String {
        let missing = self.width.saturating_sub(text.chars().count());
        let fill = " ".repeat(missing);
        if self.has('-') { format!("{text}{fill}") } else { format!("{fill}{text}") }
    }

    /// A number's digits with its sign, grouped and filled with zeros.
    fn number(&self, digits: &str, negative: bool) -> String {
        let mut digits = digits.to_owned();
        if self.has(',') {
            let whole = digits.find(['.', 'e']).unwrap_or(digits.len());
            for at in (1..whole).rev().filter(|at| (whole - at).is_multiple_of(3)) {
                digits.insert(at, ',');
            }
        }
        let (before, after) = match negative {
            true if self.has('(') => ("(", ")"),
            true => ("-", ""),
            false if self.has('+') => ("+", ""),
            false if self.has(' ') => (" ", ""),
            false => ("", ""),
        };
        let missing = self.width.saturating_sub(digits.len() + before.len() + after.len());
        let zeros = if self.has('0') { "0".repeat(missing) } else { String::new() };
        self.padded(format!("{before}{zeros}{digits}{after}"))
    }

    fn real(&self, value: f64, exact: &str) -> String {
        if !value.is_finite() {
            return self.padded(exact.to_owned());
        }
        let precision = self.precision.unwrap_or(6);
        if self.conversion.eq_ignore_ascii_case(&'e') {
            let shown = format!("{:.precision$e}", value.abs());
            let (mantissa, exponent) = shown.split_once('e').unwrap_or((&shown, "0"));
            let exponent: i32 = exponent.parse().unwrap_or(0);
            let sign = if exponent < 0 { '-' } else { '+' };
            return self.number(&format!("{mantissa}e{sign}{:02}", exponent.abs()), value < 0.0);
        }
        self.number(&half_up(exact, precision), value < 0.0)
    }

    fn apply(&self, arg: &Arg) -> Result<String> {
        let shown = match (self.conversion.to_ascii_lowercase(), arg) {
            ('b', arg) => {
                let flag = !matches!(arg, Arg::Null | Arg::Flag(false));
                self.padded(self.cut(flag.to_string()))
            }
            (_, Arg::Null) => self.padded(self.cut("null".into())),
            ('s', Arg::Flag(flag)) => self.padded(self.cut(flag.to_string())),
            ('s', Arg::Whole(value, _)) => self.padded(self.cut(value.to_string())),
            ('s', Arg::Real(_, text) | Arg::Text(text)) => self.padded(self.cut(text.clone())),
            ('d', Arg::Whole(value, _)) => self.number(&value.unsigned_abs().to_string(), *value < 0),
            ('x' | 'o', Arg::Whole(value, bits)) => {
                let unsigned = value.cast_unsigned() & ((1_u128 << bits) - 1);
                let (prefix, digits) = match self.conversion {
                    'o' => ("0", format!("{unsigned:o}")),
                    _ => ("0x", format!("{unsigned:x}")),
                };
                self.number(&if self.has('#') { format!("{prefix}{digits}") } else { digits }, false)
            }
            ('c', Arg::Whole(value, _)) => {
                let code = u32::try_from(*value).ok().and_then(char::from_u32);
                self.padded(code.ok_or_else(|| wrong(format!("{value} is no character")))?.to_string())
            }
            ('f' | 'e', Arg::Real(value, exact)) => self.real(*value, exact),
            (conversion, _) => return Err(wrong(format!("%{conversion} does not go with its argument"))),
        };
        Ok(if self.conversion.is_ascii_uppercase() { shown.to_uppercase() } else { shown })
    }

    fn cut(&self, text: String) -> String {
        match self.precision {
            Some(precision) => text.chars().take(precision).collect(),
            None => text,
        }
    }
}

/// A number's digits without its sign, rounded half up to that many places (as Java rounds the shortest text).
fn half_up(shown: &str, precision: usize) -> String {
    let unsigned = shown.trim_start_matches('-');
    let (mantissa, exponent) = unsigned.split_once('E').unwrap_or((unsigned, "0"));
    let exponent: i64 = exponent.parse().unwrap_or(0);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|digit| digit - b'0').collect();
    let mut point = i64::try_from(whole.len()).unwrap_or(0) + exponent;
    while point < 1 {
        digits.insert(0, 0);
        point += 1;
    }
    let point = usize::try_from(point).unwrap_or(1);
    let kept = point + precision;
    let up = digits.get(kept).is_some_and(|digit| *digit >= 5);
    digits.resize(kept, 0);
    let mut carry = up;
    for digit in digits.iter_mut().rev() {
        if !carry {
            break;
        }
        *digit = (*digit + 1) % 10;
        carry = *digit == 0;
    }
    let mut out: String = digits.iter().map(|digit| char::from(b'0' + digit)).collect();
    let point = if carry { point + 1 } else { point };
    if carry {
        out.insert(0, '1');
    }
    let (whole, fraction) = out.split_at(point);
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    if precision == 0 { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

fn format(written: &str, args: &[ArrayRef], row: usize, zone: &Zone, room: &Room) -> Result<String> {
    let (mut out, mut rest, mut next) = (String::new(), written, 0);
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let (spec, after) = Spec::read(after)?;
        rest = after;
        match spec.conversion {
            '%' => out.push_str(&spec.padded("%".into())),
            'n' => out.push('\n'),
            _ => {
                let at = match spec.argument {
                    Some(at) => at.checked_sub(1).ok_or_else(|| wrong("arguments count from 1"))?,
                    None => {
                        next += 1;
                        next - 1
                    }
                };
                let value = args.get(at).ok_or_else(|| wrong(format!("it needs {} arguments", at + 1)))?;
                out.push_str(&spec.apply(&arg(value, row, zone)?)?);
            }
        }
        room.check(out.len())?;
    }
    out.push_str(rest);
    Ok(out)
}

/// Binds the call if it is one of these functions.
pub(crate) fn call(binder: &Binder, call: &mut Call<'_>) -> Result<Option<Bound>> {
    if !matches!(call.name, "format_string" | "printf") {
        return Ok(None);
    }
    let text = call.text();
    call.arity(1, usize::MAX)?;
    let mut exprs = Vec::new();
    for (at, arg) in std::mem::take(&mut call.args).into_iter().enumerate() {
        exprs.push(if at == 0 { binder.implicit(arg, &DataType::Utf8, &text)?.expr } else { arg.expr });
    }
    let zone = binder.zone();
    let expr = kernel::pure("format_string", format!("{zone:?}"), DataType::Utf8, exprs, move |columns, rows| {
        let formats = columns[0].as_string::<i32>();
        let room = Room::of(columns);
        gather(rows, &room, |row| match formats.is_null(row) {
            true => Ok(None),
            false => format(formats.value(row), &columns[1..], row, &zone, &room).map(Some),
        })
    });
    Ok(Some(Bound::new(expr, DataType::Utf8, text)))
}
