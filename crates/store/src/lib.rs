//! The only door to the metadata database.
//!
//! [`Db`] is one concrete type over SQLite and PostgreSQL. SQL is static text with `$1` in the subset that both read alike;
//! rows come back as [`Row`]s of four kinds of [`Value`]. Reading and writing both need [`Evidence`], that is a permit, and a
//! write commits together with its audit row: [`Tx::commit`] puts it there.
//!
//! What a search asks for is built with [`query`] (sea-query), whose texts hold parameters alone.
//!
//! What lost a race on PostgreSQL is run again by [`until_won`].
//!
//! Nothing above this crate knows sqlx, nor rusqlite, which SQLite's one writer is (`sqlite.rs`); its readers, migrations and all of
//! PostgreSQL are sqlx's.

mod again;
mod audit;
mod bounded;
mod db;
mod error;
mod foreign;
mod migrate;
mod postgres;
mod rows;
mod sqlite;
#[doc(hidden)]
pub mod testing;
mod value;

pub use sea_query as query;

pub use again::{MayBeLostRace, until_won};
pub use audit::{Audit, AuditEvent};
pub use db::{Db, Reader, Snapshot, Tx};
pub use error::{SqliteError, StoreError};
pub use foreign::{Foreign, ForeignRows};
pub use value::{Row, Value};

/// The parameters of a statement: `params![id, name, Option::<i64>::None]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { vec![$($crate::Value::from($value)),*] };
}
