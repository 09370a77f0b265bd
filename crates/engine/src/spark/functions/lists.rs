//! What array functions are made of: the elements of all lists of a call in one pool.
//!
//! A function says for each row which elements of the pool its result holds, so it needs to know nothing of their type;
//! Arrow's row format compares them by Spark's order (NULL first, NaN last, -0.0 as 0.0). A batch's result is limited in
//! its number of elements, since a call as short as `array_repeat(1, 2000000000)` must not take the server's memory.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, UInt32Array, new_empty_array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type, Int32Type};
use arrow::row::{Row, RowConverter, Rows, SortField};

use super::room::{Room, take_within};
use super::rows::{Value, gather};
use crate::bind::{Binder, Bound, unexpected_type};
use crate::spark::error::{Result, spark, spark_hint};
use crate::spark::{kernel, types};

/// The most elements that one batch of results may hold.
const MOST_ELEMENTS: usize = 1 << 25;

/// `COLLECTION_SIZE_LIMIT_EXCEEDED` when the result grows too large.
pub(crate) fn limited(elements: usize) -> Result<()> {
    if elements <= MOST_ELEMENTS {
        return Ok(());
    }
    Err(spark_hint(
        "COLLECTION_SIZE_LIMIT_EXCEEDED.PARAMETER",
        format!("the arrays of this result have {elements} elements, but the limit is {MOST_ELEMENTS}"),
        "make the arrays shorter",
    ))
}

/// The elements of a call: those of its lists, and its single values.
pub(crate) struct Pool<'a> {
    columns: &'a [ArrayRef],
    values: ArrayRef,
    starts: Vec<u32>,
    rows: Option<Rows>,
}

fn narrow(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// -0.0 becomes 0.0, so that the two are one value.
pub(crate) fn unsigned_zeros(values: &ArrayRef) -> ArrayRef {
    match values.data_type() {
        DataType::Float32 => {
            Arc::new(values.as_primitive::<Float32Type>().unary::<_, Float32Type>(|x| if x == 0.0 { 0.0 } else { x }))
        }
        DataType::Float64 => {
            Arc::new(values.as_primitive::<Float64Type>().unary::<_, Float64Type>(|x| if x == 0.0 { 0.0 } else { x }))
        }
        _ => Arc::clone(values),
    }
}

impl<'a> Pool<'a> {
    fn new(columns: &'a [ArrayRef], pooled: usize, element: &DataType, compares: bool) -> Result<Self> {
        let (mut parts, mut starts, mut length) = (Vec::new(), Vec::new(), 0);
        for column in &columns[..pooled] {
            let part = match column.data_type() {
                DataType::List(field) if field.data_type() == element => Arc::clone(column.as_list::<i32>().values()),
                _ => Arc::clone(column),
            };
            starts.push(narrow(length));
            length += part.len();
            parts.push(part);
        }
        limited(length)?;
        let refs: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        let values = if refs.is_empty() { new_empty_array(element) } else { concat(&refs)? };
        let rows = if compares {
            let converter = RowConverter::new(vec![SortField::new(element.clone())])?;
            Some(converter.convert_columns(&[unsigned_zeros(&values)])?)
        } else {
            None
        };
        Ok(Pool { columns, values, starts, rows })
    }

    /// Whether an argument is NULL in a row.
    pub(crate) fn null(&self, column: usize, row: usize) -> bool {
        self.columns[column].is_null(row)
    }

    /// The elements of a list.
    pub(crate) fn list(&self, column: usize, row: usize) -> std::ops::Range<u32> {
        let offsets = self.columns[column].as_list::<i32>().value_offsets();
        let at = |offset: i32| self.starts[column] + u32::try_from(offset).unwrap_or(0);
        at(offsets[row])..at(offsets[row + 1])
    }

    /// A single value.
    pub(crate) fn one(&self, column: usize, row: usize) -> u32 {
        self.starts[column] + narrow(row)
    }

    /// Whether an element is NULL.
    pub(crate) fn is_null(&self, at: u32) -> bool {
        *self.values.data_type() == DataType::Null || self.values.is_null(at as usize)
    }

    /// What an element is compared by.
    pub(crate) fn key(&self, at: u32) -> Option<Row<'_>> {
        self.rows.as_ref().map(|rows| rows.row(at as usize))
    }

    /// Whether two elements are one value; NULL is NULL.
    pub(crate) fn same(&self, a: u32, b: u32) -> bool {
        self.key(a) == self.key(b)
    }

    /// The text of an element of a list of strings.
    pub(crate) fn element_text(&self, at: u32) -> &str {
        self.values.as_string::<i32>().value(at as usize)
    }

    pub(crate) fn int(&self, column: usize, row: usize) -> i32 {
        self.columns[column].as_primitive::<Int32Type>().value(row)
    }

    pub(crate) fn text(&self, column: usize, row: usize) -> &str {
        self.columns[column].as_string::<i32>().value(row)
    }
}

/// The arguments of a function over pooled elements: the first `pooled` are lists of the element or single values of it.
pub(crate) struct Over {
    pub(crate) name: &'static str,
    pub(crate) args: Vec<Bound>,
    pub(crate) pooled: usize,
    pub(crate) element: DataType,
    pub(crate) compares: bool,
}

impl Over {
    fn exprs(&mut self) -> Vec<datafusion::logical_expr::Expr> {
        std::mem::take(&mut self.args).into_iter().map(|arg| arg.expr).collect()
    }

    fn check(&self, call: &str) -> Result<()> {
        if self.compares && RowConverter::supports_fields(&[SortField::new(self.element.clone())]) {
            return Ok(());
        }
        if self.compares {
            return Err(spark(
                "DATATYPE_MISMATCH.INVALID_ORDERING_TYPE",
                format!(
                    "cannot resolve \"{call}\": values of type \"{}\" cannot be compared",
                    types::sql(&self.element)
                ),
            ));
        }
        Ok(())
    }

    /// A function that gives a list: for each row the places in the pool, `None` in them for NULL elements.
    pub(crate) fn to_list<F>(mut self, call: &str, f: F) -> Result<Bound>
    where
        F: Fn(&Pool<'_>, usize) -> Result<Option<Vec<Option<u32>>>> + Send + Sync + 'static,
    {
        self.check(call)?;
        let ty = types::list_of(self.element.clone());
        let (pooled, element, compares) = (self.pooled, self.element.clone(), self.compares);
        let expr = kernel::pure(self.name, "", ty.clone(), self.exprs(), move |columns, rows| {
            let pool = Pool::new(columns, pooled, &element, compares)?;
            let (mut places, mut lengths, mut valid) = (Vec::new(), Vec::with_capacity(rows), Vec::with_capacity(rows));
            for row in 0..rows {
                let found = f(&pool, row)?;
                valid.push(found.is_some());
                let found = found.unwrap_or_default();
                lengths.push(found.len());
                places.extend(found);
                limited(places.len())?;
            }
            let values = take_within(&pool.values, &UInt32Array::from(places))?;
            let field = Arc::new(Field::new("element", element.clone(), true));
            let nulls = NullBuffer::from(valid);
            Ok(Arc::new(ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), values, Some(nulls))?))
        });
        Ok(Bound::new(expr, ty, call))
    }

    /// A function that gives one element.
    pub(crate) fn to_element<F>(mut self, call: &str, f: F) -> Result<Bound>
    where
        F: Fn(&Pool<'_>, usize) -> Option<u32> + Send + Sync + 'static,
    {
        self.check(call)?;
        let (pooled, element, compares) = (self.pooled, self.element.clone(), self.compares);
        let ty = element.clone();
        let expr = kernel::pure(self.name, "", ty.clone(), self.exprs(), move |columns, rows| {
            let pool = Pool::new(columns, pooled, &element, compares)?;
            let places: UInt32Array = (0..rows).map(|row| f(&pool, row)).collect();
            take_within(&pool.values, &places)
        });
        Ok(Bound::new(expr, ty, call))
    }

    /// A function that gives a flat value.
    pub(crate) fn to_value<V: Value, F>(mut self, call: &str, f: F) -> Result<Bound>
    where
        F: Fn(&Pool<'_>, usize, &Room) -> Result<Option<V>> + Send + Sync + 'static,
    {
        self.check(call)?;
        let (pooled, element, compares) = (self.pooled, self.element.clone(), self.compares);
        let expr = kernel::pure(self.name, "", V::ty(), self.exprs(), move |columns, rows| {
            let pool = Pool::new(columns, pooled, &element, compares)?;
            let room = Room::of(columns);
            gather(rows, &room, |row| f(&pool, row, &room))
        });
        Ok(Bound::new(expr, V::ty(), call))
    }
}

/// The argument as an array, and its elements' type; NULL is an array of nothing.
pub(crate) fn array_of(binder: &Binder, arg: Bound, call: &str) -> Result<(Bound, DataType)> {
    match &arg.ty {
        DataType::List(field) => {
            let element = field.data_type().clone();
            Ok((arg, element))
        }
        DataType::Null => Ok((binder.cast(arg, &types::list_of(DataType::Null))?, DataType::Null)),
        _ => Err(unexpected_type(call, &arg, "ARRAY")),
    }
}

/// The type of both without a string becoming something else.
pub(crate) fn common(left: &DataType, right: &DataType) -> Option<DataType> {
    let text = |ty: &DataType| *ty == DataType::Utf8;
    let void = |ty: &DataType| *ty == DataType::Null;
    if text(left) != text(right) && !void(left) && !void(right) {
        return None;
    }
    types::common(left, right)
}

/// An array and a value for it, brought to one type.
pub(crate) fn with_value(
    binder: &Binder,
    array: Bound,
    value: Bound,
    call: &str,
    may_be_void: bool,
) -> Result<(Bound, Bound, DataType)> {
    let (array, element) = array_of(binder, array, call)?;
    if !may_be_void && (value.ty == DataType::Null || element == DataType::Null) {
        return Err(spark(
            "DATATYPE_MISMATCH.NULL_TYPE",
            format!("cannot resolve \"{call}\": null typed values cannot be used as arguments"),
        ));
    }
    let Some(ty) = common(&element, &value.ty) else {
        return Err(spark_hint(
            "DATATYPE_MISMATCH.ARRAY_FUNCTION_DIFF_TYPES",
            format!(
                "cannot resolve \"{call}\": the array's elements are \"{}\", but the value is \"{}\"",
                types::sql(&element),
                types::sql(&value.ty)
            ),
            "cast one of them",
        ));
    };
    let array = binder.cast(array, &types::list_of(ty.clone()))?;
    Ok((array, binder.cast(value, &ty)?, ty))
}
