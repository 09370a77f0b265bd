//! The server's own tables of the catalog `system`: `access.audit` and `query.history` say what was done, asked and refused,
//! `access.table_lineage` and `access.model_lineage` what flowed from where to where.
//!
//! The columns are Databricks', so that queries written for its system tables work; what this server does not measure is
//! NULL. An administrator sees every row of the first two, anybody else only rows about themselves; lineage is cut by what one may
//! see of what a row names. What was recorded a moment ago is written before it is read.
//!
//! Rows are read while the query runs ([`pages`]), all that there are, as those of other components are
//! ([`crate::ports::SystemTables`]).

mod audit;
mod history;
mod lineage;
mod pages;

use std::fmt::{self, Debug};
use std::sync::Arc;

use crannog_security::NameOf;
use crannog_security::actions::metastore;
use crannog_store::params;
use crannog_types::Result;

use self::pages::Look;
use super::answer::Columns;
use super::{Lake, Run};
use crate::on_server::OnServer;
use crate::ports::{RowStream, Served, SystemTable, Wanted};

/// A table of this component.
struct Table {
    schema: &'static str,
    name: &'static str,
    columns: Columns,
    rows: fn(Look, Wanted) -> RowStream,
}

const TABLES: &[Table] = &[
    Table { schema: "access", name: "audit", columns: audit::AUDIT, rows: audit::rows },
    Table { schema: "access", name: "table_lineage", columns: lineage::TABLE_LINEAGE, rows: lineage::of_tables },
    Table { schema: "access", name: "model_lineage", columns: lineage::MODEL_LINEAGE, rows: lineage::of_models },
    Table { schema: "query", name: "history", columns: history::HISTORY, rows: history::rows },
];

/// One of them, as somebody may see it.
struct Opened {
    table: &'static Table,
    look: Look,
}

impl Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "system.{}.{}", self.table.schema, self.table.name)
    }
}

impl Served for Opened {
    fn columns(&self) -> Columns {
        self.table.columns
    }

    fn rows(&self, wanted: Wanted) -> RowStream {
        (self.table.rows)(self.look.clone(), wanted)
    }
}

/// A system table as the caller may see it; `None` when there is no such table. Names are folded. Inside of a view that is whoever asks,
/// too, not the view's owner.
pub(super) async fn relation(run: &Run, schema: &str, name: &str) -> Result<Option<Arc<dyn Served>>> {
    let Some(table) = TABLES.iter().find(|table| table.schema == schema && table.name == name) else {
        return Ok(run.lake.system_tables.iter().find_map(|of| of.open(&run.caller, schema, name)));
    };
    let governance = run.lake.governance.clone();
    // The history records reads in the audit, and lineage is written with it: it goes first.
    run.lake.history.flush().await;
    run.lake.follower.flush().await;
    governance.authority.recorder().flush().await;
    let permit = run.caller.ask::<metastore::Read>(NameOf::root()).await?;
    let reader = governance.db.read(&permit);
    let setting = reader.row("SELECT value FROM setting WHERE name = 'workspace_id'", params![]).await?;
    let workspace = setting.map(|row| row.text(0)).transpose()?;
    let look = Look { governance, caller: run.caller.clone(), server: OnServer::here(), workspace };
    Ok(Some(Arc::new(Opened { table, look })))
}

/// All system tables.
pub(super) fn tables(lake: &Lake) -> impl Iterator<Item = SystemTable> {
    let own = TABLES.iter().map(|table| (table.schema, table.name, table.columns));
    own.chain(lake.system_tables.iter().flat_map(|of| of.tables()))
}

/// The columns of a system table; `None` when there is no such table. Names are folded.
pub(super) fn columns(lake: &Lake, schema: &str, table: &str) -> Option<Columns> {
    tables(lake).find(|(of, name, _)| *of == schema && *name == table).map(|(_, _, columns)| columns)
}

#[cfg(test)]
mod tests {
    use super::super::answer::batch;
    use super::*;

    #[test]
    fn empty_tables_have_all_their_columns() {
        for table in TABLES {
            let (schema, batch) = batch(table.columns, &[]).unwrap();
            assert_eq!((schema.fields().len(), batch.num_rows()), (table.columns.len(), 0));
        }
    }
}
