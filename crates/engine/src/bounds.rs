//! Statistics of one data file while it is written: for each indexed leaf the nulls, the least and the greatest value.
//!
//! Taken from the rows, not from Parquet's own statistics, which are cut off and pass over NaN. A float column that has a
//! NaN has no bounds: NaN is above all numbers for Spark and DataFusion, and JSON has no spelling for it.

use std::sync::Arc;

use arrow::array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType,
};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::compute::{max, max_string, min, min_string, nullif};
use crannog_lake::model::schema::DataType;
use crannog_lake::model::stats::{FileStats, Leaf, has_bounds};
use crannog_lake::model::values::Scalar;
use crannog_types::{Code, Problem, Result};

use crate::errors::from_arrow;

/// What is known of a file's rows so far.
pub(crate) struct Collector {
    rows: usize,
    leaves: Vec<LeafBounds>,
}

struct LeafBounds {
    leaf: Leaf,
    nulls: usize,
    range: Option<(Scalar, Scalar)>,
    /// A NaN was met.
    unordered: bool,
}

impl Collector {
    pub(crate) fn new(leaves: &[Leaf]) -> Self {
        let leaf = |leaf: &Leaf| LeafBounds { leaf: leaf.clone(), nulls: 0, range: None, unordered: false };
        Self { rows: 0, leaves: leaves.iter().map(leaf).collect() }
    }

    /// Takes rows into account. Columns are found by their names in the file.
    ///
    /// # Errors
    /// `Internal` when a leaf is not in the batch or of another type than the table's: the caller cast it before.
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows();
        for bounds in &mut self.leaves {
            let array = leaf_of(batch, &bounds.leaf.physical)?;
            bounds.nulls += array.logical_null_count();
            if bounds.unordered || !has_bounds(&bounds.leaf.data_type) {
                continue;
            }
            match range(array.as_ref(), &bounds.leaf.data_type)? {
                Range::Empty => {}
                Range::Unordered => {
                    bounds.unordered = true;
                    bounds.range = None;
                }
                Range::Of(low, high) => {
                    bounds.range = Some(match bounds.range.take() {
                        None => (low, high),
                        Some((old_low, old_high)) => {
                            (if low < old_low { low } else { old_low }, if high > old_high { high } else { old_high })
                        }
                    });
                }
            }
        }
        Ok(())
    }

    /// The statistics as the `add` action has them.
    pub(crate) fn finish(self) -> FileStats {
        let mut stats = FileStats::of_rows(self.rows as i64);
        for LeafBounds { leaf, nulls, range, .. } in self.leaves {
            let (low, high) = range.unzip();
            stats.set(&leaf.physical, &leaf.data_type, low.as_ref(), high.as_ref(), Some(nulls as i64));
        }
        stats
    }
}

/// The values of a leaf; a leaf of a struct that is null is null.
fn leaf_of(batch: &RecordBatch, path: &[String]) -> Result<ArrayRef> {
    let lost = || Problem::new(Code::Internal, format!("the rows have no column '{}'", path.join(".")));
    let (first, rest) = path.split_first().ok_or_else(lost)?;
    let mut array = Arc::clone(batch.column_by_name(first).ok_or_else(lost)?);
    let mut above: Option<NullBuffer> = None;
    for name in rest {
        let parent = array.as_struct_opt().ok_or_else(lost)?;
        above = NullBuffer::union(above.as_ref(), parent.nulls());
        let child = Arc::clone(parent.column_by_name(name).ok_or_else(lost)?);
        array = child;
    }
    match above {
        None => Ok(array),
        Some(nulls) => nullif(&array, &BooleanArray::new(!nulls.inner(), None)).map_err(from_arrow),
    }
}

enum Range {
    /// Only nulls.
    Empty,
    /// There is a NaN.
    Unordered,
    /// Least and greatest value.
    Of(Scalar, Scalar),
}

fn range(array: &dyn Array, data_type: &DataType) -> Result<Range> {
    match data_type {
        DataType::Byte => ints::<Int8Type>(array),
        DataType::Short => ints::<Int16Type>(array),
        DataType::Integer => ints::<Int32Type>(array),
        DataType::Long => ints::<Int64Type>(array),
        DataType::Date => ints::<Date32Type>(array),
        DataType::Timestamp | DataType::TimestampNtz => ints::<TimestampMicrosecondType>(array),
        DataType::Decimal { .. } => {
            let values = array.as_primitive_opt::<Decimal128Type>().ok_or_else(|| unexpected(array))?;
            Ok(of(min(values), max(values), Scalar::Decimal))
        }
        DataType::Float => floats::<Float32Type>(array),
        DataType::Double => floats::<Float64Type>(array),
        DataType::String => {
            let values = array.as_string_opt::<i32>().ok_or_else(|| unexpected(array))?;
            Ok(of(min_string(values), max_string(values), |text| Scalar::String(text.to_owned())))
        }
        _ => Ok(Range::Empty),
    }
}

fn ints<T: ArrowPrimitiveType>(array: &dyn Array) -> Result<Range>
where
    T::Native: Into<i64>,
{
    let values = array.as_primitive_opt::<T>().ok_or_else(|| unexpected(array))?;
    Ok(of(min(values), max(values), |value| Scalar::Int(value.into())))
}

fn floats<T: ArrowPrimitiveType>(array: &dyn Array) -> Result<Range>
where
    T::Native: Into<f64>,
{
    let values = array.as_primitive_opt::<T>().ok_or_else(|| unexpected(array))?;
    let mut range: Option<(f64, f64)> = None;
    for value in values.iter().flatten() {
        let value: f64 = value.into();
        if value.is_nan() {
            return Ok(Range::Unordered);
        }
        range = Some(range.map_or((value, value), |(low, high)| (low.min(value), high.max(value))));
    }
    Ok(range.map_or(Range::Empty, |(low, high)| Range::Of(Scalar::Double(low), Scalar::Double(high))))
}

fn of<T>(low: Option<T>, high: Option<T>, scalar: impl Fn(T) -> Scalar) -> Range {
    match (low, high) {
        (Some(low), Some(high)) => Range::Of(scalar(low), scalar(high)),
        _ => Range::Empty,
    }
}

fn unexpected(array: &dyn Array) -> Problem {
    Problem::new(Code::Internal, format!("a column of {} was not cast to the table's type", array.data_type()))
}
