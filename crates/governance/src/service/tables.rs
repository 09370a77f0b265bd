//! Tables and views: their rows in the catalog. Their Delta logs are `lake`'s work.

use crannog_security::actions::{Action, schemas, tables};
use crannog_security::{Caller, Evidence, Kind, Permit, Reference, Visible, kinds};
use crannog_storage::Location;
use crannog_store::{Db, Row, params};
use crannog_types::{FullName, Page, Paged, Problem, Result, SecurableId, check_name, fold};

use super::containers::gone;
use super::locations::{self, NewLog, NewPlace};
use crate::model::objects::{Change, Properties, Table, TableType, View};
use crate::sql::{self, NewObject, OBJECT_COLUMNS, object_columns, object_joins, visible_children};
use crate::{Governance, service};

macro_rules! table_columns {
    () => {
        ", t.table_type, t.format, t.location, t.columns, t.partition_columns, t.properties, t.table_version, t.view_text, \
         t.view_catalog, t.view_schema"
    };
}

const ONE: &str = concat!(
    "SELECT ",
    object_columns!(),
    table_columns!(),
    object_joins!(),
    " JOIN table_info t ON t.id = s.id WHERE s.id = $1"
);

/// Where the files of a new table are.
pub enum Files {
    /// In a place that was opened for it, with its log already written.
    Managed(NewPlace),
    /// Where somebody keeps them.
    External(Location),
    /// The same, with a log that was begun for it.
    Begun(NewLog),
    /// Nowhere: it is a view.
    View(View),
}

/// A table or view that somebody wants.
pub struct NewTable {
    /// Its name: one part.
    pub name: String,
    /// What people say of it.
    pub comment: Option<String>,
    /// Its columns as Delta's schema JSON.
    pub schema_json: String,
    /// The columns that it is partitioned by.
    pub partition_columns: Vec<String>,
    /// Its properties.
    pub properties: Properties,
    /// The version of its log that these were taken from.
    pub version: Option<i64>,
    /// Where its files are.
    pub files: Files,
}

fn table(row: &Row, above: &FullName) -> Result<Table> {
    let at = |offset: usize| OBJECT_COLUMNS + offset;
    let word = row.text(at(0))?;
    let table_type =
        TableType::of_word(&word).ok_or_else(|| Problem::internal("a stored table has an unknown type", word))?;
    let partition_columns = serde_json::from_str(&row.text(at(4))?)
        .map_err(|error| Problem::internal("stored partition columns cannot be read", error))?;
    let view = match (row.opt_text(at(7))?, row.opt_text(at(8))?, row.opt_text(at(9))?) {
        (Some(text), Some(catalog), Some(schema)) => Some(View { text, catalog, schema }),
        _ => None,
    };
    Ok(Table {
        object: sql::object(row, above)?,
        table_type,
        format: row.opt_text(at(1))?,
        location: row.opt_text(at(2))?,
        schema_json: row.text(at(3))?,
        partition_columns,
        properties: sql::from_json(&row.text(at(5))?)?,
        version: row.opt_int(at(6))?,
        view,
    })
}

/// Puts a table or view into the catalog; its maker owns it. The log of a managed table is there before its row.
pub async fn create(db: &Db, permit: &Permit<schemas::CreateTable>, new: &NewTable) -> Result<Table> {
    let name = check_name(&new.name)?;
    let schema = permit.target();
    let mut tx = db.write_moving(permit, sql::audit("createTable", &schema.name.child(&name))).await?;
    let (table_type, format, location, view, id) = match &new.files {
        Files::Managed(place) => (TableType::Managed, Some("DELTA"), Some(place.location.to_string()), None, place.id),
        Files::External(location) | Files::Begun(NewLog { location, .. }) => {
            (TableType::External, Some("DELTA"), Some(location.to_string()), None, SecurableId::new())
        }
        Files::View(view) => (TableType::View, None, None, Some(view), SecurableId::new()),
    };
    let object = NewObject {
        id,
        kind: Kind::Table,
        parent: schema.id,
        above: &schema.name,
        name: &name,
        owner: permit.who().id,
        comment: new.comment.as_deref(),
    };
    sql::insert(&mut tx, object).await?;
    match &new.files {
        Files::Managed(place) => locations::keep(&mut tx, place).await?,
        Files::External(location) => locations::claim(&mut tx, id, &location.to_string()).await?,
        Files::Begun(log) => locations::keep_log(&mut tx, id, log).await?,
        Files::View(_) => {}
    }
    let partitions = serde_json::to_string(&new.partition_columns).unwrap_or_else(|_| "[]".to_owned());
    tx.run(
        "INSERT INTO table_info (id, table_type, format, location, columns, partition_columns, properties, table_version, \
         view_text, view_catalog, view_schema) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        params![
            id,
            table_type.word(),
            format,
            location,
            new.schema_json.clone(),
            partitions,
            sql::to_json(&new.properties),
            new.version,
            view.map(|view| view.text.clone()),
            view.map(|view| view.catalog.clone()),
            view.map(|view| view.schema.clone()),
        ],
    )
    .await?;
    let made = tx.row(ONE, params![id]).await?;
    tx.commit().await?;
    made.map_or_else(|| Err(gone()), |row| table(&row, &schema.name))
}

/// Whether the caller may read, write or manage a table, or everything in a schema. Nobody else is told where the files
/// are: clients like polars open a location by themselves when they are refused credentials for it.
pub async fn may_open(caller: &Caller, about: &Reference) -> Result<bool> {
    service::may_any(caller, [tables::Select::RULE, tables::Modify::RULE, tables::Manage::RULE], about).await
}

/// One table or view: any permit on it tells what it is.
pub async fn get<A: Action<On = kinds::Table>>(db: &Db, permit: &Permit<A>) -> Result<Table> {
    let row = db.read(permit).row(ONE, params![permit.target().id]).await?.ok_or_else(gone)?;
    table(&row, &sql::above(&permit.target().name))
}

/// Whether it is a view; what is not there is none.
pub async fn is_view(db: &Db, evidence: &dyn Evidence, id: SecurableId) -> Result<bool> {
    let row = db.read(evidence).row("SELECT table_type FROM table_info WHERE id = $1", params![id]).await?;
    Ok(row.map(|row| row.text(0)).transpose()?.as_deref() == Some(TableType::View.word()))
}

/// The tables and views of a schema that the caller may see, by name.
pub async fn list(db: &Db, visible: &Visible<tables::ReadMetadata>, page: &Page) -> Result<Paged<Table>> {
    const LIST: &str = concat!(
        "SELECT ",
        object_columns!(),
        table_columns!(),
        object_joins!(),
        " JOIN table_info t ON t.id = s.id",
        visible_children!("table")
    );
    let Some(params) = sql::list_params(visible, page) else { return Ok(Paged { rows: Vec::new(), next: None }) };
    let rows = db.read(visible).rows(LIST, params).await?;
    let found = rows.iter().map(|row| table(row, &visible.scope().name)).collect::<Result<Vec<_>>>()?;
    Ok(page.cut(found, |table| fold(table.object.name.last())))
}

/// Changes a table's or view's name, owner or comment.
pub async fn update(db: &Db, permit: &Permit<tables::Manage>, change: &Change) -> Result<Table> {
    let target = permit.target();
    let mut tx = db.write_moving(permit, sql::audit("updateTable", &target.name)).await?;
    service::apply(&mut tx, target.id, Kind::Table, &target.name, change).await?;
    let row = tx.row(ONE, params![target.id]).await?.ok_or_else(gone)?;
    tx.commit().await?;
    table(&row, &sql::above(&target.name))
}

/// Replaces what a view selects.
pub async fn replace_view(db: &Db, permit: &Permit<tables::Manage>, new: &NewTable) -> Result<Table> {
    let target = permit.target();
    let Files::View(view) = &new.files else {
        return Err(Problem::internal("only views are replaced here", "files"));
    };
    let mut tx = db.write_moving(permit, sql::audit("updateTable", &target.name)).await?;
    let changed = tx
        .run(
            "UPDATE table_info SET columns = $1, properties = $2, view_text = $3, view_catalog = $4, view_schema = $5 \
             WHERE id = $6 AND table_type = 'VIEW'",
            params![
                new.schema_json.clone(),
                sql::to_json(&new.properties),
                view.text.clone(),
                view.catalog.clone(),
                view.schema.clone(),
                target.id,
            ],
        )
        .await?;
    if changed == 0 {
        return Err(sql::taken(Kind::Table, &target.name).hint("it is a table; drop it first"));
    }
    let comment = Change { comment: new.comment.clone(), ..Change::default() };
    service::apply(&mut tx, target.id, Kind::Table, &target.name, &comment).await?;
    let row = tx.row(ONE, params![target.id]).await?.ok_or_else(gone)?;
    tx.commit().await?;
    table(&row, &sql::above(&target.name))
}

/// Drops a table or view; the files of a managed table too.
pub async fn delete(governance: &Governance, permit: &Permit<tables::Manage>) -> Result<()> {
    let target = permit.target();
    let mut tx = governance.db.write_moving(permit, sql::audit("deleteTable", &target.name)).await?;
    let row = tx
        .row("SELECT table_type, location FROM table_info WHERE id = $1", params![target.id])
        .await?
        .ok_or_else(gone)?;
    let mut intents = Vec::new();
    if row.text(0)? == TableType::Managed.word()
        && let Some(location) = row.opt_text(1)?
    {
        intents.push(locations::intend_to_delete(&mut tx, &location).await?);
    }
    tx.run("DELETE FROM securable WHERE id = $1", params![target.id]).await?;
    tx.bump().await?;
    tx.commit().await?;
    locations::finish_deleting(governance, permit, intents).await
}
