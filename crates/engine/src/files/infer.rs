//! Schemas read off the files: whole CSV and JSON files are looked at, so that reading them with what was inferred does
//! not fail later. Spark's rules.

use std::collections::BTreeMap;

use crannog_lake::model::schema::ArrayType;
use crannog_lake::model::{DataType, StructField, StructType};
use crannog_lake::ports::FileFormat;
use crannog_types::{Problem, Result};
use serde_json::{Map, Value};
use tokio::runtime::Handle;

use super::csv::Records;
use super::options::{Mode, Options};
use super::{Source, csv_rows, json, malformed, parquet, same_name, text, values};

/// The columns of all the files; none when they are empty. For blocking threads.
pub(super) fn schema(source: &Source, handle: &Handle) -> Result<StructType> {
    match source.format {
        FileFormat::Csv => csv(source, handle),
        FileFormat::Json => of_json(source, handle),
        FileFormat::Parquet => parquet::schema(source, handle),
    }
}

/// Which types every value of a CSV column so far could have.
#[derive(Clone, Copy)]
struct Guess {
    seen: bool,
    int: bool,
    long: bool,
    double: bool,
    date: bool,
    /// A date or a time of a day.
    timestamp: bool,
    boolean: bool,
}

impl Guess {
    const ANY: Guess =
        Guess { seen: false, int: true, long: true, double: true, date: true, timestamp: true, boolean: true };

    fn see(&mut self, text: &str, options: &Options) {
        self.seen = true;
        self.int = self.int && text.parse::<i32>().is_ok();
        self.long = self.long && (self.int || text.parse::<i64>().is_ok());
        self.double = self.double && (self.long || values::double(text, options).is_some());
        let date = (self.date || self.timestamp) && values::date(text, options).is_some();
        self.date = self.date && date;
        self.timestamp = self.timestamp && (date || time_of_day(text, options));
        self.boolean = self.boolean && values::boolean(text).is_some();
    }

    fn data_type(self) -> DataType {
        match self {
            Guess { seen: false, .. } => DataType::String,
            Guess { int: true, .. } => DataType::Integer,
            Guess { long: true, .. } => DataType::Long,
            Guess { double: true, .. } => DataType::Double,
            Guess { date: true, .. } => DataType::Date,
            Guess { timestamp: true, .. } => DataType::Timestamp,
            Guess { boolean: true, .. } => DataType::Boolean,
            _ => DataType::String,
        }
    }
}

/// Spark's cast takes `2013` for a timestamp; a schema must not.
fn time_of_day(text: &str, options: &Options) -> bool {
    let whole = options.timestamp_format.is_some() || (text.len() >= 16 && text.contains(':'));
    whole && values::timestamp(text, options).is_some()
}

fn csv(source: &Source, handle: &Handle) -> Result<StructType> {
    let options = &source.options;
    let mut columns: Vec<(String, Guess)> = Vec::new();
    for file in &source.files {
        let shown = source.shown(file);
        let Some(mut opened) = csv_rows::open(source, file, handle)? else { continue };
        let mut records = Records::default();
        let mut places: Option<Vec<usize>> = opened.names.as_ref().map(|names| places(names, &mut columns));
        while opened.reader.record(&mut records).map_err(|error| text::problem(error, &shown))? {
            let row = &records.rows[0];
            let places = places.get_or_insert_with(|| {
                let names: Vec<String> = (0..row.count).map(|index| format!("_c{index}")).collect();
                self::places(&names, &mut columns)
            });
            // Reading tells of faults; here a record that is too short or too long must only not mislead.
            for (index, place) in places.iter().enumerate() {
                let Some((bytes, quoted)) = records.field(row, index) else { continue };
                let guess = &mut columns[*place].1;
                match csv_rows::text_of(bytes, quoted, options) {
                    Ok(Some(text)) => guess.see(text, options),
                    Ok(None) => {}
                    Err(()) => guess.see("?", options),
                }
            }
            records.clear();
            if !options.infer_schema {
                break;
            }
        }
    }
    let inferred = |guess: Guess| if options.infer_schema { guess.data_type() } else { DataType::String };
    Ok(StructType {
        fields: columns.into_iter().map(|(name, guess)| StructField::new(name, inferred(guess), true)).collect(),
    })
}

/// Where each of a file's columns stands among all; new ones are added.
fn places(names: &[String], columns: &mut Vec<(String, Guess)>) -> Vec<usize> {
    let place = |name: &String| match columns.iter().position(|(known, _)| same_name(known, name)) {
        Some(place) => place,
        None => {
            columns.push((name.clone(), Guess::ANY));
            columns.len() - 1
        }
    };
    names.iter().map(place).collect()
}

/// What JSON values of one place have in common.
#[derive(Clone, Debug, PartialEq)]
enum Common {
    Null,
    Bool,
    Long,
    /// Whole numbers beyond 64 bits with sign.
    Wide,
    Double,
    String,
    Struct(BTreeMap<String, Common>),
    Array(Box<Common>),
}

impl Common {
    fn of(value: &Value, options: &Options) -> Self {
        match value {
            Value::Null => Common::Null,
            Value::String(_) => Common::String,
            Value::Bool(_) | Value::Number(_) if options.primitives_as_string => Common::String,
            Value::Bool(_) => Common::Bool,
            Value::Number(number) if number.is_i64() => Common::Long,
            Value::Number(number) if number.is_u64() => Common::Wide,
            Value::Number(_) => Common::Double,
            Value::Object(object) => Common::Struct(members(object, options)),
            Value::Array(elements) => {
                let mut common = Common::Null;
                for element in elements {
                    common = common.with(Common::of(element, options));
                }
                Common::Array(Box::new(common))
            }
        }
    }

    fn with(self, other: Common) -> Common {
        match (self, other) {
            (Common::Null, other) | (other, Common::Null) => other,
            (Common::Struct(mut one), Common::Struct(other)) => {
                merge(&mut one, other);
                Common::Struct(one)
            }
            (Common::Array(one), Common::Array(other)) => Common::Array(Box::new(one.with(*other))),
            (Common::Long, Common::Wide) | (Common::Wide, Common::Long) => Common::Wide,
            (Common::Double, Common::Long | Common::Wide) | (Common::Long | Common::Wide, Common::Double) => {
                Common::Double
            }
            (one, other) if one == other => one,
            // Types that conflict are read as text.
            _ => Common::String,
        }
    }

    /// The type; `None` for what has no columns.
    fn data_type(self) -> Option<DataType> {
        Some(match self {
            Common::Null | Common::String => DataType::String,
            Common::Bool => DataType::Boolean,
            Common::Long => DataType::Long,
            Common::Wide => DataType::Decimal { precision: 20, scale: 0 },
            Common::Double => DataType::Double,
            Common::Struct(members) => {
                let inner = columns(members);
                (!inner.fields.is_empty()).then_some(DataType::Struct(inner))?
            }
            Common::Array(element) => {
                DataType::Array(Box::new(ArrayType { element_type: element.data_type()?, contains_null: true }))
            }
        })
    }
}

fn members(object: &Map<String, Value>, options: &Options) -> BTreeMap<String, Common> {
    object.iter().map(|(name, value)| (name.clone(), Common::of(value, options))).collect()
}

fn merge(into: &mut BTreeMap<String, Common>, other: BTreeMap<String, Common>) {
    for (name, common) in other {
        let known = into.remove(&name).unwrap_or(Common::Null);
        into.insert(name, known.with(common));
    }
}

/// Columns sorted by name, as Spark's.
fn columns(members: BTreeMap<String, Common>) -> StructType {
    let field = |(name, common): (String, Common)| Some(StructField::new(name, common.data_type()?, true));
    StructType { fields: members.into_iter().filter_map(field).collect() }
}

fn of_json(source: &Source, handle: &Handle) -> Result<StructType> {
    let mut found = BTreeMap::new();
    for file in &source.files {
        let shown = source.shown(file);
        json::records(source, file, handle, &mut |record| {
            match record.value {
                Ok(object) => merge(&mut found, members(&object, &source.options)),
                Err(why) if source.options.mode == Mode::FailFast => {
                    return Err(malformed(&shown, &record.place.text(), &why));
                }
                Err(_) => {}
            }
            Ok(true)
        })?;
    }
    // Names that differ only by case cannot both be columns.
    StructType::new(columns(found).fields).map_err(|error| Problem::invalid(format!("{}: {error}", source.shown_as)))
}
