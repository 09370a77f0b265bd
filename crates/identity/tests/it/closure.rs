//! The closure against a brute-force twin, over random changes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

/// A small generator with a fixed seed: the same test every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(n).unwrap()).unwrap()
    }
}

#[derive(Default)]
struct Twin {
    groups: BTreeSet<String>,
    active: BTreeMap<String, bool>,
    edges: BTreeSet<(String, String)>,
}

impl Twin {
    fn above(&self, one: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut open = vec![one.to_owned()];
        while let Some(next) = open.pop() {
            for (group, _) in self.edges.iter().filter(|(_, member)| *member == next) {
                if found.insert(group.clone()) {
                    open.push(group.clone());
                }
            }
        }
        found
    }

    fn depth(&self, one: &str, up: bool) -> usize {
        let next = self
            .edges
            .iter()
            .filter(|(group, member)| self.groups.contains(member) && if up { member == one } else { group == one });
        next.map(|(group, member)| self.depth(if up { group } else { member }, up)).max().unwrap_or(0) + 1
    }

    fn closure(&self, everybody: &str) -> BTreeSet<(String, String)> {
        let mut found = BTreeSet::new();
        for one in self.groups.iter().chain(self.active.keys()) {
            found.insert((one.clone(), one.clone()));
            match self.active.get(one) {
                Some(false) => continue,
                Some(true) => {
                    found.insert((one.clone(), everybody.to_owned()));
                }
                None => {}
            }
            found.extend(self.above(one).into_iter().map(|group| (one.clone(), group)));
        }
        found
    }
}

on_each! {
    /// 400 random changes: members in and out, people off and on, principals deleted; cycles and depth refused alike.
    async fn the_closure_is_what_brute_force_says(world: &World) {
        let admin = world.admin();
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
        let mut twin = Twin::default();
        for n in 0..14 {
            twin.groups.insert(world.group(&format!("group{n}")).await);
        }
        for n in 0..6 {
            twin.active.insert(world.user(&format!("user{n}@example.com")).await, true);
        }
        let mut refused = 0;
        for step in 0..400 {
            let groups: Vec<String> = twin.groups.iter().cloned().collect();
            let users: Vec<String> = twin.active.keys().cloned().collect();
            let group = groups[dice.below(groups.len())].clone();
            let member = match dice.below(3) {
                0 => users[dice.below(users.len())].clone(),
                _ => groups[dice.below(groups.len())].clone(),
            };
            let path = format!("/api/2.0/preview/scim/v2/Groups/{group}");
            match dice.below(10) {
                0..=5 => {
                    let cycle = group == member || twin.above(&group).contains(&member);
                    let deep = twin.groups.contains(&member)
                        && !cycle
                        && twin.depth(&group, true) + twin.depth(&member, false) > 10;
                    let body = json!({ "Operations": [{ "op": "add", "path": "members", "value": [{ "value": member }] }] });
                    let answer = world.patch(&admin, &path, body).await;
                    assert_eq!(answer.status == 200, !cycle && !deep, "step {step}: {}", answer.text);
                    refused += usize::from(cycle || deep);
                    if answer.status == 200 {
                        twin.edges.insert((group, member));
                    }
                }
                6 | 7 => {
                    let body = json!({ "Operations": [{ "op": "remove", "path": format!("members[value eq \"{member}\"]") }] });
                    world.patch(&admin, &path, body).await.of(200);
                    twin.edges.remove(&(group, member));
                }
                8 => {
                    let user = users[dice.below(users.len())].clone();
                    let active = !twin.active[&user];
                    let body = json!({ "Operations": [{ "op": "replace", "path": "active", "value": active }] });
                    world.patch(&admin, &format!("/api/2.0/preview/scim/v2/Users/{user}"), body).await.of(200);
                    twin.active.insert(user, active);
                }
                _ => {
                    // A group is deleted and another one made, nested nowhere.
                    if dice.below(4) == 0 {
                        assert_eq!(world.call(&admin, "DELETE", &path, Value::Null).await.status, 204);
                        twin.groups.remove(&group);
                        twin.edges.retain(|(a, b)| *a != group && *b != group);
                        twin.groups.insert(world.group(&format!("again{step}")).await);
                    }
                }
            }
            if step % 8 == 0 || step > 380 {
                let ground = world.identity.ground();
                let own = [ground.admins.to_string(), ground.account_users.to_string()];
                let rows = world.rows("SELECT c.member, c.principal, p.name FROM closure c JOIN principal p ON p.id = c.member").await;
                let stored: BTreeSet<(String, String)> = rows
                    .iter()
                    .filter(|row| row.text(2).unwrap() != "admin")
                    .map(|row| (row.int(0).unwrap().to_string(), row.int(1).unwrap().to_string()))
                    .filter(|(member, _)| !own.contains(member))
                    .collect();
                assert_eq!(stored, twin.closure(&ground.account_users.to_string()), "step {step}");
            }
        }
        assert!(refused > 20, "{refused}");
    }

    /// Ten groups in one another, and no more.
    async fn nesting_ends_at_ten(world: &World) {
        let admin = world.admin();
        let mut groups = Vec::new();
        for n in 0..11 {
            groups.push(world.group(&format!("g{n}")).await);
        }
        for n in 0..10 {
            let body = json!({ "Operations": [{ "op": "add", "value": { "members": [{ "value": groups[n + 1] }] } }] });
            let answer = world.patch(&admin, &format!("/api/2.0/preview/scim/v2/Groups/{}", groups[n]), body).await;
            assert_eq!(answer.status, if n < 9 { 200 } else { 400 }, "{n} {}", answer.text);
        }
    }
}
