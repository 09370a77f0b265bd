//! Handing out access to files: what may be read where, for how long, with an audit row each time.
//!
//! A location on this machine needs no cloud credential: what is handed out is where it is. Nothing outside this process
//! protects local files from whoever may read the disk (`docs/access.md` says so).

use crannog_security::actions::Action;
use crannog_security::{Kind, Permit, kinds};
use crannog_store::{Audit, Db, params};
use crannog_types::{Code, Micros, Problem, Result, SecurableId};

use crate::model::objects::TableType;
use crate::service::{tables, volumes};

/// How long what is handed out is good, in seconds.
const LIFETIME: i64 = 3_600;

/// What is handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vended {
    /// The location, as a URL.
    pub url: String,
    /// Until when.
    pub expires_at: Micros,
}

/// The files of a table. `operation` is the wire's word, for the audit.
///
/// # Errors
/// A view has no files.
pub async fn table<A: Action<On = kinds::Table>>(db: &Db, permit: &Permit<A>, operation: &str) -> Result<Vended> {
    let table = tables::get(db, permit).await?;
    let Some(location) = table.location.filter(|_| table.table_type != TableType::View) else {
        return Err(Problem::new(
            Code::InvalidArgument,
            format!("'{}' is a view and has no files", permit.target().name),
        )
        .hint("read it with a statement, or ask for the tables that it reads"));
    };
    let audit = Audit::of("unityCatalog", "generateTemporaryTableCredential")
        .with("table_id", permit.target().id.to_string())
        .with("table_full_name", permit.target().name.to_string())
        .with("operation", operation);
    vended(db, permit, audit, location).await
}

/// The files of a volume.
pub async fn volume<A: Action<On = kinds::Volume>>(db: &Db, permit: &Permit<A>, operation: &str) -> Result<Vended> {
    let volume = volumes::get(db, permit).await?;
    let audit = Audit::of("unityCatalog", "generateTemporaryVolumeCredential")
        .with("volume_id", permit.target().id.to_string())
        .with("volume_full_name", permit.target().name.to_string())
        .with("operation", operation);
    vended(db, permit, audit, volume.location).await
}

async fn vended<A: Action>(db: &Db, permit: &Permit<A>, audit: Audit, url: String) -> Result<Vended> {
    let tx = db.write(permit, audit).await?;
    let expires_at = tx.now().plus_seconds(LIFETIME);
    tx.commit().await?;
    Ok(Vended { url, expires_at })
}

/// The kind of an object, when it is one that has files.
pub async fn kind_of<A: Action>(db: &Db, permit: &Permit<A>, id: SecurableId) -> Result<Option<Kind>> {
    let row = db.read(permit).row("SELECT kind FROM securable WHERE id = $1", params![id]).await?;
    let kind = row.map(|row| row.text(0)).transpose()?.and_then(|word| Kind::of_word(&word));
    Ok(kind.filter(|kind| matches!(kind, Kind::Table | Kind::Volume)))
}
