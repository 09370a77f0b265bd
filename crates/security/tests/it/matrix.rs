//! Role × action, for every action: `matrix.txt`, committed, so that a change of a rule is seen in review.
//!
//! `UPDATE_GOLDEN=1 cargo test -p crannog-security` rewrites it.

use std::fmt::Write as _;

use crannog_security::actions::{self, Rule};
use crannog_security::{Decision, Facts, Grant, Kind, Node, Privilege, PrivilegeSet};
use crannog_types::{FullName, PrincipalId, SecurableId};

/// A typical person: which kinds of the chain they own, what they were granted on which kind.
struct Role {
    name: &'static str,
    owns: &'static [Kind],
    /// `Kind::Any` is the object itself.
    granted: &'static [(Kind, &'static [Privilege])],
}

use Kind::{Any, Catalog, Metastore, Model, Schema, SecretScope, Volume, Warehouse};
use Privilege::{
    AllPrivileges, Browse, CanUse, CreateModel, CreateModelVersion, CreateTable, CreateVolume, Execute, Manage, Modify,
    ReadVolume, SecretRead, Select, UseCatalog, UseSchema, WriteVolume,
};

const GATES: (Kind, &[Privilege]) = (Catalog, &[UseCatalog, UseSchema]);
/// Reading, as each kind calls it.
const READ: (Kind, &[Privilege]) = (Any, &[Select, ReadVolume, Execute, CanUse, SecretRead]);
const WRITE: (Kind, &[Privilege]) = (Any, &[Select, Modify, ReadVolume, WriteVolume, Execute, CreateModelVersion]);

const ROLES: [Role; 17] = [
    Role { name: "admin", owns: &[Metastore], granted: &[] },
    Role { name: "admin+USE", owns: &[Metastore], granted: &[GATES] },
    Role { name: "cat.owner", owns: &[Catalog], granted: &[] },
    Role { name: "sch.owner", owns: &[Schema], granted: &[] },
    Role { name: "sch.owner+USE", owns: &[Schema], granted: &[GATES] },
    Role { name: "obj.owner", owns: &[Any], granted: &[] },
    Role { name: "obj.owner+USE", owns: &[Any], granted: &[GATES] },
    Role { name: "read+USE", owns: &[], granted: &[GATES, READ] },
    Role { name: "read", owns: &[], granted: &[READ] },
    Role { name: "write+USE", owns: &[], granted: &[GATES, WRITE] },
    Role { name: "USE", owns: &[], granted: &[GATES] },
    Role { name: "CREATE+USE", owns: &[], granted: &[GATES, (Schema, &[CreateTable, CreateVolume, CreateModel])] },
    Role { name: "MANAGE", owns: &[], granted: &[(Catalog, &[Manage])] },
    Role { name: "MANAGE+USE", owns: &[], granted: &[GATES, (Catalog, &[Manage])] },
    Role { name: "ALL on cat.", owns: &[], granted: &[(Catalog, &[AllPrivileges])] },
    Role { name: "BROWSE", owns: &[], granted: &[(Catalog, &[Browse])] },
    Role { name: "stranger", owns: &[], granted: &[] },
];

const WHO: PrincipalId = PrincipalId(1);
const SOMEBODY: PrincipalId = PrincipalId(2);

fn chain(kind: Kind) -> Vec<Kind> {
    let mut chain = vec![kind];
    while let Some(parent) = chain.last().and_then(|kind| kind.parent()) {
        chain.push(parent);
    }
    chain
}

fn facts(kind: Kind, role: &Role) -> Facts {
    let node = |(at, each): (usize, &Kind)| {
        let is = |wanted: &Kind| wanted == each || (*wanted == Any && at == 0 && *each != Metastore);
        let privileges: PrivilegeSet = role
            .granted
            .iter()
            .filter(|(on, _)| is(on))
            .flat_map(|(_, privileges)| privileges.iter().copied())
            .filter(|privilege| privilege.applies_to(*each))
            .collect();
        let grants = if privileges.is_empty() { Vec::new() } else { vec![Grant { principal: WHO, privileges }] };
        let owner = if role.owns.iter().any(is) { WHO } else { SOMEBODY };
        Node { id: SecurableId::new(), kind: *each, name: FullName::of([each.word()]), owner, grants }
    };
    Facts { closure: vec![WHO], chain: chain(kind).iter().enumerate().map(node).collect() }
}

fn cell(rule: Rule, facts: &Facts) -> &'static str {
    match crannog_security::decide(rule, facts) {
        Decision::Allowed(_) => "yes",
        Decision::Denied { visible: true, .. } => "403",
        Decision::Denied { visible: false, .. } => "404",
    }
}

fn matrix() -> String {
    let mut text = String::from(
        "# Who may do what. yes: allowed; 403: denied, and told what is missing; 404: not told that it is there.\n\
         # A role owns or was granted just what its name says: `cat.` catalog, `sch.` schema, `obj.` the object itself;\n\
         # USE: USE CATALOG and USE SCHEMA on the catalog; read: SELECT, READ VOLUME, EXECUTE, CAN_USE or READ on the object;\n\
         # write: SELECT and MODIFY, READ VOLUME and WRITE VOLUME, or EXECUTE and CREATE MODEL VERSION; MANAGE, BROWSE and ALL PRIVILEGES on the catalog.\n\n",
    );
    let width = |role: &Role| role.name.len().max(4);
    let _ = write!(text, "{:38}", "action");
    for role in &ROLES {
        let _ = write!(text, "  {:w$}", role.name, w = width(role));
    }
    text.push('\n');
    for row in actions::ALL {
        let kinds: &[Kind] = if row.on == Any {
            &[Metastore, Catalog, Schema, Kind::Table, Volume, Model, Warehouse, SecretScope]
        } else {
            &[row.on]
        };
        for kind in kinds {
            let name = if row.on == Any { format!("{} ({kind})", row.name) } else { row.name.to_owned() };
            let _ = write!(text, "{name:38}");
            for role in &ROLES {
                let _ = write!(text, "  {:w$}", cell(row.rule, &facts(*kind, role)), w = width(role));
            }
            text.push('\n');
        }
    }
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[test]
fn the_matrix_is_the_committed_one() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/matrix.txt");
    let now = matrix();
    #[expect(clippy::disallowed_methods, reason = "a test's own switch")]
    let update = std::env::var("UPDATE_GOLDEN").is_ok_and(|value| value == "1");
    if update {
        std::fs::write(file, &now).unwrap();
    }
    let committed = std::fs::read_to_string(file).unwrap_or_default();
    for (now, committed) in now.lines().zip(committed.lines()) {
        assert_eq!(now, committed, "the matrix has changed; UPDATE_GOLDEN=1 rewrites it if that is meant");
    }
    assert_eq!(now.lines().count(), committed.lines().count());
}
