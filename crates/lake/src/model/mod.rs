//! Delta's transaction log as plain values: actions, schemas, statistics, the live files of a table, and the rules by
//! which two commits do or do not conflict.
//!
//! Everything here is a pure function of its arguments. No I/O, no clock, no randomness, no async: times and ids come in
//! as arguments, so that every rule can be tested by enumerating interleavings. The protocol is Delta's `PROTOCOL.md`; the
//! conflict rules are those of delta-spark's `ConflictChecker`, made stricter where it lets rows be lost.
//!
//! Nothing in this module may accept a commit that removes a file that is not live, removes one twice, or drops a
//! requirement of the table's protocol: that is what the commit arbiter stands on.

pub mod actions;
pub mod chunk;
mod chunk_stats;
pub mod commit;
pub mod commit_file;
pub mod conflicts;
pub mod features;
pub mod files;
pub mod interval;
pub mod partitions;
pub mod schema;
pub mod seal;
pub mod state;
pub mod stats;
pub mod type_text;
pub mod validate;
pub mod values;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod oracle;

pub use actions::{Action, Add, CommitInfo, Metadata, Protocol, Remove};
pub use conflicts::{Conflict, Proposal, Rebased};
pub use files::FileIndex;
pub use schema::{DataType, StructField, StructType};
pub use state::{Loaded, TableState};

/// What can be wrong with the text or the history of a Delta log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// A line of a commit file is not an action.
    #[error("line {line} of the commit is not a Delta action: {reason}")]
    Malformed { line: usize, reason: String },
    /// A schema that is not Delta's, or that names a type which is not known here.
    #[error("not a Delta schema: {0}")]
    Schema(String),
    /// A partition value or a statistic that its column's type cannot take.
    #[error("'{text}' is no value of type {data_type}: {reason}")]
    Value { text: String, data_type: String, reason: String },
    /// A commit in the log that breaks the protocol. Reading goes on; writing stops until the table is restored.
    #[error(
        "version {version} of the table breaks the Delta protocol: {fault}; the table is not written to until it is restored to version {} (RESTORE TABLE … TO VERSION AS OF {})",
        version - 1, version - 1
    )]
    Corrupt { version: i64, fault: state::Fault },
    /// Commits were applied out of order.
    #[error("version {found} cannot follow version {current}: load the versions in between first")]
    Gap { current: i64, found: i64 },
}
