//! Literals: numbers with their suffixes, typed literals, intervals.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{self, UnaryOperator, Value};

use super::expr::Cx;
use super::{Binder, Bound};
use crate::spark::error::{Result, spark, spark_hint, unsupported};
use crate::spark::{interval, parse, text};

impl Binder {
    pub(super) fn literal(&self, value: &Value) -> Result<Bound> {
        Ok(match value {
            Value::Number(text, _) => return number(text, false),
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => {
                Bound::literal(ScalarValue::Utf8(Some(text.clone())), text.clone())
            }
            Value::HexStringLiteral(hex) => {
                let padded = if hex.len() % 2 == 1 { format!("0{hex}") } else { hex.clone() };
                let bytes: Option<Vec<u8>> = (0..padded.len())
                    .step_by(2)
                    .map(|at| padded.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
                    .collect();
                let bytes = bytes.ok_or_else(|| spark("PARSE_SYNTAX_ERROR", format!("X'{hex}' is not hexadecimal")))?;
                Bound::literal(ScalarValue::Binary(Some(bytes)), format!("X'{}'", padded.to_uppercase()))
            }
            Value::Boolean(value) => Bound::literal(ScalarValue::Boolean(Some(*value)), value.to_string()),
            Value::Null => Bound::literal(ScalarValue::Null, "NULL"),
            Value::Placeholder(name) => {
                return Err(spark_hint(
                    "UNBOUND_SQL_PARAMETER",
                    format!("the parameter {name} has no value"),
                    "give it one",
                ));
            }
            other => return Err(unsupported(format!("the literal {other}"))),
        })
    }

    pub(super) fn typed_literal(&self, data_type: &str, raw: &str) -> Result<Bound> {
        let word = data_type.to_ascii_uppercase();
        let invalid = |kind: &str| {
            spark("INVALID_TYPED_LITERAL", format!("the value of the typed literal \"{kind}\" is invalid: '{raw}'"))
        };
        match word.as_str() {
            "DATE" => {
                let days = parse::date(raw).ok_or_else(|| invalid("DATE"))?;
                Ok(Bound::literal(ScalarValue::Date32(Some(days)), format!("DATE '{}'", text::date(days))))
            }
            "TIMESTAMP_NTZ" => {
                let micros = parse::timestamp_ntz(raw).ok_or_else(|| invalid("TIMESTAMP_NTZ"))?;
                let name = format!("TIMESTAMP_NTZ '{}'", text::local_time(micros));
                Ok(Bound::literal(ScalarValue::TimestampMicrosecond(Some(micros), None), name))
            }
            "TIMESTAMP" | "TIMESTAMP_LTZ" => {
                let zone = self.zone();
                let micros = parse::timestamp(raw, &zone).ok_or_else(|| invalid("TIMESTAMP"))?;
                let name = format!("TIMESTAMP '{}'", text::local_time(zone.to_local(micros)));
                Ok(Bound::literal(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())), name))
            }
            other => Err(unsupported(format!("the typed literal {other}"))),
        }
    }

    pub(super) fn interval(&self, ast: &ast::Interval, cx: &Cx<'_>) -> Result<Bound> {
        let value = self.expr(&ast.value, cx)?;
        let raw = match value.as_literal() {
            Some(ScalarValue::Utf8(Some(text))) => text.clone(),
            Some(_) => value.name.clone(),
            None => return Err(unsupported("an INTERVAL of an expression")),
        };
        let bad = || spark("INVALID_INTERVAL_FORMAT.UNIT_FORMAT", format!("'{raw}' is no interval"));
        let written = match (&ast.leading_field, &ast.last_field) {
            (None, None) => raw.clone(),
            (Some(unit), None) => format!("{raw} {unit}"),
            // The grammar made single units of a range.
            (_, Some(_)) => return Err(unsupported("an INTERVAL of a range of units here")),
        };
        let (value, span) = interval::words(&written).ok_or_else(bad)?;
        Ok(interval::literal(value, span))
    }
}

/// `1L` and `1.5D` arrive as casts of a literal that stands nowhere in the text.
pub(super) fn suffixed(inner: &ast::Expr, to: &DataType) -> Result<Option<Bound>> {
    let (value, negative) = match inner {
        ast::Expr::Value(value) => (value, false),
        ast::Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match expr.as_ref() {
            ast::Expr::Value(value) => (value, true),
            _ => return Ok(None),
        },
        _ => return Ok(None),
    };
    if value.span != datafusion::sql::sqlparser::tokenizer::Span::empty() {
        return Ok(None);
    }
    let (Value::Number(text, _) | Value::SingleQuotedString(text)) = &value.value else { return Ok(None) };
    let suffix = match to {
        DataType::Int8 => "Y",
        DataType::Int16 => "S",
        DataType::Int64 => "L",
        DataType::Float32 => "F",
        DataType::Float64 => "D",
        DataType::Decimal128(..) => "BD",
        _ => return Ok(None),
    };
    let (text, negative) = match text.strip_prefix('-') {
        Some(text) => (text, true),
        None => (text.as_str(), negative),
    };
    number(&format!("{text}{suffix}"), negative).map(Some)
}

/// A number with its suffix.
pub(super) fn number(raw: &str, negative: bool) -> Result<Bound> {
    let sign = if negative { "-" } else { "" };
    let upper = raw.to_ascii_uppercase();
    let out_of_range = |kind: &str| {
        spark(
            "INVALID_NUMERIC_LITERAL_RANGE",
            format!("the numeric literal {sign}{raw} is outside the range of {kind}"),
        )
    };
    macro_rules! whole {
        ($digits:expr, $native:ty, $variant:ident, $kind:literal) => {{
            let value: $native = format!("{sign}{}", $digits).parse().map_err(|_| out_of_range($kind))?;
            return Ok(Bound::literal(ScalarValue::$variant(Some(value)), value.to_string()));
        }};
    }
    if let Some(digits) = upper.strip_suffix("BD") {
        return decimal_literal(&format!("{sign}{digits}"));
    }
    let fractional = upper.contains(['.', 'E']);
    if let Some(digits) = upper.strip_suffix('D') {
        let value: f64 = format!("{sign}{digits}").parse().map_err(|_| out_of_range("DOUBLE"))?;
        return Ok(Bound::literal(ScalarValue::Float64(Some(value)), text::double(value)));
    }
    if let Some(digits) = upper.strip_suffix('F') {
        let value: f32 = format!("{sign}{digits}").parse().map_err(|_| out_of_range("FLOAT"))?;
        return Ok(Bound::literal(ScalarValue::Float32(Some(value)), text::float(value)));
    }
    if !fractional {
        if let Some(digits) = upper.strip_suffix('L') {
            whole!(digits, i64, Int64, "BIGINT");
        }
        if let Some(digits) = upper.strip_suffix('S') {
            whole!(digits, i16, Int16, "SMALLINT");
        }
        if let Some(digits) = upper.strip_suffix('Y') {
            whole!(digits, i8, Int8, "TINYINT");
        }
        let written = format!("{sign}{upper}");
        if let Ok(value) = written.parse::<i32>() {
            return Ok(Bound::literal(ScalarValue::Int32(Some(value)), value.to_string()));
        }
        if let Ok(value) = written.parse::<i64>() {
            return Ok(Bound::literal(ScalarValue::Int64(Some(value)), value.to_string()));
        }
        return decimal_literal(&written);
    }
    if upper.contains('E') {
        let value: f64 = format!("{sign}{upper}").parse().map_err(|_| out_of_range("DOUBLE"))?;
        return Ok(Bound::literal(ScalarValue::Float64(Some(value)), text::double(value)));
    }
    decimal_literal(&format!("{sign}{upper}"))
}

fn decimal_literal(written: &str) -> Result<Bound> {
    let (mantissa, exponent) = match written.split_once('E') {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().unwrap_or(0)),
        None => (written, 0),
    };
    let fraction = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let scale = i32::try_from(fraction).unwrap_or(38) - exponent;
    let scale = i8::try_from(scale.max(0)).unwrap_or(i8::MAX);
    let too_big = || {
        spark(
            "DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION",
            format!("the number {written} has more than the 38 digits that a decimal can have"),
        )
    };
    if scale > 38 {
        return Err(too_big());
    }
    let value = parse::digits(written).and_then(|digits| digits.at_scale(38, scale)).ok_or_else(too_big)?;
    let digits = u8::try_from(value.unsigned_abs().to_string().len()).unwrap_or(38);
    let precision = digits.max(u8::try_from(scale).unwrap_or(0)).max(1);
    let name = big_decimal(value, scale);
    Ok(Bound::literal(ScalarValue::Decimal128(Some(value), precision, scale), name))
}

/// Java's `BigDecimal.toString`, which is scientific for small numbers.
fn big_decimal(value: i128, scale: i8) -> String {
    let digits = value.unsigned_abs().to_string();
    let exponent = i64::try_from(digits.len()).unwrap_or(0) - 1 - i64::from(scale);
    if scale <= 0 || exponent >= -6 {
        return text::decimal(value, scale);
    }
    let (first, rest) = digits.split_at(1);
    let sign = if value < 0 { "-" } else { "" };
    let rest = if rest.is_empty() { String::new() } else { format!(".{rest}") };
    format!("{sign}{first}{rest}E{exponent}")
}
