//! The door: which locations exist, and who may have a handle on one.
//!
//! The server's data folder holds the database, tokens and logs beside the tables. A location that a person names (an
//! external location) must never reach into it, whatever links or spellings it is named by; so links are resolved once,
//! when a folder is opened, and never again.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crannog_security::Evidence;
use uuid::Uuid;

use crate::durable::Durable;
use crate::errors::{Result, StorageError};
use crate::faults::Faults;
use crate::folder::{Access, Folder};
use crate::location::Location;

/// Folders of the operating system that are not storage.
const NEVER: [&str; 3] = ["/proc", "/sys", "/dev"];

/// What kind of thing a managed location is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Managed {
    /// Delta tables.
    Tables,
    /// Volumes.
    Volumes,
    /// Files of runs and models, by their hash.
    Artifacts,
}

impl Managed {
    fn word(self) -> &'static str {
        match self {
            Managed::Tables => "tables",
            Managed::Volumes => "volumes",
            Managed::Artifacts => "artifacts",
        }
    }
}

/// Which folders outside the data folder may be used at all. Grants come on top of this, not in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum External {
    /// None.
    Nowhere,
    /// These and what lies below them.
    Under(Vec<Location>),
    /// Any but the operating system's own and the data folder.
    Anywhere,
}

/// The door to files. Made once.
#[derive(Clone)]
pub struct Storage {
    /// The server's data folder, links resolved.
    data: Location,
    /// `<data>/storage`.
    managed: Location,
    external: External,
    durable: Durable,
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Storage").field("data", &self.data).field("external", &self.external).finish_non_exhaustive()
    }
}

impl Storage {
    /// The door of a server with its data in `data`, which is made if it is not there. What is managed lies in
    /// `<data>/storage/{tables,volumes,artifacts}/<id>`.
    ///
    /// # Errors
    /// When the data folder is relative, not UTF-8 or cannot be made.
    pub fn new(data: &Path, external: External) -> Result<Self> {
        let named = Location::of_path(data)?;
        std::fs::create_dir_all(data).map_err(|error| StorageError::of("make", &named.to_string(), error))?;
        let real = std::fs::canonicalize(data).map_err(|error| StorageError::of("open", &named.to_string(), error))?;
        let data = Location::of_path(&real)?;
        let managed = data.child("storage")?;
        Ok(Self { data, managed, external, durable: Durable::default() })
    }

    /// The same door with every mutating step announced: for tests of power cuts and full disks.
    #[must_use]
    pub fn with_faults(self, faults: Arc<dyn Faults>) -> Self {
        Self { durable: Durable::with_faults(faults), ..self }
    }

    /// Where a managed table or volume lies. The folder need not exist.
    pub fn managed(&self, kind: Managed, id: Uuid) -> Location {
        // Both are plain names, so that `child` has nothing to refuse.
        let path = format!("{}/{}", kind.word(), id.hyphenated());
        self.managed.child(&path).unwrap_or_else(|_| self.managed.clone())
    }

    /// A handle on `<data>/ui/<name>`, or a folder below it: pages of others that are served. It need not exist.
    ///
    /// # Errors
    /// [`StorageError::Path`] for names that are refused.
    pub fn pages(&self, evidence: &dyn Evidence, name: &str, access: Access) -> Result<Folder> {
        let at = self.data.child("ui")?.child(name)?;
        tracing::trace!(action = evidence.action(), location = %at, ?access, "opened a folder of pages");
        Ok(Folder::new(at.clone(), format!("ui/{name}"), at.to_path(), access, self.durable.clone()))
    }

    /// Whether a location is one of [`Storage::managed`], or below one.
    pub fn is_managed(&self, at: &Location) -> bool {
        let Some([kind, id, ..]) = at.names().strip_prefix(self.managed.names()) else {
            return false;
        };
        (kind == "tables" || kind == "volumes" || kind == "artifacts")
            && Uuid::try_parse(id).is_ok_and(|uuid| uuid.hyphenated().to_string() == *id)
    }

    /// Whether a file can be made, written and synced where managed tables and volumes lie.
    ///
    /// # Errors
    /// What keeps it from that: [`StorageError::Full`], [`StorageError::ReadOnlyDisk`], and others.
    pub async fn rehearse(&self) -> Result<()> {
        let (at, durable) = (self.managed.clone(), self.durable.clone());
        let rehearsal = tokio::task::spawn_blocking(move || {
            let folder = Arc::new(durable.make_absolute(&at.to_path())?);
            durable.create_temp(folder)?.rehearse()
        });
        let outcome = rehearsal.await.unwrap_or_else(|ended| Err(io::Error::other(ended)));
        outcome.map_err(|error| StorageError::of("write", "storage", error))
    }

    /// Whether a location may be used for external tables and volumes, without opening it.
    ///
    /// # Errors
    /// [`StorageError::Refused`] with the rule: inside (or around) the server's data folder, the operating system's own,
    /// or outside of what the administrator allows.
    pub fn check_external(&self, at: &Location) -> Result<()> {
        self.resolve_external(at).map(drop)
    }

    /// A handle on one location. The folder need not exist: reading finds nothing, writing makes it.
    ///
    /// Links *above and in* the location are resolved now, once; links below it are never followed.
    ///
    /// # Errors
    /// See [`Storage::check_external`].
    pub fn open(&self, evidence: &dyn Evidence, at: &Location, access: Access) -> Result<Folder> {
        let (root, named) = match at.names().strip_prefix(self.data.names()) {
            Some(inside) if self.is_managed(at) => (at.to_path(), inside.join("/")),
            _ => (self.resolve_external(at)?, at.to_string()),
        };
        let who = evidence.principal().map_or("the server", |who| &who.name);
        tracing::trace!(action = evidence.action(), who, location = %at, ?access, "opened a folder");
        Ok(Folder::new(at.clone(), named, root, access, self.durable.clone()))
    }

    fn resolve_external(&self, at: &Location) -> Result<PathBuf> {
        let refuse = |why| StorageError::Refused { location: at.to_string(), why };
        let real = resolve(&at.to_path()).map_err(|error| StorageError::of("open", &at.to_string(), error))?;
        let Ok(real_location) = Location::of_path(&real) else {
            return Err(refuse("it leads to a folder whose name is not allowed"));
        };
        for place in [at, &real_location] {
            if place.overlaps(&self.data) {
                return Err(refuse("it overlaps the server's own data folder"));
            }
            if NEVER.iter().any(|never| place.to_path().starts_with(never)) {
                return Err(refuse("it belongs to the operating system"));
            }
        }
        let allowed = match &self.external {
            External::Nowhere => false,
            External::Anywhere => true,
            External::Under(roots) => roots.iter().any(|root| {
                // A root may be a link itself; what it leads to is what the administrator allowed.
                let led_to = resolve(&root.to_path()).ok();
                at.is_under(root) && led_to.is_some_and(|led_to| real.starts_with(led_to))
            }),
        };
        match allowed {
            true => Ok(real),
            false => Err(refuse("it is outside of the folders that the server may use")),
        }
    }
}

/// The path with links resolved as far as it exists; the rest as it is.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    match std::fs::canonicalize(path) {
        Ok(real) => Ok(real),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // A dangling link exists without leading anywhere: what it points to is not known, so it is refused.
            if std::fs::symlink_metadata(path).is_ok() {
                return Err(io::Error::from(rustix::io::Errno::LOOP));
            }
            match (path.parent(), path.file_name()) {
                (Some(above), Some(name)) => Ok(resolve(above)?.join(name)),
                _ => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}
