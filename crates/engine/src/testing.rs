//! What tests of this crate drive: the inner functions without permits, which only `security` can make.
//!
//! Not part of the interface: a server that called these would read tables that nobody allowed.

use std::sync::Arc;

use crannog_lake::model::actions::Add;
use crannog_lake::model::state::{Loaded, TableState};
use crannog_lake::ports::{Prepared, RowStream, Session, WriteSpec};
use crannog_types::Result;
use datafusion::catalog::TableProvider;
use datafusion::sql::sqlparser::ast::Query;
use object_store::ObjectStore;

use crate::bind::Source;
use crate::footers::Readers;
pub use crate::scan::{Opened, opened};
use crate::write::Limits;
use crate::{Planner, kernel, plan, scan, write};

/// A table's provider.
pub fn table(name: &str, store: Arc<dyn ObjectStore>, state: Arc<TableState>) -> Result<Arc<dyn TableProvider>> {
    let readers = Readers::new(Arc::clone(&store), Arc::default(), name.into());
    Ok(Arc::new(scan::DeltaTable::new(name.to_owned(), store, readers, state)?))
}

/// A query over these tables, by their names in the session's schema.
pub async fn prepare(
    planner: &Planner,
    query: Query,
    session: Session,
    tables: Vec<(&str, Arc<dyn TableProvider>)>,
) -> Result<Box<dyn Prepared>> {
    let key = |name: &str| vec![session.catalog.clone(), session.schema.clone(), name.to_owned()];
    let sources = tables.into_iter().map(|(name, table)| (key(name), Source::Provider(table))).collect();
    planner.prepare_over(plan::facts(session.clone())?, query, sources, None).await
}

/// The newest version, or the one given.
pub async fn load(store: Arc<dyn ObjectStore>, version: Option<i64>) -> Result<Option<(i64, Loaded)>> {
    kernel::load(store, version).await
}

/// Writes rows into data files.
pub async fn write(store: Arc<dyn ObjectStore>, spec: &WriteSpec, limits: Limits, rows: RowStream) -> Result<Vec<Add>> {
    write::write(store, spec, limits, rows).await
}
