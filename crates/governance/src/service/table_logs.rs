//! What the catalog copies from tables' Delta logs, and the audit of what was committed to them.
//!
//! The log is the truth: a commit that is in it happened, whatever became of the process that wrote it. The catalog follows:
//! `table_info.table_version` is the last version whose commits are in the audit and whose columns and properties are in the
//! copy, and all three move in one transaction. Before this program commits to a table it puts the table under watch, so
//! that after a crash the catalog knows which logs to look at.

use crannog_security::System;
use crannog_storage::Location;
use crannog_store::{AuditEvent, Db, Row, params};
use crannog_types::{FullName, Micros, Problem, Result, SecurableId};

use crate::model::objects::{Properties, TableType};
use crate::sql;

/// What the catalog knows of a table's log.
#[derive(Clone, Debug)]
pub struct Known {
    /// The table.
    pub id: SecurableId,
    /// Its full name.
    pub name: FullName,
    /// Where its files are.
    pub location: Location,
    /// The last version that the catalog took notice of; `None` before the first.
    pub version: Option<i64>,
}

/// What newer versions of a log say.
pub struct News {
    /// The newest of them.
    pub version: i64,
    /// Columns and properties, when they may have changed.
    pub copy: Option<Copy>,
    /// One for each statement that committed, and for each commit of another program.
    pub events: Vec<AuditEvent>,
}

/// What the catalog keeps of a table's metadata.
pub struct Copy {
    /// Delta's schema JSON.
    pub schema_json: String,
    /// The columns that it is partitioned by.
    pub partition_columns: Vec<String>,
    /// Its properties.
    pub properties: Properties,
    /// The comment, when a statement replaced the table with everything that belongs to it.
    pub comment: Option<Option<String>>,
    /// Who changed it last.
    pub changed_by: Option<String>,
}

const KNOWN: &str = "SELECT s.id, c.name, p.name, s.name, t.location, t.table_version, t.table_type FROM table_info t \
     JOIN securable s ON s.id = t.id JOIN securable p ON p.id = s.parent JOIN securable c ON c.id = p.parent WHERE t.id = $1";

/// What the catalog knows of a table's log; `None` when there is no such table, or it has no log.
pub async fn known(db: &Db, system: &System, id: SecurableId) -> Result<Option<Known>> {
    db.read(system).row(KNOWN, params![id]).await?.map_or(Ok(None), |row| known_of(&row))
}

fn known_of(row: &Row) -> Result<Option<Known>> {
    let word = row.text(6)?;
    let (Some(location), Some(TableType::Managed | TableType::External)) =
        (row.opt_text(4)?, TableType::of_word(&word))
    else {
        return Ok(None);
    };
    let name = FullName::of([row.text(1)?, row.text(2)?, row.text(3)?]);
    let location = Location::parse(&location)?;
    Ok(Some(Known { id: row.securable(0)?, name, location, version: row.opt_int(5)? }))
}

/// Puts a table under watch: from now on its log may be ahead of the catalog.
pub async fn watch(db: &Db, system: &System, id: SecurableId) -> Result<()> {
    const WATCH: &str = "INSERT INTO log_watch (id, since) SELECT id, cast($2 AS bigint) FROM table_info WHERE id = $1 \
         ON CONFLICT (id) DO UPDATE SET since = excluded.since";
    let mut tx = db.write_unaudited(system).await?;
    let now = tx.now();
    tx.run(WATCH, params![id, now]).await?;
    Ok(tx.commit().await?)
}

/// The tables under watch.
pub async fn watched(db: &Db, system: &System) -> Result<Vec<SecurableId>> {
    let rows = db.read(system).rows("SELECT id FROM log_watch ORDER BY since", params![]).await?;
    Ok(rows.iter().map(|row| row.securable(0)).collect::<std::result::Result<_, _>>()?)
}

/// Ends the watch over a table that nobody put under watch since.
pub async fn unwatch(db: &Db, system: &System, id: SecurableId, since_before: Micros) -> Result<()> {
    let mut tx = db.write_unaudited(system).await?;
    tx.run("DELETE FROM log_watch WHERE id = $1 AND since < $2", params![id, since_before]).await?;
    Ok(tx.commit().await?)
}

/// Takes notice of newer versions: the copy, the audit rows and the version, or none of them. `false` when somebody else
/// took notice of them first, or the table is gone.
pub async fn note(db: &Db, system: &System, known: &Known, news: &News) -> Result<bool> {
    const MOVE: &str = "UPDATE table_info SET table_version = $1 WHERE id = $2 AND coalesce(table_version, -1) = $3";
    const COPY: &str = "UPDATE table_info SET columns = $1, partition_columns = $2, properties = $3 WHERE id = $4";
    const TOUCH: &str = "UPDATE securable SET updated_at = $1, updated_by = $2 WHERE id = $3";
    let mut tx = db.write_unaudited(system).await?;
    if tx.run(MOVE, params![news.version, known.id, known.version.unwrap_or(-1)]).await? != 1 {
        return Ok(false);
    }
    if let Some(copy) = &news.copy {
        let partitions = serde_json::to_string(&copy.partition_columns)
            .map_err(|error| Problem::internal("partition columns cannot be written", error))?;
        let properties = sql::to_json(&copy.properties);
        tx.run(COPY, params![copy.schema_json.clone(), partitions, properties, known.id]).await?;
        if let Some(comment) = &copy.comment {
            const COMMENT: &str = "UPDATE securable SET comment = $1 WHERE id = $2";
            tx.run(COMMENT, params![comment.clone(), known.id]).await?;
        }
        let (now, by) = (tx.now(), copy.changed_by.clone().unwrap_or_else(|| tx.author()));
        tx.run(TOUCH, params![now, by, known.id]).await?;
    }
    for event in &news.events {
        tx.record(event).await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// A secret of this installation, made at first need: what this program committed to a log is told apart by it.
pub async fn seal_key(db: &Db, system: &System) -> Result<[u8; 32]> {
    const READ: &str = "SELECT value FROM setting WHERE name = 'log_seal_key'";
    let mut tx = db.write_unaudited(system).await?;
    let new = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    tx.run("INSERT INTO setting (name, value) VALUES ('log_seal_key', $1) ON CONFLICT DO NOTHING", params![new])
        .await?;
    let stored = tx.row(READ, params![]).await?.map(|row| row.text(0)).transpose()?.unwrap_or_default();
    tx.commit().await?;
    let wrong = || Problem::internal("the stored key of commits cannot be read", "it is not 32 bytes in hexadecimal");
    let mut key = [0; 32];
    for (at, byte) in key.iter_mut().enumerate() {
        let digits = stored.get(at * 2..at * 2 + 2).ok_or_else(wrong)?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
    }
    Ok(key)
}
