//! Generators: `explode` and its kin, which make several rows of one.
//!
//! Each becomes a list of structs, then DataFusion's unnest, then the structs' fields.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, ListArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field};
use datafusion::common::{Column, UnnestOptions};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};

use super::from::column_of;
use super::{Binder, Bound, Rel, ScopeColumn, plain};
use crate::spark::error::{Result, spark, spark_hint, unsupported};
use crate::spark::functions::nested::field_of;
use crate::spark::{kernel, types};

/// Their names.
pub(crate) const GENERATORS: &[&str] =
    &["explode", "explode_outer", "posexplode", "posexplode_outer", "inline", "inline_outer", "stack", "json_tuple"];

/// The generators of a SELECT list.
#[derive(Default)]
pub(crate) struct Generators {
    calls: Vec<Generator>,
}

struct Generator {
    list: Expr,
    outer: bool,
    /// The column that holds the struct of each row.
    row: String,
    columns: Vec<Bound>,
}

impl Generators {
    pub(crate) fn count(&self) -> usize {
        self.calls.len()
    }

    pub(crate) fn columns_after(&self, before: usize) -> Option<Vec<Bound>> {
        self.calls.get(before).map(|call| call.columns.clone())
    }

    pub(crate) fn columns(&self) -> Vec<Column> {
        self.calls.iter().map(|call| plain(&call.row)).collect()
    }

    pub(crate) fn each(&mut self, change: impl Fn(Expr) -> Result<Expr>) -> Result<()> {
        for call in &mut self.calls {
            call.list = change(std::mem::take(&mut call.list))?;
        }
        Ok(())
    }

    /// Registers a call; its first column stands for it.
    pub(crate) fn add(&mut self, binder: &Binder, name: &str, args: Vec<Bound>) -> Result<Bound> {
        if !self.calls.is_empty() {
            return Err(spark_hint(
                "UNSUPPORTED_GENERATOR.MULTI_GENERATOR",
                "only one generator is allowed per SELECT clause",
                "use a subquery for each",
            ));
        }
        let (list, fields) = rows_of(binder, name, args)?;
        let row = binder.column_name("row");
        let ty = types::struct_of(fields.clone());
        let value = Bound::new(Expr::Column(plain(&row)), ty, "row");
        let columns = fields
            .iter()
            .enumerate()
            .map(|(at, (name, _))| Ok(field_of(value.clone(), at)?.named(name.clone())))
            .collect::<Result<Vec<_>>>()?;
        let first = columns.first().cloned().ok_or_else(|| unsupported("a generator without columns"))?;
        self.calls.push(Generator { list, outer: name.ends_with("_outer"), row, columns });
        Ok(first)
    }
}

impl Binder {
    pub(crate) fn lay_generators(&self, plan: LogicalPlan, generators: Generators) -> Result<LogicalPlan> {
        let mut plan = plan;
        for call in generators.calls {
            let mut all: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
            all.push(call.list.alias(&call.row));
            let options = UnnestOptions::new().with_preserve_nulls(call.outer);
            plan = LogicalPlanBuilder::from(plan)
                .project(all)?
                .unnest_columns_with_options(vec![plain(&call.row)], options)?
                .build()?;
        }
        Ok(plan)
    }

    /// A generator in FROM.
    pub(crate) fn generate(&self, rel: Rel, name: &str, args: Vec<Bound>) -> Result<(Rel, Vec<ScopeColumn>)> {
        let mut generators = Generators::default();
        generators.add(self, name, args)?;
        let columns: Vec<Bound> = generators.columns_after(0).unwrap_or_default();
        let plan = self.lay_generators(rel.plan, generators)?;
        let kept: Vec<Bound> = rel.columns.iter().map(column_of).collect();
        let before = kept.len();
        let mut out = self.project_to(Rel { plan, columns: Vec::new() }, [kept, columns].concat())?;
        for (column, old) in out.columns.iter_mut().zip(&rel.columns) {
            column.qualifier.clone_from(&old.qualifier);
            column.hidden = old.hidden;
        }
        let new = out.columns[before..].to_vec();
        Ok((out, new))
    }
}

type NamedType = (String, DataType);

/// The expression that gives a list of structs, and the structs' fields.
fn rows_of(binder: &Binder, name: &str, mut args: Vec<Bound>) -> Result<(Expr, Vec<NamedType>)> {
    let base = name.trim_end_matches("_outer");
    let outer = name.ends_with("_outer");
    if base == "stack" {
        return stack(binder, args);
    }
    if base == "json_tuple" {
        return json_tuple(binder, args);
    }
    if args.len() != 1 {
        return Err(super::calls::wrong_count(name, args.len(), "1"));
    }
    let value = args.remove(0);
    let with_position = base == "posexplode";
    let mut fields: Vec<NamedType> = Vec::new();
    if with_position {
        fields.push(("pos".into(), DataType::Int32));
    }
    match (&value.ty, base) {
        (DataType::List(element), "inline") => {
            let DataType::Struct(inner) = element.data_type() else {
                return Err(super::unexpected_type(name, &value, "ARRAY<STRUCT>"));
            };
            fields.extend(inner.iter().map(|field| (field.name().clone(), field.data_type().clone())));
        }
        (DataType::List(element), _) => fields.push(("col".into(), element.data_type().clone())),
        (DataType::Map(entries, _), "explode" | "posexplode") => {
            let Some((key, item)) = types::map_fields(entries) else { return Err(unsupported("this map")) };
            fields.push(("key".into(), key.data_type().clone()));
            fields.push(("value".into(), item.data_type().clone()));
        }
        _ => return Err(super::unexpected_type(name, &value, "ARRAY or MAP")),
    }
    let row_type = types::struct_of(fields.clone());
    let list_type = types::list_of(row_type.clone());
    let inline = base == "inline";
    let expr = kernel::pure(name, "", list_type, vec![value.expr], move |columns, _| {
        let (offsets, nulls, parts): (OffsetBuffer<i32>, Option<NullBuffer>, Vec<ArrayRef>) = match columns[0]
            .data_type()
        {
            DataType::Map(..) => {
                let map = columns[0].as_map();
                (map.offsets().clone(), map.nulls().cloned(), vec![Arc::clone(map.keys()), Arc::clone(map.values())])
            }
            _ => {
                let list = columns[0].as_list::<i32>();
                let parts = if inline {
                    let rows = list.values().as_struct();
                    // A NULL struct has NULL fields.
                    let mut parts = Vec::new();
                    for column in rows.columns() {
                        parts.push(match rows.nulls() {
                            Some(nulls) => {
                                let mask = arrow::array::BooleanArray::new(!nulls.inner(), None);
                                arrow::compute::nullif(column, &mask)?
                            }
                            None => Arc::clone(column),
                        });
                    }
                    parts
                } else {
                    vec![Arc::clone(list.values())]
                };
                (list.offsets().clone(), list.nulls().cloned(), parts)
            }
        };
        let length = parts.first().map_or(0, |part| part.len());
        let mut children = Vec::new();
        if with_position {
            let mut positions = vec![0_i32; length];
            for window in offsets.windows(2) {
                for (position, at) in (window[0]..window[1]).enumerate() {
                    if let (Ok(at), Ok(position)) = (usize::try_from(at), i32::try_from(position)) {
                        positions[at] = position;
                    }
                }
            }
            children.push(Arc::new(Int32Array::from(positions)) as ArrayRef);
        }
        children.extend(parts);
        let DataType::Struct(inner) = &row_type else { return Err(unsupported("these rows")) };
        let rows = StructArray::try_new_with_length(inner.clone(), children, None, length)?;
        let nulls = if outer {
            // An empty list is one row of NULLs, as a NULL is.
            let valid: Vec<bool> = offsets
                .windows(2)
                .enumerate()
                .map(|(row, window)| window[1] > window[0] && nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)))
                .collect();
            Some(NullBuffer::from(valid))
        } else {
            nulls
        };
        let field = Arc::new(Field::new("element", row_type.clone(), true));
        Ok(Arc::new(ListArray::try_new(field, offsets, Arc::new(rows), nulls)?))
    });
    Ok((expr, fields))
}

/// `json_tuple(text, 'a', 'b')`: one row of members.
fn json_tuple(binder: &Binder, args: Vec<Bound>) -> Result<(Expr, Vec<NamedType>)> {
    let mut args = args.into_iter();
    let Some(document) = args.next().filter(|_| args.len() > 0) else {
        return Err(super::calls::wrong_count("json_tuple", 1, "> 1"));
    };
    let (mut cells, mut fields) = (Vec::new(), Vec::new());
    for (at, key) in args.enumerate() {
        let member = crate::spark::functions::json::member(binder, document.clone(), key)?;
        fields.push((format!("c{at}"), member.ty.clone()));
        cells.push(member.named(format!("c{at}")));
    }
    let row = crate::spark::functions::nested::named_struct(cells)?;
    let list = crate::spark::functions::nested::array(binder, vec![row])?;
    Ok((list.expr, fields))
}

/// Each row of `stack` is an expression of the plan.
const MOST_STACKED: usize = 4096;

fn stack(binder: &Binder, mut args: Vec<Bound>) -> Result<(Expr, Vec<NamedType>)> {
    if args.len() < 2 {
        return Err(super::calls::wrong_count("stack", args.len(), "> 1"));
    }
    let rows = args.remove(0).as_integer().and_then(|rows| usize::try_from(rows).ok()).filter(|rows| *rows > 0);
    let Some(rows) = rows else {
        return Err(spark(
            "DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE",
            "the first argument of stack must be a positive number",
        ));
    };
    if rows > MOST_STACKED {
        return Err(spark(
            "COLLECTION_SIZE_LIMIT_EXCEEDED.PARAMETER",
            format!("stack makes at most {MOST_STACKED} rows out of one"),
        ));
    }
    let width = args.len().div_ceil(rows);
    while args.len() < rows * width {
        args.push(Bound::literal(datafusion::common::ScalarValue::Null, "NULL"));
    }
    let mut columns: Vec<Vec<Bound>> = (0..width).map(|_| Vec::new()).collect();
    for (at, arg) in args.into_iter().enumerate() {
        columns[at % width].push(arg);
    }
    let mut fields = Vec::new();
    let mut unified = Vec::new();
    for (at, column) in columns.into_iter().enumerate() {
        let (column, ty) = binder.unify(column, "stack")?;
        fields.push((format!("col{at}"), ty));
        unified.push(column);
    }
    let mut structs = Vec::new();
    for row in 0..rows {
        let cells: Vec<Bound> =
            unified.iter().zip(&fields).map(|(column, (name, _))| column[row].clone().named(name.clone())).collect();
        structs.push(crate::spark::functions::nested::named_struct(cells)?);
    }
    let list = crate::spark::functions::nested::array(binder, structs)?;
    Ok((list.expr, fields))
}
