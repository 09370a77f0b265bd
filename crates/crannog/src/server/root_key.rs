//! Where the root key of stored secrets lies: outside the data folder, so that a copy of the folder, which is what a backup
//! takes, tells nobody the secrets.
//!
//! `root_key_file` says where. Without it, it is the file `crannog-data.root.key` beside the folder `crannog-data`. It stays
//! in the folder, and every start says so, where a file beside it would be less safe: where the folder is a file system of
//! its own (a container's volume outlives what lies beside it), and where nobody or everybody may write beside it. Earlier
//! starts kept it in the folder: it is moved out as soon as there is a place.
//!
//! It must never lose a key, and never put one in the place of another: a key in the folder came with the folder, so it is
//! the one that counts.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::folder::DataFolder;
use crate::cli::Failure;

/// The key's file, and what a person should be told about it.
#[derive(Debug)]
pub(super) struct RootKey {
    pub(super) file: PathBuf,
    pub(super) notice: Option<Notice>,
}

/// Something about the key that a person should know.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// It was moved out of the data folder.
    Moved(String),
    /// It lies where backups take it.
    Inside(String),
}

/// Finds the key's place, and moves the key there when it lies in the data folder and `settle` says that this process may.
pub(super) fn place(configured: Option<&Path>, folder: &DataFolder, settle: bool) -> Result<RootKey, Failure> {
    let inside = folder.path().join("keys").join("root.key");
    let (outside, safe) = match configured {
        Some(file) => (Some(file.to_owned()), true),
        None => (beside(folder.path()), beside(folder.path()).is_some_and(|_| suits(folder.path()))),
    };
    let here = |notice| Ok(RootKey { file: inside.clone(), notice });
    let there = |file: PathBuf, notice| Ok(RootKey { file, notice });
    let advice = "name a file elsewhere with root_key_file, where those backups do not take it, and the next start moves the \
         key there";
    match outside {
        Some(file) if !inside.exists() && (safe || file.exists()) => there(file, None),
        Some(file) if inside.exists() && file.exists() => {
            if !same(&inside, &file).unwrap_or(false) {
                return here(Some(Notice::Inside(format!(
                    "there are two root keys: {} is used, {} is another one; put the wrong one away",
                    inside.display(),
                    file.display()
                ))));
            }
            // A move that was cut off before its end.
            if settle {
                remove(&inside).map_err(|error| unusable(&inside, &error))?;
                let _ = fs::remove_dir(folder.path().join("keys"));
            }
            there(file, None)
        }
        Some(file) if inside.exists() && safe && settle => {
            moved(&inside, &file).map_err(|error| unusable(&file, &error))?;
            let _ = fs::remove_dir(folder.path().join("keys"));
            let text = format!(
                "the root key of stored secrets was moved out of the data folder to {}; keep a copy of it apart from the \
                 backups of the folder, which do not hold it any more",
                file.display()
            );
            there(file, Some(Notice::Moved(text)))
        }
        _ => {
            folder.private_folder("keys")?;
            here(Some(Notice::Inside(format!(
                "the root key of stored secrets, {}, lies in the data folder, so whoever has a backup of it can read them; \
                 {advice}",
                inside.display()
            ))))
        }
    }
}

fn unusable(file: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("the root key file {} cannot be used: {error}", file.display()))
}

/// `/var/lib/crannog.root.key` of `/var/lib/crannog`.
fn beside(folder: &Path) -> Option<PathBuf> {
    let mut name = folder.file_name()?.to_owned();
    name.push(".root.key");
    Some(folder.with_file_name(name))
}

/// Whether what lies beside the folder is as safe as what lies in it: on the same file system, in a folder that this process
/// may write to and not everybody.
fn suits(folder: &Path) -> bool {
    let Some(parent) = folder.parent() else { return false };
    let (Ok(one), Ok(other)) = (fs::metadata(folder), fs::metadata(parent)) else { return false };
    if one.dev() != other.dev() || other.mode() & 0o002 != 0 {
        return false;
    }
    let probe = parent.join(format!(".crannog-{}", std::process::id()));
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&probe).is_ok();
    made && fs::remove_file(&probe).is_ok()
}

fn same(one: &Path, other: &Path) -> io::Result<bool> {
    Ok(fs::read(one)? == fs::read(other)?)
}

/// Moves the key: whole in its new place, and durable there, before it goes from the old one.
fn moved(from: &Path, to: &Path) -> io::Result<()> {
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let mut out = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    io::copy(&mut File::open(from)?, &mut out)?;
    out.sync_all()?;
    fs::rename(&part, to)?;
    sync_folder_of(to)?;
    remove(from)
}

fn remove(file: &Path) -> io::Result<()> {
    fs::remove_file(file)?;
    sync_folder_of(file)
}

fn sync_folder_of(file: &Path) -> io::Result<()> {
    match file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A data folder, in a folder that is nobody else's.
    fn data() -> (tempfile::TempDir, DataFolder) {
        let scratch = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(&scratch.path().join("data")).unwrap();
        (scratch, folder)
    }

    fn old_key(folder: &DataFolder, text: &str) -> PathBuf {
        let file = folder.private_folder("keys").unwrap().join("root.key");
        fs::write(&file, text).unwrap();
        file
    }

    #[test]
    fn a_new_key_lies_beside_the_folder() {
        let (_scratch, folder) = data();
        let found = place(None, &folder, true).unwrap();
        assert_eq!(found.file, folder.path().with_file_name("data.root.key"));
        assert_eq!(found.notice, None);
        assert!(!folder.path().join("keys").exists());
    }

    #[test]
    fn an_old_key_is_moved_out_once_and_whole() {
        let (_scratch, folder) = data();
        let old = old_key(&folder, "key");
        // A command that runs beside the server leaves it.
        assert_eq!(place(None, &folder, false).unwrap().file, old);
        let found = place(None, &folder, true).unwrap();
        assert!(matches!(found.notice, Some(Notice::Moved(_))), "{found:?}");
        assert_eq!(fs::read_to_string(&found.file).unwrap(), "key");
        assert_eq!(fs::metadata(&found.file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!old.exists());
        assert_eq!(place(None, &folder, true).unwrap().notice, None);
        // Cut off before the old one went.
        old_key(&folder, "key");
        let found = place(None, &folder, true).unwrap();
        assert!(found.notice.is_none() && !old.exists() && found.file != old);
    }

    #[test]
    fn the_key_that_came_with_the_folder_counts() {
        let (_scratch, folder) = data();
        let old = old_key(&folder, "ours");
        let other = folder.path().with_file_name("data.root.key");
        fs::write(&other, "of an installation that is gone").unwrap();
        let found = place(None, &folder, true).unwrap();
        assert_eq!(found.file, old);
        assert!(matches!(found.notice, Some(Notice::Inside(text)) if text.contains("two root keys")));
        assert!(old.exists() && other.exists());
    }

    #[test]
    fn the_place_that_was_named_is_taken_and_the_key_goes_there() {
        let (scratch, folder) = data();
        let named = scratch.path().join("elsewhere.key");
        assert_eq!(place(Some(&named), &folder, true).unwrap().file, named);
        let old = old_key(&folder, "key");
        let found = place(Some(&named), &folder, true).unwrap();
        assert!(found.file == named && named.exists() && !old.exists(), "{found:?}");
        let nowhere = scratch.path().join("no such folder").join("root.key");
        old_key(&folder, "key");
        assert!(place(Some(&nowhere), &folder, true).is_err());
        assert!(old.exists());
    }

    #[test]
    fn where_everybody_may_write_it_stays_inside_and_that_is_said() {
        let (scratch, folder) = data();
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        let found = place(None, &folder, true).unwrap();
        assert_eq!(found.file, folder.path().join("keys").join("root.key"));
        assert!(matches!(found.notice, Some(Notice::Inside(text)) if text.contains("root_key_file")));
    }
}
