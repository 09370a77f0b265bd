//! Higher-order functions that do more than run a lambda over each element: `array_sort` with a comparator and
//! `map_zip_with`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, UInt32Array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Int32Type};
use datafusion::sql::sqlparser::ast::FunctionArg;

use super::expr::Cx;
use super::lambda::{Lambda, map_of, repeat};
use super::{Binder, Bound, unexpected_type};
use crate::spark::error::{Result, spark_hint, unsupported};
use crate::spark::functions::nested::unique_keys;
use crate::spark::functions::room::take_within;
use crate::spark::{kernel, types};

impl Binder {
    /// `array_sort(xs, (l, r) -> …)`: negative, zero, positive, as a comparator says it.
    pub(super) fn sort_by(&self, source: Bound, list: &[FunctionArg], cx: &Cx<'_>) -> Result<Bound> {
        let DataType::List(element) = &source.ty else {
            return Err(unexpected_type("array_sort", &source, "ARRAY"));
        };
        let element = element.data_type().clone();
        let lambda =
            self.lambda(list.get(1), &[element.clone(), element.clone()], Some(&DataType::Int32), cx, "array_sort")?;
        let shown = format!("array_sort({}, {})", source.name, lambda.name);
        let ty = source.ty.clone();
        let mut args = vec![source.expr];
        args.extend(lambda.captured.clone());
        let field = Arc::new(Field::new("element", element, true));
        let expr = kernel::pure("array_sort_by", lambda.key.clone(), ty.clone(), args, move |columns, rows| {
            let list = columns[0].as_list::<i32>();
            let mut places: Vec<u32> = Vec::with_capacity(list.values().len());
            let mut lengths = Vec::with_capacity(rows);
            for row in 0..rows {
                let offsets = list.value_offsets();
                let at = |offset: i32| u32::try_from(offset).unwrap_or(0);
                let own: Vec<u32> =
                    if list.is_null(row) { Vec::new() } else { (at(offsets[row])..at(offsets[row + 1])).collect() };
                let captured: Vec<ArrayRef> = columns[1..].iter().map(|column| column.slice(row, 1)).collect();
                let sorted = merge_sorted(own, &mut |a, b| {
                    let pair = [list.values().slice(a as usize, 1), list.values().slice(b as usize, 1)];
                    let order = lambda.run(&captured, &pair[..lambda.variables.len()], 1)?;
                    if order.is_null(0) {
                        return Err(spark_hint(
                            "COMPARATOR_RETURNS_NULL",
                            "the comparator of array_sort has returned NULL",
                            "return a negative number, 0 or a positive number for any two elements, NULL among them",
                        ));
                    }
                    Ok(order.as_primitive::<Int32Type>().value(0))
                })?;
                lengths.push(sorted.len());
                places.extend(sorted);
            }
            let values = take(list.values(), &UInt32Array::from(places), None)?;
            let offsets = OffsetBuffer::from_lengths(lengths);
            Ok(Arc::new(ListArray::try_new(Arc::clone(&field), offsets, values, list.nulls().cloned())?))
        });
        Ok(Bound::new(expr, ty, shown))
    }

    /// `map_zip_with(a, b, (k, x, y) -> …)`: over the keys of both, NULL where a map lacks the key.
    pub(super) fn map_zip_with(&self, left: Bound, right: Bound, list: &[FunctionArg], cx: &Cx<'_>) -> Result<Bound> {
        let (names, call) = ((left.name.clone(), right.name.clone()), "map_zip_with");
        let of = |map: &Bound| match &map.ty {
            DataType::Map(entries, _) => match types::map_fields(entries) {
                Some((key, value)) => Ok((key.data_type().clone(), value.data_type().clone())),
                None => Err(unsupported("this map")),
            },
            _ => Err(unexpected_type(call, map, "MAP")),
        };
        let ((key, left_value), (other, right_value)) = (of(&left)?, of(&right)?);
        let Some(key) = types::common(&key, &other) else {
            return Err(spark_hint(
                "DATATYPE_MISMATCH.MAP_ZIP_WITH_DIFF_TYPES",
                format!("the keys of the maps are \"{}\" and \"{}\"", types::sql(&key), types::sql(&other)),
                "cast one of the maps",
            ));
        };
        let left = self.cast(left, &types::map_of(key.clone(), left_value.clone()))?;
        let right = self.cast(right, &types::map_of(key.clone(), right_value.clone()))?;
        let lambda = self.lambda(list.get(2), &[key.clone(), left_value, right_value], None, cx, call)?;
        let shown = format!("map_zip_with({}, {}, {})", names.0, names.1, lambda.name);
        let ty = types::map_of(key, lambda.ty.clone());
        let mut args = vec![left.expr, right.expr];
        args.extend(lambda.captured.clone());
        let out = ty.clone();
        let expr = kernel::pure(call, lambda.key.clone(), ty.clone(), args, move |columns, rows| {
            zipped(columns, rows, &lambda, &out)
        });
        Ok(Bound::new(expr, ty, shown))
    }
}

fn zipped(columns: &[ArrayRef], rows: usize, lambda: &Lambda, ty: &DataType) -> Result<ArrayRef> {
    let (left, right) = (columns[0].as_map(), columns[1].as_map());
    let keys = arrow::compute::concat(&[left.keys().as_ref(), right.keys().as_ref()])?;
    let behind = u32::try_from(left.keys().len()).unwrap_or(u32::MAX);
    let compare = match keys.is_empty() {
        true => None,
        false => Some(arrow::array::make_comparator(&keys, &keys, arrow::compute::SortOptions::default())?),
    };
    let same = |a: u32, b: u32| compare.as_ref().is_some_and(|compare| compare(a as usize, b as usize).is_eq());
    let range = |offsets: &[i32], row: usize| {
        let at = |offset: i32| u32::try_from(offset).unwrap_or(0);
        at(offsets[row])..at(offsets[row + 1])
    };
    let (mut places, mut lefts, mut rights) = (Vec::new(), Vec::new(), Vec::new());
    let (mut of_row, mut lengths, mut valid) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..rows {
        let present = left.is_valid(row) && right.is_valid(row);
        let before = places.len();
        valid.push(present);
        if present {
            let (mine, theirs) = (range(left.value_offsets(), row), range(right.value_offsets(), row));
            for at in mine.clone() {
                places.push(at);
                lefts.push(Some(at));
                rights.push(theirs.clone().find(|other| same(at, behind + other)));
            }
            for at in theirs.filter(|at| !mine.clone().any(|own| same(own, behind + at))) {
                places.push(behind + at);
                lefts.push(None);
                rights.push(Some(at));
            }
        }
        lengths.push(places.len() - before);
        of_row.resize(places.len(), u32::try_from(row).unwrap_or(0));
    }
    let keys = take_within(&keys, &UInt32Array::from(places))?;
    let variables = [
        Arc::clone(&keys),
        take_within(left.values(), &UInt32Array::from(lefts))?,
        take_within(right.values(), &UInt32Array::from(rights))?,
    ];
    let captured = repeat(&columns[2..], &UInt32Array::from(of_row))?;
    let values = lambda.run(&captured, &variables[..lambda.variables.len()], keys.len())?;
    let offsets = OffsetBuffer::from_lengths(lengths);
    unique_keys(&keys, &offsets)?;
    map_of(ty, offsets, keys, values, Some(NullBuffer::from(valid)))
}

/// Sorts by a comparator that may fail and may contradict itself, which the standard library's sort does not forgive.
fn merge_sorted(items: Vec<u32>, compare: &mut dyn FnMut(u32, u32) -> Result<i32>) -> Result<Vec<u32>> {
    if items.len() < 2 {
        return Ok(items);
    }
    let (mut width, mut from) = (1, items);
    while width < from.len() {
        let mut to = Vec::with_capacity(from.len());
        for start in (0..from.len()).step_by(2 * width) {
            let (middle, end) = ((start + width).min(from.len()), (start + 2 * width).min(from.len()));
            let (mut a, mut b) = (start, middle);
            while a < middle || b < end {
                let left = a < middle && (b == end || compare(from[a], from[b])? <= 0);
                let next = if left { &mut a } else { &mut b };
                to.push(from[*next]);
                *next += 1;
            }
        }
        (from, width) = (to, width * 2);
    }
    Ok(from)
}
