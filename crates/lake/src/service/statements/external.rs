//! Tables in folders that are not ours.
//!
//! A Delta table that is there is taken as it is. Otherwise its log is begun, in a task that no cancel and no disconnect ends
//! and under an intent: the first commit and the table's row in the catalog are both there in the end, or neither is
//! ([`crate::service::begun`]).

use crannog_governance::service::locations;
use crannog_governance::service::tables::{self as table_verbs, Files};
use crannog_security::actions::{metastore, schemas};
use crannog_security::{NameOf, Permit};
use crannog_storage::{Access, Folder, Location};
use crannog_store::until_won;
use crannog_types::{Code, Problem, Result, SecurableId};

use super::create::{NewDelta, first_files, write_first};
use super::write::rows_of;
use super::{Lake, Run};
use crate::ports::RowStream;
use crate::service::arbiter::{Author, NewFiles};
use crate::service::begun;

impl Run {
    pub(super) async fn create_external(
        &self,
        permit: Permit<schemas::CreateTable>,
        new: NewDelta,
        location: &str,
        rows: Option<RowStream>,
    ) -> Result<(SecurableId, Option<i64>)> {
        let governance = &self.lake.governance;
        let admin = self.caller.ask::<metastore::Administer>(NameOf::root()).await.map_err(|problem| {
            problem.hint(
                "external locations are given to tables by administrators; leave LOCATION out for a managed table",
            )
        })?;
        let location = Location::parse(location)?;
        governance.storage.check_external(&location)?;
        let folder = governance.storage.open(&admin, &location, Access::ReadWrite)?;
        let there = match self.lake.arbiter.open(&folder).await {
            Ok(state) => Some(state),
            Err(problem) if problem.code() == Code::NotFound => None,
            Err(problem) => return Err(problem),
        };
        let Some(state) = there else {
            if new.schema.fields.is_empty() {
                return Err(Problem::not_found(format!("there is no Delta table at {location}"))
                    .reason("DELTA_TABLE_NOT_FOUND")
                    .sql_state("42P01")
                    .hint("name the columns of the table that is to be made there"));
            }
            let files = first_files(&self.lake.arbiter, &folder, &new, rows).await?;
            let written = new.as_select.then(|| rows_of(files.adds()));
            let (lake, author) = (self.lake.clone(), self.author());
            let both = async move { begin(&lake, &permit, &folder, &location, new, files, &author).await };
            let id = self.lake.follower.to_its_end(&self.caller, both).await?;
            return Ok((id, written));
        };
        if rows.is_some() || (!new.schema.fields.is_empty() && new.schema != *state.schema) {
            return Err(Problem::new(
                Code::AlreadyExists,
                format!("there is a Delta table at {location} with other columns"),
            )
            .reason("DELTA_CREATE_TABLE_SCHEME_MISMATCH")
            .sql_state("42KD7")
            .hint("leave the columns out to take the table as it is"));
        }
        let adopted = NewDelta {
            schema: (*state.schema).clone(),
            properties: state.metadata.configuration.clone(),
            metadata: (*state.metadata).clone(),
            version: state.version,
            ..new
        };
        let row = adopted.row(Files::External(location));
        let made = until_won(|| table_verbs::create(&governance.db, &permit, &row)).await?;
        Ok((made.object.id, None))
    }
}

/// The first commit and the table's row.
async fn begin(
    lake: &Lake,
    permit: &Permit<schemas::CreateTable>,
    folder: &Folder,
    location: &Location,
    new: NewDelta,
    files: NewFiles,
    author: &Author,
) -> Result<SecurableId> {
    let log = locations::begin_log(&lake.governance, permit, location, new.metadata.id.clone()).await?;
    let made = async {
        write_first(&lake.arbiter, folder, &new, false, author, files).await?;
        let row = new.row(Files::Begun(log.clone()));
        until_won(|| table_verbs::create(&lake.governance.db, permit, &row)).await
    };
    let problem = match made.await {
        Ok(made) => return Ok(made.object.id),
        Err(problem) => problem,
    };
    lake.arbiter.forget(location);
    if let Err(cause) = begun::give_up(&lake.governance, folder, &log).await {
        tracing::warn!(%location, cause = cause.chain(), "a log that was begun in vain stays until the next start");
    }
    Err(problem)
}
