//! The first start: an administrator, a token, a set-up link, and a place to put tables.
//!
//! It is several steps over files and the database, and the machine may stop between any two of them. A file says that it is
//! under way; a start that finds it does the rest, and no step minds being done twice.

use std::sync::Arc;

use crannog_governance::service::catalogs;
use crannog_governance::service::containers::NewContainer;
use crannog_governance::service::schemas;
use crannog_identity::{FirstStart, Secret};
use crannog_kit::Credentials;
use crannog_kit::endpoint::Authenticate;
use crannog_security::actions::catalogs::CreateSchema;
use crannog_security::actions::metastore::CreateCatalog;
use crannog_security::{NameOf, Origin};
use crannog_store::Db;
use crannog_types::{Code, FullName, Problem};

use super::components::Components;
use super::folder::DataFolder;
use crate::cli::Failure;

/// The administrator's user name until they choose another.
const ADMIN: &str = "admin@localhost";

/// There while the first start is under way.
const UNDER_WAY: &str = "first-start";

/// The administrator's token, for who can read the data folder.
pub(super) const TOKEN: &str = "admin.token";

/// A first start that is to be finished.
pub(super) struct Fresh(Option<FirstStart>);

/// What the first start has to say.
pub(super) struct Welcome {
    /// Of the one-time link; gone when an earlier process was cut off after making it.
    pub(super) setup_code: Option<Secret>,
}

/// Sets an empty database up; `None` when all was done before.
pub(super) async fn begin(db: &Db, folder: &DataFolder) -> Result<Option<Fresh>, Failure> {
    let under_way = folder.path().join(UNDER_WAY);
    let resumed = under_way.exists();
    if !resumed && folder.path().join(TOKEN).exists() {
        // An installation; `bootstrap` would find so too.
        return Ok(None);
    }
    if !resumed {
        folder.write_private(UNDER_WAY, "the first start did not end; the next one goes on with it\n")?;
    }
    let made = crannog_identity::bootstrap(db, ADMIN).await?;
    if made.is_none() && !resumed {
        // Somebody removed the token's file from a complete installation: that is theirs to do.
        remove(&under_way)?;
        return Ok(None);
    }
    Ok(Some(Fresh(made)))
}

/// Does what the first start does once the components are there.
pub(super) async fn finish(
    components: &Components,
    folder: &DataFolder,
    fresh: Option<Fresh>,
) -> Result<Option<Welcome>, Failure> {
    let Some(Fresh(made)) = fresh else { return Ok(None) };
    let (token, setup_code) = match made {
        Some(made) => (made.token, Some(made.setup_code)),
        None => (components.identity.create_admin_token().await?, None),
    };
    let who = components.identity.authenticate(&Credentials::Bearer(token.reveal().to_owned()), None).await?;
    let db = &components.governance.db;
    let everybody = components.identity.ground().account_users;
    crannog_lake::service::warehouses::bootstrap(db, who.id, everybody).await?;
    let origin = Origin { request_id: "first-start".to_owned(), ..Origin::default() };
    let caller = components.authority.caller(who, Arc::new(origin));
    let permit = caller.ask::<CreateCatalog>(NameOf::root()).await?;
    let named = |name: &str, comment: &str| NewContainer {
        name: name.to_owned(),
        comment: Some(comment.to_owned()),
        ..NewContainer::default()
    };
    there(catalogs::create(db, &permit, &named("main", "made at the first start")).await)?;
    let permit = caller.ask::<CreateSchema>(NameOf::named(FullName::of(["main"]))).await?;
    there(schemas::create(db, &permit, &named("default", "made at the first start")).await)?;
    folder.write_private(TOKEN, &format!("{}\n", token.reveal()))?;
    remove(&folder.path().join(UNDER_WAY))?;
    Ok(Some(Welcome { setup_code }))
}

/// What is there already was made by the process that was cut off.
fn there<T>(made: Result<T, Problem>) -> Result<(), Failure> {
    match made {
        Ok(_) => Ok(()),
        Err(problem) if problem.code() == Code::AlreadyExists => Ok(()),
        Err(problem) => Err(problem.into()),
    }
}

fn remove(file: &std::path::Path) -> Result<(), Failure> {
    std::fs::remove_file(file).map_err(|error| Failure::new(format!("{} cannot be removed: {error}", file.display())))
}
