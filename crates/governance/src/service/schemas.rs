//! Schemas.

use crannog_security::actions::{catalogs, schemas};
use crannog_security::{Kind, Permit, Visible};
use crannog_store::{Db, params};
use crannog_types::{Page, Paged, Problem, Result, SecurableId, check_name, fold};

use super::catalogs::{NewContainer, container, gone, insert_container, set_properties};
use crate::model::objects::{Change, Container};
use crate::sql::{self, NewObject, object_columns, object_joins, visible_children};
use crate::{Governance, service};

const ONE: &str = concat!(
    "SELECT ",
    object_columns!(),
    ", c.properties, c.storage_root",
    object_joins!(),
    " JOIN container c ON c.id = s.id WHERE s.id = $1"
);

/// Makes a schema in the permit's catalog; its maker owns it.
pub async fn create(db: &Db, permit: &Permit<catalogs::CreateSchema>, new: &NewContainer) -> Result<Container> {
    let name = check_name(&new.name)?;
    if fold(&name) == "information_schema" {
        return Err(Problem::invalid("the schema name 'information_schema' is reserved").hint("choose another name"));
    }
    let catalog = permit.target();
    let mut tx = db.write(permit, sql::audit("createSchema", &catalog.name.child(&name))).await?;
    let id = SecurableId::new();
    let object = NewObject {
        id,
        kind: Kind::Schema,
        parent: catalog.id,
        above: &catalog.name,
        name: &name,
        owner: permit.who().id,
        comment: new.comment.as_deref(),
    };
    sql::insert(&mut tx, object).await?;
    insert_container(&mut tx, id, &new.properties).await?;
    let made = tx.row(ONE, params![id]).await?;
    tx.commit().await?;
    made.map_or_else(|| Err(gone()), |row| container(&row, &catalog.name))
}

/// One schema.
pub async fn get(db: &Db, permit: &Permit<schemas::ReadMetadata>) -> Result<Container> {
    let row = db.read(permit).row(ONE, params![permit.target().id]).await?.ok_or_else(gone)?;
    container(&row, &sql::above(&permit.target().name))
}

/// The schemas of a catalog that the caller may see, by name.
pub async fn list(db: &Db, visible: &Visible<schemas::ReadMetadata>, page: &Page) -> Result<Paged<Container>> {
    const LIST: &str = concat!(
        "SELECT ",
        object_columns!(),
        ", c.properties, c.storage_root",
        object_joins!(),
        " JOIN container c ON c.id = s.id",
        visible_children!("schema")
    );
    let Some(params) = sql::list_params(visible, page) else { return Ok(Paged { rows: Vec::new(), next: None }) };
    let rows = db.read(visible).rows(LIST, params).await?;
    let found = rows.iter().map(|row| container(row, &visible.scope().name)).collect::<Result<Vec<_>>>()?;
    Ok(page.cut(found, |schema| fold(schema.object.name.last())))
}

/// Changes a schema.
pub async fn update(db: &Db, permit: &Permit<schemas::Manage>, change: &Change) -> Result<Container> {
    let target = permit.target();
    let mut tx = db.write(permit, sql::audit("updateSchema", &target.name)).await?;
    service::apply(&mut tx, target.id, Kind::Schema, &target.name, change).await?;
    if let Some(properties) = &change.properties {
        set_properties(&mut tx, target.id, properties).await?;
    }
    let row = tx.row(ONE, params![target.id]).await?.ok_or_else(gone)?;
    tx.commit().await?;
    container(&row, &sql::above(&target.name))
}

/// Drops a schema; with `force` everything in it too.
pub async fn delete(governance: &Governance, permit: &Permit<schemas::Manage>, force: bool) -> Result<()> {
    let target = permit.target();
    let mut tx = governance.db.write(permit, sql::audit("deleteSchema", &target.name)).await?;
    let mut intents = Vec::new();
    if force {
        intents = super::locations::drop_below(&mut tx, target.id).await?;
    } else {
        service::refuse_unless_empty(&mut tx, target.id, Kind::Schema, &target.name).await?;
    }
    tx.run("DELETE FROM securable WHERE id = $1", params![target.id]).await?;
    tx.bump().await?;
    tx.commit().await?;
    super::locations::finish_deleting(governance, permit, intents).await
}
