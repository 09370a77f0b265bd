//! Who was granted what, as the views of privileges show it: all to those who manage an object, their own to others. The grants of a
//! catalog and of everything in it are read at once.

use std::collections::{HashMap, HashSet};

use crannog_governance::model::objects::{Container, Object};
use crannog_security::actions::{catalogs, metastore};
use crannog_security::{Decision, Evidence, Kind, NameOf, Privilege, Reference, Rule};
use crannog_store::params;
use crannog_types::{PrincipalId, Result, SecurableId};

use super::super::Run;
use super::super::answer::Cell;
use super::{Rows, parts};

/// One grant.
struct Given {
    grantor: String,
    grantee: String,
    principal: PrincipalId,
    privilege: Privilege,
}

/// Every grant in a catalog, read at once, and what decides which of them the caller may see.
pub(super) struct Grants {
    on: HashMap<SecurableId, Vec<Given>>,
    /// The caller and the groups that the caller is in.
    closure: HashSet<PrincipalId>,
    /// The caller administers the metastore.
    admin: bool,
    catalog: (SecurableId, PrincipalId),
}

/// The grants that reach an object: its own and its containers'.
pub(super) struct Reaching<'a> {
    grants: &'a Grants,
    schema: Option<&'a Object>,
}

impl Grants {
    pub(super) async fn of_catalog(run: &Run, catalog: &Container) -> Result<Self> {
        const OF_CATALOG: &str = "SELECT g.securable, g.granted_by, p.name, g.principal, g.privilege \
             FROM securable_grant g JOIN principal p ON p.id = g.principal WHERE g.securable IN (\
               SELECT id FROM securable WHERE id = $1 UNION SELECT id FROM securable WHERE parent = $1 \
               UNION SELECT t.id FROM securable t JOIN securable s ON s.id = t.parent WHERE s.parent = $1) \
             ORDER BY p.folded, g.privilege";
        let permit = run.caller.ask::<catalogs::ReadMetadata>(NameOf::named(catalog.object.name.clone())).await?;
        Self::read(run, &permit, OF_CATALOG, &catalog.object).await
    }

    async fn read(run: &Run, evidence: &dyn Evidence, sql: &'static str, of: &Object) -> Result<Self> {
        let me = run.caller.who().id;
        let reader = run.lake.governance.db.read(evidence);
        let mut on: HashMap<SecurableId, Vec<Given>> = HashMap::new();
        for row in reader.rows(sql, params![of.id]).await? {
            let Some(privilege) = Privilege::parse(&row.text(4)?) else { continue };
            let (grantor, grantee, principal) = (row.text(1)?, row.text(2)?, row.principal(3)?);
            on.entry(row.securable(0)?).or_default().push(Given { grantor, grantee, principal, privilege });
        }
        let mut closure = HashSet::from([me]);
        for row in reader.rows("SELECT principal FROM closure WHERE member = $1", params![me]).await? {
            closure.insert(row.principal(0)?);
        }
        let (_, decision) = run.caller.explain(Rule::Admin, &Reference::Root).await?;
        let admin = matches!(decision, Decision::Allowed(_));
        Ok(Grants { on, closure, admin, catalog: (of.id, of.owner_id) })
    }

    pub(super) fn under<'a>(&'a self, schema: Option<&'a Object>) -> Reaching<'a> {
        Reaching { grants: self, schema }
    }

    pub(super) fn rows(&self, object: &Object, kind: Kind, gate: bool) -> Rows {
        self.under(None).rows(object, kind, gate)
    }
}

impl<'a> Reaching<'a> {
    /// The object and its containers, innermost first, with the word for where a grant was given.
    fn chain(&self, object: &Object) -> Vec<(SecurableId, PrincipalId, &'static str)> {
        let mut chain = vec![(object.id, object.owner_id, "NONE")];
        chain.extend(self.schema.map(|schema| (schema.id, schema.owner_id, "SCHEMA")));
        let (catalog, owner) = self.grants.catalog;
        if catalog != object.id {
            chain.push((catalog, owner, "CATALOG"));
        }
        chain
    }

    fn given(&self, id: SecurableId) -> &'a [Given] {
        self.grants.on.get(&id).map_or(&[], Vec::as_slice)
    }

    /// The evaluator's `Rule::Manages`: owner of it or of a container; or MANAGE, with the gates.
    pub(super) fn manages(&self, object: &Object, gate: bool) -> bool {
        let mine = |principal: PrincipalId| self.grants.closure.contains(&principal);
        let manage = |given: &Given| given.privilege == Privilege::Manage && mine(given.principal);
        let chain = self.chain(object);
        self.grants.admin
            || chain.iter().any(|(_, owner, _)| mine(*owner))
            || (gate && chain.iter().any(|(id, _, _)| self.given(*id).iter().any(manage)))
    }

    pub(super) fn rows(&self, object: &Object, kind: Kind, gate: bool) -> Rows {
        let everything = self.manages(object, gate);
        let mut rows = Rows::new();
        for (id, _, from) in self.chain(object) {
            let reaches = |privilege: Privilege| {
                from == "NONE"
                    || privilege.applies_to(kind)
                    || matches!(privilege, Privilege::AllPrivileges | Privilege::Browse)
            };
            for given in self.given(id) {
                if reaches(given.privilege) && (everything || self.grants.closure.contains(&given.principal)) {
                    rows.push(privilege_cells(given, parts(object), from));
                }
            }
        }
        rows
    }
}

fn privilege_cells(given: &Given, on: Vec<Cell>, from: &'static str) -> Vec<Cell> {
    let mut cells = vec![given.grantor.as_str().into(), given.grantee.as_str().into()];
    cells.extend(on);
    cells.extend([given.privilege.sql().into(), "NO".into(), from.into()]);
    cells
}

pub(super) async fn metastore_privileges(run: &Run, rows: &mut Rows) -> Result<()> {
    const OF_ROOT: &str = "SELECT g.securable, g.granted_by, p.name, g.principal, g.privilege FROM securable_grant g \
         JOIN principal p ON p.id = g.principal WHERE g.securable = $1 ORDER BY p.folded, g.privilege";
    let permit = run.caller.ask::<metastore::Read>(NameOf::root()).await?;
    let root = crannog_governance::service::metastore::get(&run.lake.governance.db, &permit).await?;
    let grants = Grants::read(run, &permit, OF_ROOT, &root).await?;
    for given in grants.under(None).given(root.id) {
        if grants.admin || grants.closure.contains(&given.principal) {
            rows.push(privilege_cells(given, vec![root.id.to_string().into()], "NONE"));
        }
    }
    Ok(())
}
