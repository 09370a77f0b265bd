//! Opening what lies beneath a folder, one name at a time, never through a symbolic link.
//!
//! Every name is opened relative to the folder opened before it, with O_NOFOLLOW. A link that somebody puts in place
//! while a path is walked is therefore refused like one that was there before; there is no check to race against.
//! Reading only: what changes anything is in `durable.rs`.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::{Errno, Result};

use crate::paths::Relative;

/// Folders on the way need no right to be listed, only to be passed.
#[cfg(target_os = "linux")]
const PASS: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
const PASS: OFlags = OFlags::RDONLY;

/// An open folder.
#[derive(Debug)]
pub(crate) struct Dir {
    /// Its descriptor, good for reading its entries and for fsync.
    pub(crate) fd: OwnedFd,
    /// Where it was, for fault injection and the log; never opened.
    pub(crate) path: PathBuf,
}

/// Opens an absolute path that holds no links.
///
/// # Errors
/// ENOENT, ENOTDIR, ELOOP for a link, EACCES.
pub(crate) fn open_absolute(path: &Path) -> Result<Dir> {
    let names: Vec<_> = path.components().skip(1).map(|part| part.as_os_str()).collect();
    let mut fd = fs::open("/", PASS | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    for (at, name) in names.iter().enumerate() {
        fd = step(&fd, *name, at + 1 == names.len())?;
    }
    Ok(Dir { fd, path: path.to_owned() })
}

/// Opens a folder beneath another.
///
/// # Errors
/// See [`open_absolute`].
pub(crate) fn open_beneath(root: Dir, path: &Relative) -> Result<Dir> {
    let mut dir = root;
    for (at, name) in path.names().iter().enumerate() {
        let fd = step(&dir.fd, name.as_str(), at + 1 == path.names().len())?;
        dir = Dir { fd, path: dir.path.join(name) };
    }
    Ok(dir)
}

/// Opens one folder in another; `last`: to read it, not only to pass.
pub(crate) fn step<P: rustix::path::Arg + Copy>(dir: &OwnedFd, name: P, last: bool) -> Result<OwnedFd> {
    let how = if last { OFlags::RDONLY } else { PASS };
    let flags = how | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    fs::openat(dir, name, flags, Mode::empty()).map_err(|error| link_or(dir, name, error))
}

/// Opens a file for reading.
///
/// # Errors
/// EISDIR for a folder, ELOOP for a link, EACCES for pipes, sockets and devices.
pub(crate) fn open_file(dir: &Dir, name: &str) -> Result<(File, Stat)> {
    // Without O_NONBLOCK a pipe would hold the thread until somebody writes into it.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let fd = fs::openat(&dir.fd, name, flags, Mode::empty()).map_err(|error| link_or(&dir.fd, name, error))?;
    let stat = fs::fstat(&fd)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok((File::from(fd), stat)),
        FileType::Directory => Err(Errno::ISDIR),
        _ => Err(Errno::ACCESS),
    }
}

/// What stands under a name, without following it. `None` for nothing, for links, pipes, sockets and devices.
pub(crate) fn stat(dir: &Dir, name: &str) -> Result<Option<(Stat, bool)>> {
    match fs::statat(&dir.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Some((stat, false)),
            FileType::Directory => Some((stat, true)),
            _ => None,
        }),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// O_DIRECTORY says ENOTDIR for a link too; a caller is told which it was.
fn link_or<P: rustix::path::Arg>(dir: &OwnedFd, name: P, error: Errno) -> Errno {
    if error != Errno::NOTDIR && error != Errno::MLINK {
        return error;
    }
    match fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => Errno::LOOP,
        _ => error,
    }
}
