//! Names behind the ids of a decision, for whoever may ask why.

use crannog_security::actions::metastore;
use crannog_security::{Kind, Permit, Who};
use crannog_store::{Db, params};
use crannog_types::{Code, FullName, PrincipalId, Problem, Result, SecurableId, fold};

/// The principal of a name.
///
/// # Errors
/// When there is none.
pub async fn principal(db: &Db, permit: &Permit<metastore::Read>, name: &str) -> Result<Who> {
    let row = db.read(permit).row("SELECT id, name FROM principal WHERE folded = $1", params![fold(name)]).await?;
    match row {
        Some(row) => Ok(Who { id: row.principal(0)?, name: row.text(1)?.into() }),
        None => Err(Problem::new(Code::NotFound, format!("principal '{name}' does not exist"))
            .reason("PRINCIPAL_DOES_NOT_EXIST")
            .hint("names of users are their e-mail addresses")),
    }
}

/// The name of a principal, as far as it is still there.
pub async fn principal_name(db: &Db, permit: &Permit<metastore::Read>, id: PrincipalId) -> Result<String> {
    let row = db.read(permit).row("SELECT name FROM principal WHERE id = $1", params![id]).await?;
    Ok(row.map(|row| row.text(0)).transpose()?.unwrap_or_else(|| id.to_string()))
}

/// The kind and full name of an object on the way from `below` up to the root.
pub async fn container(
    db: &Db,
    permit: &Permit<metastore::Read>,
    id: SecurableId,
    below: &FullName,
) -> Result<(Kind, FullName)> {
    let row = db.read(permit).row("SELECT kind, name FROM securable WHERE id = $1", params![id]).await?;
    let row = row.ok_or_else(super::containers::gone)?;
    let kind = Kind::of_word(&row.text(0)?).unwrap_or(Kind::Any);
    let parts = below.parts();
    Ok(match kind {
        Kind::Metastore => (kind, FullName::of(["the metastore"])),
        _ => (kind, FullName::of(parts[..kind.name_parts().min(parts.len())].to_vec())),
    })
}
