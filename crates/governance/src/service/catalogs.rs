//! Catalogs.

use crannog_security::actions::{catalogs, metastore};
use crannog_security::{Kind, Permit, Visible};
use crannog_store::{Db, Row, params};
use crannog_types::{FullName, Page, Paged, Problem, Result, SecurableId, check_name, fold};

use crate::model::objects::{Change, Container, Properties};
use crate::sql::{self, NewObject, OBJECT_COLUMNS, object_columns, object_joins, visible_children};
use crate::{Governance, service};

/// A catalog that somebody wants.
#[derive(Clone, Debug, Default)]
pub struct NewContainer {
    /// Its name: one part.
    pub name: String,
    /// What people say of it.
    pub comment: Option<String>,
    /// Its properties.
    pub properties: Properties,
}

pub(crate) fn container(row: &Row, above: &FullName) -> Result<Container> {
    Ok(Container {
        object: sql::object(row, above)?,
        properties: sql::from_json(&row.text(OBJECT_COLUMNS)?)?,
        storage_root: row.opt_text(OBJECT_COLUMNS + 1)?,
    })
}

/// Makes a catalog; its maker owns it.
pub async fn create(db: &Db, permit: &Permit<metastore::CreateCatalog>, new: &NewContainer) -> Result<Container> {
    let name = check_name(&new.name)?;
    let root = FullName::of(Vec::<String>::new());
    if ["system", "__databricks_internal", "hive_metastore"].contains(&fold(&name).as_str()) {
        return Err(Problem::invalid(format!("the catalog name '{name}' is reserved")).hint("choose another name"));
    }
    let mut tx = db.write(permit, sql::audit("createCatalog", &root.child(&name))).await?;
    let id = SecurableId::new();
    let object = NewObject {
        id,
        kind: Kind::Catalog,
        parent: SecurableId::METASTORE,
        above: &root,
        name: &name,
        owner: permit.who().id,
        comment: new.comment.as_deref(),
    };
    sql::insert(&mut tx, object).await?;
    insert_container(&mut tx, id, &new.properties).await?;
    let made = tx.row(ONE, params![id]).await?;
    tx.commit().await?;
    made.map_or_else(|| Err(gone()), |row| container(&row, &root))
}

pub(crate) async fn insert_container(
    tx: &mut crannog_store::Tx,
    id: SecurableId,
    properties: &Properties,
) -> Result<()> {
    tx.run(
        "INSERT INTO container (id, properties, storage_root) VALUES ($1, $2, $3)",
        params![id, sql::to_json(properties), Option::<String>::None],
    )
    .await?;
    Ok(())
}

const ONE: &str = concat!(
    "SELECT ",
    object_columns!(),
    ", c.properties, c.storage_root",
    object_joins!(),
    " JOIN container c ON c.id = s.id WHERE s.id = $1"
);

/// One catalog.
pub async fn get(db: &Db, permit: &Permit<catalogs::ReadMetadata>) -> Result<Container> {
    let row = db.read(permit).row(ONE, params![permit.target().id]).await?.ok_or_else(gone)?;
    container(&row, &sql::above(&permit.target().name))
}

/// The catalogs that the caller may see, by name.
pub async fn list(db: &Db, visible: &Visible<catalogs::ReadMetadata>, page: &Page) -> Result<Paged<Container>> {
    const LIST: &str = concat!(
        "SELECT ",
        object_columns!(),
        ", c.properties, c.storage_root",
        object_joins!(),
        " JOIN container c ON c.id = s.id",
        visible_children!("catalog")
    );
    let Some(params) = sql::list_params(visible, page) else { return Ok(Paged { rows: Vec::new(), next: None }) };
    let rows = db.read(visible).rows(LIST, params).await?;
    let found = rows.iter().map(|row| container(row, &visible.scope().name)).collect::<Result<Vec<_>>>()?;
    Ok(page.cut(found, |catalog| fold(catalog.object.name.last())))
}

/// Changes a catalog.
pub async fn update(db: &Db, permit: &Permit<catalogs::Manage>, change: &Change) -> Result<Container> {
    let target = permit.target();
    let mut tx = db.write(permit, sql::audit("updateCatalog", &target.name)).await?;
    service::apply(&mut tx, target.id, Kind::Catalog, &target.name, change).await?;
    if let Some(properties) = &change.properties {
        set_properties(&mut tx, target.id, properties).await?;
    }
    let row = tx.row(ONE, params![target.id]).await?.ok_or_else(gone)?;
    tx.commit().await?;
    container(&row, &sql::above(&target.name))
}

pub(crate) async fn set_properties(tx: &mut crannog_store::Tx, id: SecurableId, properties: &Properties) -> Result<()> {
    tx.run("UPDATE container SET properties = $1 WHERE id = $2", params![sql::to_json(properties), id]).await?;
    Ok(())
}

/// Drops a catalog; with `force` everything in it too.
pub async fn delete(governance: &Governance, permit: &Permit<catalogs::Manage>, force: bool) -> Result<()> {
    let target = permit.target();
    let mut tx = governance.db.write(permit, sql::audit("deleteCatalog", &target.name)).await?;
    let mut intents = Vec::new();
    if force {
        intents = super::locations::drop_below(&mut tx, target.id).await?;
    } else {
        // The schema that every catalog is made with does not make it a catalog in use.
        let lone = tx.rows("SELECT id, folded FROM securable WHERE parent = $1 LIMIT 2", params![target.id]).await?;
        if let [row] = lone.as_slice()
            && row.text(1)? == "default"
        {
            let schema = row.securable(0)?;
            let inside = tx.row("SELECT 1 FROM securable WHERE parent = $1", params![schema]).await?;
            if inside.is_none() {
                tx.run("DELETE FROM securable WHERE id = $1", params![schema]).await?;
            }
        }
        service::refuse_unless_empty(&mut tx, target.id, Kind::Catalog, &target.name).await?;
    }
    tx.run("DELETE FROM securable WHERE id = $1", params![target.id]).await?;
    tx.bump().await?;
    tx.commit().await?;
    super::locations::finish_deleting(governance, permit, intents).await
}

pub(crate) fn gone() -> Problem {
    Problem::new(crannog_types::Code::NotFound, "it was deleted a moment ago").reason("RESOURCE_DOES_NOT_EXIST")
}
