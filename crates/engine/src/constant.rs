//! Rows of an INSERT whose values stand in the statement: evaluated as bound, without optimizer, physical plan or a thread
//! of their own. One row is then as cheap as it looks.
//!
//! Only short cuts are taken here, never other rules: values are bound, cast and checked as all others, and whatever is
//! not plainly constant, or fails, goes the long way, where it fails in the usual words.

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Schema};
use async_trait::async_trait;
use crannog_lake::ports::{ExplainMode, Prepared, RelationKey, RowStream};
use crannog_types::Result;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result as PlanResult};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::sql::sqlparser::ast;

/// Rows beyond these are planned: what is saved is small beside them.
const ROWS: usize = 1_000;

/// Whether the query is VALUES of plain literals: nothing that nests, so that binding it needs no deep stack.
pub(crate) fn is_plain_values(query: &ast::Query) -> bool {
    let bare = query.with.is_none()
        && query.order_by.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none()
        && query.pipe_operators.is_empty();
    match query.body.as_ref() {
        ast::SetExpr::Values(values) if bare && values.rows.len() <= ROWS => {
            values.rows.iter().flat_map(|row| &row.content).all(is_plain)
        }
        _ => false,
    }
}

fn is_plain(expr: &ast::Expr) -> bool {
    let literal = |expr: &ast::Expr| matches!(expr, ast::Expr::Value(_) | ast::Expr::TypedString { .. });
    match expr {
        ast::Expr::UnaryOp { expr, .. } | ast::Expr::Cast { expr, .. } => literal(expr),
        expr => literal(expr),
    }
}

/// The rows of a bound plan over VALUES; `None` when it is anything else.
pub(crate) fn rows(plan: &LogicalPlan, state: &SessionState) -> PlanResult<Option<RecordBatch>> {
    match plan {
        LogicalPlan::Values(values) => {
            let nothing = RecordBatch::try_new_with_options(
                Schema::empty().into(),
                vec![],
                &RecordBatchOptions::new().with_row_count(Some(1)),
            )?;
            let schema = values.schema.as_arrow();
            let column = |at: usize| {
                let cells = values.values.iter().filter_map(|row| row.get(at));
                let cells = cells.map(|cell| cell_of(cell, &nothing, state)).collect::<PlanResult<Vec<_>>>()?;
                let cells: Vec<&dyn arrow::array::Array> = cells.iter().map(AsRef::as_ref).collect();
                Ok::<_, DataFusionError>(concat(&cells)?)
            };
            let columns = (0..schema.fields().len()).map(column).collect::<PlanResult<Vec<_>>>()?;
            Ok(Some(RecordBatch::try_new(values.schema.inner().clone(), columns)?))
        }
        LogicalPlan::SubqueryAlias(alias) => match rows(&alias.input, state)? {
            Some(input) => Ok(Some(input.with_schema(alias.schema.inner().clone())?)),
            None => Ok(None),
        },
        LogicalPlan::Projection(projection) => {
            let Some(input) = rows(&projection.input, state)? else { return Ok(None) };
            let column = |expr: &Expr| {
                let physical = state.create_physical_expr(expr.clone(), projection.input.schema())?;
                physical.evaluate(&input)?.into_array(input.num_rows())
            };
            let columns = projection.expr.iter().map(column).collect::<PlanResult<Vec<_>>>()?;
            Ok(Some(RecordBatch::try_new(projection.schema.inner().clone(), columns)?))
        }
        _ => Ok(None),
    }
}

fn cell_of(cell: &Expr, nothing: &RecordBatch, state: &SessionState) -> PlanResult<ArrayRef> {
    match cell {
        Expr::Literal(value, _) if value.data_type() == DataType::Null => Ok(new_null_array(&DataType::Null, 1)),
        Expr::Literal(value, _) => value.to_array(),
        other => {
            let none = datafusion::common::DFSchema::empty();
            state.create_physical_expr(other.clone(), &none)?.evaluate(nothing)?.into_array(1)
        }
    }
}

/// Rows that are there already.
pub(crate) struct Rows(pub(crate) RecordBatch);

#[async_trait]
impl Prepared for Rows {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }

    fn columns_read(&self) -> Vec<(RelationKey, Vec<String>)> {
        Vec::new()
    }

    fn explain(&self, _: ExplainMode) -> Result<String> {
        Ok(format!("== Physical Plan ==\nLocalTableScan: rows={}\n", self.0.num_rows()))
    }

    async fn run(self: Box<Self>) -> Result<RowStream> {
        Ok(Box::pin(futures::stream::iter([Ok(self.0)])))
    }
}
