//! SQL warehouses. All of them run in this process; stopping one refuses new statements and cancels none that run.

use crannog_kit::clock;
use crannog_security::actions::{Action, metastore, warehouses};
use crannog_security::{Kind, Permit, System, Task, Visible, kinds};
use crannog_store::{Audit, Db, Row, params};
use crannog_types::{Code, PrincipalId, Problem, Result, SecurableId, fold};
use serde_json::{Map, Value};
use uuid::Uuid;

/// A warehouse.
#[derive(Clone, Debug, PartialEq)]
pub struct Warehouse {
    /// 16 hexadecimal digits: what clients call it.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// `2X-Small` to `4X-Large`: kept and given back.
    pub size: String,
    /// Whether it takes statements.
    pub running: bool,
    /// Who made it.
    pub creator: String,
    /// What else clients set and want back: `auto_stop_mins`, `tags`, `channel` …
    pub settings: Map<String, Value>,
}

/// What somebody wants of a warehouse; what is `None` stays or takes its default.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Its name.
    pub name: Option<String>,
    /// Its size.
    pub size: Option<String>,
    /// Everything else.
    pub settings: Map<String, Value>,
}

const COLUMNS: &str = "SELECT s.name, w.name, w.size, w.running, s.created_by, w.settings FROM securable s \
     JOIN warehouse w ON w.id = s.id WHERE s.id = $1";

fn warehouse(row: &Row) -> Result<Warehouse> {
    let settings = serde_json::from_str(&row.text(5)?)
        .map_err(|error| Problem::internal("the settings of a warehouse cannot be read", error))?;
    Ok(Warehouse {
        id: row.text(0)?,
        name: row.text(1)?,
        size: row.text(2)?,
        running: row.flag(3)?,
        creator: row.text(4)?,
        settings,
    })
}

/// Makes the warehouse `default` when there is none at all; everybody may use it. Gives its id.
pub async fn bootstrap(db: &Db, owner: PrincipalId, everybody: PrincipalId) -> Result<Option<String>> {
    #[expect(clippy::disallowed_methods, reason = "the first start makes what a new installation has")]
    let system = System::task(Task::Bootstrap);
    if db.read(&system).row("SELECT 1 FROM warehouse", params![]).await?.is_some() {
        return Ok(None);
    }
    let mut tx = db.write_unaudited(&system).await?;
    let id = insert(&mut tx, owner, "default", "2X-Small", &Map::new()).await?;
    let now = tx.now();
    tx.run(
        "INSERT INTO securable_grant (securable, principal, privilege, granted_at, granted_by) \
         SELECT id, $1, 'CAN_USE', $2, 'System user' FROM securable WHERE kind = 'warehouse' AND path = $3",
        params![everybody, now, id.clone()],
    )
    .await?;
    tx.bump().await?;
    tx.commit().await?;
    Ok(Some(id))
}

async fn insert(
    tx: &mut crannog_store::Tx,
    owner: PrincipalId,
    name: &str,
    size: &str,
    settings: &Map<String, Value>,
) -> Result<String> {
    let wire_id = Uuid::new_v4().simple().to_string()[..16].to_owned();
    let id = SecurableId::new();
    let (now, author) = (tx.now(), tx.author());
    tx.run(
        "INSERT INTO securable (id, kind, parent, name, folded, path, owner, created_at, created_by, updated_at, updated_by) \
         VALUES ($1, $2, $3, $4, $4, $4, $5, $6, $7, $6, $7)",
        params![id, Kind::Warehouse.word(), SecurableId::METASTORE, wire_id.clone(), owner, now, author],
    )
    .await?;
    tx.run(
        "INSERT INTO warehouse (id, name, size, running, settings) VALUES ($1, $2, $3, 1, $4)",
        params![id, name, size, Value::Object(settings.clone()).to_string()],
    )
    .await?;
    tx.bump().await?;
    Ok(wire_id)
}

/// Makes a warehouse.
pub async fn create(db: &Db, permit: &Permit<metastore::Administer>, wanted: &Wanted) -> Result<String> {
    let name = wanted.name.as_deref().map(str::trim).filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Problem::invalid("a warehouse needs a name"))?;
    let mut tx = db.write_moving(permit, Audit::of("databrickssql", "createWarehouse").with("name", name)).await?;
    let taken = tx.rows("SELECT name FROM warehouse", params![]).await?;
    for row in &taken {
        if fold(&row.text(0)?) == fold(name) {
            return Err(Problem::new(Code::AlreadyExists, format!("there is a warehouse '{name}' already")));
        }
    }
    let size = wanted.size.as_deref().unwrap_or("2X-Small");
    let id = insert(&mut tx, permit.who().id, name, size, &wanted.settings).await?;
    tx.commit().await?;
    Ok(id)
}

/// One warehouse: any permit on it tells what it is.
pub async fn get<A: Action<On = kinds::Warehouse>>(db: &Db, permit: &Permit<A>) -> Result<Warehouse> {
    let row = db.read(permit).row(COLUMNS, params![permit.target().id]).await?;
    warehouse(&row.ok_or_else(|| Problem::not_found("the warehouse was deleted a moment ago"))?)
}

/// The warehouses that the caller may see.
pub async fn list(db: &Db, visible: &Visible<warehouses::View>) -> Result<Vec<Warehouse>> {
    const LIST: &str = "SELECT s.name, w.name, w.size, w.running, s.created_by, w.settings FROM securable s \
         JOIN warehouse w ON w.id = s.id WHERE $1 = 1 \
           OR s.owner IN (SELECT c.principal FROM closure c WHERE c.member = $2) \
           OR EXISTS (SELECT 1 FROM securable_grant g JOIN closure c ON c.principal = g.principal \
                      WHERE g.securable = s.id AND c.member = $2) \
         ORDER BY w.name";
    let all = i64::from(visible.listing() == crannog_security::Listing::All);
    let rows = db.read(visible).rows(LIST, params![all, visible.who().id]).await?;
    rows.iter().map(warehouse).collect()
}

/// Changes a warehouse.
pub async fn edit(db: &Db, permit: &Permit<warehouses::Manage>, wanted: &Wanted) -> Result<()> {
    let before = get(db, permit).await?;
    let mut settings = before.settings;
    settings.extend(wanted.settings.clone());
    let mut tx = db.write(permit, Audit::of("databrickssql", "editWarehouse").with("id", before.id)).await?;
    tx.run(
        "UPDATE warehouse SET name = $1, size = $2, settings = $3 WHERE id = $4",
        params![
            wanted.name.clone().unwrap_or(before.name),
            wanted.size.clone().unwrap_or(before.size),
            Value::Object(settings).to_string(),
            permit.target().id,
        ],
    )
    .await?;
    Ok(tx.commit().await?)
}

/// Starts or stops a warehouse.
pub async fn run(db: &Db, permit: &Permit<warehouses::Manage>, running: bool) -> Result<()> {
    let action = if running { "startWarehouse" } else { "stopWarehouse" };
    let mut tx =
        db.write(permit, Audit::of("databrickssql", action).with("id", permit.target().name.to_string())).await?;
    tx.run("UPDATE warehouse SET running = $1 WHERE id = $2", params![running, permit.target().id]).await?;
    tracing::info!(warehouse = %permit.target().name, running, at = %clock::now(), "warehouse");
    Ok(tx.commit().await?)
}

/// Deletes a warehouse. Statements that run on it go on.
pub async fn delete(db: &Db, permit: &Permit<warehouses::Manage>) -> Result<()> {
    let name = permit.target().name.to_string();
    let mut tx = db.write_moving(permit, Audit::of("databrickssql", "deleteWarehouse").with("id", name)).await?;
    tx.run("DELETE FROM securable WHERE id = $1", params![permit.target().id]).await?;
    tx.bump().await?;
    Ok(tx.commit().await?)
}
