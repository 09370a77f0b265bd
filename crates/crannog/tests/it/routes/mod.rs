//! Tests that are generated for every route, from its declaration alone: who is kept out, who is let in, what is told to
//! whom, and what the audit keeps of it.
//!
//! The routes, what they ask for and their examples come from the running server's OpenAPI document; the objects of the
//! examples are made anew for each route. A route without a usable example fails; nothing is skipped. What only a person can
//! know (which grants an action takes, which routes are exceptions) stands in `rules`.

mod operations;
mod rules;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use self::operations::Operation;
use self::world::{Answer, Grant, Person, Places, Sent, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_on_sqlite() {
    every_route(None).await;
}

/// Under `scripts/postgres run`, as all tests that need a PostgreSQL server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_on_postgresql() {
    let database = crannog_store::testing::new_postgres().await.unwrap();
    every_route(Some(database)).await;
}

async fn every_route(database: Option<String>) {
    let world = World::start(database).await;
    let document = world.get("/api/openapi.json").await;
    let mut run =
        Run { world, document, faults: Vec::new(), expected: Vec::new(), used: BTreeSet::new(), addresses: 0 };
    let operations = Operation::all(&run.document);
    assert!(operations.len() > 100, "{} routes", operations.len());
    for operation in &operations {
        run.route(operation).await;
    }
    run.audited().await;
    run.exceptions_are_needed();
    assert!(run.faults.is_empty(), "{} faults:\n{}", run.faults.len(), run.faults.join("\n"));
}

/// A request that the audit has to know of.
struct Expected {
    request_id: String,
    operation: String,
    who: String,
    status: u16,
    objects: Vec<String>,
    /// What the answer says: the audit may name what was made by an id that the answer gives.
    said: String,
}

struct Run {
    world: World,
    document: Value,
    faults: Vec<String>,
    expected: Vec<Expected>,
    used: BTreeSet<(&'static str, &'static str)>,
    addresses: u32,
}

impl Run {
    fn check(&mut self, operation: &Operation, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.faults.push(format!("{} {} [{}]: {}", operation.method, operation.path, operation.id, what()));
        }
    }

    /// Notes that an exception was needed.
    fn excepted(&mut self, list: &'static str, name: &'static str) {
        self.used.insert((list, name));
    }

    async fn route(&mut self, operation: &Operation) {
        if operation.public {
            let objects = self.world.objects(&operation.spoken()).await;
            return self.public(operation, &objects).await;
        }
        let Some(grants) = self.least(operation) else { return };
        let on: Vec<String> = grants.iter().map(|grant| grant.on()).collect();
        let objects = self.world.objects(&format!("{} {}", operation.spoken(), on.join(" "))).await;
        self.without_a_token(operation, &objects).await;
        self.strangers(operation, &objects, &grants).await;
        self.granted(operation, &objects, &grants).await;
    }

    /// A public route works without a token.
    async fn public(&mut self, operation: &Operation, objects: &Places) {
        let answer = self.send(operation, None, &operation.request(objects)).await;
        self.check(operation, answer.status < 400, || format!("its example gives {}: {}", answer.status, answer.text));
    }

    /// The grants that the example takes.
    fn least(&mut self, operation: &Operation) -> Option<Vec<Grant>> {
        let listed = rules::ASKS.iter().find(|(name, _)| *name == operation.name());
        let asks: Vec<&str> = match listed {
            Some((_, asks)) => asks.to_vec(),
            None => operation.asks.iter().map(String::as_str).collect(),
        };
        self.check(operation, listed.is_some() || asks.len() == 1, || {
            "what its example asks for is to be listed".into()
        });
        let mut grants: Vec<Grant> = Vec::new();
        for action in asks {
            let Some(least) = rules::least(action) else {
                self.check(operation, false, || format!("the grants of {action} are to be listed"));
                return None;
            };
            grants.extend(least.into_iter().filter(|grant| !grants.contains(grant)).collect::<Vec<_>>());
        }
        Some(grants)
    }

    async fn send(&mut self, operation: &Operation, who: Option<&Person>, sent: &Sent) -> Answer {
        let origin = self.world.origin().to_owned();
        let page = [("origin", origin.as_str()), ("accept", "text/html, */*")];
        let headers: &[(&str, &str)] = if operation.public { &page } else { &[] };
        let answer = self.world.send(who.map(|who| who.token.as_str()), sent, headers).await;
        self.declared(operation, &answer);
        answer
    }

    fn declared(&mut self, operation: &Operation, answer: &Answer) {
        let kind = answer.headers.get("content-type").map_or("", String::as_str);
        let declared = operation.declares(&self.document, answer.status, kind, &answer.json());
        self.check(operation, declared.is_ok(), || declared.err().unwrap_or_default());
    }

    /// An address that nobody else comes from: many wrong tokens from one would be answered with 429.
    fn address(&mut self) -> String {
        self.addresses += 1;
        format!("10.0.{}.{}", self.addresses / 250, self.addresses % 250)
    }

    /// No token and a wrong one: 401 in the route's dialect.
    async fn without_a_token(&mut self, operation: &Operation, objects: &Places) {
        let sent = operation.request(objects);
        let none = self.world.send(None, &sent, &[]).await;
        let wrong = format!("crg_{}", "0".repeat(49));
        let address = self.address();
        let wrong = self.world.send(Some(&wrong), &sent, &[("x-forwarded-for", &address)]).await;
        for (answer, what) in [(none, "no token"), (wrong, "a wrong token")] {
            self.check(operation, answer.status == 401, || format!("{what} gives {}: {}", answer.status, answer.text));
            self.check(operation, answer.headers.contains_key("www-authenticate"), || format!("{what}: no challenge"));
            self.declared(operation, &answer);
        }
    }

    /// What is there and may not be seen answers as what is not there.
    async fn strangers(&mut self, operation: &Operation, objects: &Places, grants: &[Grant]) {
        const ALL: &[&str] = &[
            "catalog",
            "schema",
            "table",
            "table_id",
            "volume",
            "volume_id",
            "volume_url",
            "model",
            "warehouse",
            "scope",
            "user",
            "user_name",
            "group",
            "service_principal",
            "application_id",
            "client_secret",
            "token",
            "statement",
        ];
        const LEAVES: &[&str] = &["table", "table_id", "volume", "volume_id", "volume_url", "model"];
        let stranger = self.world.stranger.clone();
        self.alike(operation, objects, &objects.missing(ALL), &stranger).await;
        // The same inside a schema whose gates are open.
        let gates: Vec<Grant> = grants.iter().filter(|grant| is_gate(**grant)).copied().collect();
        if grants.iter().any(|grant| matches!(grant, Grant::On("table" | "volume" | "registered_model", _))) {
            for gate in &gates {
                self.world.grant(*gate, objects, &stranger, true).await;
            }
            self.alike(operation, objects, &objects.missing(LEAVES), &stranger).await;
        }
    }

    async fn alike(&mut self, operation: &Operation, there: &Places, missing: &Places, stranger: &Person) {
        let (real, unreal) = (operation.request(there), operation.request(missing));
        if (&real.path, &real.body) == (&unreal.path, &unreal.body) {
            return;
        }
        let plain = |answer: &Answer, objects: &Places| {
            let mut answer = answer.clone();
            answer.text = answer.text.replace(&answer.request_id(), "");
            answer.headers.remove("x-request-id");
            answer.headers.values_mut().for_each(|value| *value = objects.renamed(value, missing));
            (answer.status, answer.headers, objects.renamed(&answer.text, missing))
        };
        let about_real = self.send(operation, Some(stranger), &real).await;
        let about_unreal = self.send(operation, Some(stranger), &unreal).await;
        let (a, b) = (plain(&about_real, there), plain(&about_unreal, missing));
        if let Some((name, _)) = rules::KNOWN_TO_ALL.iter().find(|(name, _)| *name == operation.name()) {
            if a != b {
                self.excepted("KNOWN_TO_ALL", name);
            }
            return;
        }
        self.check(operation, a == b, || format!("a stranger can tell what is there:\n    {a:?}\n    {b:?}"));
        self.check(operation, about_real.status >= 400 || !self_shows(operation, &about_real, there), || {
            format!("a stranger is told {}: {}", about_real.status, about_real.text)
        });
        if about_real.status >= 400 {
            self.expect(operation, stranger, there, &about_real);
        }
    }

    /// With the least grants it works, without any one of them it does not, and at the very next request.
    async fn granted(&mut self, operation: &Operation, objects: &Places, grants: &[Grant]) {
        let person = self.world.person.clone();
        let sent = operation.request(objects);
        for grant in grants {
            self.world.grant(*grant, objects, &person, true).await;
        }
        for grant in grants {
            // A decision that is kept in memory must not outlive the grant.
            self.warm(operation, objects, &sent, &person).await;
            self.world.grant(*grant, objects, &person, false).await;
            let answer = self.send(operation, Some(&person), &sent).await;
            let denied = matches!(answer.status, 403 | 404)
                || (answer.status == 200 && is_list(operation) && !self_shows(operation, &answer, objects));
            self.check(operation, denied, || format!("without {grant:?} it gives {}: {}", answer.status, answer.text));
            if !denied && operation.changes() {
                // It has changed the objects: nothing more can be learnt with these.
                return;
            }
            if answer.status >= 400 {
                self.expect(operation, &person, objects, &answer);
            }
            self.world.grant(*grant, objects, &person, true).await;
        }
        self.world.activate(&person, false).await;
        let address = self.address();
        let answer = self.world.send(Some(&person.token), &sent, &[("x-forwarded-for", &address)]).await;
        self.check(operation, answer.status == 401, || format!("a deactivated user gets {}", answer.status));
        self.world.activate(&person, true).await;
        self.works(operation, objects, &sent, &person).await;
        for grant in grants.iter().filter(|grant| matches!(grant, Grant::Administrator | Grant::On("metastore", _))) {
            self.world.grant(*grant, objects, &person, false).await;
        }
    }

    async fn works(&mut self, operation: &Operation, objects: &Places, sent: &Sent, person: &Person) {
        let answer = self.send(operation, Some(person), sent).await;
        let other = rules::NO_SUCCESS.iter().find(|(name, _, _)| *name == operation.name());
        let good = match other {
            Some((name, status, _)) => {
                self.excepted("NO_SUCCESS", name);
                answer.status == *status
            }
            None => answer.status < 300 && (!is_list(operation) || self_shows(operation, &answer, objects)),
        };
        self.check(operation, good, || format!("with the least grants it gives {}: {}", answer.status, answer.text));
        if good && operation.changes() {
            self.expect(operation, person, objects, &answer);
        }
    }

    /// Lets the server decide in favour of the person, without changing anything.
    async fn warm(&mut self, operation: &Operation, objects: &Places, sent: &Sent, person: &Person) {
        if !operation.changes() {
            return self.works(operation, objects, sent, person).await;
        }
        let action = operation.asks.first().map_or("", String::as_str);
        let (kind, name) = match action.split('.').next() {
            Some("metastore") => ("metastore", String::new()),
            Some("catalogs" | "securables") => ("catalog", objects.fill("analytics")),
            Some("schemas") => ("schema", objects.fill("analytics.sales")),
            Some("tables") => ("table", objects.fill("analytics.sales.orders")),
            Some("volumes") => ("volume", objects.fill("analytics.sales.landing")),
            Some("models") => ("registered_model", objects.fill("analytics.sales.delays")),
            _ => return,
        };
        let path = format!("/api/2.0/crannog/explain?action={action}&securable_type={kind}&full_name={name}");
        let said = self.world.call(person, "GET", &path, Value::Null).await;
        self.check(operation, said.json()["allowed"] == true, || format!("explain says: {}", said.text));
    }

    fn expect(&mut self, operation: &Operation, who: &Person, objects: &Places, answer: &Answer) {
        // Of one's own things alone is nothing denied: others' are not there.
        let by_grant =
            operation.asks.iter().any(|action| !matches!(action.as_str(), "metastore.read" | "metastore.work"));
        let asks_inside = rules::ASKS.iter().any(|(name, _)| *name == operation.name());
        if answer.status >= 400 && !by_grant && !asks_inside {
            return;
        }
        self.expected.push(Expected {
            request_id: answer.request_id(),
            operation: operation.id.clone(),
            who: who.name.clone(),
            status: answer.status,
            objects: objects.named_in(&operation.spoken()),
            said: answer.text.clone(),
        });
    }

    /// Every change and every denial is one row, which names the person and the object.
    async fn audited(&mut self) {
        let found = self
            .world
            .sql(
                "SELECT request_id, action_name, user_identity.email, to_json(request_params), response.status_code \
                 FROM system.access.audit",
            )
            .await;
        let mut rows: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
        for row in found["result"]["data_array"].as_array().unwrap() {
            let row: Vec<String> =
                row.as_array().unwrap().iter().map(|cell| cell.as_str().unwrap_or_default().to_owned()).collect();
            rows.entry(row[0].clone()).or_default().push(row);
        }
        for expected in std::mem::take(&mut self.expected) {
            let name = expected.operation.split('_').next().unwrap_or_default();
            let found = rows.remove(&expected.request_id).unwrap_or_default();
            let exception = rules::NOT_ONE_ROW.iter().find(|(other, _, _)| *other == name && expected.status < 400);
            let wanted = exception.map_or(1, |(_, count, _)| *count);
            if let Some((name, _, _)) = exception {
                self.excepted("NOT_ONE_ROW", name);
            }
            let what = format!("{} by {} ({})", expected.operation, expected.who, expected.status);
            if found.len() != wanted {
                self.faults.push(format!("{what}: {} audit rows, not {wanted}: {found:?}", found.len()));
                continue;
            }
            for row in found {
                let values: Vec<String> =
                    serde_json::from_str::<BTreeMap<String, String>>(&row[3]).unwrap().into_values().collect();
                let is_object = |value: &String| {
                    (value.len() > 3 && expected.said.contains(value.as_str()))
                        || expected.objects.iter().any(|name| value.contains(name.as_str()))
                };
                // What is asked of the metastore itself has no other object.
                let of_root =
                    expected.objects.is_empty() || (expected.status == 403 && row[1].starts_with("metastore."));
                let names_object = of_root || values.iter().any(is_object);
                let status = if expected.status < 400 { "200".to_owned() } else { expected.status.to_string() };
                if row[1].is_empty() || row[2] != expected.who || row[4] != status || !names_object {
                    self.faults.push(format!("{what}: the audit row is {row:?}, of {:?}", expected.objects));
                }
            }
        }
    }

    /// Lists of exceptions may only shrink: one that was not needed has to go.
    fn exceptions_are_needed(&mut self) {
        let listed = rules::NO_SUCCESS.iter().map(|(name, _, _)| ("NO_SUCCESS", *name));
        let listed = listed.chain(rules::KNOWN_TO_ALL.iter().map(|(name, _)| ("KNOWN_TO_ALL", *name)));
        let listed = listed.chain(rules::NOT_ONE_ROW.iter().map(|(name, _, _)| ("NOT_ONE_ROW", *name)));
        for one in listed.filter(|one| !self.used.contains(one)) {
            self.faults.push(format!("{one:?} is an exception no more"));
        }
    }
}

fn is_gate(grant: Grant) -> bool {
    matches!(grant, Grant::On(_, "USE_CATALOG" | "USE_SCHEMA"))
}

fn is_list(operation: &Operation) -> bool {
    rules::SHOWN.iter().any(|(name, _)| *name == operation.name())
}

/// Whether the answer shows what only those may see who were granted something.
fn self_shows(operation: &Operation, answer: &Answer, objects: &Places) -> bool {
    let mark = rules::SHOWN.iter().find(|(name, _)| *name == operation.name());
    mark.is_some_and(|(_, mark)| answer.text.contains(&objects.fill(mark)))
}
