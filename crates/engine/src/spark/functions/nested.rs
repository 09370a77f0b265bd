//! Arrays, maps, structs.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StructArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::interleave;
use arrow::datatypes::{DataType, Field};

use super::Call;
use super::room::{Room, bytes_of, take_within};
use crate::bind::lambda::map_of;
use crate::bind::{Binder, Bound, unexpected_type};
use crate::spark::error::{Result, spark, spark_hint, unsupported};
use crate::spark::{kernel, types};

/// A struct of these values, each under its own name.
pub(crate) fn named_struct(items: Vec<Bound>) -> Result<Bound> {
    let ty = types::struct_of(items.iter().map(|item| (item.name.clone(), item.ty.clone())));
    let DataType::Struct(fields) = ty.clone() else { return Err(unsupported("this struct")) };
    let exprs = items.into_iter().map(|item| item.expr).collect();
    let expr = kernel::pure("struct", "", ty.clone(), exprs, move |columns, rows| {
        Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), columns.to_vec(), None, rows)?))
    });
    Ok(Bound::new(expr, ty, "struct"))
}

/// Lists that hold the n-th value of every column.
fn interleaved(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let bytes: u64 = columns.iter().map(|column| bytes_of(column)).sum();
    Room::of(columns).check(usize::try_from(bytes).unwrap_or(usize::MAX))?;
    let places: Vec<(usize, usize)> = (0..rows).flat_map(|row| (0..columns.len()).map(move |at| (at, row))).collect();
    let parts: Vec<&dyn Array> = columns.iter().map(AsRef::as_ref).collect();
    Ok(interleave(&parts, &places)?)
}

/// An array of these values.
pub(crate) fn array(binder: &Binder, items: Vec<Bound>) -> Result<Bound> {
    let shown: Vec<String> = items.iter().map(|item| item.name.clone()).collect();
    let name = format!("array({})", shown.join(", "));
    let (items, element) = if items.is_empty() { (items, DataType::Null) } else { binder.unify(items, "array")? };
    let ty = types::list_of(element.clone());
    let field = Arc::new(Field::new("element", element.clone(), true));
    let width = items.len();
    let exprs = items.into_iter().map(|item| item.expr).collect();
    let expr = kernel::pure("array", "", ty.clone(), exprs, move |columns, rows| {
        let values =
            if columns.is_empty() { arrow::array::new_empty_array(&element) } else { interleaved(columns, rows)? };
        let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(width, rows));
        Ok(Arc::new(ListArray::try_new(Arc::clone(&field), offsets, values, None)?))
    });
    Ok(Bound::new(expr, ty, name))
}

/// A map of alternating keys and values.
fn map(binder: &Binder, items: Vec<Bound>, name: &str) -> Result<Bound> {
    if items.len() % 2 == 1 {
        return Err(crate::bind::calls::wrong_count("map", items.len(), "2n (n > 0)"));
    }
    let (mut keys, mut values) = (Vec::new(), Vec::new());
    for (at, item) in items.into_iter().enumerate() {
        if at % 2 == 0 { keys.push(item) } else { values.push(item) }
    }
    let count = keys.len();
    let mismatch =
        |what: &str| spark("DATATYPE_MISMATCH.CREATE_MAP_KEY_DIFF_TYPES", format!("the {what} of map differ in type"));
    let (keys, key) = if keys.is_empty() {
        (keys, DataType::Null)
    } else {
        binder.unify(keys, "map").map_err(|_| mismatch("keys"))?
    };
    let (values, value) = if values.is_empty() {
        (values, DataType::Null)
    } else {
        binder
            .unify(values, "map")
            .map_err(|_| spark("DATATYPE_MISMATCH.CREATE_MAP_VALUE_DIFF_TYPES", "the values of map differ in type"))?
    };
    let ty = types::map_of(key.clone(), value.clone());
    let out = ty.clone();
    let exprs = keys.into_iter().chain(values).map(|item| item.expr).collect();
    let expr = kernel::pure("map", "", ty.clone(), exprs, move |columns, rows| {
        let (keys, values) = columns.split_at(count);
        let (keys, values) = if count == 0 {
            (arrow::array::new_empty_array(&key), arrow::array::new_empty_array(&value))
        } else {
            (interleaved(keys, rows)?, interleaved(values, rows)?)
        };
        let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(count, rows));
        unique_keys(&keys, &offsets)?;
        map_of(&out, offsets, keys, values, None)
    });
    Ok(Bound::new(expr, ty, name))
}

/// `DUPLICATED_MAP_KEY`, and `NULL_MAP_KEY`.
pub(crate) fn unique_keys(keys: &ArrayRef, offsets: &OffsetBuffer<i32>) -> Result<()> {
    if keys.logical_null_count() > 0 {
        return Err(spark("NULL_MAP_KEY", "cannot use null as map key"));
    }
    if keys.is_empty() {
        return Ok(());
    }
    let compare = arrow::array::make_comparator(keys.as_ref(), keys.as_ref(), arrow::compute::SortOptions::default())?;
    for window in offsets.windows(2) {
        let (from, to) = (usize::try_from(window[0]).unwrap_or(0), usize::try_from(window[1]).unwrap_or(0));
        for a in from..to {
            for b in from..a {
                if compare(a, b).is_eq() {
                    return Err(spark_hint(
                        "DUPLICATED_MAP_KEY",
                        "a map key occurs twice",
                        "keep one value for each key",
                    ));
                }
            }
        }
    }
    Ok(())
}

fn out_of_bounds(index: i64, length: usize, condition: &'static str) -> datafusion::error::DataFusionError {
    spark_hint(
        condition,
        format!("the index {index} is out of bounds: the array has {length} elements"),
        "use get or try_element_at to get NULL instead",
    )
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Missing {
    Null,
    Error,
}

/// An element by a zero-based (`array[i]`, `get`) or one-based (`element_at`) index.
fn element(
    binder: &Binder,
    value: Bound,
    index: Bound,
    one_based: bool,
    missing: Missing,
    name: String,
) -> Result<Bound> {
    let DataType::List(field) = &value.ty else { return Err(unexpected_type(&name, &value, "ARRAY")) };
    let ty = field.data_type().clone();
    if !types::is_integral(&index.ty) && index.ty != DataType::Null {
        return Err(unexpected_type(&name, &index, "INTEGRAL"));
    }
    let index = binder.cast(index, &DataType::Int64)?;
    let key = format!("{one_based} {missing:?}");
    let expr = kernel::pure("element", key, ty.clone(), vec![value.expr, index.expr], move |columns, _| {
        let list = arrow::array::AsArray::as_list::<i32>(&columns[0]);
        let indices = arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(&columns[1]);
        let mut places: Vec<Option<u32>> = Vec::with_capacity(list.len());
        for row in 0..list.len() {
            if list.is_null(row) || indices.is_null(row) {
                places.push(None);
                continue;
            }
            let (index, length) = (indices.value(row), usize::try_from(list.value_length(row)).unwrap_or(0));
            let count = i64::try_from(length).unwrap_or(i64::MAX);
            let at = if one_based {
                if index == 0 {
                    return Err(spark("INVALID_INDEX_OF_ZERO", "the index 0 is invalid: SQL indices start at 1"));
                }
                if index < 0 { count + index } else { index - 1 }
            } else {
                index
            };
            if at < 0 || at >= count {
                if missing == Missing::Error {
                    let condition = if one_based { "INVALID_ARRAY_INDEX_IN_ELEMENT_AT" } else { "INVALID_ARRAY_INDEX" };
                    return Err(out_of_bounds(index, length, condition));
                }
                places.push(None);
                continue;
            }
            places.push(u32::try_from(i64::from(list.value_offsets()[row]) + at).ok());
        }
        take_within(list.values(), &UInt32Array::from(places))
    });
    Ok(Bound::new(expr, ty, name))
}

/// The function of [`map_value`].
pub(crate) const MAP_VALUE: &str = "map_value";

/// A map's value; NULL where there is no such key.
fn map_value(binder: &Binder, value: Bound, key: Bound, name: String) -> Result<Bound> {
    let DataType::Map(entries, _) = &value.ty else { return Err(unexpected_type(&name, &value, "MAP")) };
    let Some((key_field, value_field)) = types::map_fields(entries) else { return Err(unsupported("this map")) };
    let ty = value_field.data_type().clone();
    let key = binder.implicit(key, &key_field.data_type().clone(), &name)?;
    let expr = kernel::pure(MAP_VALUE, "", ty.clone(), vec![value.expr, key.expr], |columns, _| {
        let map = arrow::array::AsArray::as_map(&columns[0]);
        let places: Vec<Option<u32>> = find_keys(map, &columns[1])?;
        take_within(map.values(), &UInt32Array::from(places))
    });
    Ok(Bound::new(expr, ty, name))
}

/// The place of each row's key among the map's keys.
pub(crate) fn find_keys(map: &arrow::array::MapArray, keys: &ArrayRef) -> Result<Vec<Option<u32>>> {
    if map.keys().is_empty() {
        return Ok(vec![None; map.len()]);
    }
    let compare =
        arrow::array::make_comparator(map.keys().as_ref(), keys.as_ref(), arrow::compute::SortOptions::default())?;
    Ok((0..map.len())
        .map(|row| {
            if map.is_null(row) || keys.is_null(row) {
                return None;
            }
            let (from, to) = (map.value_offsets()[row], map.value_offsets()[row + 1]);
            (from..to)
                .find(|at| usize::try_from(*at).is_ok_and(|at| compare(at, row).is_eq()))
                .and_then(|at| u32::try_from(at).ok())
        })
        .collect())
}

impl Binder {
    /// `value[index]`.
    pub(crate) fn subscript(&self, value: Bound, index: Bound) -> Result<Bound> {
        let name = format!("{}[{}]", value.name, index.name);
        match value.ty {
            DataType::List(_) => element(self, value, index, false, Missing::Error, name),
            DataType::Map(..) => map_value(self, value, index, name),
            _ => Err(spark(
                "INVALID_EXTRACT_BASE_FIELD_TYPE",
                format!("cannot take an element of \"{}\", which is \"{}\"", value.name, types::sql(&value.ty)),
            )),
        }
    }
}

/// Binds the call if it is one of these functions.
pub(crate) fn call(binder: &Binder, call: &mut Call<'_>) -> Result<Option<Bound>> {
    let text = call.text();
    let name = call.name;
    let bound = match name {
        "struct" => {
            let items: Vec<Bound> = std::mem::take(&mut call.args)
                .into_iter()
                .enumerate()
                .map(|(at, item)| {
                    let own = match &item.expr {
                        datafusion::logical_expr::Expr::Column(_) => item.name.clone(),
                        _ => format!("col{}", at + 1),
                    };
                    item.named(own)
                })
                .collect();
            return Ok(Some(named_struct(items)?.named(text)));
        }
        "named_struct" => {
            if call.args.len() % 2 == 1 {
                return Err(crate::bind::calls::wrong_count(name, call.args.len(), "2n (n > 0)"));
            }
            let mut items = Vec::new();
            let mut args = std::mem::take(&mut call.args).into_iter();
            while let (Some(key), Some(value)) = (args.next(), args.next()) {
                let Some(key) = key.as_text() else {
                    return Err(spark(
                        "DATATYPE_MISMATCH.CREATE_NAMED_STRUCT_WITHOUT_FOLDABLE_STRING",
                        "the names of named_struct must be literal strings",
                    ));
                };
                items.push(value.named(key.to_owned()));
            }
            named_struct(items)?
        }
        "array" => array(binder, std::mem::take(&mut call.args))?,
        "map" => map(binder, std::mem::take(&mut call.args), &text)?,
        "get" | "element_at" | "try_element_at" => {
            call.arity(2, 2)?;
            let index = call.args.remove(1);
            let value = call.args.remove(0);
            if matches!(value.ty, DataType::Map(..)) && name != "get" {
                map_value(binder, value, index, text.clone())?
            } else {
                let missing = if name == "element_at" { Missing::Error } else { Missing::Null };
                element(binder, value, index, name != "get", missing, text.clone())?
            }
        }
        _ => return Ok(None),
    };
    Ok(Some(bound.named(text)))
}

/// A field of a struct, by its place; NULL where the struct is NULL.
pub(crate) fn field_of(value: Bound, at: usize) -> Result<Bound> {
    let DataType::Struct(fields) = &value.ty else { return Err(unsupported("a field of what is no struct")) };
    let ty = fields[at].data_type().clone();
    let name = value.name.clone();
    let expr = kernel::pure("field", format!("{at}"), ty.clone(), vec![value.expr], move |columns, _| {
        let rows = columns[0].as_struct();
        let column = rows.column(at);
        Ok(match rows.nulls() {
            Some(nulls) if nulls.null_count() > 0 => {
                let mask = arrow::array::BooleanArray::new(!nulls.inner(), None);
                arrow::compute::nullif(column, &mask)?
            }
            _ => Arc::clone(column),
        })
    });
    Ok(Bound::new(expr, ty, name))
}

/// The same field of each element of a list.
pub(crate) fn field_of_elements(value: Bound, at: usize) -> Result<Bound> {
    let DataType::List(element) = &value.ty else { return Err(unsupported("a field of what is no list")) };
    let DataType::Struct(fields) = element.data_type() else { return Err(unsupported("a field of what is no struct")) };
    let ty = types::list_of(fields[at].data_type().clone());
    let inner = Arc::new(Field::new("element", fields[at].data_type().clone(), true));
    let name = value.name.clone();
    let expr = kernel::pure("fields", format!("{at}"), ty.clone(), vec![value.expr], move |columns, _| {
        let list = columns[0].as_list::<i32>();
        let rows = list.values().as_struct();
        let column = match rows.nulls() {
            Some(nulls) if nulls.null_count() > 0 => {
                let mask = arrow::array::BooleanArray::new(!nulls.inner(), None);
                arrow::compute::nullif(rows.column(at), &mask)?
            }
            _ => Arc::clone(rows.column(at)),
        };
        Ok(Arc::new(ListArray::try_new(Arc::clone(&inner), list.offsets().clone(), column, list.nulls().cloned())?))
    });
    Ok(Bound::new(expr, ty, name))
}
