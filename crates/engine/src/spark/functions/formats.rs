//! Numbers under a format (`'$99,999.00'`): `to_char`, `to_number`, and bytes under one: `to_binary`.
//!
//! A format is `[S|MI] [$] digits [. digits] [S|MI|PR]`: `0` is a digit that is always there, `9` one that may be missing,
//! `,` and `G` separate groups, `.` and `D` the fraction.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use super::Call;
use super::encode;
use super::rows::call as row;
use crate::bind::{Binder, Bound, unexpected_type};
use crate::spark::casts::Mode;
use crate::spark::error::{Result, spark, spark_hint};
use crate::spark::{parse, text, types};

const T: DataType = DataType::Utf8;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sign {
    None,
    /// `S`: `+` or `-`.
    Always,
    /// `MI`: `-` or a blank.
    Minus,
    /// `PR`: `<1>`.
    Angles,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Zero,
    Nine,
    Group,
}

/// A format, understood.
#[derive(Clone, Debug)]
struct Format {
    lead: Sign,
    trail: Sign,
    currency: bool,
    whole: Vec<Place>,
    /// Digits of the fraction; `None` without a point.
    fraction: Option<usize>,
}

impl Format {
    fn read(written: &str) -> Result<Format> {
        let wrong = |what: &str| {
            spark_hint(
                "INVALID_FORMAT.UNEXPECTED_TOKEN",
                format!("the number format '{written}' is invalid: {what}"),
                "write it as in '$99,999.00', 'S999' or '999PR'",
            )
        };
        let upper = written.to_ascii_uppercase();
        let mut rest = upper.as_str();
        let (mut lead, mut trail) = (Sign::None, Sign::None);
        for (mark, sign) in [("MI", Sign::Minus), ("S", Sign::Always)] {
            if let Some(after) = rest.strip_prefix(mark) {
                (lead, rest) = (sign, after);
                break;
            }
        }
        for (mark, sign) in [("PR", Sign::Angles), ("MI", Sign::Minus), ("S", Sign::Always)] {
            if let Some(before) = rest.strip_suffix(mark) {
                (trail, rest) = (sign, before);
                break;
            }
        }
        if lead != Sign::None && trail != Sign::None {
            return Err(wrong("it has two signs"));
        }
        let currency = rest.starts_with('$');
        rest = rest.strip_prefix('$').unwrap_or(rest);
        let (whole, fraction) = match rest.find(['.', 'D']) {
            Some(at) => (&rest[..at], Some(&rest[at + 1..])),
            None => (rest, None),
        };
        let places = whole
            .chars()
            .map(|c| match c {
                '0' => Ok(Place::Zero),
                '9' => Ok(Place::Nine),
                ',' | 'G' => Ok(Place::Group),
                other => Err(wrong(&format!("'{other}' does not belong there"))),
            })
            .collect::<Result<Vec<_>>>()?;
        if fraction.is_some_and(|fraction| !fraction.chars().all(|c| matches!(c, '0' | '9'))) {
            return Err(wrong("only digits follow the point"));
        }
        let format = Format { lead, trail, currency, whole: places, fraction: fraction.map(str::len) };
        match format.digits() {
            0 => Err(wrong("it has no digits")),
            1..=38 => Ok(format),
            _ => Err(wrong("it has more than 38 digits")),
        }
    }

    fn whole_digits(&self) -> usize {
        self.whole.iter().filter(|place| **place != Place::Group).count()
    }

    fn digits(&self) -> usize {
        self.whole_digits() + self.fraction.unwrap_or(0)
    }

    /// The type of numbers that it reads.
    fn ty(&self) -> DataType {
        let scale = i8::try_from(self.fraction.unwrap_or(0)).unwrap_or(38);
        DataType::Decimal128(u8::try_from(self.digits()).unwrap_or(38), scale)
    }

    /// A decimal's text in this format; `#` for each digit when it has too many.
    fn show(&self, number: &str) -> String {
        let negative = number.starts_with('-');
        let number = number.trim_start_matches('-');
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let room = self.fraction.unwrap_or(0);
        let fits = whole.len() <= self.whole_digits() && fraction.len() <= room;
        let mut digits = whole.bytes().rev();
        let mut shown: Vec<char> = Vec::new();
        let forced = self.whole.iter().position(|place| *place == Place::Zero).unwrap_or(self.whole.len());
        for (at, place) in self.whole.iter().enumerate().rev() {
            // A group's mark stands only between digits.
            let more = digits.len() > 0 || forced < at;
            shown.push(match place {
                _ if !fits && *place != Place::Group => '#',
                Place::Group if !fits || more => ',',
                Place::Group => ' ',
                _ => match digits.next() {
                    Some(digit) => char::from(digit),
                    None if forced <= at => '0',
                    None => ' ',
                },
            });
        }
        let whole: String = shown.into_iter().rev().collect();
        let filled = whole.trim_start_matches(' ');
        let mut out = " ".repeat(whole.len() - filled.len());
        match self.lead {
            Sign::Always => out.push(if negative { '-' } else { '+' }),
            Sign::Minus => out.push(if negative { '-' } else { ' ' }),
            Sign::None if negative && self.trail == Sign::None => out.push('-'),
            _ => {}
        }
        if self.trail == Sign::Angles {
            out.push(if negative { '<' } else { ' ' });
        }
        if self.currency {
            out.push('$');
        }
        out.push_str(filled);
        if let Some(places) = self.fraction {
            out.push('.');
            match fits {
                true => out.push_str(&format!("{fraction:0<places$}")),
                false => out.push_str(&"#".repeat(places)),
            }
        }
        match self.trail {
            Sign::Always => out.push(if negative { '-' } else { '+' }),
            Sign::Minus => out.push(if negative { '-' } else { ' ' }),
            Sign::Angles => out.push(if negative { '>' } else { ' ' }),
            Sign::None => {}
        }
        out
    }

    /// The number of a text in this format, as plain decimal text.
    fn number(&self, written: &str) -> Option<String> {
        let mut rest = written.trim();
        let mut negative = false;
        let mut signed = |mark: Option<char>| match mark {
            Some('-') => {
                negative = true;
                true
            }
            Some('+') => true,
            _ => false,
        };
        if self.lead != Sign::None && signed(rest.chars().next()) {
            rest = &rest[1..];
        }
        match self.trail {
            Sign::Always | Sign::Minus if signed(rest.chars().last()) => rest = &rest[..rest.len() - 1],
            Sign::Angles => {
                if let Some(inner) = rest.strip_prefix('<') {
                    rest = inner.strip_suffix('>')?;
                    signed(Some('-'));
                }
            }
            _ => {}
        }
        if self.currency {
            rest = rest.strip_prefix('$')?;
        }
        let (whole, fraction) = match rest.split_once('.') {
            Some((whole, fraction)) => (whole, fraction),
            None => (rest, ""),
        };
        if fraction.len() > self.fraction.unwrap_or(0) || (rest.contains('.') && self.fraction.is_none()) {
            return None;
        }
        // From the right: each digit and each mark must stand where the format has one.
        let mut places = self.whole.iter().rev();
        let mut digits = String::new();
        for c in whole.chars().rev() {
            match (places.next()?, c) {
                (Place::Group, ',') => {}
                (Place::Zero | Place::Nine, c) if c.is_ascii_digit() => digits.insert(0, c),
                _ => return None,
            }
        }
        if places.any(|place| *place == Place::Zero) {
            return None;
        }
        if digits.is_empty() && fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let sign = if negative { "-" } else { "" };
        Some(format!("{sign}{digits}.{fraction}"))
    }
}

/// The format of a call: a literal.
fn format_of(binder: &Binder, call: &Call<'_>) -> Result<Option<Format>> {
    let value = binder.implicit(call.args[1].clone(), &T, call.name)?;
    match binder.constant(&value) {
        Ok(ScalarValue::Utf8(Some(written))) => Format::read(&written).map(Some),
        Ok(_) => Ok(None),
        Err(_) => Err(spark(
            "DATATYPE_MISMATCH.NON_FOLDABLE_INPUT",
            format!("the format of {} must be a literal string", call.name),
        )),
    }
}

/// Binds the call if it is one of these functions.
pub(crate) fn call(binder: &Binder, call: &mut Call<'_>) -> Result<Option<Bound>> {
    let text = call.text();
    let name = call.name;
    let safe = name.starts_with("try_");
    let bound = match name {
        "to_char" | "to_varchar" => {
            call.arity(2, 2)?;
            let value = call.args[0].clone();
            if value.ty == DataType::Binary {
                let format = call.args[1].as_text().map(str::to_ascii_lowercase);
                let shown = match format.as_deref() {
                    Some("base64") => row(name, "base64", vec![value], |r| Ok(Some(encode::base64(r.bytes(0))))),
                    Some("hex") => row(name, "hex", vec![value], |r| Ok(Some(encode::hex(r.bytes(0))))),
                    Some("utf-8" | "utf8") => {
                        row(name, "utf8", vec![value], |r| Ok(Some(String::from_utf8_lossy(r.bytes(0)).into_owned())))
                    }
                    _ => return Err(bytes_format(name)),
                };
                return Ok(Some(shown.named(text)));
            }
            if value.ty == DataType::Null {
                return Ok(Some(Bound::literal(ScalarValue::Utf8(None), text)));
            }
            let decimal = match &value.ty {
                DataType::Decimal128(..) => value,
                ty if types::is_numeric(ty) => {
                    let (precision, scale) = types::integral_as_decimal(ty).unwrap_or((38, 18));
                    binder.cast(value, &DataType::Decimal128(precision, scale))?
                }
                _ => return Err(unexpected_type(&text, &value, "NUMERIC")),
            };
            let Some(format) = format_of(binder, call)? else {
                return Ok(Some(Bound::literal(ScalarValue::Utf8(None), text)));
            };
            let decimal = binder.cast(decimal, &T)?;
            row(name, format!("{format:?}"), vec![decimal], move |r| Ok(Some(format.show(r.text(0)))))
        }
        "to_number" | "try_to_number" => {
            call.arity(2, 2)?;
            let value = binder.implicit(call.args[0].clone(), &T, &text)?;
            let Some(format) = format_of(binder, call)? else {
                return Ok(Some(Bound::literal(ScalarValue::Decimal128(None, 38, 0), text)));
            };
            let ty = format.ty();
            let plain = row(name, format!("{format:?}"), vec![value], move |r| match format.number(r.text(0)) {
                Some(number) => Ok(Some(number)),
                None if safe => Ok(None),
                None => Err(spark_hint(
                    "INVALID_FORMAT.MISMATCH_INPUT",
                    format!("the input '{}' does not match the format", r.text(0)),
                    "use try_to_number to get NULL instead",
                )),
            });
            binder.cast_mode(plain, &ty, Mode::Ansi)?
        }
        "to_binary" | "try_to_binary" => {
            call.arity(1, 2)?;
            let value = binder.implicit(call.args[0].clone(), &T, &text)?;
            let format = match call.args.get(1) {
                None => "hex".to_owned(),
                Some(format) => format.as_text().map(str::to_ascii_lowercase).ok_or_else(|| bytes_format(name))?,
            };
            if !matches!(format.as_str(), "hex" | "base64" | "utf-8" | "utf8") {
                return Err(bytes_format(name));
            }
            row(name, format.clone(), vec![value], move |r| {
                let found = match format.as_str() {
                    "hex" => encode::unhex(r.text(0)),
                    "base64" => encode::strict_unbase64(r.text(0)),
                    _ => Some(r.text(0).as_bytes().to_vec()),
                };
                match found {
                    Some(bytes) => Ok(Some(bytes)),
                    None if safe => Ok(None),
                    None => Err(spark_hint(
                        "CONVERSION_INVALID_INPUT",
                        format!("the value '{}' cannot be converted to \"BINARY\" because it is malformed", r.text(0)),
                        "use try_to_binary to get NULL instead",
                    )),
                }
            })
        }
        _ => return Ok(None),
    };
    Ok(Some(bound.named(text)))
}

fn bytes_format(name: &str) -> datafusion::error::DataFusionError {
    spark_hint(
        "INVALID_PARAMETER_VALUE.BINARY_FORMAT",
        format!("the format of {name} is not one that bytes have"),
        "write 'hex', 'base64' or 'utf-8'",
    )
}

/// `format_number(x, '#,###.##')`: Java's DecimalFormat with digits and one group separator.
pub(crate) fn decimal_format(number: &str, pattern: &str) -> Option<String> {
    let (whole, fraction) = pattern.split_once('.').unwrap_or((pattern, ""));
    if !whole.chars().chain(fraction.chars()).all(|c| matches!(c, '#' | '0' | ',')) || fraction.contains(',') {
        return None;
    }
    let least = whole.chars().filter(|c| *c == '0').count();
    let group = whole.rsplit_once(',').map(|(_, last)| last.len()).filter(|size| *size > 0);
    let (most, forced) = (fraction.len(), fraction.chars().filter(|c| *c == '0').count());
    let scale = i8::try_from(most).ok().filter(|scale| *scale <= 30)?;
    let digits = text::decimal(parse::digits(number)?.at_scale(38, scale)?, scale);
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |rest| ("-", rest));
    let (before, after) = digits.split_once('.').unwrap_or((digits, ""));
    let before = before.trim_start_matches('0');
    let before = format!("{before:0>least$}");
    let mut shown = String::new();
    for (at, digit) in before.chars().enumerate() {
        if at > 0 && group.is_some_and(|group| (before.len() - at).is_multiple_of(group)) {
            shown.push(',');
        }
        shown.push(digit);
    }
    let mut after = after.trim_end_matches('0').to_owned();
    while after.len() < forced {
        after.push('0');
    }
    let zero = shown.is_empty() && after.is_empty();
    let shown = if zero { "0".to_owned() } else { shown };
    Some(if after.is_empty() { format!("{sign}{shown}") } else { format!("{sign}{shown}.{after}") })
}
