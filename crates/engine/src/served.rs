//! Tables whose rows another component reads while the query runs, as DataFusion reads them.
//!
//! Of a query's conditions, those that a text column has one of some values are said to the component, which may read less for
//! it. All of them run above the scan once more.

use std::sync::Arc;

use async_trait::async_trait;
use crannog_lake::ports::{Served, Wanted};
use crannog_lake::service::statements::answer::schema_of;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::TryStreamExt;

/// Such a table.
#[derive(Debug)]
pub(crate) struct ServedTable {
    served: Arc<dyn Served>,
    schema: SchemaRef,
}

impl ServedTable {
    pub(crate) fn new(served: Arc<dyn Served>) -> Self {
        ServedTable { schema: schema_of(served.columns()), served }
    }
}

#[async_trait]
impl TableProvider for ServedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let told = |filter: &&Expr| match one_of(filter) {
            Some(_) => TableProviderFilterPushDown::Inexact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(told).collect())
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let schema = Arc::new(self.schema.project(&columns)?);
        let only = filters.iter().filter_map(one_of).filter_map(|(column, texts)| {
            let place = self.schema.index_of(column).ok()?;
            Some((place, texts))
        });
        let wanted = Wanted { only: only.collect(), columns };
        let rows: Arc<dyn PartitionStream> =
            Arc::new(Rows { served: Arc::clone(&self.served), schema: Arc::clone(&schema), wanted });
        Ok(Arc::new(StreamingTableExec::try_new(schema, vec![rows], None, None, false, limit)?))
    }
}

/// The column and the texts of a condition that it has one of them.
fn one_of(condition: &Expr) -> Option<(&str, Vec<String>)> {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            let (column, value) = match (&**left, &**right) {
                (Expr::Column(column), value) | (value, Expr::Column(column)) => (column, value),
                _ => return None,
            };
            Some((&column.name, vec![text(value)?]))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            let ((column, mut texts), (other, more)) = (one_of(left)?, one_of(right)?);
            texts.extend(more);
            (column == other).then_some((column, texts))
        }
        Expr::InList(InList { expr, list, negated: false }) => {
            let Expr::Column(column) = &**expr else { return None };
            Some((&column.name, list.iter().map(text).collect::<Option<_>>()?))
        }
        _ => None,
    }
}

fn text(value: &Expr) -> Option<String> {
    match value {
        Expr::Literal(
            ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)),
            _,
        ) => Some(text.clone()),
        _ => None,
    }
}

#[derive(Debug)]
struct Rows {
    served: Arc<dyn Served>,
    schema: SchemaRef,
    wanted: Wanted,
}

impl PartitionStream for Rows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.served.rows(self.wanted.clone());
        let rows = rows.map_err(|problem| DataFusionError::External(Box::new(problem)));
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{col, lit};

    use super::*;

    #[test]
    fn texts_that_a_column_must_have_are_found() {
        let found = |condition: Expr| one_of(&condition).map(|(column, texts)| (column.to_owned(), texts.join(",")));
        let of = |column: &str, texts: &str| Some((column.to_owned(), texts.to_owned()));
        assert_eq!(found(col("a").eq(lit("x"))), of("a", "x"));
        assert_eq!(found(lit("x").eq(col("a"))), of("a", "x"));
        assert_eq!(found(col("a").in_list(vec![lit("x"), lit("y")], false)), of("a", "x,y"));
        assert_eq!(found(col("a").eq(lit("x")).or(col("a").eq(lit("y")))), of("a", "x,y"));
        for other in [
            col("a").eq(lit("x")).or(col("b").eq(lit("y"))),
            col("a").in_list(vec![lit("x")], true),
            col("a").not_eq(lit("x")),
            col("a").eq(lit(1)),
            col("a").eq(col("b")),
            col("a").in_list(vec![lit("x"), col("b")], false),
        ] {
            assert_eq!(found(other.clone()), None, "{other}");
        }
    }
}
