//! Every system call that changes a file or a folder, and the order that makes a change survive a power cut.
//!
//! A file: written under a temporary name, fsynced, given its name by link(2) (if nothing has it) or rename(2), then the
//! folder is fsynced. A file that nobody looks for before its name is told gets the name first, and both are fsynced side
//! by side. A new folder: made, then the folder above is fsynced. No other module of this crate mutates
//! anything, so that [`crate::faults`] sees every step and a test can fail or forget any of them.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{self, AtFlags, Mode, OFlags};
use rustix::io::Errno;
use uuid::Uuid;

use crate::beneath::{self, Dir};
use crate::faults::{Faults, Step};
use crate::paths::{HIDDEN, Relative};

/// New files: the server's account writes, its group reads. The umask may take more away.
const FILE_MODE: Mode = Mode::from_raw_mode(0o640);
/// New folders, likewise.
const DIR_MODE: Mode = Mode::from_raw_mode(0o750);

/// The mutating calls, with the hook of the tests.
#[derive(Clone, Default)]
pub(crate) struct Durable {
    faults: Option<Arc<dyn Faults>>,
}

/// A file that has no name of its own yet. Dropping it deletes it.
pub(crate) struct TempFile {
    file: File,
    dir: Arc<Dir>,
    name: String,
    durable: Durable,
    linked: bool,
}

impl Durable {
    /// With every step announced to `faults`.
    pub(crate) fn with_faults(faults: Arc<dyn Faults>) -> Self {
        Self { faults: Some(faults) }
    }

    fn step(&self, step: impl FnOnce() -> Step) -> io::Result<()> {
        match &self.faults {
            Some(faults) => faults.before(&step()),
            None => Ok(()),
        }
    }

    /// Opens an absolute path, making what is missing of it, durably.
    pub(crate) fn make_absolute(&self, path: &std::path::Path) -> io::Result<Dir> {
        let missing = match beneath::open_absolute(path) {
            Err(Errno::NOENT) => path,
            other => return other.map_err(Into::into),
        };
        let (Some(above), Some(name)) = (missing.parent(), missing.file_name()) else {
            return Err(Errno::NOENT.into());
        };
        let above = self.make_absolute(above)?;
        self.make_dir(&above, name)?;
        Ok(Dir { fd: beneath::step(&above.fd, name, true)?, path: path.to_owned() })
    }

    /// Opens a folder beneath another, making what is missing of it, durably.
    pub(crate) fn make_beneath(&self, root: Dir, path: &Relative) -> io::Result<Dir> {
        let mut dir = root;
        for name in path.names() {
            let fd = match beneath::step(&dir.fd, name.as_str(), true) {
                Err(Errno::NOENT) => {
                    self.make_dir(&dir, OsStr::new(name))?;
                    beneath::step(&dir.fd, name.as_str(), true)?
                }
                other => other?,
            };
            dir = Dir { fd, path: dir.path.join(name) };
        }
        Ok(dir)
    }

    /// Makes one folder; false: something has that name.
    pub(crate) fn make_dir(&self, above: &Dir, name: &OsStr) -> io::Result<bool> {
        self.step(|| Step::MakeDir(above.path.join(name)))?;
        let made = match fs::mkdirat(&above.fd, name, DIR_MODE) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(error.into()),
        };
        // Also when another made it: it may not have got to its fsync yet.
        self.sync_dir(above)?;
        Ok(made)
    }

    /// Begins a file in a folder.
    pub(crate) fn create_temp(&self, dir: Arc<Dir>) -> io::Result<TempFile> {
        let name = format!("{HIDDEN}tmp-{}", Uuid::new_v4().simple());
        self.step(|| Step::Create(dir.path.join(&name)))?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(fs::openat(&dir.fd, name.as_str(), flags, FILE_MODE)?);
        Ok(TempFile { file, dir, name, durable: self.clone(), linked: false })
    }

    /// Removes a file; false: nothing has that name. EISDIR for a folder.
    pub(crate) fn unlink(&self, dir: &Dir, name: &str) -> io::Result<bool> {
        self.step(|| Step::Unlink(dir.path.join(name)))?;
        match fs::unlinkat(&dir.fd, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            // POSIX lets unlink say EPERM for a folder; Linux says EISDIR.
            Err(Errno::PERM) if matches!(beneath::stat(dir, name), Ok(Some((_, true)))) => Err(Errno::ISDIR.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes an empty folder; false: nothing has that name.
    pub(crate) fn remove_dir(&self, above: &Dir, name: &str) -> io::Result<bool> {
        self.step(|| Step::RemoveDir(above.path.join(name)))?;
        match fs::unlinkat(&above.fd, name, AtFlags::REMOVEDIR) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the names in a folder durable.
    pub(crate) fn sync_dir(&self, dir: &Dir) -> io::Result<()> {
        self.step(|| Step::SyncDir(dir.path.clone()))?;
        fs::fsync(&dir.fd).map_err(Into::into)
    }
}

impl TempFile {
    fn path(&self) -> PathBuf {
        self.dir.path.join(&self.name)
    }

    /// Appends bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.durable.step(|| Step::Write(self.path(), bytes.len() as u64))?;
        self.file.write_all(bytes)
    }

    /// Appends another file whole, by copy_file_range where the file system can; gives its length.
    pub(crate) fn append(&mut self, from: &mut File) -> io::Result<u64> {
        let length = from.metadata()?.len();
        self.durable.step(|| Step::Write(self.path(), length))?;
        io::copy(from, &mut self.file)
    }

    /// Gives it a name that nothing has, durably; false: something has it. EISDIR when a folder has it.
    pub(crate) fn commit_new(self, name: &str) -> io::Result<Option<File>> {
        self.sync()?;
        self.link_new(name)
    }

    /// The second half of [`TempFile::commit_new`], for content that was fsynced before.
    pub(crate) fn link_new(self, name: &str) -> io::Result<Option<File>> {
        self.durable.step(|| Step::Link { from: self.path(), to: self.dir.path.join(name) })?;
        let linked = fs::linkat(&self.dir.fd, self.name.as_str(), &self.dir.fd, name, AtFlags::empty());
        let made = match linked {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(error.into()),
        };
        self.durable.unlink(&self.dir, &self.name)?;
        // The loser too: who reads the winner's file must not see it vanish in a power cut.
        self.durable.sync_dir(&self.dir)?;
        self.finish(made)
    }

    /// Gives it a name, in place of what has it, durably. EISDIR when a folder has it.
    pub(crate) fn commit_over(self, name: &str) -> io::Result<File> {
        self.sync()?;
        self.durable.step(|| Step::Rename { from: self.path(), to: self.dir.path.join(name) })?;
        fs::renameat(&self.dir.fd, self.name.as_str(), &self.dir.fd, name)?;
        self.durable.sync_dir(&self.dir)?;
        self.finish(true)?.ok_or_else(|| io::Error::other("the file was not kept"))
    }

    /// Writes and syncs something and takes it away again: whether files could be made here.
    pub(crate) fn rehearse(mut self) -> io::Result<()> {
        self.write(b"whether this disk takes files\n")?;
        self.sync()
    }

    /// Gives it a name, in place of what has it. Neither content nor name is durable until [`Placed`] was synced.
    pub(crate) fn place(mut self, name: &str) -> io::Result<Placed> {
        let path = self.dir.path.join(name);
        self.durable.step(|| Step::Rename { from: self.path(), to: path.clone() })?;
        fs::renameat(&self.dir.fd, self.name.as_str(), &self.dir.fd, name)?;
        self.linked = true;
        let (file, dir) = (Arc::new(self.file.try_clone()?), Arc::clone(&self.dir));
        Ok(Placed { file, path, dir, durable: self.durable.clone() })
    }

    /// Makes the content durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.durable.step(|| Step::SyncFile(self.path()))?;
        fs::fsync(&self.file).map_err(Into::into)
    }

    fn finish(mut self, made: bool) -> io::Result<Option<File>> {
        self.linked = true;
        match made {
            true => self.file.try_clone().map(Some),
            false => Ok(None),
        }
    }
}

/// A file that has its name, and is durable once both halves are.
#[derive(Clone)]
pub(crate) struct Placed {
    file: Arc<File>,
    path: PathBuf,
    dir: Arc<Dir>,
    durable: Durable,
}

impl Placed {
    /// Makes the content durable.
    pub(crate) fn sync_content(&self) -> io::Result<()> {
        self.durable.step(|| Step::SyncFile(self.path.clone()))?;
        fs::fsync(&*self.file).map_err(Into::into)
    }

    /// Makes the name durable.
    pub(crate) fn sync_name(&self) -> io::Result<()> {
        self.durable.sync_dir(&self.dir)
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if !self.linked {
            // What a crash or a failure here leaves behind, `Folder::sweep` removes.
            let _ = self.durable.unlink(&self.dir, &self.name);
        }
    }
}
