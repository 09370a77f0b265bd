//! The root of everything.

use crannog_security::Permit;
use crannog_security::actions::metastore;
use crannog_store::{Db, params};
use crannog_types::{FullName, Result};

use super::containers::gone;
use crate::model::objects::Object;
use crate::sql::{self, object_columns, object_joins};

/// The metastore itself.
pub async fn get(db: &Db, permit: &Permit<metastore::Read>) -> Result<Object> {
    const ONE: &str = concat!("SELECT ", object_columns!(), object_joins!(), " WHERE s.id = $1");
    let row = db.read(permit).row(ONE, params![permit.target().id]).await?.ok_or_else(gone)?;
    Ok(sql::object(&row, &FullName::of(Vec::<String>::new()))?)
}

/// The decimal id of this workspace; 0 before the first start made one.
pub async fn workspace_id(db: &Db, permit: &Permit<metastore::Read>) -> Result<i64> {
    let row = db.read(permit).row("SELECT value FROM setting WHERE name = $1", params!["workspace_id"]).await?;
    Ok(row.map(|row| row.text(0)).transpose()?.and_then(|text| text.parse().ok()).unwrap_or(0))
}
