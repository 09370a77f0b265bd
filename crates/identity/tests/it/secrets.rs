//! Stored secrets: who may, round trips, and that the value is nowhere but encrypted.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const CANARY: &str = "canary-7f3a9c-do-not-log-me";

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
        .collect()
}

on_each! {
    /// Put, get, list, overwrite, delete; text and bytes; keys without case.
    async fn a_secret_comes_back(world: &World) {
        let admin = world.admin();
        let put = |body: Value| world.post(&admin, "/api/2.0/secrets/put", body);
        world.post(&admin, "/api/2.0/secrets/scopes/create", json!({ "scope": "ci.keys" })).await.of(200);
        let again = world.post(&admin, "/api/2.0/secrets/scopes/create", json!({ "scope": "CI.keys" })).await.of(400);
        assert_eq!(again["error_code"], "RESOURCE_ALREADY_EXISTS");
        put(json!({ "scope": "ci.keys", "key": "Token", "string_value": CANARY })).await.of(200);
        put(json!({ "scope": "ci.keys", "key": "raw", "bytes_value": STANDARD.encode([0, 255, 7]) })).await.of(200);
        let got = world.get(&admin, "/api/2.0/secrets/get?scope=CI.keys&key=token").await.of(200);
        assert_eq!(got, json!({ "key": "Token", "value": STANDARD.encode(CANARY) }));
        put(json!({ "scope": "ci.keys", "key": "token", "string_value": "new" })).await.of(200);
        let got = world.get(&admin, "/api/2.0/secrets/get?scope=ci.keys&key=Token").await.of(200);
        assert_eq!(got["value"], STANDARD.encode("new"));
        let listed = world.get(&admin, "/api/2.0/secrets/list?scope=ci.keys").await.of(200);
        assert_eq!(listed["secrets"].as_array().unwrap().len(), 2);
        assert!(listed["secrets"][0]["last_updated_timestamp"].as_i64().unwrap() > 1_600_000_000_000);
        for bad in [
            json!({ "scope": "ci.keys", "key": "a b", "string_value": "x" }),
            json!({ "scope": "ci.keys", "key": "k".repeat(129), "string_value": "x" }),
            json!({ "scope": "ci.keys", "key": "k", "string_value": "x".repeat(128 * 1024 + 1) }),
            json!({ "scope": "ci.keys", "key": "k" }),
        ] {
            assert_eq!(put(bad).await.status, 400);
        }
        put(json!({ "scope": "ci.keys", "key": "k", "string_value": "x".repeat(128 * 1024) })).await.of(200);
        let delete = json!({ "scope": "ci.keys", "key": "TOKEN" });
        world.post(&admin, "/api/2.0/secrets/delete", delete.clone()).await.of(200);
        assert_eq!(world.post(&admin, "/api/2.0/secrets/delete", delete).await.status, 404);
        world.post(&admin, "/api/2.0/secrets/scopes/delete", json!({ "scope": "ci.keys" })).await.of(200);
        assert_eq!(world.get(&admin, "/api/2.0/secrets/list?scope=ci.keys").await.status, 404);
        assert!(world.rows("SELECT name FROM secret").await.is_empty());
    }

    /// READ, WRITE and MANAGE, to people and groups; strangers see nothing.
    async fn levels_on_scopes_hold(world: &World) {
        let (ana, ben) = (world.user("ana@example.com").await, world.user("ben@example.com").await);
        let (ana_token, ben_token) = (world.token_for("ana@example.com").await, world.token_for("ben@example.com").await);
        world.post(&ana_token, "/api/2.0/secrets/scopes/create", json!({ "scope": "anas" })).await.of(200);
        let value = json!({ "scope": "anas", "key": "k", "string_value": CANARY });
        world.post(&ana_token, "/api/2.0/secrets/put", value.clone()).await.of(200);
        let get = "/api/2.0/secrets/get?scope=anas&key=k";
        let missing = world.get(&ben_token, "/api/2.0/secrets/get?scope=bens&key=k").await.of(404);
        let hidden = world.get(&ben_token, get).await.of(404);
        assert_eq!(missing["message"].as_str().unwrap().replace("bens", "anas"), hidden["message"]);
        assert_eq!(world.get(&ben_token, "/api/2.0/secrets/scopes/list").await.of(200)["scopes"], json!([]));
        let group = world.group("readers").await;
        let into = json!({ "Operations": [{ "op": "add", "path": "members", "value": [{ "value": ben }] }] });
        world.patch(&world.admin(), &format!("/api/2.0/preview/scim/v2/Groups/{group}"), into).await.of(200);
        let acl = |principal: &str, level: &str| json!({ "scope": "anas", "principal": principal, "permission": level });
        assert_eq!(world.post(&ben_token, "/api/2.0/secrets/acls/put", acl("ben@example.com", "MANAGE")).await.status, 404);
        world.post(&ana_token, "/api/2.0/secrets/acls/put", acl("readers", "READ")).await.of(200);
        assert_eq!(world.get(&ben_token, get).await.status, 200);
        assert_eq!(world.post(&ben_token, "/api/2.0/secrets/put", value.clone()).await.status, 403);
        let scopes = world.get(&ben_token, "/api/2.0/secrets/scopes/list").await.of(200);
        assert_eq!(scopes["scopes"], json!([{ "name": "anas", "backend_type": "DATABRICKS" }]));
        world.post(&ana_token, "/api/2.0/secrets/acls/put", acl("readers", "WRITE")).await.of(200);
        assert_eq!(world.post(&ben_token, "/api/2.0/secrets/put", value).await.status, 200);
        assert_eq!(world.get(&ben_token, "/api/2.0/secrets/acls/list?scope=anas").await.status, 403);
        let acls = world.get(&ana_token, "/api/2.0/secrets/acls/list?scope=anas").await.of(200);
        assert_eq!(acls["items"], json!([
            { "principal": "ana@example.com", "permission": "MANAGE" },
            { "principal": "readers", "permission": "WRITE" },
        ]));
        let one = world.get(&ana_token, "/api/2.0/secrets/acls/get?scope=anas&principal=Readers").await.of(200);
        assert_eq!(one["permission"], "WRITE");
        let gone = json!({ "scope": "anas", "principal": "readers" });
        world.post(&ana_token, "/api/2.0/secrets/acls/delete", gone).await.of(200);
        assert_eq!(world.get(&ben_token, get).await.status, 404);
        // The scope outlives its owner: the administrators take it over.
        let path = format!("/api/2.0/preview/scim/v2/Users/{ana}");
        assert_eq!(world.call(&world.admin(), "DELETE", &path, Value::Null).await.status, 204);
        assert_eq!(world.get(&world.admin(), get).await.status, 200);
    }

    /// The value is in no file, no audit row, no log and no error.
    async fn the_canary_is_nowhere(world: &World) {
        let admin = world.admin();
        world.post(&admin, "/api/2.0/secrets/scopes/create", json!({ "scope": "s" })).await.of(200);
        world.post(&admin, "/api/2.0/secrets/put", json!({ "scope": "s", "key": "k", "string_value": CANARY })).await.of(200);
        let failed = json!({ "scope": "s", "key": "a b", "string_value": CANARY });
        assert!(!world.post(&admin, "/api/2.0/secrets/put", failed).await.text.contains(CANARY));
        world.get(&admin, "/api/2.0/secrets/get?scope=s&key=k").await.of(200);
        let encoded = STANDARD.encode(CANARY);
        for (name, bytes) in files(world.folder.path()) {
            for needle in [CANARY, &encoded, &world.admin()] {
                assert!(!bytes.windows(needle.len()).any(|window| window == needle.as_bytes()), "{name}");
            }
        }
        let audit = world.rows("SELECT action_name, request_params, error_message FROM audit_event").await;
        let mut actions = Vec::new();
        for row in &audit {
            assert!(!row.text(1).unwrap().contains(CANARY) && !row.text(1).unwrap().contains(&encoded));
            actions.push(row.text(0).unwrap());
        }
        for wanted in ["createScope", "putSecret", "getSecret"] {
            assert!(actions.iter().any(|action| action == wanted), "{wanted}");
        }
        let log = crate::capture::logged();
        assert!(log.contains("INSERT INTO secret"), "statements are captured");
        for needle in [CANARY, &encoded, &admin, "crg_", "crs_"] {
            assert!(!log.contains(needle), "{needle} is in the log");
        }
    }

    /// Without the root key, or with another one, nothing opens, and no new key is made.
    async fn a_lost_root_key_is_not_replaced(world: &World) {
        let admin = world.admin();
        world.post(&admin, "/api/2.0/secrets/scopes/create", json!({ "scope": "s" })).await.of(200);
        world.post(&admin, "/api/2.0/secrets/put", json!({ "scope": "s", "key": "k", "string_value": "v" })).await.of(200);
        let (root, aside) = (world.folder.path().join("root.key"), world.folder.path().join("aside.key"));
        let get = "/api/2.0/secrets/get?scope=s&key=k";
        std::fs::rename(&root, &aside).unwrap();
        let without = world.again().await;
        assert!(!root.exists());
        let refused = without.get(&admin, get).await.of(400);
        assert!(refused["message"].as_str().unwrap().contains("root key"), "{refused}");
        assert_eq!(without.get(&admin, "/api/2.0/secrets/list?scope=s").await.status, 200);
        let other = crate::world::World::start(crannog_store::testing::Kind::Sqlite).await;
        std::fs::copy(other.folder.path().join("root.key"), &root).unwrap();
        other.stop().await;
        assert_eq!(world.again().await.get(&admin, get).await.status, 400);
        std::fs::rename(&aside, &root).unwrap();
        assert_eq!(world.again().await.get(&admin, get).await.of(200)["value"], STANDARD.encode("v"));
    }
}
