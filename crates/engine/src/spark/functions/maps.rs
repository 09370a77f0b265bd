//! Functions of maps: their keys, values and entries, and maps from other things.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray, MapArray, StringArray, UInt32Array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;

use super::Call;
use super::like::java_regex;
use super::lists::{array_of, limited};
use super::nested::{find_keys, unique_keys};
use super::room::take_within;
use crate::bind::lambda::map_of;
use crate::bind::{Binder, Bound, unexpected_type};
use crate::spark::error::{Result, spark, unsupported};
use crate::spark::{kernel, types};

/// The fields of a map's type.
fn fields(arg: &Bound, text: &str) -> Result<(FieldRef, FieldRef)> {
    let DataType::Map(entries, _) = &arg.ty else { return Err(unexpected_type(text, arg, "MAP")) };
    let Some((key, value)) = types::map_fields(entries) else { return Err(unsupported("this map")) };
    Ok((Arc::clone(key), Arc::clone(value)))
}

fn element(ty: DataType) -> FieldRef {
    Arc::new(Field::new("element", ty, true))
}

/// `map_keys`, `map_values`, `map_entries`: lists with the map's own offsets.
fn parts(arg: Bound, name: &'static str, text: &str) -> Result<Bound> {
    let (key, value) = fields(&arg, text)?;
    let inner = match name {
        "map_keys" => key.data_type().clone(),
        "map_values" => value.data_type().clone(),
        _ => types::struct_of([("key", key.data_type().clone()), ("value", value.data_type().clone())]),
    };
    let ty = types::list_of(inner.clone());
    let expr = kernel::pure(name, "", ty.clone(), vec![arg.expr], move |columns, _| {
        let map = columns[0].as_map();
        let values: ArrayRef = match (name, &inner) {
            ("map_keys", _) => Arc::clone(map.keys()),
            ("map_values", _) => Arc::clone(map.values()),
            (_, DataType::Struct(fields)) => Arc::new(arrow::array::StructArray::try_new_with_length(
                fields.clone(),
                vec![Arc::clone(map.keys()), Arc::clone(map.values())],
                None,
                map.keys().len(),
            )?),
            _ => return Err(unsupported("this map")),
        };
        let list = ListArray::try_new(element(inner.clone()), map.offsets().clone(), values, map.nulls().cloned())?;
        Ok(Arc::new(list))
    });
    Ok(Bound::new(expr, ty, text))
}

/// Entries gathered row by row, as places in the arrays of keys and of values.
#[derive(Default)]
struct Gathered {
    keys: Vec<u32>,
    values: Vec<u32>,
    lengths: Vec<usize>,
    valid: Vec<bool>,
}

impl Gathered {
    fn row(&mut self, entries: Option<Vec<(u32, u32)>>) -> Result<()> {
        self.valid.push(entries.is_some());
        let entries = entries.unwrap_or_default();
        self.lengths.push(entries.len());
        for (key, value) in entries {
            self.keys.push(key);
            self.values.push(value);
        }
        limited(self.keys.len())
    }

    fn finish(self, ty: &DataType, keys: &ArrayRef, values: &ArrayRef) -> Result<ArrayRef> {
        let keys = take_within(keys, &UInt32Array::from(self.keys))?;
        let values = take_within(values, &UInt32Array::from(self.values))?;
        let offsets = OffsetBuffer::from_lengths(self.lengths);
        unique_keys(&keys, &offsets)?;
        map_of(ty, offsets, keys, values, Some(NullBuffer::from(self.valid)))
    }
}

fn span(offsets: &[i32], row: usize) -> std::ops::Range<u32> {
    let at = |offset: i32| u32::try_from(offset).unwrap_or(0);
    at(offsets[row])..at(offsets[row + 1])
}

fn from_arrays(binder: &Binder, keys: Bound, values: Bound, text: &str) -> Result<Bound> {
    let ((keys, key), (values, value)) = (array_of(binder, keys, text)?, array_of(binder, values, text)?);
    let ty = types::map_of(key, value);
    let out = ty.clone();
    let expr = kernel::pure("map_from_arrays", "", ty.clone(), vec![keys.expr, values.expr], move |columns, rows| {
        let (keys, values) = (columns[0].as_list::<i32>(), columns[1].as_list::<i32>());
        let mut gathered = Gathered::default();
        for row in 0..rows {
            if keys.is_null(row) || values.is_null(row) {
                gathered.row(None)?;
                continue;
            }
            if keys.value_length(row) != values.value_length(row) {
                return Err(spark(
                    "MAP_KEY_VALUE_DIFF_SIZES",
                    "the key array and value array of a map must have the same length",
                ));
            }
            let pairs = span(keys.value_offsets(), row).zip(span(values.value_offsets(), row)).collect();
            gathered.row(Some(pairs))?;
        }
        gathered.finish(&out, keys.values(), values.values())
    });
    Ok(Bound::new(expr, ty, text))
}

fn from_entries(arg: Bound, text: &str) -> Result<Bound> {
    let inner = match &arg.ty {
        DataType::List(field) => match field.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => fields.clone(),
            _ => return Err(unexpected_type(text, &arg, "ARRAY OF pair STRUCT")),
        },
        _ => return Err(unexpected_type(text, &arg, "ARRAY OF pair STRUCT")),
    };
    let ty = types::map_of(inner[0].data_type().clone(), inner[1].data_type().clone());
    let out = ty.clone();
    let expr = kernel::pure("map_from_entries", "", ty.clone(), vec![arg.expr], move |columns, rows| {
        let list = columns[0].as_list::<i32>();
        let structs = list.values().as_struct();
        let mut gathered = Gathered::default();
        for row in 0..rows {
            let range = span(list.value_offsets(), row);
            let present = list.is_valid(row) && range.clone().all(|at| structs.is_valid(at as usize));
            gathered.row(present.then(|| range.map(|at| (at, at)).collect()))?;
        }
        gathered.finish(&out, structs.column(0), structs.column(1))
    });
    Ok(Bound::new(expr, ty, text))
}

fn map_concat(binder: &Binder, args: Vec<Bound>, text: &str) -> Result<Bound> {
    for arg in &args {
        fields(arg, text)?;
    }
    let (args, ty) = binder.unify(args, "map_concat")?;
    let out = ty.clone();
    let exprs = args.into_iter().map(|arg| arg.expr).collect();
    let expr = kernel::pure("map_concat", "", ty.clone(), exprs, move |columns, rows| {
        let maps: Vec<&MapArray> = columns.iter().map(|column| column.as_map()).collect();
        let mut starts = Vec::new();
        let mut length = 0;
        for map in &maps {
            starts.push(u32::try_from(length).unwrap_or(u32::MAX));
            length += map.keys().len();
        }
        limited(length)?;
        let mut gathered = Gathered::default();
        for row in 0..rows {
            let present = maps.iter().all(|map| map.is_valid(row));
            let places = maps
                .iter()
                .zip(&starts)
                .flat_map(|(map, start)| span(map.value_offsets(), row).map(move |at| (start + at, start + at)));
            gathered.row(present.then(|| places.collect()))?;
        }
        let keys: Vec<&dyn Array> = maps.iter().map(|map| map.keys().as_ref()).collect();
        let values: Vec<&dyn Array> = maps.iter().map(|map| map.values().as_ref()).collect();
        gathered.finish(&out, &concat(&keys)?, &concat(&values)?)
    });
    Ok(Bound::new(expr, ty, text))
}

fn str_to_map(binder: &Binder, call: &mut Call<'_>) -> Result<Bound> {
    call.arity(1, 3)?;
    let mut args = std::mem::take(&mut call.args);
    for separator in [",", ":"].into_iter().skip(args.len() - 1) {
        args.push(Bound::literal(ScalarValue::from(separator), separator));
    }
    let shown: Vec<&str> = args.iter().map(|arg| arg.name.as_str()).collect();
    let text = format!("str_to_map({})", shown.join(", "));
    let args = args.into_iter().map(|arg| Ok(binder.implicit(arg, &DataType::Utf8, &text)?.expr));
    let args = args.collect::<Result<Vec<_>>>()?;
    let ty = types::map_of(DataType::Utf8, DataType::Utf8);
    let out = ty.clone();
    let expr = kernel::pure("str_to_map", "", ty.clone(), args, move |columns, rows| {
        let (mut keys, mut values): (Vec<String>, Vec<Option<String>>) = (Vec::new(), Vec::new());
        let (mut lengths, mut valid) = (Vec::new(), Vec::new());
        let of = |column: usize, row: usize| columns[column].as_string::<i32>().value(row);
        for row in 0..rows {
            let present = columns.iter().all(|column| column.is_valid(row));
            valid.push(present);
            let before = keys.len();
            if present {
                let (pairs, pair) = (java_regex(of(1, row), "str_to_map")?, java_regex(of(2, row), "str_to_map")?);
                for entry in pairs.split(of(0, row)) {
                    let mut sides = pair.splitn(entry, 2);
                    keys.push(sides.next().unwrap_or_default().to_owned());
                    values.push(sides.next().map(str::to_owned));
                }
            }
            lengths.push(keys.len() - before);
        }
        let keys: ArrayRef = Arc::new(StringArray::from_iter_values(keys));
        let values: ArrayRef = Arc::new(StringArray::from_iter(values));
        let offsets = OffsetBuffer::from_lengths(lengths);
        unique_keys(&keys, &offsets)?;
        map_of(&out, offsets, keys, values, Some(NullBuffer::from(valid)))
    });
    Ok(Bound::new(expr, ty, text))
}

fn contains_key(binder: &Binder, map: Bound, key: Bound, text: &str) -> Result<Bound> {
    let (field, _) = fields(&map, text)?;
    let key = binder.implicit(key, &field.data_type().clone(), text)?;
    let expr = kernel::pure("map_contains_key", "", DataType::Boolean, vec![map.expr, key.expr], |columns, rows| {
        let found = find_keys(columns[0].as_map(), &columns[1])?;
        let null = |row: usize| columns[0].is_null(row) || columns[1].is_null(row);
        let out: BooleanArray = (0..rows).map(|row| (!null(row)).then(|| found[row].is_some())).collect();
        Ok(Arc::new(out))
    });
    Ok(Bound::new(expr, DataType::Boolean, text))
}

/// Binds the call if it is one of these functions.
pub(crate) fn call(binder: &Binder, call: &mut Call<'_>) -> Result<Option<Bound>> {
    let text = call.text();
    let bound = match call.name {
        "map_keys" | "map_values" | "map_entries" => {
            call.arity(1, 1)?;
            let name = match call.name {
                "map_keys" => "map_keys",
                "map_values" => "map_values",
                _ => "map_entries",
            };
            parts(call.args.remove(0), name, &text)?
        }
        "map_from_arrays" => {
            call.arity(2, 2)?;
            let values = call.args.remove(1);
            from_arrays(binder, call.args.remove(0), values, &text)?
        }
        "map_from_entries" => {
            call.arity(1, 1)?;
            from_entries(call.args.remove(0), &text)?
        }
        "map_concat" => {
            call.arity(1, usize::MAX)?;
            map_concat(binder, std::mem::take(&mut call.args), &text)?
        }
        "map_contains_key" => {
            call.arity(2, 2)?;
            let key = call.args.remove(1);
            contains_key(binder, call.args.remove(0), key, &text)?
        }
        "str_to_map" => str_to_map(binder, call)?,
        _ => return Ok(None),
    };
    Ok(Some(bound))
}
