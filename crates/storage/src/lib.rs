//! The only door to files and object stores: durable put-if-absent, ranges, multipart uploads, path safety.
//!
//! [`Storage`] is made once and opens a [`Folder`] for one [`Location`], given evidence of a decision. A folder takes only
//! relative paths and resolves them beneath itself without following symbolic links, so nothing that a caller writes in a
//! path reaches another table's files or the server's own. What [`Folder::put`] and [`Folder::put_if_absent`] have
//! returned survives a power cut: object_store's local files do not (it never calls fsync).
//!
//! Local files now. A location is a URL and a folder's verbs are an object store's, so that S3 can stand behind the same
//! calls.
//!
//! **Invariants.** Every mutating system call goes through `durable.rs`. Paths are never percent-decoded here (a
//! location's URL is, once). Names that begin with `.crannog-` are the server's: no caller reads, writes or lists them.

mod beneath;
mod durable;
mod errors;
pub mod faults;
mod folder;
mod listing;
mod location;
mod object;
mod paths;
mod storage;
#[cfg(test)]
mod tests;
mod uploads;
mod writes;

pub use errors::{Result, StorageError};
pub use folder::{Access, ByteStream, FileMeta, Folder};
pub use location::Location;
pub use storage::{External, Managed, Storage};
pub use uploads::UploadId;
pub use writes::{Body, Received, Staged};
