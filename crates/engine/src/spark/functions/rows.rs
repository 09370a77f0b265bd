//! Functions of one row: NULL in, NULL out.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, BooleanArray, BooleanBuilder, Date32Builder, Float64Builder, Int32Builder,
    Int64Builder, IntervalMonthDayNanoBuilder, ListBuilder, PrimitiveArray, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Field, Float64Type, Int32Type, Int64Type, IntervalMonthDayNano,
    IntervalUnit, TimestampMicrosecondType,
};

use super::room::Room;
use crate::bind::{Binder, Bound};
use crate::spark::error::Result;
use crate::spark::{kernel, types};

/// The arguments of one row.
pub(crate) struct Row<'a> {
    columns: &'a [ArrayRef],
    row: usize,
    room: &'a Room,
}

impl<'a> Row<'a> {
    /// The arguments of a row.
    pub(crate) fn at(columns: &'a [ArrayRef], row: usize, room: &'a Room) -> Self {
        Row { columns, row, room }
    }
    /// Whether a value of so many bytes may be made; to be asked where it can be larger than the arguments.
    pub(crate) fn room_for(&self, bytes: usize) -> Result<()> {
        self.room.check(bytes)
    }
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
    type Builder;
    fn ty() -> DataType;
    fn builder(rows: usize) -> Self::Builder;
    fn push(builder: &mut Self::Builder, value: Option<Self>);
    fn finish(builder: Self::Builder) -> ArrayRef;
    /// Bytes beyond a fixed few.
    fn bytes(&self) -> usize {
        0
    }
}

macro_rules! value {
    ($native:ty, $builder:ty, $ty:expr, $value:ident => $as:expr) => {
        impl Value for $native {
            type Builder = $builder;
            fn ty() -> DataType {
                $ty
            }
            fn builder(rows: usize) -> Self::Builder {
                <$builder>::with_capacity(rows)
            }
            fn push(builder: &mut Self::Builder, value: Option<Self>) {
                builder.append_option(value.map(|$value| $as));
            }
            fn finish(mut builder: Self::Builder) -> ArrayRef {
                Arc::new(builder.finish().with_data_type_of(&$ty))
            }
        }
    };
}

/// Times carry their zone in the array's type.
trait Typed: Sized {
    fn with_data_type_of(self, ty: &DataType) -> Self;
}
impl<T: ArrowPrimitiveType> Typed for PrimitiveArray<T> {
    fn with_data_type_of(self, ty: &DataType) -> Self {
        self.with_data_type(ty.clone())
    }
}
impl Typed for BooleanArray {
    fn with_data_type_of(self, _: &DataType) -> Self {
        self
    }
}

/// A date; one beyond Arrow's is NULL.
pub(crate) struct Day(pub(crate) i64);
/// An instant.
pub(crate) struct Instant(pub(crate) i64);
/// A wall-clock time.
pub(crate) struct Clock(pub(crate) i64);

value!(i32, Int32Builder, DataType::Int32, value => value);
value!(i64, Int64Builder, DataType::Int64, value => value);
value!(f64, Float64Builder, DataType::Float64, value => value);
value!(IntervalMonthDayNano, IntervalMonthDayNanoBuilder, DataType::Interval(IntervalUnit::MonthDayNano), value => value);
value!(bool, BooleanBuilder, DataType::Boolean, value => value);
value!(Instant, TimestampMicrosecondBuilder, types::timestamp(), value => value.0);
value!(Clock, TimestampMicrosecondBuilder, types::timestamp_ntz(), value => value.0);

impl Value for Day {
    type Builder = Date32Builder;
    fn ty() -> DataType {
        DataType::Date32
    }
    fn builder(rows: usize) -> Self::Builder {
        Date32Builder::with_capacity(rows)
    }
    fn push(builder: &mut Self::Builder, value: Option<Self>) {
        builder.append_option(value.and_then(|day| i32::try_from(day.0).ok()));
    }
    fn finish(mut builder: Self::Builder) -> ArrayRef {
        Arc::new(builder.finish())
    }
}

macro_rules! text {
    ($native:ty, $builder:ty, $ty:expr) => {
        impl Value for $native {
            type Builder = $builder;
            fn ty() -> DataType {
                $ty
            }
            fn builder(rows: usize) -> Self::Builder {
                <$builder>::with_capacity(rows, 0)
            }
            fn push(builder: &mut Self::Builder, value: Option<Self>) {
                builder.append_option(value);
            }
            fn finish(mut builder: Self::Builder) -> ArrayRef {
                Arc::new(builder.finish())
            }
            fn bytes(&self) -> usize {
                self.len()
            }
        }
    };
}

text!(String, StringBuilder, DataType::Utf8);
text!(Vec<u8>, BinaryBuilder, DataType::Binary);

impl Value for Vec<String> {
    type Builder = ListBuilder<StringBuilder>;
    fn ty() -> DataType {
        types::list_of(DataType::Utf8)
    }
    fn builder(_: usize) -> Self::Builder {
        let field = Arc::new(Field::new("element", DataType::Utf8, true));
        ListBuilder::new(StringBuilder::new()).with_field(field)
    }
    fn push(builder: &mut Self::Builder, value: Option<Self>) {
        let present = value.is_some();
        for item in value.into_iter().flatten() {
            builder.values().append_value(item);
        }
        builder.append(present);
    }
    fn finish(mut builder: Self::Builder) -> ArrayRef {
        Arc::new(builder.finish())
    }
    fn bytes(&self) -> usize {
        self.iter().map(|item| item.len() + PER_ITEM).sum()
    }
}

/// What an item of a list takes besides its text, while it is made.
pub(crate) const PER_ITEM: usize = size_of::<String>();

/// Gathers the values of so many rows, within the room that there is.
pub(crate) fn gather<V: Value>(
    rows: usize,
    room: &Room,
    mut f: impl FnMut(usize) -> Result<Option<V>>,
) -> Result<ArrayRef> {
    let mut builder = V::builder(rows);
    for row in 0..rows {
        let value = f(row)?;
        if let Some(value) = &value {
            room.take(value.bytes())?;
        }
        V::push(&mut builder, value);
    }
    Ok(V::finish(builder))
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
        let room = Room::of(columns);
        gather(rows, &room, |row| {
            if columns.iter().any(|column| column.is_null(row)) {
                return Ok(None);
            }
            f(&Row { columns, row, room: &room })
        })
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
