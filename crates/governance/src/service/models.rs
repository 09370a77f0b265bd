//! Registered models as governed objects: their names, owners and comments. What versions, aliases and tags they have is
//! `tracking`'s, which changes it in the same transactions; dropping a model drops all of it.

use crannog_security::actions::{Action, models, schemas};
use crannog_security::{Kind, Permit, Visible, kinds};
use crannog_store::query::Expr;
use crannog_store::{Db, Row, Tx, params};
use crannog_types::{FullName, Page, Paged, Result, SecurableId, check_name, fold};

use super::containers::gone;
use crate::model::objects::{Change, Model};
use crate::service;
use crate::sql::{self, NewObject, object_columns, object_joins, visible_children};

const ONE: &str = concat!("SELECT ", object_columns!(), object_joins!(), " WHERE s.id = $1");

fn model(row: &Row, above: &FullName) -> Result<Model> {
    Ok(Model { object: sql::object(row, above)? })
}

/// Begins to register a model in the permit's schema; its maker owns it. Whoever calls adds to the transaction and commits.
///
/// # Errors
/// A name that is none, or taken.
pub async fn create(
    db: &Db,
    permit: &Permit<schemas::CreateModel>,
    name: &str,
    comment: Option<&str>,
) -> Result<(Tx, SecurableId)> {
    let name = check_name(name)?;
    let schema = permit.target();
    let mut tx = db.write_moving(permit, sql::audit("createRegisteredModel", &schema.name.child(&name))).await?;
    let id = SecurableId::new();
    let object = NewObject {
        id,
        kind: Kind::Model,
        parent: schema.id,
        above: &schema.name,
        name: &name,
        owner: permit.who().id,
        comment,
    };
    sql::insert(&mut tx, object).await?;
    Ok((tx, id))
}

/// One model: any permit on it tells what it is.
pub async fn get<A: Action<On = kinds::Model>>(db: &Db, permit: &Permit<A>) -> Result<Model> {
    let row = db.read(permit).row(ONE, params![permit.target().id]).await?.ok_or_else(gone)?;
    model(&row, &sql::above(&permit.target().name))
}

/// The same with a permit on its schema, for a model that was made with it.
pub async fn made(db: &Db, permit: &Permit<schemas::CreateModel>, id: SecurableId) -> Result<Model> {
    let row = db.read(permit).row(ONE, params![id]).await?.ok_or_else(gone)?;
    model(&row, &permit.target().name)
}

/// The models of a schema that the caller may see, by name.
pub async fn list(db: &Db, visible: &Visible<models::ReadMetadata>, page: &Page) -> Result<Paged<Model>> {
    const LIST: &str = concat!("SELECT ", object_columns!(), object_joins!(), visible_children!("registered_model"));
    let Some(params) = sql::list_params(visible, page) else { return Ok(Paged { rows: Vec::new(), next: None }) };
    let rows = db.read(visible).rows(LIST, params).await?;
    let found = rows.iter().map(|row| model(row, &visible.scope().name)).collect::<Result<Vec<_>>>()?;
    Ok(page.cut(found, |model| fold(model.object.name.last())))
}

/// The condition of a built query that a securable called s is a model which the caller may see, in one of some schemas:
/// what [`list`] shows of each of them.
pub fn seen(schemas: &[Visible<models::ReadMetadata>]) -> Expr {
    sql::seen("s", schemas)
}

/// Changes a model's name, owner or comment.
pub async fn update(db: &Db, permit: &Permit<models::Manage>, change: &Change) -> Result<Model> {
    let target = permit.target();
    let mut tx = db.write_moving(permit, sql::audit("updateRegisteredModel", &target.name)).await?;
    service::apply(&mut tx, target.id, Kind::Model, &target.name, change).await?;
    let row = tx.row(ONE, params![target.id]).await?.ok_or_else(gone)?;
    tx.commit().await?;
    model(&row, &sql::above(&target.name))
}

/// Says when and by whom a model was last changed: its versions, aliases and tags are changes of it.
pub async fn touch(tx: &mut Tx, id: SecurableId) -> Result<()> {
    sql::touch(tx, id).await
}

/// Drops a model with its versions.
pub async fn delete(db: &Db, permit: &Permit<models::Manage>) -> Result<()> {
    let target = permit.target();
    let mut tx = db.write_moving(permit, sql::audit("deleteRegisteredModel", &target.name)).await?;
    drop_files(&mut tx, target.id).await?;
    tx.run("DELETE FROM securable WHERE id = $1", params![target.id]).await?;
    tx.bump().await?;
    Ok(tx.commit().await?)
}

/// Forgets what a model's versions call their files: no key of the database ties them to it. Of other objects there are none.
pub(crate) async fn drop_files(tx: &mut Tx, id: SecurableId) -> Result<()> {
    let (from, to) = (format!("versions/{id}/"), format!("versions/{id}0"));
    tx.run("DELETE FROM artifact WHERE root > $1 AND root < $2", params![from, to]).await?;
    Ok(())
}
