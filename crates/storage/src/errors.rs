//! What can fail at the door to files, and how a caller hears of it.
//!
//! Messages name the relative path or the location, never the folder of this machine in which the server keeps its data.

use std::io;
use std::time::Duration;

use crannog_types::{Code, Problem};
use rustix::io::Errno;

/// A result of this crate.
pub type Result<T, E = StorageError> = std::result::Result<T, E>;

/// A failure of storage.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// A relative path that is refused.
    #[error("the path '{path}' is not allowed: {why}")]
    Path {
        /// As the caller wrote it, control characters escaped.
        path: String,
        /// Which rule it breaks.
        why: &'static str,
    },
    /// A location that cannot be understood.
    #[error("the location '{location}' is not valid: {why}")]
    Location {
        /// As the caller wrote it.
        location: String,
        /// Which rule it breaks.
        why: &'static str,
    },
    /// A location of a kind that this server does not read yet.
    #[error("locations of scheme '{scheme}' are not supported")]
    Scheme {
        /// `s3`, `gs`, `abfss` …
        scheme: String,
    },
    /// A location that this server may not use.
    #[error("the location '{location}' is not allowed: {why}")]
    Refused {
        /// The location.
        location: String,
        /// Which rule it breaks.
        why: &'static str,
    },
    /// Nothing there.
    #[error("'{0}' does not exist")]
    NotFound(String),
    /// Something is there already.
    #[error("'{0}' exists already")]
    Exists(String),
    /// A folder where a file is wanted.
    #[error("'{0}' is a directory, not a file")]
    IsDirectory(String),
    /// A file where a folder is wanted.
    #[error("'{0}' is not a directory")]
    NotADirectory(String),
    /// A folder that has something in it.
    #[error("the directory '{0}' is not empty")]
    NotEmpty(String),
    /// A symbolic link on the way.
    #[error("'{0}' goes through a symbolic link, which is never followed")]
    Link(String),
    /// A range outside the file.
    #[error("bytes {start} to {end} of '{path}' were asked for, which has {size}")]
    Range {
        /// The file.
        path: String,
        /// The first byte asked for.
        start: u64,
        /// The byte after the last one asked for.
        end: u64,
        /// The file's length.
        size: u64,
    },
    /// The folder was opened for reading.
    #[error("'{0}' was opened for reading only")]
    ReadOnly(String),
    /// No upload of that id.
    #[error("the upload does not exist: it was completed, aborted, or never begun")]
    NoUpload,
    /// An upload that cannot be completed as asked.
    #[error("the upload of '{path}' cannot be completed: {why}")]
    Upload {
        /// The file that was to be made.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// The disk is full, or a quota.
    #[error("the disk is full: '{0}' was not written")]
    Full(String),
    /// The file system takes no changes: mounted so, or after a fault of its disk.
    #[error("the disk is read-only: '{0}' was not written")]
    ReadOnlyDisk(String),
    /// The operating system does not let the server.
    #[error("the server's account may not access '{0}'")]
    Forbidden(String),
    /// The stream that was to be stored failed.
    #[error("{0}")]
    Body(#[source] Problem),
    /// Anything else that the operating system says.
    #[error("cannot {what} '{path}'")]
    Io {
        /// `read`, `write` …
        what: &'static str,
        /// The file.
        path: String,
        /// What it says.
        source: io::Error,
    },
}

/// When a disk may have room again.
const LATER: Duration = Duration::from_secs(10);

impl StorageError {
    /// What a system call's failure means for a file.
    pub(crate) fn of(what: &'static str, path: &str, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        let path = if path.is_empty() { "." } else { path }.to_owned();
        match source.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOENT) => Self::NotFound(path),
            Some(Errno::EXIST) => Self::Exists(path),
            Some(Errno::ISDIR) => Self::IsDirectory(path),
            Some(Errno::NOTDIR) => Self::NotADirectory(path),
            Some(Errno::NOTEMPTY) => Self::NotEmpty(path),
            Some(Errno::LOOP) => Self::Link(path),
            Some(Errno::NOSPC | Errno::DQUOT) => Self::Full(path),
            Some(Errno::ROFS) => Self::ReadOnlyDisk(path),
            Some(Errno::ACCESS | Errno::PERM) => Self::Forbidden(path),
            Some(Errno::NAMETOOLONG) => Self::Path { path, why: "it is too long" },
            _ => Self::Io { what, path, source },
        }
    }

    /// Whether the failure says that there is nothing.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound(_))
    }
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        let (code, hint) = match &error {
            StorageError::Path { .. } => (
                Code::InvalidArgument,
                Some("use a relative path of names separated by '/', without '.', '..' and empty names"),
            ),
            StorageError::Location { .. } => (Code::InvalidArgument, Some("use file:///absolute/path")),
            StorageError::Scheme { .. } => (Code::Unimplemented, Some("use a file:/// location")),
            StorageError::Refused { .. } => (
                Code::PermissionDenied,
                Some("choose a folder that the server's administrator lists as an external location"),
            ),
            StorageError::NotFound(_) | StorageError::NoUpload => (Code::NotFound, None),
            StorageError::Exists(_) => (Code::AlreadyExists, None),
            StorageError::IsDirectory(_) | StorageError::NotADirectory(_) => (Code::FailedPrecondition, None),
            StorageError::NotEmpty(_) => (Code::FailedPrecondition, Some("delete what is in it first")),
            StorageError::Link(_) => (Code::PermissionDenied, Some("put the file itself there")),
            StorageError::Range { .. } | StorageError::Upload { .. } => (Code::InvalidArgument, None),
            StorageError::ReadOnly(_) => (Code::PermissionDenied, None),
            StorageError::Full(_) => {
                (Code::Unavailable, Some("free space on the disk of the server's data folder, then try again"))
            }
            StorageError::ReadOnlyDisk(_) => (
                Code::Unavailable,
                Some("mount the disk of the server's data folder for writing; its log may say why not"),
            ),
            StorageError::Forbidden(_) => {
                (Code::Unavailable, Some("give the account that runs the server access to that folder"))
            }
            StorageError::Body(_) => (Code::InvalidArgument, None),
            // The disk itself, which may come back.
            StorageError::Io { source, .. } if source.raw_os_error() == Some(Errno::IO.raw_os_error()) => {
                (Code::Unavailable, Some("the server's log names the file; the disk or its connection has a fault"))
            }
            StorageError::Io { .. } => (Code::Internal, None),
        };
        if let StorageError::Body(problem) = error {
            return problem;
        }
        let problem = Problem::new(code, error.to_string());
        let problem = match hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        };
        match error {
            StorageError::Full(_) => problem.reason("DISK_FULL").retry_after(LATER),
            StorageError::ReadOnlyDisk(_) => problem.reason("DISK_READ_ONLY").retry_after(LATER),
            StorageError::Io { source, .. } => problem.caused_by(source),
            _ => problem,
        }
    }
}
