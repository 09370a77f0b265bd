//! Per-file statistics: the JSON in `add.stats`, and which columns have them.
//!
//! Statistics are *bounds*: a minimum may be too low and a maximum too high, never the other way round. Where JSON cannot
//! hold a value exactly (long strings, microseconds, decimals beyond a double), writing and reading both round outwards.
//! Whatever cannot be read is "unknown", which costs a file read, never a row.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use super::LogError;
use super::actions::Metadata;
use super::schema::{DataType, StructType};
use super::values::{Scalar, format_date, format_timestamp, parse_date, parse_timestamp};

/// Strings are cut to this many characters, as delta-spark does.
const STRING_PREFIX: usize = 32;
/// Default of `delta.dataSkippingNumIndexedCols`.
const DEFAULT_INDEXED_COLUMNS: i64 = 32;
/// How many digits a double surely holds.
const EXACT_DIGITS: u32 = 15;

/// Statistics of one file. The maps mirror the schema (physical names); nested structs are nested maps.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FileStats {
    /// Rows in the data file, those that a deletion vector hides included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_records: Option<i64>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub min_values: Map<String, Value>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub max_values: Map<String, Value>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub null_count: Map<String, Value>,
    /// `false`: rows were deleted since, the bounds are wide. Absent means `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tight_bounds: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecordCount {
    num_records: Option<i64>,
}

/// Only `numRecords`, without reading the rest into memory. Unreadable statistics are unknown.
#[must_use]
pub fn num_records(stats: Option<&str>) -> Option<i64> {
    serde_json::from_str::<RecordCount>(stats?).ok()?.num_records.filter(|n| *n >= 0)
}

impl FileStats {
    /// Statistics of a file of so many rows, no column known yet.
    #[must_use]
    pub fn of_rows(num_records: i64) -> Self {
        Self { num_records: Some(num_records), tight_bounds: Some(true), ..Self::default() }
    }

    /// Reads `add.stats`.
    ///
    /// # Errors
    /// [`LogError::Value`] when the text is not statistics.
    pub fn parse(text: &str) -> Result<Self, LogError> {
        serde_json::from_str(text).map_err(|e| LogError::Value {
            text: text.chars().take(80).collect(),
            data_type: "statistics".to_owned(),
            reason: e.to_string(),
        })
    }

    /// The text for `add.stats`.
    #[must_use]
    pub fn render(&self) -> String {
        // Maps with text keys and plain values always render; no statistics at all is the safe answer if not.
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned())
    }

    /// Records one column. `path` holds physical names from the top; `None` bounds are unknown (or the column is all
    /// null). Nothing is recorded for bounds of types that Delta does not index (boolean, binary, arrays, maps).
    pub fn set(
        &mut self,
        path: &[String],
        data_type: &DataType,
        min: Option<&Scalar>,
        max: Option<&Scalar>,
        null_count: Option<i64>,
    ) {
        if let Some(value) = min.and_then(|v| bound_to_json(v, data_type, Bound::Lower)) {
            insert(&mut self.min_values, path, value);
        }
        if let Some(value) = max.and_then(|v| bound_to_json(v, data_type, Bound::Upper)) {
            insert(&mut self.max_values, path, value);
        }
        if let Some(nulls) = null_count {
            insert(&mut self.null_count, path, nulls.into());
        }
    }

    /// A value no greater than any in the column; `None` if unknown.
    #[must_use]
    pub fn min(&self, path: &[String], data_type: &DataType) -> Option<Scalar> {
        bound_from_json(lookup(&self.min_values, path)?, data_type, Bound::Lower)
    }

    /// A value no smaller than any in the column; `None` if unknown.
    #[must_use]
    pub fn max(&self, path: &[String], data_type: &DataType) -> Option<Scalar> {
        bound_from_json(lookup(&self.max_values, path)?, data_type, Bound::Upper)
    }

    /// How many rows are null in the column; `None` if unknown.
    #[must_use]
    pub fn nulls(&self, path: &[String]) -> Option<i64> {
        lookup(&self.null_count, path)?.as_i64()
    }
}

fn insert(map: &mut Map<String, Value>, path: &[String], value: Value) {
    match path {
        [] => {}
        [name] => {
            map.insert(name.clone(), value);
        }
        [name, rest @ ..] => {
            let inner = map.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

fn lookup<'a>(map: &'a Map<String, Value>, path: &[String]) -> Option<&'a Value> {
    match path {
        [] => None,
        [name] => map.get(name),
        [name, rest @ ..] => lookup(map.get(name)?.as_object()?, rest),
    }
}

/// Which way to round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    Lower,
    Upper,
}

/// Delta keeps bounds of numbers, strings, dates and timestamps.
#[must_use]
pub fn has_bounds(data_type: &DataType) -> bool {
    !data_type.is_nested() && !matches!(data_type, DataType::Boolean | DataType::Binary | DataType::Void)
}

fn bound_to_json(value: &Scalar, data_type: &DataType, bound: Bound) -> Option<Value> {
    if !has_bounds(data_type) {
        return None;
    }
    Some(match (value, data_type) {
        (Scalar::Int(days), DataType::Date) => Value::String(format_date(*days)),
        (Scalar::Int(micros), DataType::Timestamp | DataType::TimestampNtz) => {
            // Whole milliseconds: the minimum is cut off, the maximum goes up to the next one, so that readers which do
            // not know of the cut prune rightly, too.
            let up = if bound == Bound::Upper { 999 } else { 0 };
            let text = format_timestamp(micros.checked_add(up)?, 'T', 3);
            Value::String(if *data_type == DataType::Timestamp { text + "Z" } else { text })
        }
        (Scalar::Int(v), _) => Value::Number((*v).into()),
        (Scalar::Double(v), DataType::Float) => Number::from_f64(format!("{}", *v as f32).parse().ok()?)
            .map_or_else(|| Value::String(non_finite(*v).to_owned()), Value::Number),
        (Scalar::Double(v), _) => {
            Number::from_f64(*v).map_or_else(|| Value::String(non_finite(*v).to_owned()), Value::Number)
        }
        (Scalar::Decimal(unscaled), DataType::Decimal { scale, .. }) => decimal_to_json(*unscaled, *scale, bound)?,
        (Scalar::String(text), DataType::String) => Value::String(match bound {
            Bound::Lower => text.chars().take(STRING_PREFIX).collect(),
            Bound::Upper => truncate_max(text),
        }),
        _ => return None,
    })
}

fn non_finite(v: f64) -> &'static str {
    if v.is_nan() {
        "NaN"
    } else if v > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

/// A short string that is not smaller (by UTF-8 bytes) than any that begins like `text`: its prefix, then a character
/// above the next one. DEL serves after ASCII, as delta-spark does, so that the bound stays printable in most tools.
fn truncate_max(text: &str) -> String {
    let mut out: String = text.chars().take(STRING_PREFIX).collect();
    for next in text.chars().skip(STRING_PREFIX) {
        match next {
            '\0'..'\u{7f}' => out.push('\u{7f}'),
            '\u{7f}'..char::MAX => out.push(char::MAX),
            // Nothing is above the last character: keep it and look at the next.
            char::MAX => {
                out.push(next);
                continue;
            }
        }
        break;
    }
    out
}

fn decimal_to_json(unscaled: i128, scale: u8, bound: Bound) -> Option<Value> {
    if scale == 0
        && let Ok(whole) = i64::try_from(unscaled)
    {
        return Some(Value::Number(whole.into()));
    }
    let nearest: f64 = super::values::format_decimal(unscaled, scale).parse().ok()?;
    let outward = match (unscaled.unsigned_abs() < 10_u128.pow(EXACT_DIGITS), bound) {
        (true, _) => nearest,
        (false, Bound::Lower) => nearest.next_down(),
        (false, Bound::Upper) => nearest.next_up(),
    };
    Number::from_f64(outward).map(Value::Number)
}

/// Reads a bound; anything that does not fit the type is unknown. NaN is unknown as well: it orders above all numbers in
/// Spark and beside them elsewhere.
pub(super) fn bound_from_json(value: &Value, data_type: &DataType, bound: Bound) -> Option<Scalar> {
    match (data_type, value) {
        (DataType::Byte | DataType::Short | DataType::Integer | DataType::Long, v) => v.as_i64().map(Scalar::Int),
        (DataType::Float | DataType::Double, Value::Number(n)) => {
            n.as_f64().map(|v| Scalar::Double(signed_zero(v, bound)))
        }
        (DataType::Float | DataType::Double, Value::String(s)) => match s.as_str() {
            "Infinity" => Some(Scalar::Double(f64::INFINITY)),
            "-Infinity" => Some(Scalar::Double(f64::NEG_INFINITY)),
            _ => None,
        },
        (DataType::Decimal { scale, .. }, Value::Number(n)) => decimal_from_json(n, *scale, bound).map(Scalar::Decimal),
        (DataType::Decimal { .. }, Value::String(s)) => Scalar::parse(s, data_type).ok(),
        (DataType::String, Value::String(s)) => Some(Scalar::String(s.clone())),
        (DataType::Date, Value::String(s)) => parse_date(s.get(..10).unwrap_or(s)).map(|d| Scalar::Int(d.into())),
        (DataType::Timestamp | DataType::TimestampNtz, Value::String(s)) => {
            // Writers cut off below the millisecond, so the true maximum may be later than what is written.
            let slack = if bound == Bound::Upper { 999 } else { 0 };
            parse_timestamp(s)?.checked_add(slack).map(Scalar::Int)
        }
        _ => None,
    }
}

/// Zero as a minimum must not exclude -0.0, nor the other way round, in total order.
fn signed_zero(v: f64, bound: Bound) -> f64 {
    match (v == 0.0, bound) {
        (true, Bound::Lower) => -0.0,
        (true, Bound::Upper) => 0.0,
        (false, _) => v,
    }
}

fn decimal_from_json(number: &Number, scale: u8, bound: Bound) -> Option<i128> {
    let factor = 10_i128.checked_pow(scale.into())?;
    if let Some(whole) = number.as_i64() {
        return i128::from(whole).checked_mul(factor);
    }
    let scaled = number.as_f64()? * factor as f64;
    if scaled.abs() >= 1e38 {
        return None;
    }
    let nearest = scaled.round() as i128;
    if nearest.unsigned_abs() < 10_u128.pow(EXACT_DIGITS) {
        return Some(nearest);
    }
    // Two roundings (text to double, multiplication) of half a unit in the last place each, doubled to be safe.
    let slack = (nearest.unsigned_abs() >> 51) as i128 + 1;
    Some(if bound == Bound::Lower { nearest - slack } else { nearest + slack })
}

/// A column that statistics can be kept for: a leaf of the schema that is not below an array or a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Names as the user knows them, from the top.
    pub logical: Vec<String>,
    /// Names in data files and statistics.
    pub physical: Vec<String>,
    pub data_type: DataType,
}

/// All leaves in schema order, partition columns left out. Arrays, maps and variants are leaves (with null counts only).
#[must_use]
pub fn leaves(schema: &StructType, partition_columns: &[String]) -> Vec<Leaf> {
    fn descend(schema: &StructType, prefix: &Leaf, skip: &[String], out: &mut Vec<Leaf>) {
        for field in schema.fields.iter().filter(|f| !skip.contains(&f.name)) {
            let mut leaf = Leaf { data_type: field.data_type.clone(), ..prefix.clone() };
            leaf.logical.push(field.name.clone());
            leaf.physical.push(field.physical_name().to_owned());
            match &field.data_type {
                DataType::Struct(inner) => descend(inner, &leaf, &[], out),
                _ => out.push(leaf),
            }
        }
    }
    let mut out = Vec::new();
    let root = Leaf { logical: Vec::new(), physical: Vec::new(), data_type: DataType::Void };
    descend(schema, &root, partition_columns, &mut out);
    out
}

/// The leaves that a writer collects statistics for: those named by `delta.dataSkippingStatsColumns` (a struct stands for
/// all of its leaves), else the first `delta.dataSkippingNumIndexedCols` (default 32; -1 is all).
///
/// # Errors
/// [`LogError::Schema`] when a property names no column, or is no number.
pub fn indexed_leaves(schema: &StructType, metadata: &Metadata) -> Result<Vec<Leaf>, LogError> {
    let all = leaves(schema, &metadata.partition_columns);
    if let Some(listed) = metadata.configuration.get("delta.dataSkippingStatsColumns") {
        let wanted = split_columns(listed);
        let covers = |w: &[String], l: &Leaf| {
            l.logical.len() >= w.len() && w.iter().zip(&l.logical).all(|(a, b)| a.to_lowercase() == b.to_lowercase())
        };
        if let Some(lost) = wanted.iter().find(|w| !all.iter().any(|l| covers(w, l))) {
            return Err(LogError::Schema(format!(
                "delta.dataSkippingStatsColumns names '{}', which is no column with statistics; correct the property",
                lost.join(".")
            )));
        }
        return Ok(all.into_iter().filter(|l| wanted.iter().any(|w| covers(w, l))).collect());
    }
    let limit = match metadata.configuration.get("delta.dataSkippingNumIndexedCols") {
        Some(text) => text.trim().parse().ok().filter(|n: &i64| *n >= -1).ok_or_else(|| {
            LogError::Schema(format!(
                "delta.dataSkippingNumIndexedCols is '{text}', not a number from -1 up; correct it"
            ))
        })?,
        None => DEFAULT_INDEXED_COLUMNS,
    };
    Ok(all.into_iter().take(usize::try_from(limit).unwrap_or(usize::MAX)).collect())
}

/// `a, b.c, `odd,name`` as column paths.
fn split_columns(text: &str) -> Vec<Vec<String>> {
    let (mut columns, mut path, mut name, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    for c in text.chars().chain([',']) {
        match c {
            '`' => quoted = !quoted,
            '.' if !quoted => path.push(std::mem::take(&mut name)),
            ',' if !quoted => {
                path.push(std::mem::take(&mut name).trim().to_owned());
                columns.push(std::mem::take(&mut path));
            }
            c if c.is_whitespace() && name.is_empty() && !quoted => {}
            c => name.push(c),
        }
    }
    columns.retain(|path: &Vec<String>| path.iter().any(|name| !name.is_empty()));
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::schema::StructField;

    fn path(name: &str) -> Vec<String> {
        vec![name.to_owned()]
    }

    fn both(data_type: &DataType, value: &Scalar) -> FileStats {
        let mut stats = FileStats::of_rows(1);
        stats.set(&path("c"), data_type, Some(value), Some(value), Some(0));
        FileStats::parse(&stats.render()).unwrap()
    }

    #[test]
    fn bounds_hold_whatever_json_can_express() {
        let decimal = DataType::Decimal { precision: 38, scale: 4 };
        let big = 12_345_678_901_234_567_890_123_456_789_012_345_678_i128;
        for (t, v) in [
            (DataType::Long, Scalar::Int(i64::MAX)),
            (DataType::Byte, Scalar::Int(-128)),
            (DataType::Double, Scalar::Double(0.1)),
            (DataType::Double, Scalar::Double(f64::NEG_INFINITY)),
            (DataType::Float, Scalar::Double(0.1_f32.into())),
            (DataType::Date, Scalar::Int(-719_162)),
            (DataType::Timestamp, Scalar::Int(-1)),
            (DataType::TimestampNtz, Scalar::Int(1_700_000_000_123_456)),
            (DataType::String, Scalar::String("x".repeat(32))),
            (DataType::String, Scalar::String("é".repeat(40))),
            (DataType::String, Scalar::String(format!("{}{}", "a".repeat(32), char::MAX))),
            (decimal.clone(), Scalar::Decimal(big)),
            (decimal.clone(), Scalar::Decimal(-big)),
            (decimal, Scalar::Decimal(15)),
        ] {
            let stats = both(&t, &v);
            let (min, max) = (stats.min(&path("c"), &t).unwrap(), stats.max(&path("c"), &t).unwrap());
            // A float is compared as one: its text has fewer digits than the double beside it.
            let narrow = |s: Scalar| {
                if let (DataType::Float, Scalar::Double(d)) = (&t, &s) { Scalar::Double((*d as f32).into()) } else { s }
            };
            let (min, max) = (narrow(min), narrow(max));
            assert!(min <= v && v <= max, "{t:?}: {min:?} <= {v:?} <= {max:?}");
            assert_eq!(stats.nulls(&path("c")), Some(0));
        }
    }

    #[test]
    fn bounds_are_written_as_delta_spark_writes_them() {
        let text = |t: DataType, v: Scalar| {
            let stats = both(&t, &v);
            (stats.min_values["c"].to_string(), stats.max_values["c"].to_string())
        };
        let s = |v: &str| format!("\"{v}\"");
        let at = text(DataType::Timestamp, Scalar::Int(1_500_001));
        assert_eq!(at, (s("1970-01-01T00:00:01.500Z"), s("1970-01-01T00:00:01.501Z")));
        assert_eq!(text(DataType::TimestampNtz, Scalar::Int(0)).0, s("1970-01-01T00:00:00.000"));
        assert_eq!(text(DataType::Date, Scalar::Int(0)).0, s("1970-01-01"));
        assert_eq!(text(DataType::Decimal { precision: 5, scale: 2 }, Scalar::Decimal(150)).0, "1.5");
        assert_eq!(text(DataType::Double, Scalar::Double(f64::NAN)).0, s("NaN"));
        let long = text(DataType::String, Scalar::String("b".repeat(40)));
        assert_eq!(long, (s(&"b".repeat(32)), s(&format!("{}\u{7f}", "b".repeat(32)))));
        let mut none = FileStats::of_rows(1);
        none.set(&path("c"), &DataType::Boolean, Some(&Scalar::Boolean(true)), None, Some(0));
        assert_eq!(none.render(), r#"{"numRecords":1,"nullCount":{"c":0},"tightBounds":true}"#);
    }

    #[test]
    fn what_cannot_be_read_is_unknown() {
        let stats =
            FileStats::parse(r#"{"numRecords":3,"minValues":{"c":"NaN","s":{"x":1}},"maxValues":{"c":"soon"}}"#)
                .unwrap();
        assert_eq!(stats.min(&path("c"), &DataType::Double), None);
        assert_eq!(stats.max(&path("c"), &DataType::Date), None);
        assert_eq!(stats.min(&["s".into(), "x".into()], &DataType::Long), Some(Scalar::Int(1)));
        assert_eq!(stats.min(&path("s"), &DataType::Long), None);
        assert_eq!(num_records(Some("{\"numRecords\":3}")), Some(3));
        assert_eq!((num_records(Some("[]")), num_records(None)), (None, None));
        assert!(FileStats::parse("nonsense").is_err());
    }

    #[test]
    fn indexed_columns_are_counted_in_leaf_order() {
        let inner = StructType {
            fields: vec![StructField::new("x", DataType::Long, true), StructField::new("y", DataType::Binary, true)],
        };
        let mut fields =
            vec![StructField::new("p", DataType::Date, true), StructField::new("s", DataType::Struct(inner), true)];
        fields.extend((0..40).map(|i| StructField::new(format!("c{i}"), DataType::Long, true)));
        let schema = StructType { fields };
        let names = |properties: &[(&str, &str)]| {
            let configuration = properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            let metadata = Metadata { partition_columns: vec!["p".into()], configuration, ..Metadata::default() };
            indexed_leaves(&schema, &metadata).map(|l| l.iter().map(|l| l.logical.join(".")).collect::<Vec<_>>())
        };
        let default = names(&[]).unwrap();
        assert_eq!((default.len(), default[0].as_str(), default[2].as_str()), (32, "s.x", "c0"));
        assert_eq!(names(&[("delta.dataSkippingNumIndexedCols", "1")]).unwrap(), ["s.x"]);
        assert_eq!(names(&[("delta.dataSkippingNumIndexedCols", "-1")]).unwrap().len(), 42);
        assert_eq!(names(&[("delta.dataSkippingStatsColumns", "S, `c3`")]).unwrap(), ["s.x", "s.y", "c3"]);
        assert!(names(&[("delta.dataSkippingStatsColumns", "nope")]).is_err());
        assert!(names(&[("delta.dataSkippingNumIndexedCols", "many")]).is_err());
    }
}
