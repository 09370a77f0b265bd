//! The data folder: mode 0700, one server at a time.
//!
//! The lock is the kernel's, held by this process and gone with it however it ends; the pid in the file is only for the
//! message of whoever comes second.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::cli::Failure;

/// A data folder in use by this process.
pub(crate) struct DataFolder {
    path: PathBuf,
    /// Whether this process made it.
    made: bool,
    /// `None`: another process holds it, and this one only goes through the database.
    _lock: Option<File>,
}

impl DataFolder {
    /// Makes the folder where it is not there, and locks it.
    ///
    /// # Errors
    /// When another server uses it, naming its pid.
    pub(crate) fn open(named: &Path) -> Result<Self, Failure> {
        let unusable = |error: std::io::Error| Failure::new(format!("{} cannot be used: {error}", named.display()));
        let made = !named.exists();
        DirBuilder::new().recursive(true).mode(0o700).create(named).map_err(unusable)?;
        fs::set_permissions(named, Permissions::from_mode(0o700)).map_err(unusable)?;
        let path = fs::canonicalize(named).map_err(unusable)?;
        let mut file = lock_file(&path).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let (pid, _) = holder(&mut file);
                return Err(Failure::new(format!(
                    "{} is in use by the server with pid {pid}; stop that one, or choose another folder with --data",
                    path.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        let content = format!("{} {}\n", std::process::id(), env!("CARGO_PKG_VERSION"));
        let write = || -> std::io::Result<()> {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(content.as_bytes())
        };
        let mut write = write;
        write().map_err(unusable)?;
        Ok(DataFolder { path, made, _lock: Some(file) })
    }

    /// Leaves no trace of a start that was refused: a folder that this process made goes, one that was there stays.
    pub(crate) fn give_up(self) {
        if self.made {
            let _ = fs::remove_file(self.path.join("lock"));
            let _ = fs::remove_dir(&self.path);
        }
    }

    /// The folder of an installation, for a command that may run beside its server.
    ///
    /// # Errors
    /// When there is no installation, or the server that runs on it is of another version.
    pub(crate) fn beside(named: &Path) -> Result<Self, Failure> {
        let none = || {
            Failure::new(format!(
                "there is no installation in {}; --data names the folder that `crannog up` was given",
                named.display()
            ))
        };
        let path = fs::canonicalize(named).map_err(|_| none())?;
        if !path.join("lock").is_file() {
            return Err(none());
        }
        let mut file =
            lock_file(&path).map_err(|error| Failure::new(format!("{} cannot be used: {error}", path.display())))?;
        match file.try_lock() {
            Ok(()) => Ok(DataFolder { path, made: false, _lock: Some(file) }),
            Err(_) => {
                let (pid, version) = holder(&mut file);
                if version != env!("CARGO_PKG_VERSION") {
                    return Err(Failure::new(format!(
                        "the server with pid {pid} is version {version} and this program {}; use the same",
                        env!("CARGO_PKG_VERSION")
                    )));
                }
                Ok(DataFolder { path, made: false, _lock: None })
            }
        }
    }

    /// The folder, links resolved.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A folder in it that only the owner can enter.
    pub(crate) fn private_folder(&self, name: &str) -> Result<PathBuf, Failure> {
        let folder = self.path.join(name);
        match DirBuilder::new().recursive(true).mode(0o700).create(&folder) {
            Ok(()) => Ok(folder),
            Err(error) => Err(Failure::new(format!("{} cannot be made: {error}", folder.display()))),
        }
    }

    /// Writes a file that only the owner can read, whole or not at all.
    pub(crate) fn write_private(&self, name: &str, content: &str) -> Result<(), Failure> {
        let (file, beside) = (self.path.join(name), self.path.join(format!(".{name}.new")));
        let write = || -> std::io::Result<()> {
            let _ = fs::remove_file(&beside);
            let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
            out.write_all(content.as_bytes())?;
            out.sync_all()?;
            fs::rename(&beside, &file)?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(|error| Failure::new(format!("{} cannot be written: {error}", file.display())))
    }
}

fn lock_file(folder: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(folder.join("lock"))
}

/// Pid and version of who holds the lock.
fn holder(file: &mut File) -> (String, String) {
    let mut text = String::new();
    let _ = file.seek(SeekFrom::Start(0));
    let _ = file.read_to_string(&mut text);
    let mut words = text.split_whitespace().map(str::to_owned);
    (words.next().unwrap_or_else(|| "?".to_owned()), words.next().unwrap_or_else(|| "?".to_owned()))
}

/// This machine's name.
pub(crate) fn hostname() -> Option<String> {
    rustix::system::uname().nodename().to_str().ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_for_one_server_and_for_its_owner() {
        let scratch = tempfile::tempdir().unwrap();
        let data = scratch.path().join("deep").join("data");
        let first = DataFolder::open(&data).unwrap();
        assert_eq!(fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
        let refused = DataFolder::open(&data).err().unwrap().to_string();
        assert!(refused.contains(&format!("pid {}", std::process::id())), "{refused}");
        assert!(DataFolder::beside(&data).is_ok());
        drop(first);
        DataFolder::open(&data).unwrap();
        assert!(DataFolder::beside(scratch.path()).is_err());
    }

    #[test]
    fn a_private_file_is_private() {
        let data = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(data.path()).unwrap();
        folder.write_private("admin.token", "x\n").unwrap();
        folder.write_private("admin.token", "y\n").unwrap();
        let file = folder.path().join("admin.token");
        assert_eq!(fs::read_to_string(&file).unwrap(), "y\n");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
