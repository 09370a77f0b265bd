//! Partition values, the Hive-style directories named after them, and the URI-encoding of paths in the log.
//!
//! Directories are only for people and other engines: the truth is `add.partitionValues`. Two encodings lie on top of each
//! other: a value is escaped as Hive does to become part of a file's name, and the name is URI-encoded to become the `path`
//! of an action (`a b` is `p=a b/` on disk and `p=a%20b/` in the log; `a/b` is `p=a%2Fb/` and `p=a%252Fb/`).

use std::fmt::Write as _;

use arrow_array::ArrayRef;

use super::LogError;
use super::actions::PartitionValues;
use super::chunk::PartitionColumn;
use super::values::Scalar;

/// Hive's directory for null.
const NULL_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";

/// The partition values of one row. `columns` are the partition columns' arrays, in the order of `partitions` and already
/// cast to the table's types. An empty string is null, as the protocol cannot tell them apart.
///
/// # Errors
/// [`LogError::Value`] for an array of another type, and for binary that is not UTF-8.
pub fn partition_values(
    partitions: &[PartitionColumn],
    columns: &[ArrayRef],
    row: usize,
) -> Result<PartitionValues, LogError> {
    let value = |(partition, column): (&PartitionColumn, &ArrayRef)| {
        let scalar = Scalar::at(column.as_ref(), row, &partition.data_type)?;
        let text = scalar.map(|s| s.to_text(&partition.data_type)).transpose()?;
        Ok((partition.physical.clone(), text.filter(|text| !text.is_empty())))
    };
    partitions.iter().zip(columns).map(value).collect()
}

/// The directory of a partition below the table's root, as it is named on disk: `year=2024/city=a%2Fb`; empty for a table
/// without partitions. [`encode_path`] makes it fit for the log.
#[must_use]
pub fn partition_directory(partitions: &[PartitionColumn], values: &PartitionValues) -> String {
    let part = |partition: &PartitionColumn| {
        let value = values.get(&partition.physical).and_then(Option::as_deref).filter(|text| !text.is_empty());
        format!("{}={}", escape(&partition.physical), value.map_or(NULL_PARTITION.to_owned(), escape))
    };
    partitions.iter().map(part).collect::<Vec<_>>().join("/")
}

/// Hive's escaping of a name or value in a directory, with the characters that Spark's `ExternalCatalogUtils` escapes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_control() || "\"#%'*/:=?\\{[]^".contains(c) {
            let _ = write!(out, "%{:02X}", c as u32);
        } else {
            out.push(c);
        }
    }
    out
}

/// A path on disk as an action's `path`: what RFC 2396 does not allow in a path is percent-encoded, byte by byte.
#[must_use]
pub fn encode_path(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()/=@&+$,;:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The path on disk of an action's `path`.
///
/// # Errors
/// [`LogError::Value`] when it is not UTF-8 once decoded, or a percent sign is not followed by two hex digits.
pub fn decode_path(path: &str) -> Result<String, LogError> {
    let error = |reason: &str| LogError::Value {
        text: path.to_owned(),
        data_type: "path".to_owned(),
        reason: reason.to_owned(),
    };
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte != b'%' {
            bytes.push(byte);
            rest = after;
            continue;
        }
        let decoded = after
            .split_at_checked(2)
            .and_then(|(hex, after)| Some((u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?, after)));
        let (byte, after) = decoded.ok_or_else(|| error("a '%' must be followed by two hex digits"))?;
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| error("it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Date32Array, StringArray, TimestampMicrosecondArray};

    use super::*;
    use crate::model::schema::DataType;

    fn column(name: &str, data_type: DataType) -> PartitionColumn {
        PartitionColumn { logical: name.into(), physical: name.into(), data_type }
    }

    #[test]
    fn values_become_directories_and_log_paths() {
        let partitions =
            [column("city", DataType::String), column("day", DataType::Date), column("at", DataType::Timestamp)];
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(vec![Some("a/b c"), Some(""), None])),
            Arc::new(Date32Array::from(vec![Some(0), None, Some(19_782)])),
            Arc::new(TimestampMicrosecondArray::from(vec![Some(1), None, None]).with_timezone("UTC")),
        ];
        let values = partition_values(&partitions, &columns, 0).unwrap();
        assert_eq!(values["at"].as_deref(), Some("1970-01-01T00:00:00.000001Z"));
        let directory = partition_directory(&partitions, &values);
        assert_eq!(directory, "city=a%2Fb c/day=1970-01-01/at=1970-01-01T00%3A00%3A00.000001Z");
        let encoded = encode_path(&directory);
        assert_eq!(encoded, "city=a%252Fb%20c/day=1970-01-01/at=1970-01-01T00%253A00%253A00.000001Z");
        assert_eq!(decode_path(&encoded).unwrap(), directory);
        let nulls = partition_values(&partitions, &columns, 1).unwrap();
        assert_eq!(nulls["city"], None, "the empty string is null");
        assert!(partition_directory(&partitions, &nulls).starts_with("city=__HIVE_DEFAULT_PARTITION__/day=__HIVE"));
    }

    #[test]
    fn paths_that_cannot_be_decoded_are_refused() {
        assert_eq!(decode_path(&encode_path("ü%/ö.parquet")).unwrap(), "ü%/ö.parquet");
        for bad in ["a%", "a%2", "a%zz", "%ff"] {
            assert!(decode_path(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_column_of_another_type_is_refused() {
        let columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from(vec!["1"]))];
        assert!(partition_values(&[column("n", DataType::Long)], &columns, 0).is_err());
    }
}
