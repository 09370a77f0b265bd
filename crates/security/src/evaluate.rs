//! The evaluator: a pure function over rows that says whether, and why.
//!
//! The rules are Unity Catalog's. Grants on a container hold for everything below it, but grants on the metastore do not
//! flow into catalogs. Everything below a catalog needs USE CATALOG on it, and everything below a schema USE SCHEMA, also
//! for owners: whoever owns an object, or manages it, still needs the gates above what they own. The owner of an object has
//! every privilege on it but EXTERNAL USE SCHEMA; the owner of a container may manage what is in it, but not read it.
//! MANAGE manages and does not read. ALL PRIVILEGES is expanded here, when it is checked. BROWSE alone passes gates.
//!
//! It must never read anything but its arguments: the matrix and the property tests call it a million times.

use crannog_types::{FullName, PrincipalId, SecurableId};

use crate::actions::Rule;
use crate::privileges::{Privilege, PrivilegeSet};
use crate::securables::Kind;

/// Privileges that one principal was granted directly on one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The person or the group.
    pub principal: PrincipalId,
    /// What was granted there.
    pub privileges: PrivilegeSet,
}

/// One object on the way from the target up to the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its id.
    pub id: SecurableId,
    /// Its kind.
    pub kind: Kind,
    /// Its full name as it is stored.
    pub name: FullName,
    /// Who owns it.
    pub owner: PrincipalId,
    /// The grants on it to anybody in the caller's closure; others may be left out.
    pub grants: Vec<Grant>,
}

/// All that a decision depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The caller and every group that the caller is in, directly or by nesting. The caller is the first.
    pub closure: Vec<PrincipalId>,
    /// The target, then its containers, up to the metastore.
    pub chain: Vec<Node>,
}

/// Why something is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Because {
    /// It is allowed to everybody who is signed in.
    SignedIn,
    /// The caller, or a group of theirs, owns this object.
    Owner {
        /// The owned object.
        of: SecurableId,
        /// The caller or the group.
        via: PrincipalId,
    },
    /// A grant.
    Granted {
        /// What was granted (ALL PRIVILEGES where that decided).
        privilege: Privilege,
        /// The object on which it was granted: the target or a container of it.
        on: SecurableId,
        /// To whom: the caller or a group.
        to: PrincipalId,
    },
}

/// A grant that would be needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The privilege; `None` means ownership (or MANAGE, where the kind has it).
    pub privilege: Option<Privilege>,
    /// The kind of the object it is missing on.
    pub kind: Kind,
    /// That object's full name.
    pub on: FullName,
}

impl Missing {
    /// `SELECT on main.flights.planes`, `ownership of the metastore`.
    pub fn describe(&self) -> String {
        let on = if self.kind == Kind::Metastore { "the metastore".to_owned() } else { self.on.to_string() };
        match self.privilege {
            Some(privilege) => format!("{privilege} on {on}"),
            None => format!("ownership of {on}"),
        }
    }

    /// The statement that an administrator or owner runs to give it.
    pub fn grant_statement(&self, to: &str) -> Option<String> {
        let privilege = self.privilege?;
        let on = match self.kind {
            Kind::Metastore => "METASTORE".to_owned(),
            Kind::Model => format!("MODEL {}", self.on.quoted()),
            kind => format!("{} {}", kind.word().to_uppercase(), self.on.quoted()),
        };
        Some(format!("GRANT {privilege} ON {on} TO `{to}`"))
    }
}

/// A yes, with its reasons: the gates first, the deciding one last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed(pub Vec<Because>);

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes, because.
    Allowed(Allowed),
    /// No. Every missing grant is named; `visible` says whether the caller may know that the object exists.
    Denied {
        /// What would be needed.
        missing: Vec<Missing>,
        /// Whether the caller may know.
        visible: bool,
    },
}

/// Decides one rule about the first object of the chain.
pub fn decide(rule: Rule, facts: &Facts) -> Decision {
    let outcome = match rule {
        Rule::SignedIn => Ok(vec![Because::SignedIn]),
        Rule::Visible => visible(facts).ok_or_else(|| match missing_gates(facts, 1) {
            Err(gates) if known(facts) => gates,
            _ => needs(facts, Privilege::Browse),
        }),
        Rule::Holds(privilege) => with_gates(facts, &[privilege]),
        Rule::HoldsBoth(one, other) => with_gates(facts, &[one, other]),
        Rule::Manages => manages(facts),
        Rule::Admin => owner_of_root(facts)
            .map(|because| vec![because])
            .ok_or_else(|| facts.chain.last().map(ownership).into_iter().collect()),
    };
    match outcome {
        Ok(because) => Decision::Allowed(Allowed(because)),
        Err(missing) => Decision::Denied { missing, visible: known(facts) },
    }
}

/// Whether a privilege holds on the `at`-th object of the chain, by its owner, a grant on it or on a container.
/// Gates are not looked at.
pub fn holds(facts: &Facts, at: usize, privilege: Privilege) -> Option<Because> {
    let target = facts.chain.get(at)?;
    if let Some(via) = owned(facts, target).filter(|_| privilege != Privilege::ExternalUseSchema) {
        return Some(Because::Owner { of: target.id, via });
    }
    granted_from(facts, at, privilege)
}

/// The grant of a privilege on the `at`-th object of the chain or on a container of it. What is granted on the metastore
/// does not flow down.
fn granted_from(facts: &Facts, at: usize, privilege: Privilege) -> Option<Because> {
    let below_root = facts.chain.get(at)?.kind != Kind::Metastore;
    let flows = |node: &&Node| !(below_root && node.kind == Kind::Metastore);
    facts.chain[at..].iter().filter(flows).find_map(|node| granted(node, privilege))
}

/// What a list under the first object of the chain shows of its children of a kind.
///
/// `Some(true)`: all of them. `Some(false)`: those that the caller owns or has a grant on. `None`: none.
pub fn listing(facts: &Facts, kind: Kind) -> Option<bool> {
    if owner_of_root(facts).is_some() || facts.chain.iter().any(|node| owned(facts, node).is_some()) {
        return Some(true);
    }
    let flowing = |node: &&Node| node.kind != Kind::Metastore;
    let inherited =
        |privilege: Privilege| facts.chain.iter().filter(flowing).any(|node| granted(node, privilege).is_some());
    if inherited(Privilege::Browse) {
        return Some(true);
    }
    if missing_gates(facts, 0).is_err() {
        return None;
    }
    Some(Privilege::ALL.iter().any(|privilege| privilege.applies_to(kind) && inherited(*privilege)))
}

/// Whether the caller may know that the object is there: they see it, or they own or manage it behind a gate that is shut.
/// The latter are told which gate instead of "not found".
fn known(facts: &Facts) -> bool {
    visible(facts).is_some() || owners(facts).next().is_some() || holds(facts, 0, Privilege::Manage).is_some()
}

/// The way on which the caller sees the object.
fn visible(facts: &Facts) -> Option<Vec<Because>> {
    let target = facts.chain.first()?;
    if target.kind == Kind::Metastore {
        return Some(vec![Because::SignedIn]);
    }
    if let Ok(because) = manages(facts) {
        return Some(because);
    }
    if let Some(because) = granted_from(facts, 0, Privilege::Browse) {
        return Some(vec![because]);
    }
    let mut because = missing_gates(facts, 1).ok()?;
    let any = Privilege::ALL
        .iter()
        .filter(|privilege| privilege.applies_to(target.kind))
        .find_map(|privilege| holds(facts, 0, *privilege))?;
    because.push(any);
    Some(because)
}

/// All privileges and, for those objects that have them, the USE gates of the target and everything above it.
fn with_gates(facts: &Facts, privileges: &[Privilege]) -> Result<Vec<Because>, Vec<Missing>> {
    let (mut because, mut missing) = match missing_gates(facts, 0) {
        Ok(because) => (because, Vec::new()),
        Err(missing) => (Vec::new(), missing),
    };
    for privilege in privileges {
        match holds(facts, 0, *privilege).or_else(|| administers(facts)) {
            Some(reason) => because.push(reason),
            None => missing.extend(needs(facts, *privilege)),
        }
    }
    if missing.is_empty() { Ok(because) } else { Err(missing) }
}

/// Owner of the object or of a container of it, with the gates above what is owned; or MANAGE with the gates.
fn manages(facts: &Facts) -> Result<Vec<Because>, Vec<Missing>> {
    let mut shut = None;
    for (at, because) in owners(facts) {
        match missing_gates(facts, at + 1) {
            Ok(mut gates) => {
                gates.push(because);
                return Ok(gates);
            }
            // The nearest of what is owned has the most gates above it, the farthest the fewest.
            Err(missing) => shut = Some(missing),
        }
    }
    if let Some(missing) = shut {
        return Err(missing);
    }
    let gates = missing_gates(facts, 1);
    match (gates, holds(facts, 0, Privilege::Manage)) {
        (Ok(mut because), Some(manage)) => {
            because.push(manage);
            Ok(because)
        }
        (Err(missing), Some(_)) => Err(missing),
        (gates, None) => {
            let mut missing = gates.err().unwrap_or_default();
            missing.extend(facts.chain.first().map(|target| Missing {
                privilege: Privilege::Manage.applies_to(target.kind).then_some(Privilege::Manage),
                kind: target.kind,
                on: target.name.clone(),
            }));
            Err(missing)
        }
    }
}

/// USE CATALOG and USE SCHEMA on the objects from the `from`-th on.
fn missing_gates(facts: &Facts, from: usize) -> Result<Vec<Because>, Vec<Missing>> {
    let (mut because, mut missing) = (Vec::new(), Vec::new());
    for (at, node) in facts.chain.iter().enumerate().skip(from).rev() {
        let gate = match node.kind {
            Kind::Catalog => Privilege::UseCatalog,
            Kind::Schema => Privilege::UseSchema,
            Kind::Metastore
            | Kind::Table
            | Kind::Volume
            | Kind::Model
            | Kind::Warehouse
            | Kind::SecretScope
            | Kind::Experiment
            | Kind::Run
            | Kind::LoggedModel
            | Kind::Any => continue,
        };
        match holds(facts, at, gate) {
            Some(reason) => because.push(reason),
            None => missing.push(Missing { privilege: Some(gate), kind: node.kind, on: node.name.clone() }),
        }
    }
    if missing.is_empty() { Ok(because) } else { Err(missing) }
}

fn needs(facts: &Facts, privilege: Privilege) -> Vec<Missing> {
    let Some(target) = facts.chain.first() else { return Vec::new() };
    // BROWSE is granted on catalogs alone.
    let on = if privilege == Privilege::Browse {
        facts.chain.iter().find(|node| node.kind == Kind::Catalog).unwrap_or(target)
    } else {
        target
    };
    vec![Missing { privilege: Some(privilege), kind: on.kind, on: on.name.clone() }]
}

fn ownership(node: &Node) -> Missing {
    Missing { privilege: None, kind: node.kind, on: node.name.clone() }
}

/// The grant on this object, to anybody of the closure, that gives the privilege. ALL PRIVILEGES stands for those that
/// objects of its kind have: on a table it is no BROWSE, which passes gates.
fn granted(node: &Node, privilege: Privilege) -> Option<Because> {
    node.grants.iter().find_map(|grant| {
        let by = if grant.privileges.contains(privilege) {
            privilege
        } else if privilege.in_all_privileges()
            && privilege.applies_to(node.kind)
            && grant.privileges.contains(Privilege::AllPrivileges)
        {
            Privilege::AllPrivileges
        } else {
            *privilege.implied_by().iter().find(|level| grant.privileges.contains(**level))?
        };
        Some(Because::Granted { privilege: by, on: node.id, to: grant.principal })
    })
}

fn owned(facts: &Facts, node: &Node) -> Option<PrincipalId> {
    facts.closure.iter().copied().find(|principal| *principal == node.owner)
}

/// What the caller owns of the chain: its place there, and the ownership.
fn owners(facts: &Facts) -> impl Iterator<Item = (usize, Because)> {
    let owner = |node: &Node| owned(facts, node).map(|via| Because::Owner { of: node.id, via });
    facts.chain.iter().enumerate().filter_map(move |(at, node)| Some((at, owner(node)?)))
}

fn owner_of_root(facts: &Facts) -> Option<Because> {
    let root = facts.chain.last().filter(|node| node.kind == Kind::Metastore)?;
    owned(facts, root).map(|via| Because::Owner { of: root.id, via })
}

/// Administrators hold every level on objects of the workspace (warehouses, secret scopes, experiments) and on the metastore itself,
/// but no privilege on data.
fn administers(facts: &Facts) -> Option<Because> {
    let target = facts.chain.first()?;
    let of_workspace = matches!(target.kind, Kind::Metastore | Kind::Warehouse | Kind::SecretScope | Kind::Experiment);
    of_workspace.then(|| owner_of_root(facts)).flatten()
}
