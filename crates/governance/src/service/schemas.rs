//! Schemas.

use crannog_security::actions::{catalogs, schemas};
use crannog_security::{Kind, Permit, Visible};
use crannog_store::Db;
use crannog_types::{Page, Paged, Problem, Result, SecurableId, check_name, fold};

use super::containers::{self, NewContainer};
use crate::Governance;
use crate::model::objects::{Change, Container};
use crate::sql::{self, NewObject};

/// Makes a schema in the permit's catalog; its maker owns it.
pub async fn create(db: &Db, permit: &Permit<catalogs::CreateSchema>, new: &NewContainer) -> Result<Container> {
    let name = check_name(&new.name)?;
    if fold(&name) == "information_schema" {
        return Err(Problem::invalid("the schema name 'information_schema' is reserved").hint("choose another name"));
    }
    let catalog = permit.target();
    let tx = db.write_moving(permit, sql::audit("createSchema", &catalog.name.child(&name))).await?;
    let object = NewObject {
        id: SecurableId::new(),
        kind: Kind::Schema,
        parent: catalog.id,
        above: &catalog.name,
        name: &name,
        owner: permit.who().id,
        comment: new.comment.as_deref(),
    };
    containers::create(tx, object, &new.properties).await
}

/// One schema.
pub async fn get(db: &Db, permit: &Permit<schemas::ReadMetadata>) -> Result<Container> {
    containers::get(db, permit).await
}

/// The schemas of a catalog that the caller may see, by name.
pub async fn list(db: &Db, visible: &Visible<schemas::ReadMetadata>, page: &Page) -> Result<Paged<Container>> {
    containers::list(db, visible, containers::SCHEMAS, page).await
}

/// Changes a schema.
pub async fn update(db: &Db, permit: &Permit<schemas::Manage>, change: &Change) -> Result<Container> {
    containers::update(db, permit, "updateSchema", change).await
}

/// Drops a schema; with `force` everything in it too.
pub async fn delete(governance: &Governance, permit: &Permit<schemas::Manage>, force: bool) -> Result<()> {
    containers::delete(governance, permit, "deleteSchema", force).await
}
