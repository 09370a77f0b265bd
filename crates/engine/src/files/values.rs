//! Text and JSON that become values of a column: Spark's readers' rules, with every refusal remembered by row.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BinaryBuilder, BooleanBuilder, Decimal128Builder, PrimitiveBuilder, StringBuilder,
};
use arrow::datatypes::{
    Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use crannog_lake::model::DataType;
use crannog_types::{Problem, Result};

use super::options::Options;
use super::printable;
use crate::spark::parse;
use crate::spark::zone::days_from_civil;

/// A value that its column cannot take.
#[derive(Debug)]
pub(super) struct Bad {
    /// The row of the batch.
    pub(super) row: usize,
    /// The column, dotted where nested.
    pub(super) column: String,
    /// The value as it stands in the file.
    pub(super) value: String,
    /// The column's type, as SQL writes it.
    pub(super) wanted: String,
}

impl Bad {
    /// The failure that a caller reads: file, line (or record), column, value.
    pub(super) fn problem(&self, file: &str, place: &str) -> Problem {
        let value = printable(&self.value);
        let (column, wanted) = (&self.column, &self.wanted);
        Problem::invalid(format!("{file}, {place}, column '{column}': '{value}' is not a value of type {wanted}"))
            .reason("MALFORMED_RECORD_IN_PARSING")
            .sql_state("22023")
            .fact("file", file)
            .fact("place", place)
            .fact("column", column)
            .fact("value", value)
            .hint("mend the file, read the column as STRING, name it in nullValue, or set mode => 'PERMISSIVE' to read it as NULL")
    }
}

/// A column of text values; what a value cannot be is NULL and noted in `bad`.
pub(super) fn column<'a>(
    cells: impl Iterator<Item = Option<&'a str>>,
    name: &str,
    data_type: &DataType,
    options: &Options,
    bad: &mut Vec<Bad>,
) -> Result<ArrayRef> {
    let mut refuse = |row: usize, value: &str| {
        let (column, value, wanted) = (name.to_owned(), value.to_owned(), data_type.to_type_text().to_uppercase());
        bad.push(Bad { row, column, value, wanted });
    };
    Ok(match data_type {
        DataType::String => {
            let mut builder = StringBuilder::new();
            cells.for_each(|cell| builder.append_option(cell));
            Arc::new(builder.finish())
        }
        DataType::Binary => {
            let mut builder = BinaryBuilder::new();
            cells.for_each(|cell| builder.append_option(cell.map(str::as_bytes)));
            Arc::new(builder.finish())
        }
        DataType::Boolean => {
            let mut builder = BooleanBuilder::new();
            each(cells, boolean, &mut refuse, |value| builder.append_option(value));
            Arc::new(builder.finish())
        }
        DataType::Byte => numbers::<Int8Type>(cells, |text| text.parse().ok(), &mut refuse).finish_ref(),
        DataType::Short => numbers::<Int16Type>(cells, |text| text.parse().ok(), &mut refuse).finish_ref(),
        DataType::Integer => numbers::<Int32Type>(cells, |text| text.parse().ok(), &mut refuse).finish_ref(),
        DataType::Long => numbers::<Int64Type>(cells, |text| text.parse().ok(), &mut refuse).finish_ref(),
        DataType::Float => {
            numbers::<Float32Type>(cells, |text| double(text, options).map(|d| d as f32), &mut refuse).finish_ref()
        }
        DataType::Double => numbers::<Float64Type>(cells, |text| double(text, options), &mut refuse).finish_ref(),
        DataType::Date => numbers::<Date32Type>(cells, |text| date(text, options), &mut refuse).finish_ref(),
        DataType::Timestamp => {
            let parse = |text: &str| timestamp(text, options);
            let mut builder = numbers::<TimestampMicrosecondType>(cells, parse, &mut refuse);
            Arc::new(builder.finish().with_timezone("UTC"))
        }
        DataType::TimestampNtz => {
            let parse = |text: &str| local_time(text, options);
            numbers::<TimestampMicrosecondType>(cells, parse, &mut refuse).finish_ref()
        }
        DataType::Decimal { precision, scale } => {
            let mut builder = Decimal128Builder::new()
                .with_precision_and_scale(*precision, *scale as i8)
                .map_err(|error| Problem::internal("a decimal type is not valid", error))?;
            let parse = |text: &str| parse::digits(text)?.at_scale(*precision, *scale as i8);
            each(cells, parse, &mut refuse, |value| builder.append_option(value));
            Arc::new(builder.finish())
        }
        DataType::Void => {
            let count = cells.count();
            arrow::array::new_null_array(&arrow::datatypes::DataType::Null, count)
        }
        DataType::Struct(_) | DataType::Array(_) | DataType::Map(_) | DataType::Variant => {
            let wanted = data_type.to_type_text();
            return Err(Problem::invalid(format!("the column '{name}' of type {wanted} cannot be read from text"))
                .hint("read it as STRING and take it apart with from_json"));
        }
    })
}

fn each<'a, T>(
    cells: impl Iterator<Item = Option<&'a str>>,
    parse: impl Fn(&str) -> Option<T>,
    refuse: &mut impl FnMut(usize, &str),
    mut append: impl FnMut(Option<T>),
) {
    for (row, cell) in cells.enumerate() {
        let value = cell.and_then(&parse);
        if let (Some(text), None) = (cell, &value) {
            refuse(row, text);
        }
        append(value);
    }
}

fn numbers<'a, T: ArrowPrimitiveType>(
    cells: impl Iterator<Item = Option<&'a str>>,
    parse: impl Fn(&str) -> Option<T::Native>,
    refuse: &mut impl FnMut(usize, &str),
) -> PrimitiveBuilder<T> {
    let mut builder = PrimitiveBuilder::<T>::new();
    each(cells, parse, refuse, |value| builder.append_option(value));
    builder
}

trait FinishRef {
    fn finish_ref(self) -> ArrayRef;
}

impl<T: ArrowPrimitiveType> FinishRef for PrimitiveBuilder<T> {
    fn finish_ref(mut self) -> ArrayRef {
        Arc::new(self.finish())
    }
}

/// Scala's `toBoolean`: `true` and `false` in any case.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match () {
        () if text.eq_ignore_ascii_case("true") => Some(true),
        () if text.eq_ignore_ascii_case("false") => Some(false),
        () => None,
    }
}

/// A number with a point or an exponent, or one of the options' words for NaN and the infinities.
pub(super) fn double(text: &str, options: &Options) -> Option<f64> {
    match text {
        _ if text == options.nan_value || text == "NaN" => Some(f64::NAN),
        _ if text == options.positive_inf || text == "Infinity" => Some(f64::INFINITY),
        _ if text == options.negative_inf || text == "-Infinity" => Some(f64::NEG_INFINITY),
        // Rust's parser takes "inf" and "nan" too.
        _ if text.bytes().all(|c| c.is_ascii_digit() || matches!(c, b'.' | b'e' | b'E' | b'+' | b'-')) => {
            text.parse().ok()
        }
        _ => None,
    }
}

/// `dateFormat`, or `yyyy-[M]M-[d]d`.
pub(super) fn date(text: &str, options: &Options) -> Option<i32> {
    if let Some(pattern) = &options.date_format {
        return pattern.date(text);
    }
    let mut parts = text.splitn(3, '-');
    let mut number = |least: usize, most: usize| {
        let part = parts.next()?;
        let fits = (least..=most).contains(&part.len()) && part.bytes().all(|c| c.is_ascii_digit());
        fits.then(|| part.parse::<u32>().ok()).flatten()
    };
    let (year, month, day) = (number(4, 4)?, number(1, 2)?, number(1, 2)?);
    i32::try_from(days_from_civil(i64::from(year), month, day)?).ok()
}

/// `timestampFormat`, or Spark's cast from text. Text without a zone is in the option `timeZone`, else UTC.
pub(super) fn timestamp(text: &str, options: &Options) -> Option<i64> {
    match &options.timestamp_format {
        Some(pattern) => {
            let (local, zone) = pattern.moment(text)?;
            Some(zone.as_ref().unwrap_or(&options.zone).to_instant(local))
        }
        None => parse::timestamp(text, &options.zone),
    }
}

fn local_time(text: &str, options: &Options) -> Option<i64> {
    match &options.timestamp_format {
        Some(pattern) => Some(pattern.moment(text)?.0),
        None => parse::timestamp_ntz(text),
    }
}
