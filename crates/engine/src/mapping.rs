//! Column mapping by name: files, statistics and partition values know columns by physical names, which stay when a column
//! is renamed; users know logical ones.
//!
//! Files are scanned under physical names, and a projection above the scan gives the logical ones back, those inside of
//! structs included. Mapping by id is refused: it finds columns by the ids in the files' footers, and a reader that took
//! the names there for the physical ones would give nulls where there are values.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, LargeListArray, ListArray, MapArray, StructArray};
use arrow::datatypes::{DataType as ArrowType, Schema, SchemaRef};
use crannog_lake::model::actions::Metadata;
use crannog_lake::model::schema::{ArrayType, DataType, MapType, StructField, StructType};
use datafusion::catalog::Session;
use datafusion::common::{Column, DFSchema};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;

use crate::spark::kernel;

/// How a table's columns are found in its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mapping {
    /// By their names.
    None,
    /// By their physical names.
    Name,
    /// By the ids in the files.
    Id,
}

impl Mapping {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        match metadata.configuration.get("delta.columnMapping.mode").map(|mode| mode.to_ascii_lowercase()).as_deref() {
            None | Some("none") => Mapping::None,
            Some("name") => Mapping::Name,
            Some(_) => Mapping::Id,
        }
    }
}

/// The schema under physical names.
pub(crate) fn physical(schema: &StructType) -> StructType {
    StructType { fields: schema.fields.iter().map(physical_field).collect() }
}

fn physical_field(field: &StructField) -> StructField {
    StructField::new(field.physical_name(), physical_type(&field.data_type), field.nullable)
}

fn physical_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Struct(inner) => DataType::Struct(physical(inner)),
        DataType::Array(array) => DataType::Array(Box::new(ArrayType {
            element_type: physical_type(&array.element_type),
            contains_null: array.contains_null,
        })),
        DataType::Map(map) => DataType::Map(Box::new(MapType {
            key_type: physical_type(&map.key_type),
            value_type: physical_type(&map.value_type),
            value_contains_null: map.value_contains_null,
        })),
        plain => plain.clone(),
    }
}

/// The scan with its columns under these fields' names.
pub(crate) fn renamed(
    scan: Arc<dyn ExecutionPlan>,
    logical: &SchemaRef,
    session: &dyn Session,
) -> Result<Arc<dyn ExecutionPlan>> {
    let found = scan.schema();
    let columns = DFSchema::try_from(Schema::clone(&found))?;
    let column = |(at, field): (usize, &arrow::datatypes::FieldRef)| {
        let from = found.field(at);
        let name = field.name().clone();
        if from.data_type() == field.data_type() {
            let column = datafusion::physical_expr::expressions::Column::new(from.name(), at);
            return Ok((Arc::new(column) as Arc<dyn PhysicalExpr>, name));
        }
        let (to, key) = (field.data_type().clone(), format!("{}", field.data_type()));
        let column = Expr::Column(Column::new_unqualified(from.name()));
        let expr = kernel::pure("logical_names", key, to.clone(), vec![column], move |columns, _| {
            relabelled(&columns[0], &to)
        });
        Ok((session.create_physical_expr(expr, &columns)?, name))
    };
    let columns = logical.fields().iter().enumerate().map(column).collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(ProjectionExec::try_new(columns, scan)?))
}

/// The same values in a type that differs in the names inside of it.
fn relabelled(array: &ArrayRef, to: &ArrowType) -> Result<ArrayRef> {
    if array.data_type() == to {
        return Ok(Arc::clone(array));
    }
    let children = |from: &StructArray, fields: &arrow::datatypes::Fields| {
        let columns = from.columns().iter().zip(fields).map(|(column, field)| relabelled(column, field.data_type()));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        Ok::<_, DataFusionError>(StructArray::try_new(fields.clone(), columns, from.nulls().cloned())?)
    };
    Ok(match (array.data_type(), to) {
        (ArrowType::Struct(from), ArrowType::Struct(fields)) if from.len() == fields.len() => {
            Arc::new(children(array.as_struct(), fields)?)
        }
        (ArrowType::List(_), ArrowType::List(element)) => {
            let (_, offsets, values, nulls) = array.as_list::<i32>().clone().into_parts();
            let values = relabelled(&values, element.data_type())?;
            Arc::new(ListArray::try_new(Arc::clone(element), offsets, values, nulls)?)
        }
        (ArrowType::LargeList(_), ArrowType::LargeList(element)) => {
            let (_, offsets, values, nulls) = array.as_list::<i64>().clone().into_parts();
            let values = relabelled(&values, element.data_type())?;
            Arc::new(LargeListArray::try_new(Arc::clone(element), offsets, values, nulls)?)
        }
        (ArrowType::Map(..), ArrowType::Map(entry, sorted)) => {
            let (_, offsets, entries, nulls, _) = array.as_map().clone().into_parts();
            let ArrowType::Struct(fields) = entry.data_type() else {
                return Err(DataFusionError::Internal("the entries of a map are no struct".to_owned()));
            };
            Arc::new(MapArray::try_new(Arc::clone(entry), offsets, children(&entries, fields)?, nulls, *sorted)?)
        }
        (from, to) => {
            let message = format!("a column of {from} cannot be given the names of {to}");
            return Err(DataFusionError::Internal(message));
        }
    })
}
