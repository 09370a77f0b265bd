//! How much one call of a function may make for one batch.
//!
//! Nothing that a function allocates counts against the query's memory, and a call as short as `repeat('a', 2000000000)`
//! or `transform(xs, x -> a_long_text)` must not take the server's. So a result may be as large as the arguments and a
//! fixed amount more. Functions whose result does not grow with its arguments ask before they make it.

use std::cell::Cell;

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use crate::spark::error::{Result, spark_hint};

/// Bytes that a result may have beyond those of its arguments.
const MORE: usize = 256 << 20;
/// Bytes that no result may have: half of what Arrow's 32-bit offsets reach.
const MOST: usize = 1 << 30;

/// `COLLECTION_SIZE_LIMIT_EXCEEDED`.
fn too_large(bytes: u64, most: usize) -> datafusion::error::DataFusionError {
    spark_hint(
        "COLLECTION_SIZE_LIMIT_EXCEEDED.FUNCTION",
        format!("the values of this result have {bytes} bytes or more, but the limit is {most}"),
        "make the values shorter, or fewer at once",
    )
}

/// The bytes of an array's own rows: those of its texts and elements, not of the buffers that it shares.
pub(crate) fn bytes_of(array: &dyn Array) -> u64 {
    let span = |offsets: &[i32]| match offsets {
        [first, .., last] => u64::try_from(last - first).unwrap_or(0),
        _ => 0,
    };
    match array.data_type() {
        DataType::Utf8 => span(array.as_string::<i32>().value_offsets()),
        DataType::Binary => span(array.as_binary::<i32>().value_offsets()),
        _ => Weights::of(array).between(0, array.len()),
    }
}

/// Whether a value can be laid out for so many rows.
///
/// # Errors
/// `COLLECTION_SIZE_LIMIT_EXCEEDED`.
pub(crate) fn repeatable(value: &ScalarValue, rows: usize) -> Result<()> {
    // Flat values are laid out within what a batch takes anyway.
    if rows <= 1 || value.data_type().is_primitive() {
        return Ok(());
    }
    let bytes = value.size().saturating_mul(rows);
    if bytes <= MOST { Ok(()) } else { Err(too_large(u64::try_from(bytes).unwrap_or(u64::MAX), MOST)) }
}

/// What is left for one call.
pub(crate) struct Room {
    left: Cell<usize>,
    most: usize,
}

impl Room {
    /// For a call with these arguments.
    pub(crate) fn of(columns: &[ArrayRef]) -> Self {
        let given: u64 = columns.iter().map(|column| bytes_of(column)).sum();
        let most = usize::try_from(given).unwrap_or(MOST).saturating_add(MORE).min(MOST);
        Room { left: Cell::new(most), most }
    }

    /// Whether so many bytes could still be made.
    ///
    /// # Errors
    /// `COLLECTION_SIZE_LIMIT_EXCEEDED`.
    pub(crate) fn check(&self, bytes: usize) -> Result<()> {
        if bytes <= self.left.get() {
            return Ok(());
        }
        let made = (self.most - self.left.get()).saturating_add(bytes);
        Err(too_large(u64::try_from(made).unwrap_or(u64::MAX), self.most))
    }

    /// [`Room::check`], and takes them.
    pub(crate) fn take(&self, bytes: usize) -> Result<()> {
        self.check(bytes)?;
        self.left.set(self.left.get() - bytes);
        Ok(())
    }
}

/// The bytes of each value of an array.
pub(crate) enum Weights {
    Each(u64),
    /// Sums from the first value on, one more than there are values.
    Sums(Vec<u64>),
}

impl Weights {
    pub(crate) fn of(array: &dyn Array) -> Self {
        fn sums(values: impl Iterator<Item = u64>) -> Weights {
            let mut total = 0_u64;
            let rest = values.map(|value| {
                total = total.saturating_add(value);
                total
            });
            Weights::Sums(std::iter::once(0).chain(rest).collect())
        }
        fn lists(offsets: &[i32], inner: &dyn Array) -> Weights {
            let inner = Weights::of(inner);
            let at = |offset: i32| usize::try_from(offset).unwrap_or(0);
            sums(offsets.windows(2).map(|pair| 4 + inner.between(at(pair[0]), at(pair[1]))))
        }
        fn spans(offsets: &[i32]) -> Weights {
            sums(offsets.windows(2).map(|pair| 4 + u64::try_from(pair[1] - pair[0]).unwrap_or(0)))
        }
        match array.data_type() {
            DataType::Utf8 => spans(array.as_string::<i32>().value_offsets()),
            DataType::Binary => spans(array.as_binary::<i32>().value_offsets()),
            DataType::List(_) => lists(array.as_list::<i32>().value_offsets(), array.as_list::<i32>().values()),
            DataType::Map(..) => lists(array.as_map().value_offsets(), array.as_map().entries()),
            DataType::Struct(_) => {
                let columns: Vec<Weights> =
                    array.as_struct().columns().iter().map(|column| Weights::of(column)).collect();
                match columns
                    .iter()
                    .map(|column| if let Weights::Each(bytes) = column { Some(bytes) } else { None })
                    .sum()
                {
                    Some(all) => Weights::Each(all),
                    None => {
                        sums((0..array.len()).map(|at| columns.iter().map(|column| column.between(at, at + 1)).sum()))
                    }
                }
            }
            other => Weights::Each(other.primitive_width().map_or(1, |width| u64::try_from(width).unwrap_or(16))),
        }
    }

    /// Those of the values from one place up to another.
    pub(crate) fn between(&self, from: usize, to: usize) -> u64 {
        match self {
            Weights::Each(bytes) => bytes.saturating_mul(u64::try_from(to - from).unwrap_or(u64::MAX)),
            Weights::Sums(sums) => sums[to] - sums[from],
        }
    }
}

/// The values at these places, if they are not too large together: a long value may be asked for many times.
///
/// # Errors
/// `COLLECTION_SIZE_LIMIT_EXCEEDED`.
pub(crate) fn take_within(values: &ArrayRef, places: &UInt32Array) -> Result<ArrayRef> {
    let weights = Weights::of(values);
    let most = usize::try_from(weights.between(0, values.len())).unwrap_or(MOST).saturating_add(MORE).min(MOST);
    let total = match &weights {
        Weights::Each(bytes) => bytes.saturating_mul(u64::try_from(places.len()).unwrap_or(u64::MAX)),
        Weights::Sums(_) => places
            .iter()
            .flatten()
            .map(|at| weights.between(at as usize, at as usize + 1))
            .fold(0_u64, u64::saturating_add),
    };
    if total > u64::try_from(most).unwrap_or(u64::MAX) {
        return Err(too_large(total, most));
    }
    Ok(take(values, places, None)?)
}
