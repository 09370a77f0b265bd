//! JSON text: `get_json_object`, `json_array_length`, `json_object_keys`, `schema_of_json`, `to_json`, `from_json`.
//!
//! A text that is not JSON gives NULL (or, in `from_json`, a struct of NULLs), as Spark's PERMISSIVE mode does.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StringArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};
use crannog_lake::grammar::DataType as SqlType;
use serde_json::Value as Json;

use super::Call;
use super::pattern::Pattern;
use super::room::Room;
use super::rows::{call as row, coerce, gather};
use crate::bind::sql_type::arrow_type;
use crate::bind::{Binder, Bound, unexpected_type};
use crate::spark::casts::{self, Mode};
use crate::spark::error::{Result, spark, spark_hint, unsupported};
use crate::spark::zone::Zone;
use crate::spark::{json, kernel, text, types};

const T: DataType = DataType::Utf8;

/// One step of a path.
#[derive(Debug)]
enum Step {
    Member(String),
    Index(usize),
    Every,
    EveryMember,
}

/// `$.a[0]['b c'][*]`; `None` when it is no path.
fn path(written: &str) -> Option<Vec<Step>> {
    let mut rest = written.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("['") {
            let (name, after) = after.split_once("']")?;
            steps.push(if name == "*" { Step::EveryMember } else { Step::Member(name.to_owned()) });
            rest = after;
        } else if let Some(after) = rest.strip_prefix('[') {
            let (index, after) = after.split_once(']')?;
            steps.push(if index == "*" { Step::Every } else { Step::Index(index.trim().parse().ok()?) });
            rest = after;
        } else {
            let after = rest.strip_prefix('.')?;
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let name = &after[..end];
            if name.is_empty() {
                return None;
            }
            steps.push(if name == "*" { Step::EveryMember } else { Step::Member(name.to_owned()) });
            rest = &after[end..];
        }
    }
    Some(steps)
}

fn follow<'j>(value: &'j Json, steps: &[Step], found: &mut Vec<&'j Json>) {
    let Some((step, rest)) = steps.split_first() else {
        if !value.is_null() {
            found.push(value);
        }
        return;
    };
    match (step, value) {
        (Step::Member(name), Json::Object(members)) => {
            if let Some(value) = members.get(name) {
                follow(value, rest, found);
            }
        }
        // A name goes through an array to its objects.
        (Step::Member(_), Json::Array(items)) => {
            items.iter().filter(|item| item.is_object()).for_each(|item| follow(item, steps, found));
        }
        (Step::Index(at), Json::Array(items)) => {
            if let Some(value) = items.get(*at) {
                follow(value, rest, found);
            }
        }
        (Step::Every, Json::Array(items)) => items.iter().for_each(|item| follow(item, rest, found)),
        (Step::EveryMember, Json::Object(members)) => members.values().for_each(|item| follow(item, rest, found)),
        _ => {}
    }
}

/// A JSON value as text; floating point as Java writes it.
fn shown(value: &Json) -> String {
    let mut out = String::new();
    write(&mut out, value);
    out
}

fn write(out: &mut String, value: &Json) {
    match value {
        Json::Number(number) => match (number.is_f64(), number.as_f64()) {
            (true, Some(value)) => out.push_str(&text::double(value)),
            _ => out.push_str(&number.to_string()),
        },
        Json::String(value) => json::quote(out, value),
        Json::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(out, item);
            }
            out.push(']');
        }
        Json::Object(members) => {
            out.push('{');
            for (at, (name, item)) in members.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                json::quote(out, name);
                out.push(':');
                write(out, item);
            }
            out.push('}');
        }
        other => out.push_str(&other.to_string()),
    }
}

fn get(document: &str, written: &str) -> Option<String> {
    let steps = path(written)?;
    let document: Json = serde_json::from_str(document).ok()?;
    let mut found = Vec::new();
    follow(&document, &steps, &mut found);
    match found.as_slice() {
        [] => None,
        [Json::String(text)] => Some(text.clone()),
        [one] => Some(shown(one)),
        several => Some(format!("[{}]", several.iter().map(|one| shown(one)).collect::<Vec<_>>().join(","))),
    }
}

/// The type that a document has.
fn inferred(value: &Json) -> DataType {
    match value {
        Json::Null => DataType::Null,
        Json::Bool(_) => DataType::Boolean,
        Json::Number(number) if number.is_i64() => DataType::Int64,
        Json::Number(number) if number.is_u64() => DataType::Decimal128(20, 0),
        Json::Number(_) => DataType::Float64,
        Json::String(_) => T,
        Json::Array(items) => types::list_of(items.iter().map(inferred).fold(DataType::Null, |a, b| merged(&a, &b))),
        Json::Object(members) => {
            let mut fields: Vec<_> = members.iter().map(|(name, value)| (name.clone(), inferred(value))).collect();
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            types::struct_of(fields)
        }
    }
}

/// The type of both; STRING when they have nothing in common.
fn merged(left: &DataType, right: &DataType) -> DataType {
    match (left, right) {
        (DataType::Struct(a), DataType::Struct(b)) => {
            let mut fields: Vec<(String, DataType)> = a
                .iter()
                .map(|field| {
                    let other = b.iter().find(|other| other.name() == field.name());
                    let ty =
                        other.map_or_else(|| field.data_type().clone(), |o| merged(field.data_type(), o.data_type()));
                    (field.name().clone(), ty)
                })
                .collect();
            let new = b.iter().filter(|field| a.iter().all(|known| known.name() != field.name()));
            fields.extend(new.map(|field| (field.name().clone(), field.data_type().clone())));
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            types::struct_of(fields)
        }
        (DataType::List(a), DataType::List(b)) => types::list_of(merged(a.data_type(), b.data_type())),
        _ if left == right => left.clone(),
        (DataType::Null, other) | (other, DataType::Null) => other.clone(),
        _ if types::is_numeric(left) && types::is_numeric(right) => types::common(left, right).unwrap_or(T),
        _ => T,
    }
}

/// What has no type is a STRING in a schema.
fn without_void(ty: &DataType) -> DataType {
    match ty {
        DataType::Null => T,
        DataType::List(field) => types::list_of(without_void(field.data_type())),
        DataType::Struct(fields) => {
            types::struct_of(fields.iter().map(|field| (field.name().clone(), without_void(field.data_type()))))
        }
        other => other.clone(),
    }
}

/// `a INT, b STRING`, or any type.
pub(crate) fn schema(written: &str) -> Result<DataType> {
    let parsed = SqlType::parse(written).or_else(|_| SqlType::parse(&format!("struct<{written}>")));
    let parsed = parsed.map_err(|_| {
        spark_hint(
            "INVALID_SCHEMA.PARSE_ERROR",
            format!("cannot read the schema '{written}'"),
            "write it as in CREATE TABLE: a INT, b STRING",
        )
    })?;
    arrow_type(&parsed)
}

/// The options of a call: a map of literals.
#[derive(Default, Clone)]
struct Options {
    timestamp: Option<String>,
    date: Option<String>,
    keep_nulls: bool,
}

fn options(arg: Option<Bound>) -> Result<Options> {
    let mut out = Options::default();
    let Some(arg) = arg else { return Ok(out) };
    let refused = || {
        spark_hint(
            "INVALID_OPTIONS.NON_MAP_FUNCTION",
            "the options must be a map of literal strings",
            "write map('key', 'value')",
        )
    };
    let datafusion::logical_expr::Expr::ScalarFunction(function) = &arg.expr else { return Err(refused()) };
    if function.func.name() != "map" {
        return Err(refused());
    }
    let literals: Option<Vec<&str>> = function
        .args
        .iter()
        .map(|arg| match arg {
            datafusion::logical_expr::Expr::Literal(datafusion::common::ScalarValue::Utf8(Some(text)), _) => {
                Some(text.as_str())
            }
            _ => None,
        })
        .collect();
    let literals = literals.ok_or_else(refused)?;
    let (keys, values) = literals.split_at(literals.len() / 2);
    for (key, value) in keys.iter().zip(values) {
        match key.to_ascii_lowercase().as_str() {
            "timestampformat" => out.timestamp = Some((*value).to_owned()),
            "dateformat" => out.date = Some((*value).to_owned()),
            "mode" if value.eq_ignore_ascii_case("PERMISSIVE") => {}
            "ignorenullfields" => out.keep_nulls = value.eq_ignore_ascii_case("false"),
            _ => return Err(unsupported(format!("the option {key} = {value} of a JSON function"))),
        }
    }
    Ok(out)
}

/// Dates and timestamps as the texts that a pattern gives, at any depth.
fn formatted(array: &ArrayRef, options: &Options, zone: &Zone) -> Result<ArrayRef> {
    let render = |pattern: &str, micros: Vec<Option<i64>>, zone: &Zone| -> Result<ArrayRef> {
        let pattern = Pattern::parse(pattern)?;
        let texts = micros.into_iter().map(|micros| micros.map(|micros| pattern.format(micros, zone)));
        Ok(Arc::new(texts.collect::<StringArray>()))
    };
    match array.data_type() {
        DataType::Timestamp(..) if options.timestamp.is_some() => {
            let values = array.as_primitive::<arrow::datatypes::TimestampMicrosecondType>().iter().collect();
            render(options.timestamp.as_deref().unwrap_or_default(), values, zone)
        }
        DataType::Date32 if options.date.is_some() => {
            let zone = Zone::parse("UTC").map_err(|_| unsupported("the zone UTC"))?;
            let days = array.as_primitive::<arrow::datatypes::Date32Type>().iter();
            let micros = days.map(|day| day.map(|day| i64::from(day) * 86_400_000_000)).collect();
            render(options.date.as_deref().unwrap_or_default(), micros, &zone)
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let values = formatted(list.values(), options, zone)?;
            let DataType::List(field) = types::list_of(values.data_type().clone()) else {
                return Err(unsupported("this array"));
            };
            Ok(Arc::new(ListArray::try_new(field, list.offsets().clone(), values, list.nulls().cloned())?))
        }
        DataType::Struct(fields) => {
            let data = array.as_struct();
            let columns = data.columns().iter().map(|column| formatted(column, options, zone));
            let columns = columns.collect::<Result<Vec<_>>>()?;
            let named =
                fields.iter().zip(&columns).map(|(field, column)| (field.name().clone(), column.data_type().clone()));
            let DataType::Struct(fields) = types::struct_of(named) else { return Err(unsupported("this struct")) };
            let nulls = data.nulls().cloned();
            Ok(Arc::new(StructArray::try_new_with_length(fields, columns, nulls, array.len())?))
        }
        _ => Ok(Arc::clone(array)),
    }
}

fn to_json(binder: &Binder, call: &mut Call<'_>) -> Result<Bound> {
    call.arity(1, 2)?;
    let written = if call.args.len() == 2 { call.args.pop() } else { None };
    let options = options(written)?;
    let arg = call.args.remove(0);
    let name = format!("to_json({})", arg.name);
    if types::is_atomic(&arg.ty) {
        return Err(unexpected_type(&name, &arg, "STRUCT, MAP or ARRAY"));
    }
    let zone = binder.zone();
    let key = format!("{zone:?} {:?} {:?} {}", options.timestamp, options.date, options.keep_nulls);
    let expr = kernel::pure("to_json", key, T, vec![arg.expr], move |columns, rows| {
        let column = match options.timestamp.is_some() || options.date.is_some() {
            true => formatted(&columns[0], &options, &zone)?,
            false => Arc::clone(&columns[0]),
        };
        gather(rows, &Room::of(columns), |row| {
            if column.is_null(row) {
                return Ok(None);
            }
            let mut out = String::new();
            json::write(&mut out, &column, row, &zone, options.keep_nulls)?;
            Ok(Some(out))
        })
    });
    Ok(Bound::new(expr, T, name))
}

/// Reads values of a type out of JSON values; what does not fit is NULL.
fn read(values: &[Option<&Json>], ty: &DataType, options: &Options, zone: &Zone) -> Result<ArrayRef> {
    match ty {
        DataType::Struct(fields) => {
            let objects: Vec<Option<&serde_json::Map<String, Json>>> =
                values.iter().map(|value| value.and_then(Json::as_object)).collect();
            let columns = fields.iter().map(|field| {
                let members: Vec<Option<&Json>> =
                    objects.iter().map(|object| object.and_then(|object| object.get(field.name()))).collect();
                read(&members, field.data_type(), options, zone)
            });
            let columns = columns.collect::<Result<Vec<_>>>()?;
            let nulls: NullBuffer = objects.iter().map(Option::is_some).collect::<Vec<_>>().into();
            Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), columns, Some(nulls), values.len())?))
        }
        DataType::List(field) => {
            let lists: Vec<Option<&Vec<Json>>> = values.iter().map(|value| value.and_then(Json::as_array)).collect();
            let items: Vec<Option<&Json>> = lists.iter().copied().flatten().flatten().map(Some).collect();
            let items = read(&items, field.data_type(), options, zone)?;
            let offsets = OffsetBuffer::from_lengths(lists.iter().map(|list| list.map_or(0, Vec::len)));
            let nulls: NullBuffer = lists.iter().map(Option::is_some).collect::<Vec<_>>().into();
            Ok(Arc::new(ListArray::try_new(Arc::clone(field), offsets, items, Some(nulls))?))
        }
        DataType::Map(entries, ordered) => {
            let Some((key, value)) = types::map_fields(entries) else { return Err(unsupported("this map")) };
            let maps: Vec<_> = values.iter().map(|value| value.and_then(Json::as_object)).collect();
            let keys: StringArray = maps.iter().flatten().flat_map(|map| map.keys()).map(Some).collect();
            let items: Vec<Option<&Json>> = maps.iter().flatten().flat_map(|map| map.values()).map(Some).collect();
            let items = read(&items, value.data_type(), options, zone)?;
            let fields = vec![Arc::clone(key), Arc::clone(value)];
            let pairs = StructArray::try_new(fields.into(), vec![Arc::new(keys), items], None)?;
            let offsets = OffsetBuffer::from_lengths(maps.iter().map(|map| map.map_or(0, serde_json::Map::len)));
            let nulls: NullBuffer = maps.iter().map(Option::is_some).collect::<Vec<_>>().into();
            Ok(Arc::new(MapArray::try_new(Arc::clone(entries), offsets, pairs, Some(nulls), *ordered)?))
        }
        _ => scalars(values, ty, options, zone),
    }
}

fn scalars(values: &[Option<&Json>], ty: &DataType, options: &Options, zone: &Zone) -> Result<ArrayRef> {
    let texts = values.iter().map(|value| match (value, ty) {
        (None | Some(Json::Null), _) => None,
        (Some(Json::String(_)), _) if types::is_integral(ty) || *ty == DataType::Boolean => None,
        (Some(Json::String(text)), _) => Some(text.clone()),
        (Some(Json::Bool(flag)), DataType::Boolean | DataType::Utf8) => Some(flag.to_string()),
        (Some(Json::Number(number)), ty) if types::is_integral(ty) => (!number.is_f64()).then(|| number.to_string()),
        (Some(Json::Number(number)), ty) if types::is_numeric(ty) => Some(number.to_string()),
        (Some(value), DataType::Utf8) => Some(shown(value)),
        _ => None,
    });
    let texts: StringArray = texts.collect();
    let pattern = match ty {
        DataType::Timestamp(..) => options.timestamp.as_deref(),
        DataType::Date32 => options.date.as_deref(),
        _ => None,
    };
    let Some(pattern) = pattern else {
        return casts::cast(&(Arc::new(texts) as ArrayRef), ty, zone, Mode::Try);
    };
    let pattern = Pattern::parse(pattern)?;
    let micros = texts.iter().map(|text| {
        let (local, own) = pattern.read(text?)?;
        Some(match ty {
            DataType::Timestamp(_, Some(_)) => own.as_ref().unwrap_or(zone).to_instant(local),
            _ => local,
        })
    });
    let micros: arrow::array::TimestampMicrosecondArray = micros.collect();
    match ty {
        DataType::Timestamp(TimeUnit::Microsecond, name) => Ok(Arc::new(micros.with_timezone_opt(name.clone()))),
        other => Ok(cast(&micros, other)?),
    }
}

fn from_json(binder: &Binder, call: &mut Call<'_>) -> Result<Bound> {
    call.arity(2, 3)?;
    let written = if call.args.len() == 3 { call.args.pop() } else { None };
    let options = options(written)?;
    let shape = call.args.remove(1);
    let Some(shape) = shape.as_text() else {
        return Err(spark("INVALID_SCHEMA.NON_STRING_LITERAL", "the schema of from_json must be a literal string"));
    };
    let ty = schema(shape)?;
    if types::is_atomic(&ty) {
        return Err(spark(
            "DATATYPE_MISMATCH.INVALID_JSON_SCHEMA",
            format!("the schema of from_json must be a struct, an array or a map, not \"{}\"", types::sql(&ty)),
        ));
    }
    let arg = call.args.remove(0);
    let name = if matches!(ty, DataType::Map(..)) { "entries".to_owned() } else { format!("from_json({})", arg.name) };
    let arg = binder.implicit(arg, &T, &name)?;
    let (zone, out) = (binder.zone(), ty.clone());
    let key = format!("{zone:?} {:?} {:?}", options.timestamp, options.date);
    let expr = kernel::pure("from_json", key, ty.clone(), vec![arg.expr], move |columns, _| {
        let texts = columns[0].as_string::<i32>();
        let empty = Json::Object(serde_json::Map::new());
        let mut documents = Vec::with_capacity(texts.len());
        for written in texts {
            documents.push(match written {
                None => None,
                Some(written) if written.trim().is_empty() => None,
                Some(written) => match (serde_json::from_str::<Json>(written), &out) {
                    (Ok(Json::Object(members)), DataType::Struct(_)) => Some(Json::Object(members)),
                    (Ok(Json::Array(mut items)), DataType::Struct(_)) if items.len() == 1 && items[0].is_object() => {
                        items.pop()
                    }
                    (Ok(value), DataType::List(_) | DataType::Map(..)) => Some(value),
                    (_, DataType::Struct(_)) => Some(empty.clone()),
                    _ => None,
                },
            });
        }
        read(&documents.iter().map(Option::as_ref).collect::<Vec<_>>(), &out, &options, &zone)
    });
    Ok(Bound::new(expr, ty, name))
}

/// A column of `json_tuple`: the member of an object, a text without its quotes.
pub(crate) fn member(binder: &Binder, document: Bound, key: Bound) -> Result<Bound> {
    let document = binder.implicit(document, &T, "json_tuple")?;
    let key = binder.implicit(key, &T, "json_tuple")?;
    Ok(row("json_member", "", vec![document, key], |r| {
        let document = serde_json::from_str::<Json>(r.text(0)).ok();
        Ok(match document.as_ref().and_then(|json| json.as_object()?.get(r.text(1))) {
            None | Some(Json::Null) => None,
            Some(Json::String(text)) => Some(text.clone()),
            Some(other) => Some(shown(other)),
        })
    }))
}

/// Binds the call if it is one of these functions.
pub(crate) fn call(binder: &Binder, call: &mut Call<'_>) -> Result<Option<Bound>> {
    let text = call.text();
    let parsed = |text: &str| serde_json::from_str::<Json>(text).ok();
    let bound = match call.name {
        "get_json_object" => {
            row("get_json_object", "", coerce(binder, call, 2, &[T, T])?, |r| Ok(get(r.text(0), r.text(1))))
        }
        "json_array_length" => row("json_array_length", "", coerce(binder, call, 1, &[T])?, move |r| {
            Ok(parsed(r.text(0)).and_then(|json| i32::try_from(json.as_array()?.len()).ok()))
        }),
        "json_object_keys" => row("json_object_keys", "", coerce(binder, call, 1, &[T])?, move |r| {
            Ok(parsed(r.text(0)).and_then(|json| Some(json.as_object()?.keys().cloned().collect::<Vec<String>>())))
        }),
        "schema_of_json" => {
            call.arity(1, 1)?;
            let document = call.args[0].as_text().and_then(parsed).ok_or_else(|| {
                spark("DATATYPE_MISMATCH.NON_FOLDABLE_INPUT", "the input of schema_of_json must be a literal JSON text")
            })?;
            let shown = types::sql(&without_void(&inferred(&document)));
            Bound::literal(datafusion::common::ScalarValue::Utf8(Some(shown)), "")
        }
        "to_json" => return Ok(Some(to_json(binder, call)?)),
        "from_json" => return Ok(Some(from_json(binder, call)?)),
        _ => return Ok(None),
    };
    Ok(Some(bound.named(text)))
}
