//! Grants: given, seen, in force at the next request, spelled for each client, explained.

use crannog_store::testing::Kind;
use serde_json::{Value, json};

use crate::world::World;

const UC: &str = "/api/2.1/unity-catalog";

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_holds_at_the_next_request_and_a_revoked_one_does_not() {
    for kind in Kind::ALL {
        let world = World::flights(kind).await;
        let planes = format!("{UC}/tables/main.flights.planes");
        assert_eq!(world.get("ana", &planes).await.status, 404);
        world.grant("catalog", "main", "account users", &["USE CATALOG"]).await;
        world.grant("schema", "main.flights", "analysts", &["USE_SCHEMA", "select"]).await;
        assert_eq!(world.get("ana", &planes).await.status, 200);
        assert_eq!(world.get("ben", &planes).await.status, 404);
        world.change("schema", "main.flights", "analysts", &[], &["SELECT"]).await;
        assert_eq!(world.get("ana", &planes).await.status, 404);
        world.change("table", "main.flights.planes", "ana", &["SELECT"], &[]).await;
        assert_eq!(world.get("ana", &planes).await.status, 200);
        world.change("catalog", "main", "account users", &[], &["USE CATALOG"]).await;
        assert_eq!(world.get("ana", &planes).await.status, 404);
        assert_eq!(world.audit("updatePermissions").await.len(), 5);
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn privileges_are_spelled_as_each_client_reads_them() {
    for kind in Kind::ALL {
        let world = World::flights(kind).await;
        world
            .grant("CATALOG", "main", "ana", &["USE_CATALOG", "use schema", "MANAGE", "ALL_PRIVILEGES", "BROWSE"])
            .await;
        let of = |headers: &'static [(&'static str, &'static str)]| {
            let world = &world;
            async move {
                let answer =
                    world.send("admin", "GET", &format!("{UC}/permissions/Catalog/main"), headers, b"").await.ok();
                let mut words: Vec<String> =
                    serde_json::from_value(answer["privilege_assignments"][0]["privileges"].clone()).unwrap();
                words.sort();
                words
            }
        };
        let sdk = of(&[("User-Agent", "databricks-sdk-py/0.162.0 python/3.11")]).await;
        assert_eq!(sdk, ["ALL_PRIVILEGES", "BROWSE", "MANAGE", "USE_CATALOG", "USE_SCHEMA"]);
        assert_eq!(of(&[("User-Agent", "databricks-tf-provider/1.90 terraform/1.9")]).await, sdk);
        // The open-source client fails on words that its own server has not.
        assert_eq!(of(&[("User-Agent", "OpenAPI-Generator/0.7.0/python")]).await, ["USE CATALOG", "USE SCHEMA"]);
        let all = ["ALL PRIVILEGES", "BROWSE", "MANAGE", "USE CATALOG", "USE SCHEMA"];
        assert_eq!(of(&[("X-Crannog-Privileges", "spaces")]).await, all);
        let effective = world
            .send(
                "admin",
                "GET",
                &format!("{UC}/effective-permissions/table/main.flights.planes"),
                &[("User-Agent", "databricks-sdk-py/0.162.0")],
                b"",
            )
            .await
            .ok();
        let first = &effective["privilege_assignments"][0];
        assert_eq!(first["principal"], "ana");
        for privilege in first["privileges"].as_array().unwrap() {
            assert_eq!(
                (&privilege["inherited_from_type"], &privilege["inherited_from_name"]),
                (&json!("CATALOG"), &json!("main"))
            );
        }
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_sees_their_own_grants_and_managers_see_all() {
    for kind in Kind::ALL {
        let world = World::flights(kind).await;
        world.grant("catalog", "main", "ana", &["USE CATALOG"]).await;
        world.grant("catalog", "main", "ben", &["USE CATALOG", "BROWSE"]).await;
        let seen = |who: &'static str, query: &'static str| {
            let world = &world;
            async move {
                let answer = world.get(who, &format!("{UC}/permissions/catalog/main{query}")).await.ok();
                let list = answer["privilege_assignments"].as_array().unwrap().clone();
                list.iter().map(|each| each["principal"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
            }
        };
        assert_eq!(seen("admin", "").await, ["ana", "ben"]);
        assert_eq!(seen("admin", "?principal=ben").await, ["ben"]);
        assert_eq!(seen("ana", "").await, ["ana"]);
        assert_eq!(seen("ana", "?principal=ben").await, Vec::<String>::new());
        let denied = world
            .patch(
                "ana",
                &format!("{UC}/permissions/catalog/main"),
                json!({
            "changes": [{ "principal": "ana", "add": ["ALL PRIVILEGES"] }] }),
            )
            .await;
        assert_eq!(denied.status, 403);
        for (kind, name, change) in [
            ("catalog", "main", json!({ "principal": "ana", "add": ["FLY"] })),
            ("table", "main.flights.planes", json!({ "principal": "ana", "add": ["CREATE SCHEMA"] })),
            ("gizmo", "main", json!({ "principal": "ana", "add": ["SELECT"] })),
        ] {
            let body = json!({ "changes": [change] });
            let refused = world.patch("admin", &format!("{UC}/permissions/{kind}/{name}"), body).await;
            assert_eq!(refused.status, 400, "{}", refused.json());
        }
        let nobody = json!({ "changes": [{ "principal": "nobody", "add": ["USE CATALOG"] }] });
        let refused = world.patch("admin", &format!("{UC}/permissions/catalog/main"), nobody).await;
        assert_eq!((refused.status, refused.error_code().as_str()), (404, "PRINCIPAL_DOES_NOT_EXIST"));
        // The metastore by its id; all of a change or none of it.
        let id = world.get("admin", &format!("{UC}/metastore_summary")).await.ok()["metastore_id"]
            .as_str()
            .unwrap()
            .to_owned();
        world.grant("metastore", &id, "ana", &["CREATE CATALOG"]).await;
        world.post("ana", &format!("{UC}/catalogs"), json!({ "name": "anas" })).await.ok();
        assert_eq!(world.get("admin", &format!("{UC}/permissions/metastore/other")).await.status, 404);
        let half = json!({ "changes": [{ "principal": "ben", "add": ["CREATE SCHEMA"] }, { "principal": "nobody", "add": ["BROWSE"] }] });
        assert_eq!(world.patch("admin", &format!("{UC}/permissions/catalog/main"), half).await.status, 404);
        let bens = world.get("admin", &format!("{UC}/permissions/catalog/main?principal=ben")).await.ok();
        assert!(!bens.to_string().contains("CREATE SCHEMA"));
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn browse_shows_and_does_not_open() {
    for kind in Kind::ALL {
        let world = World::flights(kind).await;
        world.grant("catalog", "main", "ben", &["BROWSE"]).await;
        let table = world.get("ben", &format!("{UC}/tables/main.flights.planes")).await.ok();
        assert_eq!(table["browse_only"], json!(true));
        assert_eq!(world.get("ben", &format!("{UC}/catalogs/main")).await.ok()["browse_only"], json!(true));
        let listed = world.get("ben", &format!("{UC}/tables?catalog_name=main&schema_name=flights")).await.ok();
        let listed = listed["tables"].as_array().unwrap();
        assert_eq!(listed.len(), 3);
        // A client that was told where the files are would open them past the refusal below.
        assert!(listed.iter().chain([&table]).all(|table| table["storage_location"].is_null()), "{listed:?}");
        let denied = world
            .post(
                "ben",
                "/api/2.0/unity-catalog/temporary-table-credentials",
                json!({
            "table_id": table["table_id"], "operation": "READ" }),
            )
            .await;
        assert_eq!(denied.status, 403);
        world.grant("catalog", "main", "ben", &["USE CATALOG", "USE SCHEMA", "SELECT"]).await;
        let table = world.get("ben", &format!("{UC}/tables/main.flights.planes")).await.ok();
        assert_eq!((&table["browse_only"], table["storage_location"].is_string()), (&json!(false), true));
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_location_is_told_to_those_who_may_open_it() {
    for kind in Kind::ALL {
        let world = World::flights(kind).await;
        world.grant("catalog", "main", "ben", &["BROWSE", "USE CATALOG", "USE SCHEMA"]).await;
        let told = || async {
            let list = world.get("ben", &format!("{UC}/tables?catalog_name=main&schema_name=flights")).await.ok();
            let mut told = Vec::new();
            for table in list["tables"].as_array().unwrap() {
                let name = table["full_name"].as_str().unwrap();
                let one = world.get("ben", &format!("{UC}/tables/{name}")).await.ok();
                assert_eq!(one["storage_location"], table["storage_location"], "{name}");
                if table["storage_location"].is_string() {
                    told.push(name.trim_start_matches("main.flights.").to_owned());
                }
            }
            told
        };
        assert_eq!(told().await, Vec::<String>::new());
        for privilege in ["SELECT", "MODIFY", "MANAGE"] {
            world.grant("table", "main.flights.planes", "ben", &[privilege]).await;
            assert_eq!(told().await, ["planes"], "{privilege}");
            world.change("table", "main.flights.planes", "ben", &[], &[privilege]).await;
            assert_eq!(told().await, Vec::<String>::new(), "{privilege}");
        }
        world.grant("schema", "main.flights", "ben", &["SELECT"]).await;
        assert_eq!(told().await, ["flights", "planes"]);
        world.change("catalog", "main", "ben", &[], &["USE CATALOG"]).await;
        assert_eq!(told().await, Vec::<String>::new());
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_are_explained_to_those_whom_they_concern() {
    for kind in Kind::ALL {
        let world = World::flights(kind).await;
        world.grant("catalog", "main", "account users", &["USE CATALOG"]).await;
        world.grant("schema", "main.flights", "analysts", &["USE SCHEMA", "SELECT"]).await;
        let explain = |who: &'static str, query: String| {
            let world = &world;
            async move { world.get(who, &format!("/api/2.0/crannog/explain?{query}")).await }
        };
        let on = "securable_type=table&full_name=main.flights.planes";
        let mine = explain("ana", format!("action=SELECT&{on}")).await.ok();
        assert_eq!(mine["allowed"], json!(true));
        let last = mine["because"].as_array().unwrap().last().unwrap();
        assert_eq!(
            (&last["kind"], &last["privilege"], &last["on_type"], &last["on"], &last["via"]),
            (&json!("grant"), &json!("SELECT"), &json!("schema"), &json!("main.flights"), &json!("analysts"))
        );
        assert!(mine["text"].as_str().unwrap().contains("SELECT on schema main.flights through analysts"));
        // By the name of an action, about somebody else, by an administrator.
        let bens = explain("admin", format!("principal=ben&action=tables.select&{on}")).await.ok();
        assert_eq!((&bens["allowed"], &bens["visible"]), (&json!(false), &json!(false)));
        let grants: Vec<&Value> = bens["missing"].as_array().unwrap().iter().map(|lack| &lack["grant"]).collect();
        assert_eq!(
            grants,
            [
                &json!("GRANT USE SCHEMA ON SCHEMA main.flights TO `ben`"),
                &json!("GRANT SELECT ON TABLE main.flights.planes TO `ben`"),
            ]
        );
        // Somebody who sees the object but does not manage it; somebody who does not see it; an object that is not there.
        assert_eq!(explain("ana", format!("principal=ben&action=SELECT&{on}")).await.status, 403);
        let hidden = explain("stranger", format!("principal=ben&action=SELECT&{on}")).await;
        let missing =
            explain("stranger", format!("principal=ben&action=SELECT&{}", on.replace("planes", "plonks"))).await;
        assert_eq!(hidden.status, 404);
        assert_eq!(hidden.without_ids().1.to_string(), missing.without_ids().1.to_string().replace("plonks", "planes"));
        let hidden = explain("stranger", format!("action=SELECT&{on}")).await.ok();
        let missing = explain("stranger", format!("action=SELECT&{}", on.replace("planes", "plonks"))).await.ok();
        assert_eq!(hidden.to_string(), missing.to_string().replace("plonks", "planes"));
        assert_eq!((&hidden["allowed"], &hidden["missing"]), (&json!(false), &json!([])));
        let admin = explain("admin", "action=CREATE_CATALOG&securable_type=metastore".to_owned()).await.ok();
        assert_eq!((&admin["allowed"], &admin["because"][0]["kind"]), (&json!(true), &json!("owner")));
        assert_eq!(explain("admin", format!("action=FLY&{on}")).await.status, 400);
        assert_eq!(explain("admin", format!("action=volumes.read&{on}")).await.status, 400);
        world.stop().await;
    }
}
