//! What catalogs and schemas have in common: objects that hold objects, have properties, and may have a storage root.

use crannog_security::actions::Action;
use crannog_security::{Kind, Permit, Visible};
use crannog_store::{Db, Row, Tx, params};
use crannog_types::{Code, FullName, Page, Paged, Problem, Result, SecurableId, fold};

use crate::model::objects::{Change, Container, Properties};
use crate::sql::{self, NewObject, OBJECT_COLUMNS, object_columns, object_joins, visible_children};
use crate::{Governance, service};

/// A catalog or a schema that somebody wants.
#[derive(Clone, Debug, Default)]
pub struct NewContainer {
    /// Its name: one part.
    pub name: String,
    /// What people say of it.
    pub comment: Option<String>,
    /// Its properties.
    pub properties: Properties,
}

const ONE: &str = concat!(
    "SELECT ",
    object_columns!(),
    ", c.properties, c.storage_root",
    object_joins!(),
    " JOIN container c ON c.id = s.id WHERE s.id = $1"
);

/// The list of one kind.
macro_rules! list_of {
    ($kind:literal) => {
        concat!(
            "SELECT ",
            object_columns!(),
            ", c.properties, c.storage_root",
            object_joins!(),
            " JOIN container c ON c.id = s.id",
            visible_children!($kind)
        )
    };
}
pub(super) const CATALOGS: &str = list_of!("catalog");
pub(super) const SCHEMAS: &str = list_of!("schema");

fn read(row: &Row, above: &FullName) -> Result<Container> {
    Ok(Container {
        object: sql::object(row, above)?,
        properties: sql::from_json(&row.text(OBJECT_COLUMNS)?)?,
        storage_root: row.opt_text(OBJECT_COLUMNS + 1)?,
    })
}

/// Inserts one, with its properties, and commits.
pub(super) async fn create(mut tx: Tx, new: NewObject<'_>, properties: &Properties) -> Result<Container> {
    let (id, above) = (new.id, new.above.clone());
    sql::insert(&mut tx, new).await?;
    tx.run(
        "INSERT INTO container (id, properties, storage_root) VALUES ($1, $2, $3)",
        params![id, sql::to_json(properties), Option::<String>::None],
    )
    .await?;
    let made = tx.row(ONE, params![id]).await?.ok_or_else(gone)?;
    tx.commit().await?;
    read(&made, &above)
}

/// The permit's.
pub(super) async fn get<A: Action>(db: &Db, permit: &Permit<A>) -> Result<Container> {
    let row = db.read(permit).row(ONE, params![permit.target().id]).await?.ok_or_else(gone)?;
    read(&row, &sql::above(&permit.target().name))
}

/// Those that the caller may see, by name; `list` is [`CATALOGS`] or [`SCHEMAS`].
pub(super) async fn list<A: Action>(
    db: &Db,
    visible: &Visible<A>,
    list: &'static str,
    page: &Page,
) -> Result<Paged<Container>> {
    let Some(params) = sql::list_params(visible, page) else { return Ok(Paged { rows: Vec::new(), next: None }) };
    let rows = db.read(visible).rows(list, params).await?;
    let found = rows.iter().map(|row| read(row, &visible.scope().name)).collect::<Result<Vec<_>>>()?;
    Ok(page.cut(found, |container| fold(container.object.name.last())))
}

/// Changes the permit's; `action` is the audit's word.
pub(super) async fn update<A: Action>(
    db: &Db,
    permit: &Permit<A>,
    action: &'static str,
    change: &Change,
) -> Result<Container> {
    let target = permit.target();
    let mut tx = db.write_moving(permit, sql::audit(action, &target.name)).await?;
    service::apply(&mut tx, target.id, target.kind, &target.name, change).await?;
    if let Some(properties) = &change.properties {
        let properties = sql::to_json(properties);
        tx.run("UPDATE container SET properties = $1 WHERE id = $2", params![properties, target.id]).await?;
    }
    let row = tx.row(ONE, params![target.id]).await?.ok_or_else(gone)?;
    tx.commit().await?;
    read(&row, &sql::above(&target.name))
}

/// Drops the permit's, with everything in it when forced.
///
/// # Errors
/// When it is not forced and something is in it.
pub(super) async fn delete<A: Action>(
    governance: &Governance,
    permit: &Permit<A>,
    action: &'static str,
    force: bool,
) -> Result<()> {
    let target = permit.target();
    let mut tx = governance.db.write_moving(permit, sql::audit(action, &target.name)).await?;
    let mut intents = Vec::new();
    if force {
        intents = super::locations::drop_below(&mut tx, target.id).await?;
    } else {
        if target.kind == Kind::Catalog {
            drop_lone_default(&mut tx, target.id).await?;
        }
        refuse_unless_empty(&mut tx, target.id, target.kind, &target.name).await?;
    }
    tx.run("DELETE FROM securable WHERE id = $1", params![target.id]).await?;
    tx.bump().await?;
    tx.commit().await?;
    super::locations::finish_deleting(governance, permit, intents).await
}

/// The schema that every catalog is made with does not make it a catalog in use.
async fn drop_lone_default(tx: &mut Tx, catalog: SecurableId) -> Result<()> {
    let lone = tx.rows("SELECT id, folded FROM securable WHERE parent = $1 LIMIT 2", params![catalog]).await?;
    if let [row] = lone.as_slice()
        && row.text(1)? == "default"
    {
        let schema = row.securable(0)?;
        let inside = tx.row("SELECT 1 FROM securable WHERE parent = $1", params![schema]).await?;
        if inside.is_none() {
            tx.run("DELETE FROM securable WHERE id = $1", params![schema]).await?;
        }
    }
    Ok(())
}

/// Refuses to drop a container that still holds something, and says what.
async fn refuse_unless_empty(tx: &mut Tx, id: SecurableId, kind: Kind, name: &FullName) -> Result<()> {
    let children = tx
        .rows("SELECT kind, name FROM securable WHERE parent = $1 ORDER BY kind, folded LIMIT 4", params![id])
        .await?;
    if children.is_empty() {
        return Ok(());
    }
    let mut named = Vec::new();
    for row in children.iter().take(3) {
        named.push(format!("{} {}", row.text(0)?, row.text(1)?));
    }
    let more = if children.len() > 3 { " and more" } else { "" };
    let reason = if kind == Kind::Catalog { "CATALOG_NOT_EMPTY" } else { "SCHEMA_NOT_EMPTY" };
    Err(Problem::new(Code::FailedPrecondition, format!("{kind} '{name}' is not empty: {}{more}", named.join(", ")))
        .reason(reason)
        .sql_state("2BP01")
        .hint("drop what is in it first, or use CASCADE (force=true)"))
}

pub(crate) fn gone() -> Problem {
    Problem::new(Code::NotFound, "it was deleted a moment ago").reason("RESOURCE_DOES_NOT_EXIST")
}
