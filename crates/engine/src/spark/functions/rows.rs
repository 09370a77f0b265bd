//! Functions of one row: NULL in, NULL out.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Float64Array, Int32Array, Int64Array,
    ListBuilder, StringArray, StringBuilder, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Date32Type, Field, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};

use crate::bind::{Binder, Bound};
use crate::spark::error::Result;
use crate::spark::{kernel, types};

/// The arguments of one row.
pub(crate) struct Row<'a> {
    columns: &'a [ArrayRef],
    row: usize,
}

impl Row<'_> {
    pub(crate) fn text(&self, at: usize) -> &str {
        self.columns[at].as_string::<i32>().value(self.row)
    }
    pub(crate) fn bytes(&self, at: usize) -> &[u8] {
        self.columns[at].as_binary::<i32>().value(self.row)
    }
    pub(crate) fn int(&self, at: usize) -> i32 {
        self.columns[at].as_primitive::<Int32Type>().value(self.row)
    }
    pub(crate) fn long(&self, at: usize) -> i64 {
        self.columns[at].as_primitive::<Int64Type>().value(self.row)
    }
    pub(crate) fn double(&self, at: usize) -> f64 {
        self.columns[at].as_primitive::<Float64Type>().value(self.row)
    }
    pub(crate) fn day(&self, at: usize) -> i64 {
        i64::from(self.columns[at].as_primitive::<Date32Type>().value(self.row))
    }
    pub(crate) fn micros(&self, at: usize) -> i64 {
        self.columns[at].as_primitive::<TimestampMicrosecondType>().value(self.row)
    }
}

/// What a function gives.
pub(crate) trait Value: Sized + 'static {
    fn ty() -> DataType;
    fn array(values: Vec<Option<Self>>) -> ArrayRef;
}

macro_rules! value {
    ($native:ty, $array:ty, $ty:expr) => {
        impl Value for $native {
            fn ty() -> DataType {
                $ty
            }
            fn array(values: Vec<Option<Self>>) -> ArrayRef {
                Arc::new(values.into_iter().collect::<$array>())
            }
        }
    };
}

value!(String, StringArray, DataType::Utf8);
value!(i32, Int32Array, DataType::Int32);
value!(i64, Int64Array, DataType::Int64);
value!(f64, Float64Array, DataType::Float64);
value!(bool, BooleanArray, DataType::Boolean);
value!(Vec<u8>, BinaryArray, DataType::Binary);

/// A date.
pub(crate) struct Day(pub(crate) i64);
/// An instant.
pub(crate) struct Instant(pub(crate) i64);
/// A wall-clock time.
pub(crate) struct Clock(pub(crate) i64);

impl Value for Day {
    fn ty() -> DataType {
        DataType::Date32
    }
    fn array(values: Vec<Option<Self>>) -> ArrayRef {
        Arc::new(values.into_iter().map(|day| day.and_then(|day| i32::try_from(day.0).ok())).collect::<Date32Array>())
    }
}
impl Value for Instant {
    fn ty() -> DataType {
        types::timestamp()
    }
    fn array(values: Vec<Option<Self>>) -> ArrayRef {
        let array: TimestampMicrosecondArray = values.into_iter().map(|value| value.map(|value| value.0)).collect();
        Arc::new(array.with_timezone("UTC"))
    }
}
impl Value for Clock {
    fn ty() -> DataType {
        types::timestamp_ntz()
    }
    fn array(values: Vec<Option<Self>>) -> ArrayRef {
        Arc::new(values.into_iter().map(|value| value.map(|value| value.0)).collect::<TimestampMicrosecondArray>())
    }
}
impl Value for Vec<String> {
    fn ty() -> DataType {
        types::list_of(DataType::Utf8)
    }
    fn array(values: Vec<Option<Self>>) -> ArrayRef {
        let field = Arc::new(Field::new("element", DataType::Utf8, true));
        let mut builder = ListBuilder::new(StringBuilder::new()).with_field(field);
        for value in values {
            match value {
                Some(items) => {
                    for item in items {
                        builder.values().append_value(item);
                    }
                    builder.append(true);
                }
                None => builder.append(false),
            }
        }
        Arc::new(builder.finish())
    }
}

/// Binds a function of one row over arguments of the right types.
pub(crate) fn call<V: Value>(
    name: &str,
    key: impl Into<String>,
    args: Vec<Bound>,
    f: impl Fn(&Row<'_>) -> Result<Option<V>> + Send + Sync + 'static,
) -> Bound {
    let exprs = args.into_iter().map(|arg| arg.expr).collect();
    let expr = kernel::pure(name, key, V::ty(), exprs, move |columns, rows| {
        let mut values = Vec::with_capacity(rows);
        for row in 0..rows {
            values.push(if columns.iter().any(|column| column.is_null(row)) {
                None
            } else {
                f(&Row { columns, row })?
            });
        }
        Ok(V::array(values))
    });
    Bound::new(expr, V::ty(), name)
}

/// Checks the number of arguments and casts them.
pub(crate) fn coerce(
    binder: &Binder,
    call: &mut super::Call<'_>,
    required: usize,
    tys: &[DataType],
) -> Result<Vec<Bound>> {
    call.arity(required, tys.len())?;
    let text = call.text();
    std::mem::take(&mut call.args).into_iter().zip(tys).map(|(arg, ty)| binder.implicit(arg, ty, &text)).collect()
}
