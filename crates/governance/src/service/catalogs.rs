//! Catalogs.

use crannog_security::actions::{catalogs, metastore};
use crannog_security::{Kind, Permit, Visible};
use crannog_store::Db;
use crannog_types::{FullName, Page, Paged, Problem, Result, SecurableId, check_name, fold};

use super::containers::{self, NewContainer};
use crate::Governance;
use crate::model::objects::{Change, Container};
use crate::sql::{self, NewObject};

/// Makes a catalog; its maker owns it.
pub async fn create(db: &Db, permit: &Permit<metastore::CreateCatalog>, new: &NewContainer) -> Result<Container> {
    let name = check_name(&new.name)?;
    let root = FullName::of(Vec::<String>::new());
    if ["system", "__databricks_internal", "hive_metastore"].contains(&fold(&name).as_str()) {
        return Err(Problem::invalid(format!("the catalog name '{name}' is reserved")).hint("choose another name"));
    }
    let tx = db.write_moving(permit, sql::audit("createCatalog", &root.child(&name))).await?;
    let object = NewObject {
        id: SecurableId::new(),
        kind: Kind::Catalog,
        parent: SecurableId::METASTORE,
        above: &root,
        name: &name,
        owner: permit.who().id,
        comment: new.comment.as_deref(),
    };
    containers::create(tx, object, &new.properties).await
}

/// One catalog.
pub async fn get(db: &Db, permit: &Permit<catalogs::ReadMetadata>) -> Result<Container> {
    containers::get(db, permit).await
}

/// The catalogs that the caller may see, by name.
pub async fn list(db: &Db, visible: &Visible<catalogs::ReadMetadata>, page: &Page) -> Result<Paged<Container>> {
    containers::list(db, visible, containers::CATALOGS, page).await
}

/// Changes a catalog.
pub async fn update(db: &Db, permit: &Permit<catalogs::Manage>, change: &Change) -> Result<Container> {
    containers::update(db, permit, "updateCatalog", change).await
}

/// Drops a catalog; with `force` everything in it too.
pub async fn delete(governance: &Governance, permit: &Permit<catalogs::Manage>, force: bool) -> Result<()> {
    containers::delete(governance, permit, "deleteCatalog", force).await
}
