//! A hook before every mutating system call, and a power cut made of it, for tests of this crate and of those above.
//!
//! [`PowerCut`] lets a chosen number of steps happen, fails every later one, and then takes away what a disk may lose:
//! names whose folder was not fsynced, contents that were not fsynced. What is left is the worst that a real cut leaves.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// One mutating system call, with absolute paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// An empty file is made.
    Create(PathBuf),
    /// That many bytes are appended.
    Write(PathBuf, u64),
    /// A file's content is fsynced.
    SyncFile(PathBuf),
    /// A file gets a second name, which nothing may have.
    Link {
        /// The name it has.
        from: PathBuf,
        /// The name it gets.
        to: PathBuf,
    },
    /// A file gets another name, in place of what has it.
    Rename {
        /// The name it has.
        from: PathBuf,
        /// The name it gets.
        to: PathBuf,
    },
    /// A file's name is removed.
    Unlink(PathBuf),
    /// A folder is made.
    MakeDir(PathBuf),
    /// An empty folder is removed.
    RemoveDir(PathBuf),
    /// A folder's names are fsynced.
    SyncDir(PathBuf),
}

/// Hears of every step before it happens.
pub trait Faults: Send + Sync {
    /// An error is given to the caller in place of the step, as if the system call had failed.
    ///
    /// # Errors
    /// What the test wants to happen.
    fn before(&self, step: &Step) -> io::Result<()>;
}

/// A power cut after a number of steps.
pub struct PowerCut {
    state: Mutex<State>,
    /// Where replaced and removed files are kept until they are lost for certain: on the same file system, outside of
    /// what is tested.
    aside: PathBuf,
}

struct State {
    left: usize,
    taken: usize,
    /// Changes of names that their folder's fsync has not covered yet, oldest first.
    names: Vec<Change>,
    /// Files (by any name) with content that no fsync has covered.
    dirty: HashSet<PathBuf>,
}

enum Change {
    Made(PathBuf),
    MadeDir(PathBuf),
    Renamed { from: PathBuf, to: PathBuf, replaced: Option<PathBuf> },
    Removed { path: PathBuf, kept: PathBuf },
    RemovedDir(PathBuf),
}

impl PowerCut {
    /// Lets `steps` steps happen. `aside` is an existing folder for the hook's own use.
    pub fn after(steps: usize, aside: &Path) -> Self {
        let state = State { left: steps, taken: 0, names: Vec::new(), dirty: HashSet::new() };
        Self { state: Mutex::new(state), aside: aside.to_owned() }
    }

    /// How many steps happened: run once without a cut to learn how many there are.
    pub fn taken(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).taken
    }

    /// Takes away what was not made durable. Call it when nothing uses the folder any more.
    ///
    /// # Errors
    /// When the real file system fails.
    pub fn lose_what_was_not_synced(&self) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for path in std::mem::take(&mut state.dirty) {
            if path.exists() {
                std::fs::OpenOptions::new().write(true).open(&path)?.set_len(0)?;
            }
        }
        for change in std::mem::take(&mut state.names).into_iter().rev() {
            match change {
                Change::Made(path) => ignore_missing(std::fs::remove_file(path))?,
                Change::MadeDir(path) => ignore_missing(std::fs::remove_dir(path))?,
                Change::Renamed { from, to, replaced } => {
                    ignore_missing(std::fs::rename(&to, from))?;
                    if let Some(kept) = replaced {
                        std::fs::rename(kept, to)?;
                    }
                }
                Change::Removed { path, kept } => std::fs::rename(kept, path)?,
                Change::RemovedDir(path) => std::fs::create_dir(path)?,
            }
        }
        Ok(())
    }

    fn keep(&self, path: &Path, number: usize) -> io::Result<Option<PathBuf>> {
        let kept = self.aside.join(format!("kept-{number}"));
        match std::fs::hard_link(path, &kept) {
            Ok(()) => Ok(Some(kept)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Faults for PowerCut {
    fn before(&self, step: &Step) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.left == 0 {
            return Err(io::Error::other("the power was cut"));
        }
        state.left -= 1;
        state.taken += 1;
        match step {
            Step::Create(path) => state.names.push(Change::Made(path.clone())),
            Step::Write(path, _) => {
                state.dirty.insert(path.clone());
            }
            Step::SyncFile(path) => {
                state.dirty.remove(path);
            }
            Step::Link { to, .. } => {
                // A link that fails changes nothing, and must not be undone.
                if !to.exists() {
                    state.names.push(Change::Made(to.clone()));
                }
            }
            Step::Rename { from, to } => {
                let replaced = self.keep(to, state.taken)?;
                if state.dirty.remove(from) {
                    state.dirty.insert(to.clone());
                }
                state.names.push(Change::Renamed { from: from.clone(), to: to.clone(), replaced });
            }
            Step::Unlink(path) => {
                if let Some(kept) = self.keep(path, state.taken)? {
                    state.names.push(Change::Removed { path: path.clone(), kept });
                }
            }
            Step::MakeDir(path) => {
                if !path.exists() {
                    state.names.push(Change::MadeDir(path.clone()));
                }
            }
            Step::RemoveDir(path) => {
                if std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none()) {
                    state.names.push(Change::RemovedDir(path.clone()));
                }
            }
            Step::SyncDir(dir) => {
                // A folder that is gone for certain takes with it whatever happened in it.
                let gone: Vec<PathBuf> = state
                    .names
                    .iter()
                    .filter_map(|change| match change {
                        Change::RemovedDir(path) if path.parent() == Some(dir) => Some(path.clone()),
                        _ => None,
                    })
                    .collect();
                let durable =
                    |path: &Path| path.parent() == Some(dir) || gone.iter().any(|gone| path.starts_with(gone));
                state.names.retain(|change| match change {
                    Change::Made(path) | Change::MadeDir(path) | Change::RemovedDir(path) => !durable(path),
                    Change::Renamed { to, .. } => !durable(to),
                    Change::Removed { path, .. } => !durable(path),
                });
            }
        }
        Ok(())
    }
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
