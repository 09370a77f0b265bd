//! Reads the rows that a decision depends on, and keeps them while they hold.
//!
//! The database is the truth. What was read, all of it at one moment, is kept in memory under the version of that moment;
//! every change that a decision depends on moves the version before it is acknowledged ([`crannog_store::Tx::bump`]), so a
//! revoked grant is gone at the next request. When the version cannot be read, nothing is decided.
//!
//! Parts of an object are many, and made without moving the version. Which object a part is of never changes, so that is kept
//! beside: without its version, and only for parts that were found.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use crannog_security::caller::Ready;
use crannog_security::{
    Caller, Denied, Facts, Finder, Grant, Judge, Kind, Node, Origin, Privilege, PrivilegeSet, Reference, System, Task,
    Who,
};
use crannog_store::{Audit, AuditEvent, Db, StoreError, params};
use crannog_types::{Code, FullName, PrincipalId, Problem, Result, SecurableId, fold};

use uuid::Uuid;

use crate::recorder::Recorder;

/// Entries that are kept; a full cache is emptied, which costs one read each.
const KEPT: usize = 100_000;

/// Who may do what: the one reader of grants.
pub struct Authority {
    db: Db,
    recorder: Arc<Recorder>,
    cache: RwLock<Cache>,
    parts: RwLock<HashMap<(&'static str, String), SecurableId>>,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Default)]
struct Cache {
    version: u64,
    facts: HashMap<(PrincipalId, Reference), Option<Arc<Facts>>>,
}

/// The object and its containers, up to the root.
const CHAIN: &str = "WITH RECURSIVE up (id, kind, name, owner, parent, depth) AS (\
       SELECT id, kind, name, owner, parent, cast(0 AS bigint) FROM securable WHERE (kind = $1 AND path = $2) OR id = $3 \
     UNION ALL \
       SELECT s.id, s.kind, s.name, s.owner, s.parent, up.depth + 1 FROM securable s JOIN up ON s.id = up.parent) \
     SELECT id, kind, name, owner FROM up ORDER BY depth";

/// The grants on these objects to the caller and their groups.
const GRANTS: &str = "WITH RECURSIVE up (id, parent) AS (\
       SELECT id, parent FROM securable WHERE id = $1 \
     UNION ALL SELECT s.id, s.parent FROM securable s JOIN up ON s.id = up.parent) \
     SELECT g.securable, g.principal, g.privilege FROM securable_grant g JOIN up ON up.id = g.securable \
     JOIN closure c ON c.principal = g.principal AND c.member = $2";

impl Authority {
    /// Over a database.
    pub fn new(db: Db, recorder: Arc<Recorder>) -> Arc<Self> {
        Arc::new(Authority {
            db,
            recorder,
            cache: RwLock::default(),
            parts: RwLock::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        })
    }

    /// A caller for somebody who was authenticated.
    #[expect(clippy::disallowed_methods, reason = "the authority is what mints callers")]
    pub fn caller(self: &Arc<Self>, who: Who, origin: Arc<Origin>) -> Caller {
        Caller::new(who, origin, Arc::clone(self) as Arc<dyn Judge>)
    }

    /// The caller with whose rights a view reads its tables: the view's owner, in the same request.
    ///
    /// # Errors
    /// When the owner is no longer there.
    #[expect(clippy::disallowed_methods, reason = "views run with their owner's rights")]
    pub async fn owner_of_view(&self, caller: &Caller, owner: PrincipalId) -> Result<Caller> {
        let name = self.principal_name(owner).await?.ok_or_else(|| {
            Problem::new(Code::FailedPrecondition, "the owner of the view is not there any more")
                .hint("an administrator can give the view a new owner")
        })?;
        Ok(caller.acting_as(Who { id: owner, name: name.into() }))
    }

    /// The name of a principal.
    pub async fn principal_name(&self, id: PrincipalId) -> Result<Option<String>> {
        let row = self.db.read(&system()).row("SELECT name FROM principal WHERE id = $1", params![id]).await?;
        Ok(row.map(|row| row.text(0)).transpose()?)
    }

    /// How many decisions came from memory, and how many read their rows.
    pub fn cache_figures(&self) -> (u64, u64) {
        (self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed))
    }

    /// The audit's buffer, for readers of the audit.
    pub fn recorder(&self) -> &Arc<Recorder> {
        &self.recorder
    }

    fn kept(&self, version: u64, key: &(PrincipalId, Reference)) -> Option<Option<Arc<Facts>>> {
        let cache = self.cache.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        (cache.version == version).then(|| cache.facts.get(key).cloned()).flatten()
    }

    fn keep(&self, version: u64, key: (PrincipalId, Reference), facts: Option<Arc<Facts>>) {
        let mut cache = self.cache.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if cache.version < version || (cache.version == version && cache.facts.len() >= KEPT) {
            cache.facts.clear();
        }
        if cache.version <= version {
            // An older moment than what is kept already is of no use to anybody.
            cache.version = version;
            cache.facts.insert(key, facts);
        }
    }

    /// The object that a word stands for.
    async fn find(&self, finder: &'static Finder, word: &str) -> Result<Option<SecurableId>, StoreError> {
        let part = finder.kind != finder.kind.governed();
        let key = (finder.sql, word.to_owned());
        if part && let Some(id) = self.parts.read().unwrap_or_else(std::sync::PoisonError::into_inner).get(&key) {
            return Ok(Some(*id));
        }
        // A word that no text of the database can be is nobody's.
        if word.contains('\0') {
            return Ok(None);
        }
        let Some(row) = self.db.read(&system()).row(finder.sql, params![(finder.key)(word)]).await? else {
            return Ok(None);
        };
        let id = row.securable(0)?;
        if part {
            let mut parts = self.parts.write().unwrap_or_else(std::sync::PoisonError::into_inner);
            if parts.len() >= KEPT {
                parts.clear();
            }
            parts.insert(key, id);
        }
        Ok(Some(id))
    }

    /// The facts, all of one moment, and the version of that moment.
    async fn read(&self, who: &Who, about: &Reference) -> Result<(u64, Option<Facts>), StoreError> {
        let mut reader = self.db.snapshot(&system()).await?;
        let version = reader.version();
        let (kind, path, id) = match about {
            Reference::Root => (None, None, Some(SecurableId::METASTORE)),
            Reference::Named(kind, name) => (Some(kind.word()), Some(fold(&name.to_string())), None),
            Reference::Id(_, id) => (None, None, Some(*id)),
            Reference::Found(..) => (None, None, None),
        };
        let rows = reader.rows(CHAIN, params![kind, path, id]).await?;
        let mut chain = Vec::with_capacity(rows.len());
        for row in &rows {
            let Some(kind) = Kind::of_word(&row.text(1)?) else { return Ok((version, None)) };
            let name = FullName::of([row.text(2)?]);
            chain.push(Node { id: row.securable(0)?, kind, name, owner: row.principal(3)?, grants: Vec::new() });
        }
        let Some(target) = chain.first() else { return Ok((version, None)) };
        let granted = reader.rows(GRANTS, params![target.id, who.id]).await?;
        complete_names(&mut chain);
        for row in &granted {
            let (securable, principal) = (row.securable(0)?, row.principal(1)?);
            let Some(privilege) = Privilege::parse(&row.text(2)?) else { continue };
            let Some(node) = chain.iter_mut().find(|node| node.id == securable) else { continue };
            match node.grants.iter_mut().find(|grant| grant.principal == principal) {
                Some(grant) => grant.privileges = grant.privileges.with(privilege),
                None => {
                    let privileges = PrivilegeSet::EMPTY.with(privilege);
                    node.grants.push(Grant { principal, privileges });
                }
            }
        }
        let mut closure = vec![who.id];
        for row in reader.rows("SELECT principal FROM closure WHERE member = $1", params![who.id]).await? {
            let principal = row.principal(0)?;
            if principal != who.id {
                closure.push(principal);
            }
        }
        Ok((version, Some(Facts { closure, chain })))
    }
}

/// Names of one part become full names: those of the containers are put in front. The root has none.
fn complete_names(chain: &mut [Node]) {
    let mut above = FullName::of(Vec::<String>::new());
    for node in chain.iter_mut().rev() {
        if node.kind == Kind::Metastore {
            node.name = FullName::of(Vec::<String>::new());
        } else {
            node.name = above.child(node.name.last());
        }
        above = node.name.clone();
    }
}

impl Judge for Authority {
    fn facts<'a>(&'a self, who: &'a Who, about: &'a Reference) -> Ready<'a, Result<Option<Arc<Facts>>>> {
        Box::pin(async move {
            let about = match about {
                Reference::Named(kind, name) => {
                    Reference::Named(*kind, FullName::of(name.parts().iter().map(|part| fold(part))))
                }
                Reference::Found(finder, word) => match self.find(finder, word).await? {
                    Some(id) => Reference::Id(finder.kind.governed(), id),
                    None => return Ok(None),
                },
                other => other.clone(),
            };
            let key = (who.id, about);
            // What is kept holds while nothing that decisions depend on was acknowledged after it.
            if let Some(facts) = self.kept(self.db.version().await?, &key) {
                self.hits.fetch_add(1, Ordering::Relaxed);
                return Ok(facts);
            }
            self.misses.fetch_add(1, Ordering::Relaxed);
            let (version, facts) = self.read(who, &key.1).await?;
            let facts = facts.map(Arc::new);
            self.keep(version, key, facts.clone());
            Ok(facts)
        })
    }

    fn record(
        &self,
        who: &Who,
        origin: &Arc<Origin>,
        action: &'static str,
        about: &Reference,
        denied: Option<&Denied>,
    ) {
        // Every later line of the request names it, and so do the audit's row and the line of a denial.
        let decision = Uuid::now_v7().to_string();
        tracing::Span::current().record("decision_id", &decision);
        let Some(denied) = denied else {
            tracing::debug!(action, "allowed");
            return;
        };
        tracing::info!(action, visible = denied.visible, "denied");
        let wanted = denied.missing.iter().map(|missing| missing.describe()).collect::<Vec<_>>().join(" and ");
        let mut what = Audit::of("unityCatalog", vendor_action(action))
            .with("securable_type", about.kind().word())
            .with("action", action)
            .with("decision_id", decision);
        match about {
            Reference::Named(_, name) => what = what.with("full_name_arg", name.to_string()),
            Reference::Id(_, id) => what = what.with("id", id.to_string()),
            Reference::Found(_, word) => what = what.with("id", word.as_str()),
            Reference::Root => {}
        }
        let error = if denied.visible { format!("missing {wanted}") } else { "not visible or not there".to_owned() };
        self.recorder.event(AuditEvent {
            at: self.db.now(),
            who: Some(who.clone()),
            origin: Some(Arc::clone(origin)),
            what,
            status: if denied.visible { 403 } else { 404 },
            error: Some(error),
        });
    }
}

/// Databricks' word for what was tried, so that queries over its audit find ours.
fn vendor_action(action: &'static str) -> &'static str {
    match action {
        "tables.select" | "tables.read_metadata" => "getTable",
        "tables.read_write_files" => "generateTemporaryTableCredential",
        "tables.modify" => "modifyTable",
        "schemas.create_table" => "createTable",
        "schemas.create_volume" => "createVolume",
        "schemas.read_metadata" => "getSchema",
        "catalogs.create_schema" => "createSchema",
        "catalogs.read_metadata" => "getCatalog",
        "metastore.create_catalog" => "createCatalog",
        "volumes.read" | "volumes.write" => "volumeFileAccess",
        "securables.grant" => "updatePermissions",
        "securables.read_grants" => "getPermissions",
        other => other,
    }
}

#[expect(clippy::disallowed_methods, reason = "reading grants is how permits come about")]
fn system() -> System {
    System::task(Task::Decide)
}
