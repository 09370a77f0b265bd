//! Files as a table that DataFusion can scan: only the columns that a query uses are made.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use crannog_lake::model::StructType;
use crannog_lake::ports::FilesScan;
use crannog_types::Result;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::TableType;
use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::TryStreamExt;

use super::{Source, arrow_schema, metadata, same_name};

/// The rows of a [`FilesScan`] as a table. Its schema is [`arrow_schema`] of the given one, and `_metadata`.
pub(crate) struct FilesTable {
    source: Source,
    columns: StructType,
    schema: SchemaRef,
}

impl FilesTable {
    /// A table with the columns of `schema`, which [`super::infer`] gave.
    ///
    /// # Errors
    /// For options that are not understood.
    pub(crate) fn new(scan: &FilesScan, schema: &StructType) -> Result<Self> {
        Ok(Self::of(Source::of(scan)?, schema))
    }

    pub(super) fn of(source: Source, schema: &StructType) -> Self {
        let mut fields = arrow_schema(schema).fields().to_vec();
        if !schema.fields.iter().any(|field| same_name(&field.name, metadata::NAME)) {
            fields.push(Arc::new(metadata::field()));
        }
        Self { source, columns: schema.clone(), schema: Arc::new(Schema::new(fields)) }
    }
}

impl fmt::Debug for FilesTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FilesTable({}, {} files)", self.source.shown_as, self.source.files.len())
    }
}

#[async_trait]
impl TableProvider for FilesTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let projection: Vec<usize> = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let schema = Arc::new(self.schema.project(&projection)?);
        let partition = Partition {
            source: self.source.clone(),
            columns: self.columns.clone(),
            projection,
            schema: schema.clone(),
        };
        let partitions: Vec<Arc<dyn PartitionStream>> = vec![Arc::new(partition)];
        Ok(Arc::new(StreamingTableExec::try_new(schema, partitions, None, [], false, limit)?))
    }
}

struct Partition {
    source: Source,
    columns: StructType,
    projection: Vec<usize>,
    schema: SchemaRef,
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "files of {}", self.source.shown_as)
    }
}

impl PartitionStream for Partition {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.source.clone().rows(&self.columns, Some(&self.projection));
        let rows = rows.map_err(|problem| DataFusionError::External(Box::new(problem)));
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), rows))
    }
}
