//! How files are read: Spark's reader options, every one understood or refused by name.

use crannog_lake::model::{DataType, StructType};
use crannog_lake::ports::FileFormat;
use crannog_types::{Problem, Result};

use super::patterns::Pattern;
use crate::spark::zone::Zone;

/// What happens to a record that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// The statement fails, and says where. The default here: rows are not lost in silence.
    FailFast,
    /// What cannot be read is NULL.
    Permissive,
    /// The record is left out.
    DropMalformed,
}

/// The encoding of a text file. A byte order mark in the file counts for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
    Latin1,
}

/// The options, with Spark's defaults but for `mode`.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) header: bool,
    pub(super) delimiter: Vec<u8>,
    pub(super) quote: Option<u8>,
    pub(super) escape: Option<u8>,
    pub(super) comment: Option<u8>,
    pub(super) null_value: String,
    pub(super) empty_value: String,
    pub(super) nan_value: String,
    pub(super) positive_inf: String,
    pub(super) negative_inf: String,
    pub(super) multi_line: bool,
    pub(super) encoding: Encoding,
    pub(super) mode: Mode,
    pub(super) date_format: Option<Pattern>,
    pub(super) timestamp_format: Option<Pattern>,
    pub(super) zone: Zone,
    pub(super) trim_leading: bool,
    pub(super) trim_trailing: bool,
    pub(super) skip_rows: u64,
    pub(super) infer_schema: bool,
    pub(super) primitives_as_string: bool,
    pub(super) merge_schema: bool,
    pub(super) schema: Option<StructType>,
    pub(super) schema_hints: Option<StructType>,
}

const CSV: &[&str] = &[
    "header",
    "delimiter",
    "sep",
    "quote",
    "escape",
    "comment",
    "nullvalue",
    "emptyvalue",
    "nanvalue",
    "positiveinf",
    "negativeinf",
    "ignoreleadingwhitespace",
    "ignoretrailingwhitespace",
    "skiprows",
    "inferschema",
];
const TEXT: &[&str] = &["multiline", "encoding", "charset", "mode", "dateformat", "timestampformat", "timezone"];
const JSON: &[&str] = &["primitivesasstring", "inferschema"];
const ALL: &[&str] = &["mergeschema", "schema", "schemahints"];

impl Options {
    /// Reads options; keys count regardless of case.
    ///
    /// # Errors
    /// For an option that the format does not have, one that is given twice, and a value that it cannot take.
    pub(super) fn read(format: FileFormat, given: &[(String, String)]) -> Result<Self> {
        let known: Vec<&str> = match format {
            FileFormat::Csv => [CSV, TEXT, ALL].concat(),
            FileFormat::Json => [JSON, TEXT, ALL].concat(),
            FileFormat::Parquet => ALL.to_vec(),
        };
        let mut options = Self {
            header: false,
            delimiter: vec![b','],
            quote: Some(b'"'),
            escape: Some(b'\\'),
            comment: None,
            null_value: String::new(),
            empty_value: String::new(),
            nan_value: "NaN".to_owned(),
            positive_inf: "Inf".to_owned(),
            negative_inf: "-Inf".to_owned(),
            multi_line: false,
            encoding: Encoding::Utf8,
            mode: Mode::FailFast,
            date_format: None,
            timestamp_format: None,
            zone: Zone::Fixed(0),
            trim_leading: false,
            trim_trailing: false,
            skip_rows: 0,
            infer_schema: true,
            primitives_as_string: false,
            merge_schema: false,
            schema: None,
            schema_hints: None,
        };
        let mut seen: Vec<String> = Vec::new();
        for (key, value) in given {
            let lower = key.to_lowercase();
            if !known.contains(&lower.as_str()) {
                let word = word(format);
                return Err(Problem::invalid(format!("'{key}' is not an option of reading {word} files"))
                    .reason("UNKNOWN_OPTION")
                    .hint(format!("the options are {}", known.join(", "))));
            }
            let same = |other: &String| *other == lower || synonyms(other) == synonyms(&lower);
            if seen.iter().any(same) {
                return Err(Problem::invalid(format!("the option '{key}' is given twice")));
            }
            options.set(&lower, value).map_err(|why| {
                Problem::invalid(format!("the option '{key}' cannot be '{}': {why}", super::printable(value)))
            })?;
            seen.push(lower);
        }
        Ok(options)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "header" => self.header = boolean(value)?,
            "delimiter" | "sep" => {
                let text = unescape(value);
                if text.is_empty() || text.contains(['\n', '\r']) {
                    return Err("it must be one or more characters, none of them a line break".to_owned());
                }
                self.delimiter = text.into_bytes();
            }
            "quote" => self.quote = character(value)?,
            "escape" => self.escape = character(value)?,
            "comment" => self.comment = character(value)?,
            "nullvalue" => self.null_value = value.to_owned(),
            "emptyvalue" => self.empty_value = value.to_owned(),
            "nanvalue" => self.nan_value = value.to_owned(),
            "positiveinf" => self.positive_inf = value.to_owned(),
            "negativeinf" => self.negative_inf = value.to_owned(),
            "multiline" => self.multi_line = boolean(value)?,
            "ignoreleadingwhitespace" => self.trim_leading = boolean(value)?,
            "ignoretrailingwhitespace" => self.trim_trailing = boolean(value)?,
            "skiprows" => self.skip_rows = value.parse().map_err(|_| "it must be a whole number".to_owned())?,
            "inferschema" => self.infer_schema = boolean(value)?,
            "primitivesasstring" => self.primitives_as_string = boolean(value)?,
            "mergeschema" => self.merge_schema = boolean(value)?,
            "encoding" | "charset" => {
                self.encoding = match value.to_uppercase().replace('_', "-").as_str() {
                    "UTF-8" | "UTF8" | "US-ASCII" => Encoding::Utf8,
                    "UTF-16LE" => Encoding::Utf16Le,
                    "UTF-16" | "UTF-16BE" => Encoding::Utf16Be,
                    "ISO-8859-1" | "LATIN1" => Encoding::Latin1,
                    _ => return Err("UTF-8, UTF-16, UTF-16LE, UTF-16BE and ISO-8859-1 are read".to_owned()),
                }
            }
            "mode" => {
                self.mode = match value.to_uppercase().as_str() {
                    "FAILFAST" => Mode::FailFast,
                    "PERMISSIVE" => Mode::Permissive,
                    "DROPMALFORMED" => Mode::DropMalformed,
                    _ => return Err("it is FAILFAST, PERMISSIVE or DROPMALFORMED".to_owned()),
                }
            }
            "dateformat" => self.date_format = Some(Pattern::parse(value)?),
            "timestampformat" => self.timestamp_format = Some(Pattern::parse(value)?),
            "timezone" => self.zone = Zone::parse(value).map_err(|_| "it is not a known time zone".to_owned())?,
            "schema" => self.schema = Some(columns(value)?),
            "schemahints" => self.schema_hints = Some(columns(value)?),
            _ => return Err("it is not known".to_owned()),
        }
        Ok(())
    }
}

pub(super) fn word(format: FileFormat) -> &'static str {
    match format {
        FileFormat::Csv => "CSV",
        FileFormat::Json => "JSON",
        FileFormat::Parquet => "Parquet",
    }
}

fn synonyms(key: &str) -> &str {
    match key {
        "sep" => "delimiter",
        "charset" => "encoding",
        other => other,
    }
}

fn boolean(value: &str) -> Result<bool, String> {
    match value.to_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("it is true or false".to_owned()),
    }
}

/// One ASCII character; empty or NUL: none.
fn character(value: &str) -> Result<Option<u8>, String> {
    let value = unescape(value);
    match value.as_bytes() {
        [] | [0] => Ok(None),
        [one] if one.is_ascii() && !matches!(one, b'\n' | b'\r') => Ok(Some(*one)),
        _ => Err("it must be one ASCII character, or empty for none".to_owned()),
    }
}

/// Spark takes `\t` written as two characters for a tab.
fn unescape(value: &str) -> String {
    match value {
        "\\t" => "\t".to_owned(),
        "\\0" | "\\u0000" => "\0".to_owned(),
        "\\\\" => "\\".to_owned(),
        other => other.to_owned(),
    }
}

/// `a INT, b STRUCT<c: DATE>`.
fn columns(ddl: &str) -> Result<StructType, String> {
    match DataType::from_type_text(&format!("struct<{ddl}>")) {
        Ok(DataType::Struct(columns)) => Ok(columns),
        Ok(_) => Err("it must be columns with types, as in 'a INT, b STRING'".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
