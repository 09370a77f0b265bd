//! Registered models over both databases: numbers, files, aliases with their history, signatures, searches cut by grants.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use crannog_security::actions::{metastore, models, schemas};
use crannog_security::{Action, Caller, Lease, NameOf, Permit, kinds};
use crannog_storage::ByteStream;
use crannog_store::params;
use crannog_store::testing::Kind;
use crannog_tracking::model::experiments::Tag;
use crannog_tracking::model::registry::{Status, Version};
use crannog_tracking::service::Asked;
use crannog_tracking::service::registry::aliases::{self, Terms};
use crannog_tracking::service::registry::models::{self as model_verbs, NewModel};
use crannog_tracking::service::registry::versions::{self, NewVersion};
use crannog_tracking::service::registry::{BY_NAME, files, search};
use crannog_types::{Code, FullName, Micros, Problem, SecurableId};

use super::logging::Logged;
use super::searched::system;

const MLMODEL: &str = "signature:\n  inputs: '[{\"type\": \"long\", \"name\": \"month\", \"required\": true}]'\n  outputs: \
                       '[{\"type\": \"long\", \"required\": true}]'\n";
const OTHER: &str = "signature:\n  inputs: '[{\"type\": \"double\", \"name\": \"month\", \"required\": true}, {\"type\": \
                     \"string\", \"name\": \"origin\", \"required\": true}]'\n  outputs: '[{\"type\": \"long\", \"required\": true}]'\n";

fn body(text: &'static str) -> ByteStream {
    Box::pin(futures::stream::iter([Ok(Bytes::from_static(text.as_bytes()))]))
}

impl Logged {
    /// The catalog and schema of plain names, and one more schema; all of them are ana's.
    pub(crate) async fn catalog(&self) {
        let mut tx = self.db.write_unaudited(&system()).await.unwrap();
        let (catalog, root) = (SecurableId::new(), SecurableId::METASTORE);
        for (id, kind, parent, name, path) in [
            (catalog, "catalog", root, "main", "main"),
            (SecurableId::new(), "schema", catalog, "default", "main.default"),
            (SecurableId::new(), "schema", catalog, "flights", "main.flights"),
        ] {
            tx.run(
                "INSERT INTO securable (id, kind, parent, name, folded, path, owner, created_at, created_by, updated_at, \
                 updated_by) VALUES ($1, $2, $3, $4, $4, $5, 2, 0, 'ana', 0, 'ana')",
                params![id, kind, parent, name, path],
            )
            .await
            .unwrap();
        }
        tx.bump().await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn grant(&self, path: &str, privileges: &[&str], to: i64) {
        let mut tx = self.db.write_unaudited(&system()).await.unwrap();
        for privilege in privileges {
            tx.run(
                "INSERT INTO securable_grant (securable, principal, privilege, granted_at, granted_by) \
                 SELECT id, $1, $2, 0, 'ana' FROM securable WHERE path = $3",
                params![to, *privilege, path],
            )
            .await
            .unwrap();
        }
        tx.bump().await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn register(&self, schema: &str, name: &str) {
        let schema = FullName::of(["main", schema]);
        let permit: Permit<schemas::CreateModel> = self.ana.ask(NameOf::named(schema)).await.unwrap();
        let tags = vec![Tag { key: "team".to_owned(), value: "maps".to_owned() }];
        let new = NewModel { name: name.to_owned(), comment: None, tags };
        model_verbs::create(&self.db, &permit, &new).await.unwrap();
    }

    pub(crate) async fn on_model<A: Action<On = kinds::Model>>(&self, name: &str) -> Permit<A> {
        self.ana.ask(NameOf::found(&BY_NAME, name)).await.unwrap()
    }

    async fn version(&self, name: &str, new: NewVersion) -> Version {
        versions::create(&self.artifacts, &self.on_model(name).await, &new).await.unwrap()
    }

    async fn send(&self, name: &str, number: i64, path: &str, text: &'static str) -> Result<(), Problem> {
        let permit: Permit<models::CreateVersion> = self.on_model(name).await;
        files::put(&self.artifacts, &permit, &Lease::of(&self.ana, &permit), number, path, body(text)).await
    }

    async fn ready(&self, name: &str, text: &'static str) -> i64 {
        let made = self.version(name, NewVersion { source: "here".to_owned(), ..NewVersion::default() }).await;
        assert_eq!(made.status, Status::Pending);
        self.send(name, made.number, "MLmodel", text).await.unwrap();
        let permit: Permit<models::CreateVersion> = self.on_model(name).await;
        assert_eq!(versions::finalize(&self.artifacts, &permit, made.number).await.unwrap().status, Status::Ready);
        made.number
    }

    async fn points_at(&self, name: &str, alias: &str, as_of: Option<i64>) -> Option<i64> {
        let permit: Permit<models::ReadMetadata> = self.on_model(name).await;
        aliases::find(&self.db, &permit, alias, as_of.map(Micros)).await.unwrap()
    }

    async fn found_by(&self, who: &Caller, filter: &str) -> Vec<String> {
        let permit: Permit<metastore::Read> = who.ask(NameOf::root()).await.unwrap();
        let seen = search::schemas(&self.db, who, &permit).await.unwrap();
        let asked = Asked { filter, order_by: &[], max_results: 100, page_token: "" };
        let (found, _) = search::find_models(&self.db, &seen, &asked).await.unwrap();
        let (versions, _) = search::find_versions(&self.db, &seen, &Asked { filter: "", ..asked }).await.unwrap();
        let names: Vec<String> = found.iter().map(|model| model.object.name.to_string()).collect();
        assert!(versions.iter().all(|version| !filter.is_empty() || names.contains(&version.model.to_string())));
        names
    }

    /// A world in which `main.flights.late` has a version that is ready, the first.
    async fn with_a_version(kind: Kind) -> Self {
        let world = Logged::new(kind).await;
        world.catalog().await;
        world.register("flights", "late").await;
        assert_eq!(world.ready("main.flights.late", MLMODEL).await, 1, "{kind:?}");
        world
    }
}

#[tokio::test]
async fn a_version_is_written_until_it_is_ready_and_its_number_is_its_own() {
    for kind in Kind::ALL {
        let world = Logged::with_a_version(kind).await;
        let name = "main.flights.late";
        let problem = world.send(name, 1, "more.txt", "x").await.unwrap_err();
        assert_eq!(problem.code(), Code::FailedPrecondition, "{kind:?}: {problem}");
        let permit: Permit<models::Execute> = world.on_model(name).await;
        let listed = files::list(&world.artifacts, &permit, 1, "").await.unwrap();
        assert_eq!(listed.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["MLmodel"]);
        let manage: Permit<models::Manage> = world.on_model(name).await;
        versions::delete(&world.db, &manage, 1).await.unwrap();
        assert_eq!(versions::get(&world.db, &manage, 1).await.unwrap_err().code(), Code::NotFound);
        assert!(files::list(&world.artifacts, &permit, 1, "").await.is_err());
        assert_eq!(world.ready(name, MLMODEL).await, 2, "a number is given once");
        // The model goes with all it has: one of the same name begins anew.
        model_verbs::delete(&world.db, &manage).await.unwrap();
        let left = "SELECT cast(count(*) AS bigint) FROM artifact";
        assert_eq!(world.db.read(&system()).row(left, params![]).await.unwrap().unwrap().int(0).unwrap(), 0);
        world.register("flights", "late").await;
        assert_eq!(world.ready(name, MLMODEL).await, 1);
        world.end().await;
    }
}

#[tokio::test]
async fn every_move_of_an_alias_is_kept_and_of_two_movers_one_is_told() {
    for kind in Kind::ALL {
        let world = Logged::new(kind).await;
        world.catalog().await;
        world.register("default", "late").await;
        for _ in 0..3 {
            world.ready("late", MLMODEL).await;
        }
        let permit: Permit<models::Manage> = world.on_model("late").await;
        let mut moved = Vec::new();
        for (at, number) in [(100, 1), (200, 2), (300, 2), (400, 3)] {
            world.clock.store(at, Ordering::Relaxed);
            let reason = Some(format!("better by {number}"));
            aliases::set(&world.db, &permit, "champion", number, &Terms { expected: None, reason }).await.unwrap();
            moved.push(number);
        }
        let expecting = |expected| Terms { expected: Some(expected), reason: None };
        let lost = aliases::set(&world.db, &permit, "champion", 1, &expecting(Some(2))).await.unwrap_err();
        assert_eq!(lost.code(), Code::Aborted, "{kind:?}: {lost}");
        assert_eq!(
            aliases::set(&world.db, &permit, "new", 1, &expecting(Some(1))).await.unwrap_err().code(),
            Code::Aborted
        );
        aliases::set(&world.db, &permit, "new", 1, &expecting(None)).await.unwrap();
        aliases::set(&world.db, &permit, "champion", 1, &expecting(Some(3))).await.unwrap();
        assert_eq!(world.points_at("late", "champion", None).await, Some(1));
        for (at, number) in [(99, None), (100, Some(1)), (250, Some(2)), (399, Some(2))] {
            assert_eq!(world.points_at("late", "champion", Some(at)).await, number, "{kind:?} at {at}");
        }
        world.clock.store(500, Ordering::Relaxed);
        versions::delete(&world.db, &permit, 1).await.unwrap();
        assert_eq!(world.points_at("late", "champion", None).await, None);
        let history = aliases::history(&world.db, &permit, Some("champion"), None, 100).await.unwrap();
        let moves: Vec<(Option<i64>, Option<i64>)> =
            history.iter().rev().map(|(_, moved)| (moved.previous, moved.version)).collect();
        // A move to where it points already is none.
        let wanted = [(None, Some(1)), (Some(1), Some(2)), (Some(2), Some(3)), (Some(3), Some(1)), (Some(1), None)];
        assert_eq!(moves, wanted, "{kind:?}");
        assert_eq!(history[4].1.reason.as_deref(), Some("better by 1"));
        assert_eq!(history[4].1.by, "ana");
        let first = aliases::history(&world.db, &permit, Some("champion"), Some(history[3].0), 100).await.unwrap();
        assert_eq!(first, history[4..]);
        world.end().await;
    }
}

#[tokio::test]
async fn files_of_a_run_are_shared_and_the_signature_is_compared_with_the_last() {
    for kind in Kind::ALL {
        let world = Logged::new(kind).await;
        world.catalog().await;
        world.register("default", "late").await;
        world.ready("late", MLMODEL).await;
        let run = world.run().await;
        let permit = world.edit(&run).await;
        for (path, text) in [("m/MLmodel", OTHER), ("m/data/model.bin", "bytes"), ("notes.txt", "no")] {
            let lease = Lease::of(&world.ana, &permit);
            world.artifacts.put(&permit, &lease, path, body(text)).await.unwrap();
        }
        let shared = Some((format!("runs/{run}"), "m".to_owned()));
        let made = world.version("late", NewVersion { shared, ..NewVersion::default() }).await;
        assert_eq!((made.number, made.status), (2, Status::Ready));
        let execute: Permit<models::Execute> = world.on_model("late").await;
        let listed = files::list(&world.artifacts, &execute, 2, "").await.unwrap();
        assert_eq!(listed.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["MLmodel", "data"], "{kind:?}");
        let (folder, content, _) = files::find(&world.artifacts, &execute, 2, "data/model.bin").await.unwrap();
        assert_eq!(folder.get(&content).await.unwrap(), Bytes::from_static(b"bytes"));
        // What becomes of the run's file changes nothing.
        world.artifacts.delete(&permit, "m").await.unwrap();
        assert!(files::find(&world.artifacts, &execute, 2, "MLmodel").await.is_ok());
        let (signature, before) = versions::compared(&world.db, &execute, 2).await.unwrap();
        assert_eq!(signature.unwrap().inputs.len(), 2);
        let (with, comparison) = before.unwrap();
        assert_eq!((with, comparison.compatible()), (1, false));
        assert_eq!(comparison.inputs.added[0].name, "origin");
        assert_eq!(comparison.inputs.retyped[0].1.kind, "double");
        let (first, none) = versions::compared(&world.db, &execute, 1).await.unwrap();
        assert!(first.is_some() && none.is_none());
        world.end().await;
    }
}

#[tokio::test]
async fn searches_show_what_one_may_see_and_no_more() {
    for kind in Kind::ALL {
        let world = Logged::new(kind).await;
        world.catalog().await;
        for (schema, name) in [("default", "late"), ("flights", "late"), ("flights", "early")] {
            world.register(schema, name).await;
            world.ready(&format!("main.{schema}.{name}"), MLMODEL).await;
        }
        let all = ["main.default.late", "main.flights.early", "main.flights.late"];
        let mut found = world.found_by(&world.ana, "").await;
        found.sort();
        assert_eq!(found, all, "{kind:?}");
        // By the names that are shown: of those in main.default the last part.
        assert_eq!(world.found_by(&world.ana, "name = 'late'").await, ["main.default.late"]);
        assert_eq!(world.found_by(&world.ana, "name = 'main.default.late'").await, ["main.default.late"]);
        assert_eq!(world.found_by(&world.ana, "name LIKE 'main.flights.%' AND tags.team = 'maps'").await, all[1..]);
        assert!(world.found_by(&world.ana, "tags.team = 'ops'").await.is_empty());
        let stranger = &world.stranger;
        assert!(world.found_by(stranger, "").await.is_empty());
        world.grant("main", &["USE CATALOG"], 4).await;
        world.grant("main.flights", &["USE SCHEMA"], 4).await;
        assert!(world.found_by(stranger, "").await.is_empty());
        world.grant("main.flights.early", &["EXECUTE"], 4).await;
        assert_eq!(world.found_by(stranger, "").await, ["main.flights.early"], "{kind:?}");
        world.grant("main.flights", &["EXECUTE"], 4).await;
        assert_eq!(world.found_by(stranger, "").await, all[1..]);
        let asked: Result<Permit<models::CreateVersion>, Problem> =
            stranger.ask(NameOf::found(&BY_NAME, "main.flights.early")).await;
        assert_eq!(asked.unwrap_err().code(), Code::PermissionDenied);
        world.end().await;
    }
}

#[tokio::test]
async fn pages_of_versions_end_before_they_are_too_large() {
    const VERSIONS: i64 = 400;
    for kind in Kind::ALL {
        let world = Logged::with_a_version(kind).await;
        let mut tx = world.db.write_unaudited(&system()).await.unwrap();
        let large = "WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < $2) \
                     INSERT INTO model_version (model, version, status, stage, source, run_link, comment, created_at, created_by, \
                     updated_at, updated_by) SELECT v.model, n.i, v.status, v.stage, v.source, $1, $1, v.created_at, v.created_by, \
                     v.updated_at, v.updated_by FROM model_version v, n";
        let text = "x".repeat(64 << 10);
        tx.run(large, params![text.as_str(), VERSIONS]).await.unwrap();
        tx.commit().await.unwrap();

        let permit: Permit<metastore::Read> = world.ana.ask(NameOf::root()).await.unwrap();
        let seen = search::schemas(&world.db, &world.ana, &permit).await.unwrap();
        let order_by = ["version_number DESC".to_owned()];
        let (mut found, mut pages, mut token) = (Vec::new(), Vec::new(), String::new());
        loop {
            let asked = Asked { filter: "", order_by: &order_by, max_results: 200_000, page_token: &token };
            let (page, next) = search::find_versions(&world.db, &seen, &asked).await.unwrap();
            pages.push(page.len());
            found.extend(page.iter().map(|version| version.number));
            match next {
                Some(next) => token = next,
                None => break,
            }
        }
        assert_eq!(found, (1..=VERSIONS).rev().collect::<Vec<_>>(), "{kind:?}");
        // 128 KiB each.
        assert_eq!(pages, [256, 144], "{kind:?}");
        let asked = Asked { filter: "", order_by: &order_by, max_results: 130, page_token: "" };
        let (page, next) = search::find_versions(&world.db, &seen, &asked).await.unwrap();
        assert_eq!((page.len(), next.is_some()), (130, true), "{kind:?}: several reads are one page");
        world.end().await;
    }
}

#[tokio::test]
async fn pages_of_models_with_their_last_versions_end_before_they_are_too_large() {
    const MODELS: usize = 6;
    for kind in Kind::ALL {
        let world = Logged::with_a_version(kind).await;
        for number in 1..MODELS {
            world.register("flights", &format!("late{number:02}")).await;
        }
        // Of each two versions in two stages, with tags of 4 MiB each; one more in a stage that has a later one does not count.
        let mut tx = world.db.write_unaudited(&system()).await.unwrap();
        let versions = "INSERT INTO model_version (model, version, status, stage, source, created_at, created_by, updated_at, \
                        updated_by) SELECT s.id, $1, 'READY', $2, 'here', 0, 'ana', 0, 'ana' FROM securable s \
                        WHERE s.kind = 'registered_model'";
        for (number, stage) in [(2, "Staging"), (3, "None"), (4, "Staging")] {
            tx.run(versions, params![number, stage]).await.unwrap();
        }
        let tags = "INSERT INTO model_version_tag (model, version, key, value) \
                    SELECT model, version, $1, $2 FROM model_version WHERE version > 1";
        let text = "x".repeat(1 << 20);
        for key in ["a", "b", "c", "d"] {
            tx.run(tags, params![key, text.as_str()]).await.unwrap();
        }
        tx.commit().await.unwrap();

        let permit: Permit<metastore::Read> = world.ana.ask(NameOf::root()).await.unwrap();
        let seen = search::schemas(&world.db, &world.ana, &permit).await.unwrap();
        let (mut found, mut pages, mut token) = (Vec::new(), Vec::new(), String::new());
        loop {
            let asked = Asked { filter: "", order_by: &[], max_results: 1000, page_token: &token };
            let (page, next) = search::find_models_with_latest(&world.db, &seen, &asked).await.unwrap();
            pages.push(page.len());
            for (model, latest) in page {
                found.push(model.object.name.to_string());
                let latest: Vec<_> = latest.iter().map(|version| (version.number, version.stage.as_str())).collect();
                assert_eq!(latest, [(3, "None"), (4, "Staging")], "{kind:?}");
            }
            match next {
                Some(next) => token = next,
                None => break,
            }
        }
        assert_eq!(pages, [4, 2], "{kind:?}");
        assert_eq!(found.len(), MODELS, "{kind:?}");
        assert!(found.is_sorted(), "{kind:?} {found:?}");
        let asked = Asked { filter: "", order_by: &[], max_results: 1000, page_token: "" };
        let (page, next) = search::find_models(&world.db, &seen, &asked).await.unwrap();
        assert_eq!((page.len(), next), (MODELS, None), "{kind:?}: without versions it is one page");
        world.end().await;
    }
}

#[tokio::test]
async fn a_model_and_a_version_have_so_many_tags() {
    for kind in Kind::ALL {
        let world = Logged::with_a_version(kind).await;
        let mut tx = world.db.write_unaudited(&system()).await.unwrap();
        // The model has one already, of its maker's.
        let of_model = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999) \
                        INSERT INTO registered_model_tag (model, key, value) SELECT m.id, 'k' || n.i, 'v' FROM registered_model m, n";
        let of_version = "INSERT INTO model_version_tag (model, version, key, value) \
                          SELECT model, 1, key, value FROM registered_model_tag";
        tx.run(of_model, params![]).await.unwrap();
        tx.run(of_version, params![]).await.unwrap();
        tx.commit().await.unwrap();

        let permit: Permit<models::Tag> = world.on_model("main.flights.late").await;
        let tag = |key: &str| Tag { key: key.to_owned(), value: "w".to_owned() };
        for key in ["k1", "team"] {
            model_verbs::set_tag(&world.db, &permit, &tag(key)).await.unwrap();
            versions::set_tag(&world.db, &permit, 1, &tag(key)).await.unwrap();
        }
        let refused = model_verbs::set_tag(&world.db, &permit, &tag("new")).await.unwrap_err();
        assert!(
            refused.code() == Code::InvalidArgument && refused.to_string().contains("at most 1000 tags"),
            "{kind:?}: {refused}"
        );
        let refused = versions::set_tag(&world.db, &permit, 1, &tag("new")).await.unwrap_err();
        assert!(refused.to_string().contains("a model version can have at most 1000 tags"), "{kind:?}: {refused}");
        model_verbs::delete_tag(&world.db, &permit, "k1").await.unwrap();
        model_verbs::set_tag(&world.db, &permit, &tag("new")).await.unwrap();
        versions::delete_tag(&world.db, &permit, 1, "k1").await.unwrap();
        versions::set_tag(&world.db, &permit, 1, &tag("new")).await.unwrap();
        world.end().await;
    }
}
