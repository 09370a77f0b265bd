//! Volumes: folders of files under grants.

use crannog_security::actions::{Action, schemas, volumes};
use crannog_security::{Caller, Kind, Permit, Reference, Visible, kinds};
use crannog_storage::{Access, Folder, Location, Managed};
use crannog_store::{Db, Row, params, until_won};
use crannog_types::{FullName, Page, Paged, Result, SecurableId, check_name, fold};

use super::containers::gone;
use super::locations::{self, NewPlace};
use crate::model::objects::{Change, Volume};
use crate::sql::{self, NewObject, OBJECT_COLUMNS, object_columns, object_joins, visible_children};
use crate::{Governance, service};

const ONE: &str = concat!(
    "SELECT ",
    object_columns!(),
    ", v.volume_type, v.location",
    object_joins!(),
    " JOIN volume_info v ON v.id = s.id WHERE s.id = $1"
);

fn volume(row: &Row, above: &FullName) -> Result<Volume> {
    Ok(Volume {
        object: sql::object(row, above)?,
        managed: row.text(OBJECT_COLUMNS)? == "MANAGED",
        location: row.text(OBJECT_COLUMNS + 1)?,
    })
}

/// Makes a volume in the permit's schema; its maker owns it. Without a location it is managed.
pub async fn create(
    governance: &Governance,
    permit: &Permit<schemas::CreateVolume>,
    name: &str,
    comment: Option<&str>,
    location: Option<&Location>,
) -> Result<Volume> {
    let name = check_name(name)?;
    let place = match location {
        Some(_) => None,
        None => Some(locations::begin_managed(governance, permit, Managed::Volumes).await?),
    };
    let made = async {
        if let Some(place) = &place {
            governance.storage.open(permit, &place.location, Access::ReadWrite)?.make_dir("").await?;
        }
        until_won(|| insert(governance, permit, &name, comment, place.as_ref(), location)).await
    };
    match (made.await, place) {
        (Err(problem), Some(place)) => {
            locations::abandon(governance, permit, place).await;
            Err(problem)
        }
        (made, _) => made,
    }
}

/// The row of a new volume, in its place or where somebody keeps its files.
async fn insert(
    governance: &Governance,
    permit: &Permit<schemas::CreateVolume>,
    name: &str,
    comment: Option<&str>,
    place: Option<&NewPlace>,
    location: Option<&Location>,
) -> Result<Volume> {
    let schema = permit.target();
    let mut tx = governance.db.write_moving(permit, sql::audit("createVolume", &schema.name.child(name))).await?;
    let id = place.map_or_else(SecurableId::new, |place| place.id);
    let object = NewObject {
        id,
        kind: Kind::Volume,
        parent: schema.id,
        above: &schema.name,
        name,
        owner: permit.who().id,
        comment,
    };
    sql::insert(&mut tx, object).await?;
    let at = match (place, location) {
        (Some(place), _) => {
            locations::keep(&mut tx, place).await?;
            place.location.to_string()
        }
        (None, Some(location)) => {
            locations::claim(&mut tx, id, &location.to_string()).await?;
            location.to_string()
        }
        (None, None) => return Err(gone()),
    };
    let kind = if place.is_some() { "MANAGED" } else { "EXTERNAL" };
    tx.run("INSERT INTO volume_info (id, volume_type, location) VALUES ($1, $2, $3)", params![id, kind, at]).await?;
    let row = tx.row(ONE, params![id]).await?.ok_or_else(gone)?;
    tx.commit().await?;
    volume(&row, &schema.name)
}

/// Whether the caller may read, write or manage a volume, or every volume of a schema: nobody else is told where its files
/// are.
pub async fn may_open(caller: &Caller, about: &Reference) -> Result<bool> {
    service::may_any(caller, [volumes::Read::RULE, volumes::Write::RULE, volumes::Manage::RULE], about).await
}

/// One volume: any permit on it tells what it is.
pub async fn get<A: Action<On = kinds::Volume>>(db: &Db, permit: &Permit<A>) -> Result<Volume> {
    let row = db.read(permit).row(ONE, params![permit.target().id]).await?.ok_or_else(gone)?;
    volume(&row, &sql::above(&permit.target().name))
}

/// The volumes of a schema that the caller may see, by name.
pub async fn list(db: &Db, visible: &Visible<volumes::ReadMetadata>, page: &Page) -> Result<Paged<Volume>> {
    const LIST: &str = concat!(
        "SELECT ",
        object_columns!(),
        ", v.volume_type, v.location",
        object_joins!(),
        " JOIN volume_info v ON v.id = s.id",
        visible_children!("volume")
    );
    let Some(params) = sql::list_params(visible, page) else { return Ok(Paged { rows: Vec::new(), next: None }) };
    let rows = db.read(visible).rows(LIST, params).await?;
    let found = rows.iter().map(|row| volume(row, &visible.scope().name)).collect::<Result<Vec<_>>>()?;
    Ok(page.cut(found, |volume| fold(volume.object.name.last())))
}

/// Changes a volume's name, owner or comment.
pub async fn update(db: &Db, permit: &Permit<volumes::Manage>, change: &Change) -> Result<Volume> {
    let target = permit.target();
    let mut tx = db.write_moving(permit, sql::audit("updateVolume", &target.name)).await?;
    service::apply(&mut tx, target.id, Kind::Volume, &target.name, change).await?;
    let row = tx.row(ONE, params![target.id]).await?.ok_or_else(gone)?;
    tx.commit().await?;
    volume(&row, &sql::above(&target.name))
}

/// Drops a volume; the files of a managed one too.
pub async fn delete(governance: &Governance, permit: &Permit<volumes::Manage>) -> Result<()> {
    let target = permit.target();
    let mut tx = governance.db.write_moving(permit, sql::audit("deleteVolume", &target.name)).await?;
    let row = tx
        .row("SELECT volume_type, location FROM volume_info WHERE id = $1", params![target.id])
        .await?
        .ok_or_else(gone)?;
    let mut intents = Vec::new();
    if row.text(0)? == "MANAGED" {
        intents.push(locations::intend_to_delete(&mut tx, &row.text(1)?).await?);
    }
    tx.run("DELETE FROM securable WHERE id = $1", params![target.id]).await?;
    tx.bump().await?;
    tx.commit().await?;
    locations::finish_deleting(governance, permit, intents).await
}

/// The files of a volume, to read.
pub async fn to_read(governance: &Governance, permit: &Permit<volumes::Read>) -> Result<Folder> {
    folder(governance, permit, Access::Read).await
}

/// The files of a volume, to read and write.
pub async fn to_write(governance: &Governance, permit: &Permit<volumes::Write>) -> Result<Folder> {
    folder(governance, permit, Access::ReadWrite).await
}

async fn folder<A: Action<On = kinds::Volume>>(
    governance: &Governance,
    permit: &Permit<A>,
    access: Access,
) -> Result<Folder> {
    let volume = get(&governance.db, permit).await?;
    let location = Location::parse(&volume.location)?;
    Ok(governance.storage.open(permit, &location, access)?)
}
