//! The evaluator against a twin that was written from the rules alone (Unity Catalog's, `docs/access.md`), on random worlds.
//!
//! The evaluator walks up from one object; the twin works the other way: from all grants and owners it derives everything
//! that holds anywhere, and then looks the question up. They share the table of privileges and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use crannog_security::actions::{self, Rule};
use crannog_security::{Because, Decision, Facts, Grant, Kind, Missing, Node, Privilege, PrivilegeSet, listing};
use crannog_types::{FullName, PrincipalId, SecurableId};

/// Random cases; each asks every action of its object.
const CASES: u64 = 120_000;

fn decide(rule: Rule, facts: &Facts) -> Decision {
    crannog_security::decide(rule, facts)
}

/// SplitMix64: a sequence that is the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(n).unwrap()).unwrap()
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

#[derive(Clone, Debug)]
struct Object {
    kind: Kind,
    parent: Option<usize>,
    owner: i64,
}

/// Objects, grants on them, and who is put into which group.
#[derive(Clone, Debug)]
struct World {
    objects: Vec<Object>,
    /// Object, principal, privilege.
    grants: BTreeSet<(usize, i64, Privilege)>,
    /// Group, member.
    members: BTreeSet<(i64, i64)>,
}

const PERSON: i64 = 1;
const PRINCIPALS: [i64; 6] = [1, 2, 10, 11, 12, 13];
const GROUPS: [i64; 4] = [10, 11, 12, 13];

/// The objects of every world: indices are places in `World::objects`.
const LAYOUT: [(Kind, Option<usize>); 11] = [
    (Kind::Metastore, None),
    (Kind::Catalog, Some(0)),
    (Kind::Schema, Some(1)),
    (Kind::Table, Some(2)),
    (Kind::Volume, Some(2)),
    (Kind::Schema, Some(1)),
    (Kind::Table, Some(5)),
    (Kind::Warehouse, Some(0)),
    (Kind::SecretScope, Some(0)),
    (Kind::Experiment, Some(0)),
    (Kind::Model, Some(2)),
];

fn world(random: &mut Random) -> World {
    // Mostly strangers own things: else every case would be decided by ownership.
    let owners = [2, 2, 2, 2, 99, 99, 99, 99, PERSON, 10, 12];
    let objects = LAYOUT
        .iter()
        .map(|(kind, parent)| Object { kind: *kind, parent: *parent, owner: random.one(&owners) })
        .collect();
    let mut world = World { objects, grants: BTreeSet::new(), members: BTreeSet::new() };
    for _ in 0..random.below(5) {
        world.members.insert((random.one(&GROUPS), random.one(&PRINCIPALS)));
    }
    for _ in 0..random.below(9) {
        // What opens gates is drawn more often, as it is granted more often.
        let object = random.below(LAYOUT.len());
        let kind = LAYOUT[object].0;
        let all: Vec<Privilege> = Privilege::ALL.iter().copied().filter(|p| p.applies_to(kind)).collect();
        let privilege = match (kind, random.below(3)) {
            (Kind::Catalog, 0) => Privilege::UseCatalog,
            (Kind::Schema | Kind::Catalog, 1) => Privilege::UseSchema,
            _ => random.one(&all),
        };
        let to = if random.below(2) == 0 { PERSON } else { random.one(&PRINCIPALS) };
        world.grants.insert((object, to, privilege));
    }
    world
}

fn id(object: usize) -> SecurableId {
    format!("01900000-0000-7000-8000-0000000000{object:02x}").parse().unwrap()
}

impl World {
    fn ancestors(&self, object: usize) -> Vec<usize> {
        let mut chain = vec![object];
        while let Some(parent) = self.objects[*chain.last().unwrap()].parent {
            chain.push(parent);
        }
        chain
    }

    /// Whoever the person is: themselves, and every group that holds somebody whom they are.
    fn closure(&self) -> Vec<i64> {
        let mut closure = vec![PERSON];
        loop {
            let more: Vec<i64> = self
                .members
                .iter()
                .filter(|(group, member)| closure.contains(member) && !closure.contains(group))
                .map(|(group, _)| *group)
                .collect();
            match more.first() {
                Some(group) => closure.push(*group),
                None => return closure,
            }
        }
    }

    /// The rows that kit reads for a decision.
    fn facts(&self, object: usize) -> Facts {
        let closure = self.closure();
        let node = |at: &usize| {
            let mut by: BTreeMap<i64, PrivilegeSet> = BTreeMap::new();
            for (_, to, privilege) in self.grants.iter().filter(|(on, to, _)| on == at && closure.contains(to)) {
                let set = by.entry(*to).or_default();
                *set = set.with(*privilege);
            }
            let grants =
                by.into_iter().map(|(to, privileges)| Grant { principal: PrincipalId(to), privileges }).collect();
            Node {
                id: id(*at),
                kind: self.objects[*at].kind,
                name: FullName::of([format!("o{at}")]),
                owner: PrincipalId(self.objects[*at].owner),
                grants,
            }
        };
        let chain = self.ancestors(object).iter().map(node).collect();
        Facts { closure: closure.into_iter().map(PrincipalId).collect(), chain }
    }
}

/// Everything that holds for the person, derived from a world.
struct Twin {
    /// Object and privilege, by ownership or grant, gates not looked at.
    held: Vec<PrivilegeSet>,
    /// The same by grants alone.
    granted: Vec<PrivilegeSet>,
    owned: BTreeSet<usize>,
    world: World,
}

/// Levels of objects of the workspace, from the weakest to the strongest; each includes those before it.
const LEVELS: [&[Privilege]; 3] = [
    &[Privilege::CanView, Privilege::CanUse, Privilege::CanMonitor, Privilege::CanManage],
    &[Privilege::CanRead, Privilege::CanEdit, Privilege::CanManage],
    &[Privilege::SecretRead, Privilege::SecretWrite, Privilege::SecretManage],
];

impl Twin {
    fn of(world: &World) -> Twin {
        let closure = world.closure();
        let mut granted = vec![PrivilegeSet::EMPTY; world.objects.len()];
        for (on, to, privilege) in &world.grants {
            if !closure.contains(to) {
                continue;
            }
            let mut given = vec![*privilege];
            // "ALL PRIVILEGES expands when checked, never includes MANAGE, EXTERNAL USE SCHEMA."
            if *privilege == Privilege::AllPrivileges {
                given.extend(Privilege::ALL.iter().filter(|each| {
                    each.applies_to(world.objects[*on].kind) && !["MANAGE", "EXTERNAL USE SCHEMA"].contains(&each.sql())
                }));
            }
            for levels in LEVELS {
                if let Some(at) = levels.iter().position(|level| level == privilege) {
                    given.extend(&levels[..=at]);
                }
            }
            // "Grants on a container apply to all present and future children; grants on the metastore do not flow into
            // catalogs."
            for (object, held) in granted.iter_mut().enumerate() {
                let below = world.ancestors(object).contains(on);
                if object == *on || (below && world.objects[*on].kind != Kind::Metastore) {
                    *held = given.iter().fold(*held, |set, each| set.with(*each));
                }
            }
        }
        // "Owner of S: every privilege on S; exception EXTERNAL USE SCHEMA."
        let owned: BTreeSet<usize> =
            (0..world.objects.len()).filter(|object| closure.contains(&world.objects[*object].owner)).collect();
        let mut held = granted.clone();
        for object in &owned {
            let all = Privilege::ALL.iter().filter(|privilege| privilege.sql() != "EXTERNAL USE SCHEMA");
            held[*object] = all.fold(held[*object], |set, each| set.with(*each));
        }
        Twin { held, granted, owned, world: world.clone() }
    }

    fn kind(&self, object: usize) -> Kind {
        self.world.objects[object].kind
    }

    /// "Any access below needs USE CATALOG on the catalog and USE SCHEMA on the schema."
    fn open(&self, object: usize) -> bool {
        match self.kind(object) {
            Kind::Catalog => self.held[object].contains(Privilege::UseCatalog),
            Kind::Schema => self.held[object].contains(Privilege::UseSchema),
            _ => true,
        }
    }

    /// The gates strictly above an object.
    fn reachable(&self, object: usize) -> bool {
        self.world.ancestors(object)[1..].iter().all(|above| self.open(*above))
    }

    /// "Gates bind owners and MANAGE holders too." "Owner of a parent: may grant on children."
    fn manages(&self, object: usize) -> bool {
        let owner =
            self.world.ancestors(object).iter().any(|above| self.owned.contains(above) && self.reachable(*above));
        owner || (self.granted[object].contains(Privilege::Manage) && self.reachable(object))
    }

    /// "BROWSE: metadata visibility with no USE gate and no data."
    fn sees(&self, object: usize) -> bool {
        let kind = self.kind(object);
        kind == Kind::Metastore
            || self.manages(object)
            || self.granted[object].contains(Privilege::Browse)
            || (self.reachable(object)
                && Privilege::ALL
                    .iter()
                    .any(|privilege| privilege.applies_to(kind) && self.held[object].contains(*privilege)))
    }

    fn has(&self, object: usize, privilege: Privilege) -> bool {
        // Administrators: everything on the metastore itself and on objects of the workspace.
        let of_workspace =
            matches!(self.kind(object), Kind::Metastore | Kind::Warehouse | Kind::SecretScope | Kind::Experiment);
        self.held[object].contains(privilege) || (of_workspace && self.owned.contains(&0))
    }

    fn allows(&self, rule: Rule, object: usize) -> bool {
        match rule {
            Rule::SignedIn => true,
            Rule::Visible => self.sees(object),
            Rule::Holds(privilege) => self.reachable(object) && self.open(object) && self.has(object, privilege),
            Rule::HoldsBoth(one, other) => {
                self.allows(Rule::Holds(one), object) && self.allows(Rule::Holds(other), object)
            }
            Rule::Manages => self.manages(object),
            Rule::Admin => self.owned.contains(&0),
        }
    }
}

/// The rules of every action on objects of a kind, and of holding each privilege.
fn rules(kind: Kind) -> Vec<Rule> {
    let of_actions = actions::ALL.iter().filter(|row| row.on == kind || row.on == Kind::Any).map(|row| row.rule);
    let of_privileges = Privilege::ALL
        .iter()
        .filter(|privilege| privilege.applies_to(kind) && !matches!(privilege, Privilege::Manage | Privilege::Browse))
        .map(|privilege| Rule::Holds(*privilege));
    let mut rules: Vec<Rule> = Vec::new();
    for rule in of_actions.chain(of_privileges) {
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    rules
}

#[test]
fn evaluator_and_twin_agree() {
    let mut random = Random(20_130_101);
    let (mut asked, mut allowed, mut hidden) = (0_u64, 0_u64, 0_u64);
    for case in 0..CASES {
        let world = world(&mut random);
        let twin = Twin::of(&world);
        let object = 1 + random.below(LAYOUT.len() - 1);
        let object = if random.below(20) == 0 { 0 } else { object };
        let facts = world.facts(object);
        for rule in rules(LAYOUT[object].0) {
            let decision = decide(rule, &facts);
            let told = || format!("case {case}: {rule:?} on {object}: {decision:?}\n{world:#?}");
            asked += 1;
            match &decision {
                Decision::Allowed(why) => {
                    allowed += 1;
                    assert!(twin.allows(rule, object), "{}", told());
                    assert!(!why.0.is_empty(), "{}", told());
                    for because in &why.0 {
                        assert!(is_a_fact(because, &world), "{}", told());
                    }
                }
                Decision::Denied { missing, visible } => {
                    assert!(!twin.allows(rule, object), "{}", told());
                    // Who sees it may know that it is there; besides them only those who own or manage it.
                    let near = world.ancestors(object).iter().any(|above| twin.owned.contains(above))
                        || twin.granted[object].contains(Privilege::Manage);
                    assert_eq!(*visible, twin.sees(object) || near, "{}", told());
                    hidden += u64::from(!visible);
                    // Building worlds is what takes the time here: one in seven is enough to see that what is named suffices.
                    if asked.is_multiple_of(7) {
                        let mended = mended(&world, object, missing);
                        let enough = matches!(decide(rule, &mended.facts(object)), Decision::Allowed(_));
                        assert!(enough && Twin::of(&mended).allows(rule, object), "not enough: {}", told());
                    }
                }
            }
        }
    }
    // The worlds are not all of one colour.
    assert!(asked > 4 * CASES && allowed > asked / 20 && hidden > asked / 20, "{asked} {allowed} {hidden}");
}

#[test]
fn lists_show_what_one_may_see() {
    let mut random = Random(7);
    let (mut shown, mut kept) = (0_u64, 0_u64);
    for case in 0..CASES / 4 {
        let world = world(&mut random);
        let twin = Twin::of(&world);
        let closure = world.closure();
        for scope in [0, 1, 2, 5] {
            let facts = world.facts(scope);
            if !matches!(decide(Rule::Visible, &facts), Decision::Allowed(_)) {
                continue;
            }
            for (child, (kind, _)) in LAYOUT.iter().enumerate().filter(|(_, (_, parent))| *parent == Some(scope)) {
                // The WHERE clause of lists: owned, or with any grant on it.
                let near = closure.contains(&world.objects[child].owner)
                    || world.grants.iter().any(|(on, to, _)| *on == child && closure.contains(to));
                let listed = match listing(&facts, *kind) {
                    Some(true) => true,
                    Some(false) => near,
                    None => false,
                };
                let told = || format!("case {case}: {child} under {scope}: listed {listed}\n{world:#?}");
                shown += u64::from(listed);
                kept += u64::from(!listed);
                // A list never shows more than a look at the object itself.
                assert!(!listed || twin.sees(child), "{}", told());
                assert!(listed || !twin.sees(child), "{}", told());
            }
        }
    }
    assert!(shown > 1_000 && kept > 1_000, "{shown} {kept}");
}

fn is_a_fact(because: &Because, world: &World) -> bool {
    let closure = world.closure();
    let at = |wanted: &SecurableId| (0..world.objects.len()).find(|object| id(*object) == *wanted).unwrap();
    match because {
        Because::SignedIn => true,
        Because::Owner { of, via } => closure.contains(&via.0) && world.objects[at(of)].owner == via.0,
        Because::Granted { privilege, on, to } => {
            closure.contains(&to.0) && world.grants.contains(&(at(on), to.0, *privilege))
        }
    }
}

/// The world after what was said to be missing has been given.
fn mended(world: &World, object: usize, missing: &[Missing]) -> World {
    assert!(!missing.is_empty());
    let mut world = world.clone();
    for lack in missing {
        let at = world.ancestors(object).into_iter().find(|at| lack.on == FullName::of([format!("o{at}")])).unwrap();
        assert_eq!(lack.kind, world.objects[at].kind);
        match lack.privilege {
            Some(privilege) => {
                world.grants.insert((at, PERSON, privilege));
            }
            None => world.objects[at].owner = PERSON,
        }
    }
    world
}
