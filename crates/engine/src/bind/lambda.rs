//! Higher-order functions: `transform(xs, x -> x + 1)`.
//!
//! A lambda's body becomes a physical expression over one batch: the columns that it captures, then its variables. The
//! lists are flattened, the captured columns repeated for each element, the body runs once over all elements.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int32Array, ListArray, MapArray, StructArray, UInt32Array, new_null_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema};
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{ColumnarValue, Expr, ExprSchemable};
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use datafusion::sql::sqlparser::ast::{self, FunctionArg, FunctionArgExpr};

use super::expr::Cx;
use super::{Binder, Bound, field, plain, unexpected_type};
use crate::spark::error::{Result, spark, unsupported};
use crate::spark::functions::room::{Room, bytes_of, repeatable, take_within};
use crate::spark::{kernel, types};

/// Elements over which a body runs at once.
const AT_ONCE: usize = 8192;

/// A lambda, compiled: what it captures, and its body.
pub(super) struct Lambda {
    pub(super) captured: Vec<Expr>,
    captured_types: Vec<DataType>,
    pub(super) variables: Vec<DataType>,
    body: Arc<dyn PhysicalExpr>,
    schema: Arc<Schema>,
    pub(super) ty: DataType,
    pub(super) name: String,
    pub(super) key: String,
}

impl Lambda {
    /// Runs the body over `rows` rows, some at a time: what it makes for each of them is limited in all.
    pub(super) fn run(&self, captured: &[ArrayRef], variables: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let columns: Vec<ArrayRef> = captured.iter().chain(variables).cloned().collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        let one = |batch: &RecordBatch| {
            let value = self.body.evaluate(batch)?;
            if let ColumnarValue::Scalar(value) = &value {
                repeatable(value, batch.num_rows())?;
            }
            value.into_array(batch.num_rows())
        };
        if rows <= AT_ONCE {
            return one(&batch);
        }
        let room = Room::of(batch.columns());
        let mut parts = Vec::new();
        for from in (0..rows).step_by(AT_ONCE) {
            let part = one(&batch.slice(from, AT_ONCE.min(rows - from)))?;
            room.take(usize::try_from(bytes_of(&part)).unwrap_or(usize::MAX))?;
            parts.push(part);
        }
        let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        Ok(concat(&parts)?)
    }
}

fn parts(arg: &FunctionArg) -> Option<(Vec<String>, &ast::Expr)> {
    let FunctionArg::Unnamed(FunctionArgExpr::Expr(ast::Expr::Lambda(lambda))) = arg else { return None };
    let names = lambda.params.iter().map(|param| param.name.value.clone()).collect();
    Some((names, lambda.body.as_ref()))
}

impl Binder {
    /// Compiles the lambda that an argument is. `tys`: the types of its variables, of which it may take fewer.
    pub(super) fn lambda(
        &self,
        arg: Option<&FunctionArg>,
        tys: &[DataType],
        result: Option<&DataType>,
        cx: &Cx<'_>,
        call: &str,
    ) -> Result<Lambda> {
        let Some((names, body)) = arg.and_then(parts) else {
            return Err(spark(
                "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE",
                format!("{call} needs a lambda function, such as x -> x + 1"),
            ));
        };
        if names.len() > tys.len() {
            return Err(spark(
                "INVALID_LAMBDA_FUNCTION_CALL.NUM_ARGS_MISMATCH",
                format!("the lambda of {call} has {} parameters, but {} arguments are there", names.len(), tys.len()),
            ));
        }
        let mut inner = Cx { aggregates: None, windows: None, generators: None, ..cx.clone() };
        let mut fields = Vec::new();
        let mut shown = Vec::new();
        for (name, ty) in names.iter().zip(tys) {
            let unique = self.column_name("lambda");
            inner
                .variables
                .push((name.clone(), Bound::new(Expr::Column(plain(&unique)), ty.clone(), "namedlambdavariable()")));
            fields.push((unique, ty.clone()));
            shown.push("namedlambdavariable()".to_owned());
        }
        let mut bound = self.expr(body, &inner)?;
        let name = format!("lambdafunction({}, {})", bound.name, shown.join(", "));
        if let Some(result) = result {
            bound = self.cast(bound, result)?;
        }
        let variables: Vec<String> = fields.iter().map(|(name, _)| name.clone()).collect();
        // What the body takes from around it becomes an argument.
        let mut captured: Vec<Expr> = Vec::new();
        let mut captured_types = Vec::new();
        for column in bound.expr.column_refs() {
            if column.relation.is_none() && variables.contains(&column.name) {
                continue;
            }
            let ty = match self.captured_type(column, cx) {
                Some(ty) => ty,
                None => return Err(unsupported("this column inside of a lambda function")),
            };
            captured.push(Expr::Column(column.clone()));
            captured_types.push(ty);
        }
        let body = bound
            .expr
            .transform(|node| {
                if let Some(at) = captured.iter().position(|known| *known == node) {
                    return Ok(Transformed::yes(Expr::Column(plain(format!("captured{at}")))));
                }
                if let Expr::Literal(value, _) = &node
                    && let Some(call) = kernel::guarded(value)
                {
                    return Ok(Transformed::yes(call));
                }
                Ok(Transformed::no(node))
            })?
            .data;
        let mut all: Vec<Field> =
            captured_types.iter().enumerate().map(|(at, ty)| field(&format!("captured{at}"), ty)).collect();
        all.extend(fields.iter().map(|(name, ty)| field(name, ty)));
        let schema = Arc::new(Schema::new(all));
        let df = DFSchema::try_from(schema.as_ref().clone())?;
        let body = crate::lazily::expression(body, &df)?;
        let ty = body.get_type(&df)?;
        let key = format!("{body} {variables:?} {ty}");
        let body = create_physical_expr(&body, &df, &ExecutionProps::new(), &PhysicalPlanningContext::default())?;
        Ok(Lambda {
            captured,
            captured_types,
            variables: fields.into_iter().map(|(_, ty)| ty).collect(),
            body,
            schema,
            ty,
            name,
            key,
        })
    }

    fn captured_type(&self, column: &Column, cx: &Cx<'_>) -> Option<DataType> {
        for (_, variable) in &cx.variables {
            if variable.expr == Expr::Column(column.clone()) {
                return Some(variable.ty.clone());
            }
        }
        cx.scope.columns.iter().find(|known| known.column == *column).map(|known| known.ty.clone())
    }

    /// A call of a function that takes lambdas; `None` when it is no such function.
    pub(crate) fn higher_order(&self, name: &str, list: &[FunctionArg], cx: &Cx<'_>) -> Result<Option<Bound>> {
        let known = matches!(
            name,
            "transform"
                | "filter"
                | "exists"
                | "forall"
                | "aggregate"
                | "reduce"
                | "zip_with"
                | "map_filter"
                | "transform_keys"
                | "transform_values"
                | "map_zip_with"
        );
        let sorts = name == "array_sort" && list.len() == 2;
        if !known && !sorts {
            return Ok(None);
        }
        let value = |at: usize| -> Result<Bound> {
            match list.get(at) {
                Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))) => self.expr(expr, cx),
                _ => Err(super::calls::wrong_count(name, list.len(), "2")),
            }
        };
        let source = value(0)?;
        let source_name = source.name.clone();
        match name {
            "array_sort" => self.sort_by(source, list, cx).map(Some),
            "map_zip_with" => {
                super::calls::arity(name, list.len(), 3, 3)?;
                self.map_zip_with(source, value(1)?, list, cx).map(Some)
            }
            "transform" | "filter" | "exists" | "forall" => {
                super::calls::arity(name, list.len(), 2, 2)?;
                let DataType::List(element) = &source.ty else { return Err(unexpected_type(name, &source, "ARRAY")) };
                let element = element.data_type().clone();
                let wanted = (name != "transform").then_some(DataType::Boolean);
                let lambda = self.lambda(list.get(1), &[element, DataType::Int32], wanted.as_ref(), cx, name)?;
                let shown = format!("{name}({source_name}, {})", lambda.name);
                let ty = match name {
                    "transform" => types::list_of(lambda.ty.clone()),
                    "filter" => source.ty.clone(),
                    _ => DataType::Boolean,
                };
                let mut args = vec![source.expr];
                args.extend(lambda.captured.clone());
                let (kind, out) = (name.to_owned(), ty.clone());
                let expr = kernel::pure(name, lambda.key.clone(), ty.clone(), args, move |columns, _| {
                    over_list(&kind, columns, &lambda, &out)
                });
                Ok(Some(Bound::new(expr, ty, shown)))
            }
            "zip_with" => {
                super::calls::arity(name, list.len(), 3, 3)?;
                let other = value(1)?;
                let (DataType::List(a), DataType::List(b)) = (&source.ty, &other.ty) else {
                    return Err(unexpected_type(name, &source, "ARRAY"));
                };
                let lambda =
                    self.lambda(list.get(2), &[a.data_type().clone(), b.data_type().clone()], None, cx, name)?;
                let shown = format!("{name}({source_name}, {}, {})", other.name, lambda.name);
                let ty = types::list_of(lambda.ty.clone());
                let mut args = vec![source.expr, other.expr];
                args.extend(lambda.captured.clone());
                let expr =
                    kernel::pure(name, lambda.key.clone(), ty.clone(), args, move |columns, _| zip(columns, &lambda));
                Ok(Some(Bound::new(expr, ty, shown)))
            }
            "aggregate" | "reduce" => {
                super::calls::arity(name, list.len(), 3, 4)?;
                let DataType::List(element) = &source.ty else { return Err(unexpected_type(name, &source, "ARRAY")) };
                let element = element.data_type().clone();
                let start = value(1)?;
                let state = start.ty.clone();
                let merge = self.lambda(list.get(2), &[state.clone(), element], Some(&state), cx, name)?;
                let finish = match list.get(3) {
                    Some(_) => self.lambda(list.get(3), std::slice::from_ref(&state), None, cx, name)?,
                    None => {
                        let identity = Bound::new(Expr::Column(plain("x")), state.clone(), "namedlambdavariable()");
                        self.identity(identity)?
                    }
                };
                let shown = format!("{name}({source_name}, {}, {}, {})", start.name, merge.name, finish.name);
                let ty = finish.ty.clone();
                let mut args = vec![source.expr, start.expr];
                args.extend(merge.captured.clone());
                args.extend(finish.captured.clone());
                let key = format!("{} {}", merge.key, finish.key);
                let expr = kernel::pure(name, key, ty.clone(), args, move |columns, rows| {
                    fold(columns, rows, &merge, &finish)
                });
                Ok(Some(Bound::new(expr, ty, shown)))
            }
            _ => {
                super::calls::arity(name, list.len(), 2, 2)?;
                let DataType::Map(entries, _) = &source.ty else { return Err(unexpected_type(name, &source, "MAP")) };
                let Some((key, item)) = types::map_fields(entries) else { return Err(unsupported("this map")) };
                let (key, item) = (key.data_type().clone(), item.data_type().clone());
                let wanted = (name == "map_filter").then_some(DataType::Boolean);
                let lambda = self.lambda(list.get(1), &[key.clone(), item.clone()], wanted.as_ref(), cx, name)?;
                let shown = format!("{name}({source_name}, {})", lambda.name);
                let ty = match name {
                    "map_filter" => source.ty.clone(),
                    "transform_keys" => types::map_of(lambda.ty.clone(), item),
                    _ => types::map_of(key, lambda.ty.clone()),
                };
                let mut args = vec![source.expr];
                args.extend(lambda.captured.clone());
                let (kind, out) = (name.to_owned(), ty.clone());
                let expr = kernel::pure(name, lambda.key.clone(), ty.clone(), args, move |columns, _| {
                    over_map(&kind, columns, &lambda, &out)
                });
                Ok(Some(Bound::new(expr, ty, shown)))
            }
        }
    }

    fn identity(&self, value: Bound) -> Result<Lambda> {
        let schema = Arc::new(Schema::new(vec![field("x", &value.ty)]));
        let df = DFSchema::try_from(schema.as_ref().clone())?;
        let body = create_physical_expr(&value.expr, &df, &ExecutionProps::new(), &PhysicalPlanningContext::default())?;
        Ok(Lambda {
            captured: Vec::new(),
            captured_types: Vec::new(),
            variables: vec![value.ty.clone()],
            body,
            schema,
            ty: value.ty,
            name: "lambdafunction(namedlambdavariable(), namedlambdavariable())".into(),
            key: String::new(),
        })
    }
}

/// Unknown counts as false.
fn truthful(mask: &BooleanArray) -> BooleanArray {
    if mask.null_count() == 0 { mask.clone() } else { arrow::compute::prep_null_mask_filter(mask) }
}

/// For each element the row of its list, and its place in the list.
fn places(offsets: &OffsetBuffer<i32>) -> (UInt32Array, Int32Array, UInt32Array) {
    let (mut rows, mut positions, mut elements) = (Vec::new(), Vec::new(), Vec::new());
    for (row, window) in offsets.windows(2).enumerate() {
        for (position, element) in (window[0]..window[1]).enumerate() {
            rows.push(u32::try_from(row).unwrap_or(0));
            positions.push(i32::try_from(position).unwrap_or(0));
            elements.push(u32::try_from(element).unwrap_or(0));
        }
    }
    (UInt32Array::from(rows), Int32Array::from(positions), UInt32Array::from(elements))
}

pub(super) fn repeat(captured: &[ArrayRef], rows: &UInt32Array) -> Result<Vec<ArrayRef>> {
    captured.iter().map(|column| take_within(column, rows)).collect()
}

/// Offsets that keep only some elements.
fn kept(offsets: &OffsetBuffer<i32>, mask: &BooleanArray) -> OffsetBuffer<i32> {
    let mut at = 0;
    let lengths = offsets.windows(2).map(|window| {
        let length = usize::try_from(window[1] - window[0]).unwrap_or(0);
        let count = (at..at + length).filter(|element| mask.is_valid(*element) && mask.value(*element)).count();
        at += length;
        count
    });
    OffsetBuffer::from_lengths(lengths)
}

fn over_list(kind: &str, columns: &[ArrayRef], lambda: &Lambda, ty: &DataType) -> Result<ArrayRef> {
    let list = columns[0].as_list::<i32>();
    let (rows, positions, elements) = places(list.offsets());
    let values = take(list.values(), &elements, None)?;
    let captured = repeat(&columns[1..], &rows)?;
    let variables: Vec<ArrayRef> =
        [Arc::clone(&values), Arc::new(positions) as ArrayRef].into_iter().take(lambda.variables.len()).collect();
    let out = lambda.run(&captured, &variables, values.len())?;
    let dense = OffsetBuffer::from_lengths(
        list.offsets().windows(2).map(|window| usize::try_from(window[1] - window[0]).unwrap_or(0)),
    );
    match (kind, ty) {
        ("transform", DataType::List(field)) => {
            Ok(Arc::new(ListArray::try_new(Arc::clone(field), dense, out, list.nulls().cloned())?))
        }
        ("filter", DataType::List(field)) => {
            let mask = out.as_boolean();
            let offsets = kept(&dense, mask);
            let values = arrow::compute::filter(&values, &truthful(mask))?;
            Ok(Arc::new(ListArray::try_new(Arc::clone(field), offsets, values, list.nulls().cloned())?))
        }
        _ => {
            let mask = out.as_boolean();
            let deciding = kind == "exists";
            let found: BooleanArray = (0..list.len())
                .map(|row| {
                    if list.is_null(row) {
                        return None;
                    }
                    let range = usize::try_from(dense[row]).unwrap_or(0)..usize::try_from(dense[row + 1]).unwrap_or(0);
                    let mut unknown = false;
                    for at in range {
                        if mask.is_null(at) {
                            unknown = true;
                        } else if mask.value(at) == deciding {
                            return Some(deciding);
                        }
                    }
                    if unknown { None } else { Some(!deciding) }
                })
                .collect();
            Ok(Arc::new(found))
        }
    }
}

fn over_map(kind: &str, columns: &[ArrayRef], lambda: &Lambda, ty: &DataType) -> Result<ArrayRef> {
    let map = columns[0].as_map();
    let (rows, _, elements) = places(map.offsets());
    let keys = take(map.keys(), &elements, None)?;
    let values = take(map.values(), &elements, None)?;
    let captured = repeat(&columns[1..], &rows)?;
    let variables: Vec<ArrayRef> =
        [Arc::clone(&keys), Arc::clone(&values)].into_iter().take(lambda.variables.len()).collect();
    let out = lambda.run(&captured, &variables, keys.len())?;
    let dense = OffsetBuffer::from_lengths(
        map.offsets().windows(2).map(|window| usize::try_from(window[1] - window[0]).unwrap_or(0)),
    );
    let (offsets, keys, values) = match kind {
        "map_filter" => {
            let mask = out.as_boolean();
            let offsets = kept(&dense, mask);
            let mask = truthful(mask);
            (offsets, arrow::compute::filter(&keys, &mask)?, arrow::compute::filter(&values, &mask)?)
        }
        "transform_keys" => (dense, out, values),
        _ => (dense, keys, out),
    };
    map_of(ty, offsets, keys, values, map.nulls().cloned())
}

/// A map from its parts.
pub(crate) fn map_of(
    ty: &DataType,
    offsets: OffsetBuffer<i32>,
    keys: ArrayRef,
    values: ArrayRef,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef> {
    let DataType::Map(entries, ordered) = ty else { return Err(unsupported("this map")) };
    let Some((key, value)) = types::map_fields(entries) else { return Err(unsupported("this map")) };
    if keys.null_count() > 0 {
        return Err(spark("NULL_MAP_KEY", "cannot use null as map key"));
    }
    let inner = StructArray::try_new(vec![Arc::clone(key), Arc::clone(value)].into(), vec![keys, values], None)?;
    Ok(Arc::new(MapArray::try_new(Arc::clone(entries), offsets, inner, nulls, *ordered)?))
}

fn zip(columns: &[ArrayRef], lambda: &Lambda) -> Result<ArrayRef> {
    let (left, right) = (columns[0].as_list::<i32>(), columns[1].as_list::<i32>());
    let (mut rows, mut lefts, mut rights, mut lengths) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut valid = Vec::new();
    for row in 0..left.len() {
        let ok = left.is_valid(row) && right.is_valid(row);
        valid.push(ok);
        let (a, b) = (left.value_offsets(), right.value_offsets());
        let (al, bl) = (a[row + 1] - a[row], b[row + 1] - b[row]);
        let length = if ok { al.max(bl) } else { 0 };
        for at in 0..length {
            rows.push(u32::try_from(row).unwrap_or(0));
            lefts.push(if at < al { u32::try_from(a[row] + at).ok() } else { None });
            rights.push(if at < bl { u32::try_from(b[row] + at).ok() } else { None });
        }
        lengths.push(usize::try_from(length).unwrap_or(0));
    }
    let rows = UInt32Array::from(rows);
    let a = take(left.values(), &UInt32Array::from(lefts), None)?;
    let b = take(right.values(), &UInt32Array::from(rights), None)?;
    let captured = repeat(&columns[2..], &rows)?;
    let variables: Vec<ArrayRef> = [a, b].into_iter().take(lambda.variables.len()).collect();
    let out = lambda.run(&captured, &variables, rows.len())?;
    let field = Arc::new(Field::new("element", lambda.ty.clone(), true));
    Ok(Arc::new(ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), out, Some(NullBuffer::from(valid)))?))
}

fn fold(columns: &[ArrayRef], rows: usize, merge: &Lambda, finish: &Lambda) -> Result<ArrayRef> {
    let list = columns[0].as_list::<i32>();
    let merged = merge.captured_types.len();
    let (merge_captured, finish_captured) = columns[2..].split_at(merged);
    let mut states = Vec::new();
    let room = Room::of(columns);
    for row in 0..rows {
        let mut state = columns[1].slice(row, 1);
        if list.is_null(row) {
            states.push(new_null_array(&finish.ty, 1));
            continue;
        }
        let values = list.value(row);
        let captured: Vec<ArrayRef> = merge_captured.iter().map(|column| column.slice(row, 1)).collect();
        for at in 0..values.len() {
            state = merge.run(&captured, &[state, values.slice(at, 1)][..merge.variables.len()], 1)?;
        }
        let captured: Vec<ArrayRef> = finish_captured.iter().map(|column| column.slice(row, 1)).collect();
        let state = finish.run(&captured, &[state], 1)?;
        room.take(usize::try_from(bytes_of(&state)).unwrap_or(usize::MAX))?;
        states.push(state);
    }
    if states.is_empty() {
        return Ok(new_null_array(&finish.ty, 0));
    }
    let parts: Vec<&dyn Array> = states.iter().map(AsRef::as_ref).collect();
    Ok(concat(&parts)?)
}
