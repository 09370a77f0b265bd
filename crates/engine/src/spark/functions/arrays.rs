//! Functions of arrays: membership, sets, order, pieces.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StructArray, UInt32Array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;

use super::Call;
use super::lists::{Over, Pool, array_of, common, limited, with_value};
use super::room::{Room, take_within};
use crate::bind::{Binder, Bound, unexpected_type};
use crate::spark::error::{Result, spark, spark_hint, unsupported};
use crate::spark::{kernel, types};

fn all(range: std::ops::Range<u32>) -> Vec<Option<u32>> {
    range.map(Some).collect()
}

fn invalid(condition: &'static str, message: String) -> datafusion::error::DataFusionError {
    spark(condition, message)
}

/// The number of elements or entries.
fn size(arg: Bound, name: &'static str, text: &str) -> Result<Bound> {
    let Bound { expr, ty, name: shown, .. } = arg;
    let lists = match &ty {
        DataType::List(_) | DataType::Null => true,
        DataType::Map(..) if name != "array_size" => false,
        _ => return Err(unexpected_type(text, &Bound::new(expr, ty, shown), "ARRAY")),
    };
    let void = ty == DataType::Null;
    let expr = kernel::pure(name, format!("{ty}"), DataType::Int32, vec![expr], move |columns, rows| {
        let column = &columns[0];
        let out: arrow::array::Int32Array = (0..rows)
            .map(|row| match void || column.is_null(row) {
                true => None,
                false if lists => Some(column.as_list::<i32>().value_length(row)),
                false => {
                    let offsets = column.as_map().value_offsets();
                    Some(offsets[row + 1] - offsets[row])
                }
            })
            .collect();
        Ok(Arc::new(out))
    });
    Ok(Bound::new(expr, DataType::Int32, text))
}

#[derive(Clone, Copy, PartialEq)]
enum Set {
    Union,
    Intersect,
    Except,
}

fn set<'p>(pool: &'p Pool<'_>, row: usize, set: Set) -> Option<Vec<Option<u32>>> {
    if pool.null(0, row) || pool.null(1, row) {
        return None;
    }
    let other: HashSet<_> =
        if set == Set::Union { HashSet::new() } else { pool.list(1, row).map(|at| pool.key(at)).collect() };
    let second = if set == Set::Union { pool.list(1, row) } else { 0..0 };
    let mut seen: HashSet<Option<arrow::row::Row<'p>>> = HashSet::new();
    let kept = |key: &Option<arrow::row::Row<'p>>| match set {
        Set::Union => true,
        Set::Intersect => other.contains(key),
        Set::Except => !other.contains(key),
    };
    Some(
        pool.list(0, row)
            .chain(second)
            .filter(|at| {
                let key = pool.key(*at);
                kept(&key) && seen.insert(key)
            })
            .map(Some)
            .collect(),
    )
}

fn overlap(pool: &Pool<'_>, row: usize) -> Option<bool> {
    if pool.null(0, row) || pool.null(1, row) {
        return None;
    }
    let (left, right) = (pool.list(0, row), pool.list(1, row));
    let known: HashSet<_> = left.clone().filter(|at| !pool.is_null(*at)).map(|at| pool.key(at)).collect();
    if right.clone().any(|at| !pool.is_null(at) && known.contains(&pool.key(at))) {
        return Some(true);
    }
    let unknown = left.clone().chain(right.clone()).any(|at| pool.is_null(at));
    if unknown && !left.is_empty() && !right.is_empty() { None } else { Some(false) }
}

fn sorted(pool: &Pool<'_>, row: usize, descending: bool, nulls_first: bool) -> Option<Vec<Option<u32>>> {
    if pool.null(0, row) {
        return None;
    }
    let (nulls, mut values): (Vec<u32>, Vec<u32>) = pool.list(0, row).partition(|at| pool.is_null(*at));
    values.sort_by(|a, b| if descending { pool.key(*b).cmp(&pool.key(*a)) } else { pool.key(*a).cmp(&pool.key(*b)) });
    let in_order = if nulls_first { [nulls, values] } else { [values, nulls] };
    Some(in_order.concat().into_iter().map(Some).collect())
}

fn insert(pool: &Pool<'_>, row: usize) -> Result<Option<Vec<Option<u32>>>> {
    if pool.null(0, row) || pool.null(2, row) {
        return Ok(None);
    }
    let mut items = all(pool.list(0, row));
    let (position, length) = (i64::from(pool.int(2, row)), i64::try_from(items.len()).unwrap_or(i64::MAX));
    if position == 0 {
        return Err(spark("INVALID_INDEX_OF_ZERO", "the index 0 is invalid: SQL indices start at 1"));
    }
    limited(usize::try_from(position.unsigned_abs()).unwrap_or(usize::MAX))?;
    let value = if pool.null(1, row) { None } else { Some(pool.one(1, row)) };
    let at = if position > 0 { position - 1 } else { length + position + 1 };
    match usize::try_from(at) {
        Ok(at) => {
            while items.len() < at {
                items.push(None);
            }
            items.insert(at, value);
        }
        Err(_) => {
            let gap = usize::try_from(-at).unwrap_or(0);
            items = std::iter::once(value).chain(std::iter::repeat_n(None, gap)).chain(items).collect();
        }
    }
    Ok(Some(items))
}

fn slice(pool: &Pool<'_>, row: usize) -> Result<Option<Vec<Option<u32>>>> {
    if (0..3).any(|column| pool.null(column, row)) {
        return Ok(None);
    }
    let items = pool.list(0, row);
    let (start, length) = (i64::from(pool.int(1, row)), i64::from(pool.int(2, row)));
    if start == 0 {
        return Err(invalid(
            "INVALID_PARAMETER_VALUE.START",
            "the value of the parameter `start` in `slice` is invalid: SQL array indices start at 1".into(),
        ));
    }
    if length < 0 {
        return Err(invalid(
            "INVALID_PARAMETER_VALUE.LENGTH",
            format!("the value of the parameter `length` in `slice` is invalid: {length} is less than 0"),
        ));
    }
    let count = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let from = if start > 0 { start - 1 } else { count + start };
    if from < 0 || from >= count {
        return Ok(Some(Vec::new()));
    }
    let (from, length) = (usize::try_from(from).unwrap_or(0), usize::try_from(length).unwrap_or(0));
    Ok(Some(items.skip(from).take(length).map(Some).collect()))
}

fn joined(pool: &Pool<'_>, row: usize, with_null: bool, room: &Room) -> Result<Option<String>> {
    if pool.null(0, row) || pool.null(1, row) || with_null && pool.null(2, row) {
        return Ok(None);
    }
    let parts: Vec<&str> = pool
        .list(0, row)
        .filter_map(|at| match pool.is_null(at) {
            true => with_null.then(|| pool.text(2, row)),
            false => Some(pool.element_text(at)),
        })
        .collect();
    let between = pool.text(1, row);
    let bytes: usize = parts.iter().map(|part| part.len()).sum();
    room.check(bytes.saturating_add(parts.len().saturating_mul(between.len())))?;
    Ok(Some(parts.join(between)))
}

/// One array of the elements of the arrays in an array.
fn flatten(arg: Bound, text: &str) -> Result<Bound> {
    let inner = match &arg.ty {
        DataType::List(field) => field.data_type().clone(),
        _ => return Err(unexpected_type(text, &arg, "ARRAY OF ARRAY")),
    };
    let DataType::List(field) = inner.clone() else { return Err(unexpected_type(text, &arg, "ARRAY OF ARRAY")) };
    let expr = kernel::pure("flatten", "", inner.clone(), vec![arg.expr], move |columns, rows| {
        let outer = columns[0].as_list::<i32>();
        let lists = outer.values().as_list::<i32>();
        let (mut places, mut lengths, mut valid) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..rows {
            let range = outer.value_offsets()[row]..outer.value_offsets()[row + 1];
            let at = |place: i32| usize::try_from(place).unwrap_or(0);
            let present = outer.is_valid(row) && range.clone().all(|list| lists.is_valid(at(list)));
            let before = places.len();
            if present {
                for list in range {
                    let (from, to) = (lists.value_offsets()[at(list)], lists.value_offsets()[at(list) + 1]);
                    places.extend((from..to).map(|place| u32::try_from(place).unwrap_or(0)));
                    limited(places.len())?;
                }
            }
            lengths.push(places.len() - before);
            valid.push(present);
        }
        let values = take_within(lists.values(), &UInt32Array::from(places))?;
        let (offsets, nulls) = (OffsetBuffer::from_lengths(lengths), NullBuffer::from(valid));
        Ok(Arc::new(ListArray::try_new(Arc::clone(&field), offsets, values, Some(nulls))?))
    });
    Ok(Bound::new(expr, inner, text))
}

/// Structs of the n-th elements; the shorter arrays give NULL.
fn zip(binder: &Binder, args: Vec<Bound>, text: &str) -> Result<Bound> {
    let (mut lists, mut fields) = (Vec::new(), Vec::new());
    for (at, arg) in args.into_iter().enumerate() {
        let own = match &arg.expr {
            Expr::Column(_) => arg.name.clone(),
            _ => at.to_string(),
        };
        let (list, element) = array_of(binder, arg, text)?;
        fields.push((own, element));
        lists.push(list.expr);
    }
    let structs = types::struct_of(fields);
    let DataType::Struct(fields) = structs.clone() else { return Err(unsupported("this struct")) };
    let ty = types::list_of(structs.clone());
    let expr = kernel::pure("arrays_zip", "", ty.clone(), lists, move |columns, rows| {
        let lists: Vec<&ListArray> = columns.iter().map(|column| column.as_list::<i32>()).collect();
        let mut places: Vec<Vec<Option<u32>>> = vec![Vec::new(); lists.len()];
        let (mut lengths, mut valid, mut total) = (Vec::new(), Vec::new(), 0);
        for row in 0..rows {
            let present = lists.iter().all(|list| list.is_valid(row));
            let longest = lists.iter().map(|list| list.value_length(row)).max().unwrap_or(0);
            let longest = if present { longest } else { 0 };
            for (list, places) in lists.iter().zip(&mut places) {
                let (from, length) = (list.value_offsets()[row], list.value_length(row));
                places.extend((0..longest).map(|at| if at < length { u32::try_from(from + at).ok() } else { None }));
            }
            let longest = usize::try_from(longest).unwrap_or(0);
            total += longest;
            limited(total)?;
            lengths.push(longest);
            valid.push(present);
        }
        let children = lists
            .iter()
            .zip(places)
            .map(|(list, places)| take_within(list.values(), &UInt32Array::from(places)))
            .collect::<Result<Vec<ArrayRef>>>()?;
        let values = StructArray::try_new_with_length(fields.clone(), children, None, total)?;
        let field = Arc::new(Field::new("element", structs.clone(), true));
        let (offsets, nulls) = (OffsetBuffer::from_lengths(lengths), NullBuffer::from(valid));
        Ok(Arc::new(ListArray::try_new(field, offsets, Arc::new(values), Some(nulls))?))
    });
    Ok(Bound::new(expr, ty, text))
}

/// The function as it is known here, for `Over`.
fn known(name: &str) -> Option<&'static str> {
    const NAMES: [&str; 27] = [
        "size",
        "cardinality",
        "array_size",
        "sort_array",
        "array_sort",
        "array_contains",
        "array_position",
        "array_remove",
        "array_append",
        "array_prepend",
        "array_insert",
        "array_distinct",
        "array_compact",
        "array_union",
        "array_intersect",
        "array_except",
        "arrays_overlap",
        "array_max",
        "array_min",
        "array_repeat",
        "array_join",
        "slice",
        "reverse",
        "flatten",
        "arrays_zip",
        "sequence",
        "shuffle",
    ];
    NAMES.into_iter().find(|known| *known == name)
}

/// Binds the call if it is one of these functions.
pub(crate) fn call(binder: &Binder, call: &mut Call<'_>) -> Result<Option<Bound>> {
    let Some(name) = known(call.name) else { return Ok(None) };
    if name == "reverse" && !matches!(call.args.first().map(|arg| &arg.ty), Some(DataType::List(_))) {
        return Ok(None);
    }
    let text = call.text();
    let over = |args: Vec<Bound>, pooled: usize, element: DataType, compares: bool| Over {
        name,
        args,
        pooled,
        element,
        compares,
    };
    let bound = match name {
        "size" | "cardinality" | "array_size" => {
            call.arity(1, 1)?;
            size(call.args.remove(0), name, &text)?
        }
        "sequence" => super::sequence::call(binder, call, &text)?,
        "sort_array" => {
            call.arity(1, 2)?;
            let ascending = match call.args.get(1) {
                None => true,
                Some(arg) => match arg.as_literal() {
                    Some(ScalarValue::Boolean(Some(ascending))) => *ascending,
                    Some(_) => return Err(unexpected_type(&text, arg, "BOOLEAN")),
                    None => {
                        return Err(spark_hint(
                            "DATATYPE_MISMATCH.NON_FOLDABLE_INPUT",
                            "the order of sort_array must be a literal boolean",
                            "write true or false",
                        ));
                    }
                },
            };
            let (array, element) = array_of(binder, call.args.remove(0), &text)?;
            let shown = format!("sort_array({}, {ascending})", array.name);
            let inner = Over {
                name: if ascending { "sort_array" } else { "sort_array_desc" },
                ..over(vec![array], 1, element, true)
            };
            inner.to_list(&shown, move |pool, row| Ok(sorted(pool, row, !ascending, ascending)))?
        }
        "array_sort" | "array_distinct" | "array_compact" | "array_max" | "array_min" | "reverse" => {
            call.arity(1, 1)?;
            let (array, element) = array_of(binder, call.args.remove(0), &text)?;
            let over = over(vec![array], 1, element, !matches!(name, "array_compact" | "reverse"));
            match name {
                "array_sort" => over.to_list(&text, |pool, row| Ok(sorted(pool, row, false, false)))?,
                "array_distinct" => over.to_list(&text, |pool, row| {
                    let mut seen = HashSet::new();
                    let once = |at: &u32| seen.insert(pool.key(*at));
                    Ok((!pool.null(0, row)).then(|| pool.list(0, row).filter(once).map(Some).collect()))
                })?,
                "array_compact" => over.to_list(&text, |pool, row| {
                    let present = pool.list(0, row).filter(|at| !pool.is_null(*at));
                    Ok((!pool.null(0, row)).then(|| present.map(Some).collect()))
                })?,
                "reverse" => over.to_list(&text, |pool, row| {
                    Ok((!pool.null(0, row)).then(|| pool.list(0, row).rev().map(Some).collect()))
                })?,
                _ => {
                    let largest = name == "array_max";
                    over.to_element(&text, move |pool, row| {
                        if pool.null(0, row) {
                            return None;
                        }
                        let values = pool.list(0, row).filter(|at| !pool.is_null(*at));
                        if largest {
                            values.max_by_key(|at| pool.key(*at))
                        } else {
                            values.min_by_key(|at| pool.key(*at))
                        }
                    })?
                }
            }
        }
        "array_contains" | "array_position" | "array_remove" => {
            call.arity(2, 2)?;
            let value = call.args.remove(1);
            let (array, value, element) = with_value(binder, call.args.remove(0), value, &text, false)?;
            let over = over(vec![array, value], 2, element, true);
            match name {
                "array_contains" => over.to_value::<bool, _>(&text, |pool, row, _| {
                    if pool.null(0, row) || pool.null(1, row) {
                        return Ok(None);
                    }
                    let value = pool.one(1, row);
                    if pool.list(0, row).any(|at| pool.same(at, value)) {
                        return Ok(Some(true));
                    }
                    Ok((!pool.list(0, row).any(|at| pool.is_null(at))).then_some(false))
                })?,
                "array_position" => over.to_value::<i64, _>(&text, |pool, row, _| {
                    if pool.null(0, row) || pool.null(1, row) {
                        return Ok(None);
                    }
                    let value = pool.one(1, row);
                    let at = pool.list(0, row).position(|at| pool.same(at, value));
                    Ok(Some(at.and_then(|at| i64::try_from(at + 1).ok()).unwrap_or(0)))
                })?,
                _ => over.to_list(&text, |pool, row| {
                    if pool.null(0, row) || pool.null(1, row) {
                        return Ok(None);
                    }
                    let value = pool.one(1, row);
                    Ok(Some(pool.list(0, row).filter(|at| !pool.same(*at, value)).map(Some).collect()))
                })?,
            }
        }
        "array_append" | "array_prepend" => {
            call.arity(2, 2)?;
            let value = call.args.remove(1);
            let (array, value, element) = with_value(binder, call.args.remove(0), value, &text, true)?;
            let first = name == "array_prepend";
            over(vec![array, value], 2, element, false).to_list(&text, move |pool, row| {
                if pool.null(0, row) {
                    return Ok(None);
                }
                let mut items = all(pool.list(0, row));
                items.insert(if first { 0 } else { items.len() }, Some(pool.one(1, row)));
                Ok(Some(items))
            })?
        }
        "array_insert" => {
            call.arity(3, 3)?;
            let value = call.args.remove(2);
            let position = binder.implicit(call.args.remove(1), &DataType::Int32, &text)?;
            let (array, value, element) = with_value(binder, call.args.remove(0), value, &text, true)?;
            over(vec![array, value, position], 2, element, false).to_list(&text, insert)?
        }
        "array_union" | "array_intersect" | "array_except" | "arrays_overlap" => {
            call.arity(2, 2)?;
            let (right, r) = array_of(binder, call.args.remove(1), &text)?;
            let (left, l) = array_of(binder, call.args.remove(0), &text)?;
            let Some(element) = common(&l, &r) else {
                return Err(spark_hint(
                    "DATATYPE_MISMATCH.BINARY_ARRAY_DIFF_TYPES",
                    format!(
                        "cannot resolve \"{text}\": the arrays hold \"{}\" and \"{}\"",
                        types::sql(&l),
                        types::sql(&r)
                    ),
                    "cast one of them",
                ));
            };
            let ty = types::list_of(element.clone());
            let over = over(vec![binder.cast(left, &ty)?, binder.cast(right, &ty)?], 2, element, true);
            match name {
                "array_union" => over.to_list(&text, |pool, row| Ok(set(pool, row, Set::Union)))?,
                "array_intersect" => over.to_list(&text, |pool, row| Ok(set(pool, row, Set::Intersect)))?,
                "array_except" => over.to_list(&text, |pool, row| Ok(set(pool, row, Set::Except)))?,
                _ => over.to_value::<bool, _>(&text, |pool, row, _| Ok(overlap(pool, row)))?,
            }
        }
        "array_repeat" => {
            call.arity(2, 2)?;
            let count = binder.implicit(call.args.remove(1), &DataType::Int32, &text)?;
            let value = call.args.remove(0);
            let element = value.ty.clone();
            over(vec![value, count], 1, element, false).to_list(&text, |pool, row| {
                if pool.null(1, row) {
                    return Ok(None);
                }
                let count = usize::try_from(pool.int(1, row)).unwrap_or(0);
                limited(count)?;
                Ok(Some(vec![Some(pool.one(0, row)); count]))
            })?
        }
        "array_join" => {
            call.arity(2, 3)?;
            let with_null = call.args.len() == 3;
            let mut args = std::mem::take(&mut call.args).into_iter();
            let mut bound = Vec::new();
            if let Some(array) = args.next() {
                bound.push(binder.implicit(array, &types::list_of(DataType::Utf8), &text)?);
            }
            for arg in args {
                bound.push(binder.implicit(arg, &DataType::Utf8, &text)?);
            }
            over(bound, 1, DataType::Utf8, false)
                .to_value::<String, _>(&text, move |pool, row, room| joined(pool, row, with_null, room))?
        }
        "slice" => {
            call.arity(3, 3)?;
            let length = binder.implicit(call.args.remove(2), &DataType::Int32, &text)?;
            let start = binder.implicit(call.args.remove(1), &DataType::Int32, &text)?;
            let (array, element) = array_of(binder, call.args.remove(0), &text)?;
            over(vec![array, start, length], 1, element, false).to_list(&text, slice)?
        }
        "flatten" => {
            call.arity(1, 1)?;
            flatten(call.args.remove(0), &text)?
        }
        "arrays_zip" => zip(binder, std::mem::take(&mut call.args), &text)?,
        "shuffle" => {
            call.arity(1, 1)?;
            shuffle(binder, call.args.remove(0), &text)?
        }
        _ => return Ok(None),
    };
    Ok(Some(bound))
}

/// The elements in an order of chance (Fisher and Yates), each call and row its own.
fn shuffle(binder: &Binder, arg: Bound, text: &str) -> Result<Bound> {
    let (array, element) = array_of(binder, arg, text)?;
    let ty = types::list_of(element.clone());
    let key = format!("{}", binder.fresh());
    let expr = kernel::volatile("shuffle", key, ty.clone(), vec![array.expr], move |columns, rows| {
        let list = columns[0].as_list::<i32>();
        let mut places: Vec<u32> = Vec::new();
        let mut lengths = Vec::with_capacity(rows);
        for row in 0..rows {
            let (from, to) = (list.value_offsets()[row], list.value_offsets()[row + 1]);
            let mut own: Vec<u32> = (from..to).map(|at| u32::try_from(at).unwrap_or(0)).collect();
            for at in (1..own.len()).rev() {
                let chance = uuid::Uuid::new_v4().as_u128() % (at as u128 + 1);
                own.swap(at, usize::try_from(chance).unwrap_or(0));
            }
            lengths.push(own.len());
            places.extend(own);
        }
        let values = take(list.values(), &UInt32Array::from(places), None)?;
        let field = Arc::new(Field::new("element", element.clone(), true));
        Ok(Arc::new(ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), values, list.nulls().cloned())?))
    });
    Ok(Bound::new(expr, ty, text))
}
