//! system tables.
use super::Run;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use crannog_types::Result;
pub(super) async fn relation(_run: &Run, _schema: &str, _table: &str) -> Result<Option<(SchemaRef, Vec<RecordBatch>)>> {
    Ok(None)
}
