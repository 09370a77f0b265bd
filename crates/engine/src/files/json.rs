//! JSON as batches: an object a line, or with `multiLine` whole documents (an object, or an array of them, streamed).

use std::borrow::Cow;
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray, MapArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::DataType as ArrowType;
use crannog_lake::model::{DataType, StructType};
use crannog_storage::FileMeta;
use crannog_types::{Problem, Result};
use serde::de::{DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::{Map, Value};
use tokio::runtime::Handle;

use super::options::{Mode, Options};
use super::text::{self, Decoder, Pull};
use super::values::{self, Bad};
use super::{BATCH_BYTES, BATCH_ROWS, Emit, Job, Source, grouped, malformed, same_name, unknown_column};

/// A line may not outgrow this.
const LARGEST_LINE: usize = 64 * 1024 * 1024;

/// One record: what was read, or why it could not be.
pub(super) struct Record {
    pub(super) value: Result<Map<String, Value>, String>,
    /// `line 7`, or `record 7` in a document.
    pub(super) place: Place,
    bytes: usize,
}

#[derive(Clone, Copy)]
pub(super) enum Place {
    Line(u64),
    Record(u64),
}

impl Place {
    pub(super) fn text(self) -> String {
        match self {
            Place::Line(line) => format!("line {}", grouped(line)),
            Place::Record(record) => format!("record {}", grouped(record)),
        }
    }
}

/// Gives every record of a file to `take`, until that says false. False: nobody wants more.
pub(super) fn records(
    source: &Source,
    file: &FileMeta,
    handle: &Handle,
    take: &mut dyn FnMut(Record) -> Result<bool>,
) -> Result<bool> {
    let pull = Pull::open(handle, &source.folder, &file.path)?;
    let input = BufReader::with_capacity(64 * 1024, Decoder::new(pull, source.options.encoding));
    match source.options.multi_line {
        true => documents(input, &source.shown(file), take),
        false => lines(input, &source.shown(file), take),
    }
}

fn lines(mut input: impl BufRead, shown: &str, take: &mut dyn FnMut(Record) -> Result<bool>) -> Result<bool> {
    let (mut line, mut number) = (Vec::new(), 0);
    loop {
        line.clear();
        let limit = LARGEST_LINE as u64 + 1;
        let read =
            input.by_ref().take(limit).read_until(b'\n', &mut line).map_err(|error| text::problem(error, shown))?;
        if read == 0 {
            return Ok(true);
        }
        number += 1;
        let place = Place::Line(number);
        if line.len() > LARGEST_LINE {
            return Err(malformed(
                shown,
                &place.text(),
                "it is longer than 64 MiB (set multiLine => true for whole documents)",
            ));
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let found = match serde_json::from_slice::<Value>(&line) {
            Ok(Value::Array(several)) => several,
            Ok(one) => vec![one],
            Err(error) => {
                let why = format!("not JSON at column {}: {}", error.column(), reason(&error));
                let record = Record { value: Err(why), place, bytes: line.len() };
                if !take(record)? {
                    return Ok(false);
                }
                continue;
            }
        };
        for value in found {
            if !take(Record { value: object(value), place, bytes: line.len() })? {
                return Ok(false);
            }
        }
    }
}

fn object(value: Value) -> Result<Map<String, Value>, String> {
    match value {
        Value::Object(object) => Ok(object),
        _ => Err("it is not a JSON object".to_owned()),
    }
}

/// About how many bytes of text a value has, to end a batch of large documents early.
fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(elements) => elements.iter().map(|element| weight(element) + 1).sum(),
        Value::Object(members) => members.iter().map(|(name, value)| name.len() + 4 + weight(value)).sum(),
        _ => 8,
    }
}

/// serde_json's message without its "at line 1 column 7".
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_lowercase()
}

/// Reads documents one after another, giving an array's elements one by one: no document is in memory whole.
fn documents(input: impl Read, shown: &str, take: &mut dyn FnMut(Record) -> Result<bool>) -> Result<bool> {
    let mut stream = serde_json::Deserializer::from_reader(input);
    let mut walk = Walk { take, count: 0, stopped: None };
    loop {
        match stream.end() {
            Ok(()) => return Ok(true),
            Err(error) if error.is_io() => return Err(text::problem(error.into(), shown)),
            Err(_) => {}
        }
        let result = (&mut walk).deserialize(&mut stream);
        match (walk.stopped.take(), result) {
            (Some(stopped), _) => return stopped.map(|()| false),
            (None, Ok(())) => {}
            (None, Err(error)) if error.is_io() => return Err(text::problem(error.into(), shown)),
            (None, Err(error)) => {
                // After broken syntax nothing in the document can be trusted: there is no next record to go on with.
                let place = format!("line {}", grouped(error.line() as u64));
                let why = format!("not JSON at column {}: {}", error.column(), reason(&error));
                return Err(malformed(shown, &place, &why));
            }
        }
    }
}

struct Walk<'t> {
    take: &'t mut dyn FnMut(Record) -> Result<bool>,
    count: u64,
    /// Why it stopped: nobody wants more, or a failure.
    stopped: Option<Result<()>>,
}

impl Walk<'_> {
    /// False: stop.
    fn give(&mut self, value: Value) -> bool {
        self.count += 1;
        let bytes = weight(&value);
        match (self.take)(Record { value: object(value), place: Place::Record(self.count), bytes }) {
            Ok(true) => true,
            Ok(false) => {
                self.stopped = Some(Ok(()));
                false
            }
            Err(problem) => {
                self.stopped = Some(Err(problem));
                false
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for &mut Walk<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON object or an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while let Some(value) = elements.next_element::<Value>()? {
            if !self.give(value) {
                return Err(A::Error::custom("stopped"));
            }
        }
        Ok(())
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut object = Map::new();
        while let Some((key, value)) = entries.next_entry::<String, Value>()? {
            object.insert(key, value);
        }
        match self.give(Value::Object(object)) {
            true => Ok(()),
            false => Err(A::Error::custom("stopped")),
        }
    }
}

/// Reads a file; false: nobody wants more.
pub(super) fn read(job: &Job, file: &FileMeta, emit: Emit<'_>) -> Result<bool> {
    let mut waiting: Vec<Record> = Vec::new();
    let mut bytes = 0;
    let more = records(&job.source, file, &job.handle, &mut |record| {
        bytes += record.bytes;
        waiting.push(record);
        if waiting.len() < BATCH_ROWS && bytes < BATCH_BYTES {
            return Ok(true);
        }
        bytes = 0;
        Ok(emit(batch(job, &std::mem::take(&mut waiting), file)?))
    })?;
    match more && !waiting.is_empty() {
        true => Ok(emit(batch(job, &waiting, file)?)),
        false => Ok(more),
    }
}

fn batch(job: &Job, records: &[Record], file: &FileMeta) -> Result<arrow::array::RecordBatch> {
    let shown = job.source.shown(file);
    let empty = Map::new();
    let mut faulty = Vec::new();
    let mut objects = Vec::with_capacity(records.len());
    for (row, record) in records.iter().enumerate() {
        match &record.value {
            Ok(object) => objects.push(object),
            Err(why) if job.source.options.mode == Mode::FailFast => {
                return Err(malformed(&shown, &record.place.text(), why));
            }
            Err(_) => {
                faulty.push(row);
                objects.push(&empty);
            }
        }
    }
    if job.source.only_known_columns {
        let unknown = |key: &&String| !job.full.fields.iter().any(|field| same_name(&field.name, key));
        if let Some(key) = objects.iter().flat_map(|object| object.keys()).find(unknown) {
            return Err(unknown_column(&shown, key, &job.full));
        }
    }
    let rows: Vec<usize> = (0..records.len()).collect();
    let mut bad = Vec::new();
    let mut columns = Vec::new();
    for field in job.projection.iter().filter_map(|column| job.full.fields.get(*column)) {
        let cells: Vec<_> = objects.iter().map(|object| member(object, &field.name)).collect();
        columns.push(column(&cells, &rows, &field.name, &field.data_type, &job.source.options, &mut bad)?);
    }
    let place = |row: usize| records.get(row).map_or_else(String::new, |record| record.place.text());
    job.batch(columns, records.len(), &faulty, &bad, file, &place)
}

/// A member by name: the exact one, else one that differs by case.
fn member<'v>(object: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    let exact = object.get(name);
    exact.or_else(|| object.iter().find(|(key, _)| same_name(key, name)).map(|(_, value)| value))
}

/// A column of JSON values. `rows` says for each value which row of the batch it belongs to.
fn column(
    cells: &[Option<&Value>],
    rows: &[usize],
    name: &str,
    data_type: &DataType,
    options: &Options,
    bad: &mut Vec<Bad>,
) -> Result<ArrayRef> {
    let cells: Vec<Option<&Value>> = cells.iter().map(|cell| cell.filter(|value| !value.is_null())).collect();
    let mut refuse = |index: usize, value: &Value| {
        let (column, wanted) = (name.to_owned(), data_type.to_type_text().to_uppercase());
        bad.push(Bad { row: rows.get(index).copied().unwrap_or(0), column, value: value.to_string(), wanted });
    };
    match data_type {
        DataType::Struct(inner) => {
            let mut objects = Vec::with_capacity(cells.len());
            for (index, cell) in cells.iter().enumerate() {
                let object = cell.and_then(Value::as_object);
                if let (Some(value), None) = (cell, object) {
                    refuse(index, value);
                }
                objects.push(object);
            }
            structs(&objects, rows, name, inner, options, bad)
        }
        DataType::Array(array) => {
            let (mut elements, mut of_row, mut lengths, mut valid) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
            for (index, cell) in cells.iter().enumerate() {
                let list = cell.and_then(Value::as_array);
                if let (Some(value), None) = (cell, list) {
                    refuse(index, value);
                }
                lengths.push(list.map_or(0, Vec::len));
                valid.push(list.is_some());
                for element in list.into_iter().flatten() {
                    elements.push(Some(element));
                    of_row.push(rows.get(index).copied().unwrap_or(0));
                }
            }
            let values = column(&elements, &of_row, &format!("{name}.element"), &array.element_type, options, bad)?;
            let ArrowType::List(field) = data_type.to_arrow() else { return Err(unexpected(name)) };
            let offsets = OffsetBuffer::from_lengths(lengths);
            let list = ListArray::try_new(field, offsets, values, Some(NullBuffer::from(valid)));
            Ok(Arc::new(list.map_err(|error| Problem::internal("an array column is malformed", error))?))
        }
        DataType::Map(map) => {
            let (mut keys, mut elements, mut of_row) = (Vec::new(), Vec::new(), Vec::new());
            let (mut lengths, mut valid) = (Vec::new(), Vec::new());
            for (index, cell) in cells.iter().enumerate() {
                let object = cell.and_then(Value::as_object);
                if let (Some(value), None) = (cell, object) {
                    refuse(index, value);
                }
                lengths.push(object.map_or(0, Map::len));
                valid.push(object.is_some());
                for (key, value) in object.into_iter().flatten() {
                    keys.push(key.as_str());
                    elements.push(Some(value));
                    of_row.push(rows.get(index).copied().unwrap_or(0));
                }
            }
            if map.key_type != DataType::String {
                return Err(Problem::invalid(format!(
                    "the column '{name}' has a map whose keys are not strings: JSON's are"
                )));
            }
            let keys: ArrayRef = Arc::new(arrow::array::StringArray::from(keys));
            let values = column(&elements, &of_row, &format!("{name}.value"), &map.value_type, options, bad)?;
            let ArrowType::Map(entries, sorted) = data_type.to_arrow() else { return Err(unexpected(name)) };
            let ArrowType::Struct(fields) = entries.data_type().clone() else { return Err(unexpected(name)) };
            let made = StructArray::try_new(fields, vec![keys, values], None).and_then(|pairs| {
                let offsets = OffsetBuffer::from_lengths(lengths);
                MapArray::try_new(entries, offsets, pairs, Some(NullBuffer::from(valid)), sorted)
            });
            Ok(Arc::new(made.map_err(|error| Problem::internal("a map column is malformed", error))?))
        }
        DataType::Binary | DataType::Variant => {
            let wanted = data_type.to_type_text();
            Err(Problem::invalid(format!("the column '{name}' of type {wanted} cannot be read from JSON"))
                .hint("read it as STRING"))
        }
        scalar => {
            let mut texts = Vec::with_capacity(cells.len());
            for (index, cell) in cells.iter().enumerate() {
                let text = cell.and_then(|value| scalar_text(value, scalar));
                if let (Some(value), None) = (cell, &text) {
                    refuse(index, value);
                }
                texts.push(text);
            }
            let before = bad.len();
            let made = values::column(texts.iter().map(Option::as_deref), name, scalar, options, bad)?;
            for new in bad.iter_mut().skip(before) {
                new.row = rows.get(new.row).copied().unwrap_or(0);
            }
            Ok(made)
        }
    }
}

fn structs(
    objects: &[Option<&Map<String, Value>>],
    rows: &[usize],
    name: &str,
    inner: &StructType,
    options: &Options,
    bad: &mut Vec<Bad>,
) -> Result<ArrayRef> {
    let mut children = Vec::with_capacity(inner.fields.len());
    for field in &inner.fields {
        let cells: Vec<_> =
            objects.iter().map(|object| object.and_then(|object| member(object, &field.name))).collect();
        children.push(column(&cells, rows, &format!("{name}.{}", field.name), &field.data_type, options, bad)?);
    }
    let valid: NullBuffer = objects.iter().map(Option::is_some).collect::<Vec<_>>().into();
    let ArrowType::Struct(fields) = DataType::Struct(inner.clone()).to_arrow() else { return Err(unexpected(name)) };
    let made = match fields.is_empty() {
        true => StructArray::new_empty_fields(objects.len(), Some(valid)),
        false => StructArray::try_new(fields, children, Some(valid))
            .map_err(|error| Problem::internal("a struct column is malformed", error))?,
    };
    debug_assert_eq!(made.len(), objects.len());
    Ok(Arc::new(made))
}

fn unexpected(name: &str) -> Problem {
    Problem::new(crannog_types::Code::Internal, format!("the column '{name}' has no Arrow type of its kind"))
}

/// A scalar as the text that a column of its type is read from; `None`: a kind of value that the type does not take.
fn scalar_text<'v>(value: &'v Value, wanted: &DataType) -> Option<Cow<'v, str>> {
    let numeric = |number: &serde_json::Number| Cow::Owned(number.to_string());
    match (wanted, value) {
        (DataType::Void, _) => None,
        (DataType::String, Value::String(text)) => Some(Cow::Borrowed(text)),
        (DataType::String, other) => Some(Cow::Owned(other.to_string())),
        (DataType::Boolean, Value::Bool(flag)) => Some(Cow::Borrowed(if *flag { "true" } else { "false" })),
        (DataType::Byte | DataType::Short | DataType::Integer | DataType::Long, Value::Number(number)) => {
            (!number.is_f64()).then(|| numeric(number))
        }
        (DataType::Float | DataType::Double | DataType::Decimal { .. }, Value::Number(number)) => Some(numeric(number)),
        (
            DataType::Float
            | DataType::Double
            | DataType::Decimal { .. }
            | DataType::Date
            | DataType::Timestamp
            | DataType::TimestampNtz,
            Value::String(text),
        ) => Some(Cow::Borrowed(text)),
        _ => None,
    }
}
