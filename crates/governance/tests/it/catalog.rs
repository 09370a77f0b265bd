//! Catalogs, schemas, tables and volumes: made, listed, changed, dropped; seen and not seen.

use crannog_governance::service::locations::begin_managed;
use crannog_governance::service::reconcile::open_intents;
use crannog_governance::service::tables::{self, Files};
use crannog_security::NameOf;
use crannog_storage::{Access, Managed};
use crannog_store::testing::Kind;
use crannog_types::{Code, FullName};
use serde_json::{Value, json};

use crate::world::{World, new_table};

const UC: &str = "/api/2.1/unity-catalog";

fn names(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|each| each["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_made_read_changed_and_dropped() {
    for kind in Kind::ALL {
        let world = World::empty(kind).await;
        let made = world
            .post(
                "admin",
                &format!("{UC}/catalogs"),
                json!({
            "name": "Main", "comment": "all", "properties": { "a": "b" } }),
            )
            .await
            .ok();
        assert_eq!((&made["name"], &made["comment"], &made["owner"]), (&json!("Main"), &json!("all"), &json!("admin")));
        assert_eq!(made["properties"], json!({ "a": "b" }));
        assert!(
            made["created_at"].as_i64().unwrap() > 1_500_000_000_000
                && made["created_at"].as_i64().unwrap() < 9_999_999_999_999
        );
        for field in ["updated_at", "storage_root", "storage_location", "browse_only", "metastore_id", "updated_by"] {
            assert!(made.get(field).is_some(), "{field} is always there");
        }
        // Names are found without case and kept as they were written.
        assert_eq!(world.get("admin", &format!("{UC}/catalogs/mAIN")).await.ok()["name"], "Main");
        let taken = world.post("admin", &format!("{UC}/catalogs"), json!({ "name": "MAIN" })).await;
        assert_eq!((taken.status, taken.error_code().as_str()), (400, "CATALOG_ALREADY_EXISTS"));
        assert!(taken.json().get("stack_trace").is_some());

        let schema =
            world.post("admin", &format!("{UC}/schemas"), json!({ "name": "s", "catalog_name": "main" })).await.ok();
        assert_eq!(schema["full_name"], "Main.s");
        assert_eq!(schema["catalog_name"], "Main");
        let changed = world
            .patch(
                "admin",
                &format!("{UC}/schemas/main.s"),
                json!({
            "comment": "c", "owner": "analysts", "new_name": "t", "properties": { "x": "y" } }),
            )
            .await
            .ok();
        assert_eq!((&changed["full_name"], &changed["owner"]), (&json!("Main.t"), &json!("analysts")));
        assert_eq!(world.get("admin", &format!("{UC}/schemas/main.s")).await.status, 404);

        let volume = world
            .post(
                "admin",
                &format!("{UC}/volumes"),
                json!({
            "name": "v", "catalog_name": "main", "schema_name": "t", "volume_type": "MANAGED" }),
            )
            .await;
        // Owner of the metastore or not: data objects need the gates.
        assert_eq!(volume.status, 403, "{}", volume.json());
        world.grant("catalog", "main", "admin", &["USE_CATALOG", "USE_SCHEMA", "CREATE_VOLUME"]).await;
        let volume = world
            .post(
                "admin",
                &format!("{UC}/volumes"),
                json!({
            "name": "v", "catalog_name": "main", "schema_name": "t", "volume_type": "MANAGED" }),
            )
            .await
            .ok();
        assert!(world.folder_of(&volume["storage_location"]).is_dir());
        let listed = world.get("admin", &format!("{UC}/volumes?catalog_name=main&schema_name=t")).await.ok();
        assert_eq!(names(&listed["volumes"]), ["v"]);
        let full = world.delete("admin", &format!("{UC}/catalogs/main")).await;
        assert_eq!((full.status, full.error_code().as_str()), (400, "CATALOG_NOT_EMPTY"));
        world.delete("admin", &format!("{UC}/volumes/main.t.v")).await.ok();
        assert!(!world.folder_of(&volume["storage_location"]).exists());
        world.delete("admin", &format!("{UC}/catalogs/main?force=true")).await.ok();
        assert_eq!(world.get("admin", &format!("{UC}/catalogs")).await.ok()["catalogs"], json!([]));
        let actions = ["createCatalog", "updateSchema", "createVolume", "deleteVolume", "deleteCatalog"];
        for action in actions {
            assert_eq!(world.audit(action).await.iter().filter(|(_, status)| *status == 200).count(), 1, "{action}");
        }
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_tells_everything_that_clients_read() {
    for kind in Kind::ALL {
        let world = World::flights(kind).await;
        let table = world.get("admin", &format!("{UC}/tables/main.flights.flights")).await.ok();
        assert_eq!(table["table_type"], "MANAGED");
        assert_eq!(table["data_source_format"], "DELTA");
        assert_eq!(table["properties"], json!({ "delta.appendOnly": "true" }));
        let price = &table["columns"][1];
        assert_eq!(
            (&price["type_text"], &price["type_name"], &price["type_precision"], &price["type_scale"]),
            (&json!("decimal(10,2)"), &json!("DECIMAL"), &json!(10), &json!(2))
        );
        assert_eq!((&price["comment"], &price["position"]), (&json!("in euro"), &json!(1)));
        assert_eq!(table["columns"][0]["nullable"], json!(false));
        let view = world.get("admin", &format!("{UC}/tables/main.flights.flights_public")).await.ok();
        assert_eq!((&view["table_type"], &view["storage_location"]), (&json!("VIEW"), &Value::Null));
        assert_eq!(view["view_definition"], "SELECT id FROM flights");

        let exists = |who: &'static str, name: &'static str| {
            let world = &world;
            async move {
                world.get(who, &format!("{UC}/tables/{name}/exists")).await.ok()["table_exists"].as_bool().unwrap()
            }
        };
        assert!(exists("admin", "main.flights.flights").await);
        assert!(!exists("admin", "main.flights.none").await);
        assert!(!exists("stranger", "main.flights.flights").await);

        let few = format!("{UC}/tables?catalog_name=main&schema_name=flights&omit_columns=true&omit_properties=true");
        for table in world.get("admin", &few).await.ok()["tables"].as_array().unwrap() {
            assert_eq!((&table["columns"], &table["properties"]), (&json!([]), &json!({})));
        }
        let summaries =
            world.get("admin", &format!("{UC}/table-summaries?catalog_name=main&table_name_pattern=fl%25")).await;
        assert_eq!(
            summaries.ok()["tables"],
            json!([
                { "full_name": "main.flights.flights", "table_type": "MANAGED" },
                { "full_name": "main.flights.flights_public", "table_type": "VIEW" },
            ])
        );
        let mut token = String::new();
        let mut walked = Vec::new();
        loop {
            let path = format!("{UC}/table-summaries?catalog_name=main&max_results=1&page_token={token}");
            let page = world.get("admin", &path).await.ok();
            walked.extend(page["tables"].as_array().unwrap().iter().map(|table| table["full_name"].clone()));
            match page["next_page_token"].as_str() {
                Some(next) => token = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(walked, ["main.flights.flights", "main.flights.flights_public", "main.flights.planes"]);
        world
            .patch("admin", &format!("{UC}/tables/main.flights.planes"), json!({ "owner": "ben", "comment": "c" }))
            .await
            .ok();
        assert_eq!(world.get("admin", &format!("{UC}/tables/main.flights.planes")).await.ok()["owner"], "ben");
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_schema_by_force_drops_its_files_and_nobody_elses() {
    for kind in Kind::ALL {
        let world = World::flights(kind).await;
        world.post("admin", &format!("{UC}/schemas"), json!({ "name": "other", "catalog_name": "main" })).await.ok();
        let kept = world
            .post(
                "admin",
                &format!("{UC}/volumes"),
                json!({
            "name": "v", "catalog_name": "main", "schema_name": "other" }),
            )
            .await
            .ok();
        let external = world
            .post(
                "admin",
                &format!("{UC}/volumes"),
                json!({
            "name": "ext", "catalog_name": "main", "schema_name": "flights", "volume_type": "EXTERNAL",
            "storage_location": world.outside("kept") }),
            )
            .await
            .ok();
        std::fs::create_dir_all(world.dir.join("outside/kept")).unwrap();
        std::fs::write(world.dir.join("outside/kept/file"), b"x").unwrap();
        let table = world.get("admin", &format!("{UC}/tables/main.flights.flights")).await.ok();
        assert!(world.folder_of(&table["storage_location"]).join("_delta_log").is_dir());
        let refused = world.delete("admin", &format!("{UC}/schemas/main.flights")).await;
        assert_eq!(refused.error_code(), "SCHEMA_NOT_EMPTY");
        world.delete("admin", &format!("{UC}/schemas/main.flights?force=true")).await.ok();
        assert!(!world.folder_of(&table["storage_location"]).exists());
        assert!(world.folder_of(&kept["storage_location"]).is_dir());
        assert!(world.folder_of(&external["storage_location"]).join("file").is_file());
        assert_eq!(world.get("admin", &format!("{UC}/tables/main.flights.flights")).await.status, 404);
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_visible_answers_like_what_is_not_there() {
    for kind in Kind::ALL {
        let world = World::flights(kind).await;
        let visible = "main.flights.planes";
        let missing = "main.flights.plonks";
        let volume = ("main.flights.raw", "main.flights.rew");
        for (method, path, there, not_there) in [
            ("GET", "tables/NAME", visible, missing),
            ("PATCH", "tables/NAME", visible, missing),
            ("DELETE", "tables/NAME", visible, missing),
            ("GET", "volumes/NAME", volume.0, volume.1),
            ("DELETE", "volumes/NAME", volume.0, volume.1),
            ("GET", "catalogs/NAME", "main", "mein"),
            ("GET", "schemas/NAME", "main.flights", "main.flaghts"),
            ("DELETE", "schemas/NAME?force=true", "main.flights", "main.flaghts"),
            ("GET", "schemas?catalog_name=NAME", "main", "mein"),
            ("GET", "permissions/table/NAME", visible, missing),
            ("PATCH", "permissions/table/NAME", visible, missing),
            ("GET", "effective-permissions/schema/NAME", "main.flights", "main.flaghts"),
        ] {
            let ask = |name: &str| {
                let path = format!("{UC}/{}", path.replace("NAME", name));
                let world = &world;
                async move { world.send("stranger", method, &path, &[], b"{}").await }
            };
            let (one, other) = (ask(there).await, ask(not_there).await);
            let same = other.without_ids().1.to_string().replace(not_there, there);
            assert_eq!(one.status, 404, "{method} {path}: {}", one.json());
            assert_eq!(one.without_ids().1.to_string(), same, "{method} {path}");
        }
        // Lists hold nothing of what a stranger may not see.
        assert_eq!(world.get("stranger", &format!("{UC}/catalogs")).await.ok()["catalogs"], json!([]));
        let hidden = world.get("stranger", &format!("{UC}/tables?catalog_name=main&schema_name=flights")).await;
        assert_eq!(hidden.status, 404);
        assert_eq!(world.get("", &format!("{UC}/catalogs")).await.status, 401);
        assert_eq!(world.get("nobody", &format!("{UC}/catalogs")).await.status, 401);
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_show_what_one_may_see_and_page_through_it() {
    for kind in Kind::ALL {
        let world = World::flights(kind).await;
        world.grant("catalog", "main", "ana", &["USE CATALOG"]).await;
        world.grant("schema", "main.flights", "analysts", &["USE SCHEMA"]).await;
        let tables = format!("{UC}/tables?catalog_name=main&schema_name=flights");
        assert_eq!(world.get("ana", &tables).await.ok()["tables"], json!([]));
        for table in ["flights", "flights_public"] {
            world.grant("table", &format!("main.flights.{table}"), "ana", &["SELECT"]).await;
        }
        assert_eq!(names(&world.get("ana", &tables).await.ok()["tables"]), ["flights", "flights_public"]);
        assert_eq!(names(&world.get("admin", &tables).await.ok()["tables"]), ["flights", "flights_public", "planes"]);
        // What is visible of a table without SELECT on it: nothing; with it, no write.
        assert_eq!(world.get("ana", &format!("{UC}/tables/main.flights.planes")).await.status, 404);
        let denied = world.delete("ana", &format!("{UC}/tables/main.flights.flights")).await;
        assert_eq!((denied.status, denied.error_code().as_str()), (403, "PERMISSION_DENIED"));
        assert!(denied.json()["details"][0]["metadata"]["missing_grant"].as_str().unwrap().contains("GRANT MANAGE"));

        for number in 0..25 {
            world.view(&format!("v{number:02}")).await;
        }
        for (size, wanted) in [("&max_results=7", 7), ("&max_results=0", 28), ("", 28)] {
            let (mut token, mut seen, mut first) = (String::new(), Vec::new(), None);
            loop {
                let page = world.get("admin", &format!("{tables}{size}&page_token={token}")).await.ok();
                let page_names = names(&page["tables"]);
                first.get_or_insert(page_names.len());
                seen.extend(page_names);
                match page["next_page_token"].as_str() {
                    Some(next) => token = next.to_owned(),
                    None => break,
                }
            }
            assert_eq!((first, seen.len()), (Some(wanted), 28), "{size}");
            assert!(seen.is_sorted());
        }
        for bad in ["&max_results=-1", "&max_results=many", "&page_token=!!"] {
            assert_eq!(world.get("admin", &format!("{tables}{bad}")).await.status, 400, "{bad}");
        }
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_every_kind_go_there_and_back() {
    for kind in Kind::ALL {
        let world = World::flights(kind).await;
        for (name, encoded) in [
            ("🦫🏠", "%F0%9F%A6%AB%F0%9F%8F%A0"),
            ("שלום", "%D7%A9%D7%9C%D7%95%D7%9D"),
            ("we`ird", "we%60ird"),
            ("`quoted`", "%60quoted%60"),
            ("100%25", "100%2525"),
            ("a+b&c=d", "a%2Bb%26c%3Dd"),
            ("Straße", "Stra%C3%9Fe"),
        ] {
            let made = world
                .post("admin", &format!("{UC}/schemas"), json!({ "name": name, "catalog_name": "main" }))
                .await
                .ok();
            assert_eq!(made["name"], *name);
            let read = world.get("admin", &format!("{UC}/schemas/main.{encoded}")).await.ok();
            assert_eq!(read["full_name"], format!("main.{name}"));
            let listed =
                world.get("admin", &format!("{UC}/volumes?catalog_name=main&schema_name={encoded}")).await.ok();
            assert_eq!(listed["volumes"], json!([]));
            world.delete("admin", &format!("{UC}/schemas/main.{encoded}")).await.ok();
        }
        for bad in ["", " ", "a b", "a.b", "a/b", "a\u{0}b", "a\nb", &"x".repeat(256), "information_schema"] {
            let refused =
                world.post("admin", &format!("{UC}/schemas"), json!({ "name": bad, "catalog_name": "main" })).await;
            assert_eq!(refused.status, 400, "{bad:?}");
        }
        for bad in ["main", "main.flights", "main.flights.planes.x", "main..planes", "%ff"] {
            assert_eq!(world.get("admin", &format!("{UC}/tables/{bad}")).await.status, 400, "{bad:?}");
        }
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn external_places_do_not_overlap_and_are_an_administrators_to_give() {
    for kind in Kind::ALL {
        let world = World::flights(kind).await;
        let table = |name: &str, place: String| {
            json!({ "name": name, "catalog_name": "main", "schema_name": "flights", "table_type": "EXTERNAL",
                "data_source_format": "DELTA", "storage_location": place,
                "columns": [{ "name": "id", "type_text": "bigint", "type_name": "LONG", "type_json": "\"long\"" }] })
        };
        let made = world.post("admin", &format!("{UC}/tables"), table("ext", world.outside("a/b"))).await.ok();
        assert_eq!((&made["table_type"], &made["columns"][0]["type_text"]), (&json!("EXTERNAL"), &json!("bigint")));
        for place in ["a/b", "a", "a/b/c", "a/b/"] {
            let refused = world.post("admin", &format!("{UC}/tables"), table("ext2", world.outside(place))).await;
            assert_eq!((refused.status, refused.error_code().as_str()), (400, "LOCATION_OVERLAP"), "{place}");
            let volume = json!({ "name": "ext2", "catalog_name": "main", "schema_name": "flights", "volume_type": "EXTERNAL",
                "storage_location": world.outside(place) });
            let refused = world.post("admin", &format!("{UC}/volumes"), volume).await;
            assert_eq!((refused.status, refused.error_code().as_str()), (400, "LOCATION_OVERLAP"), "{place}");
        }
        world.post("admin", &format!("{UC}/tables"), table("beside", world.outside("a/bc"))).await.ok();
        for place in ["file:///etc", "file:///proc/self", "s3://bucket/x", "relative/x", "file:///tmp/../etc"] {
            let refused = world.post("admin", &format!("{UC}/tables"), table("bad", place.to_owned())).await;
            assert!((400..500).contains(&refused.status), "{place}: {}", refused.status);
        }
        let data = format!("file://{}", world.dir.join("data/storage").display());
        assert_eq!(world.post("admin", &format!("{UC}/tables"), table("bad", data)).await.status, 403);
        world.grant("catalog", "main", "ben", &["USE CATALOG", "USE SCHEMA", "CREATE TABLE", "CREATE VOLUME"]).await;
        assert_eq!(world.post("ben", &format!("{UC}/tables"), table("bens", world.outside("z"))).await.status, 403);
        let volume = |place: Option<String>| json!({ "name": "bens", "catalog_name": "main", "schema_name": "flights", "storage_location": place });
        assert_eq!(world.post("ben", &format!("{UC}/volumes"), volume(Some(world.outside("z")))).await.status, 403);
        world.post("ben", &format!("{UC}/volumes"), volume(None)).await.ok();
        let managed = json!({ "name": "m", "catalog_name": "main", "schema_name": "flights", "table_type": "MANAGED",
            "data_source_format": "DELTA", "columns": [] });
        let refused = world.post("admin", &format!("{UC}/tables"), managed).await;
        assert_eq!((refused.status, refused.error_code().as_str()), (400, "NOT_IMPLEMENTED"));
        assert!(refused.json()["message"].as_str().unwrap().contains("CREATE TABLE main.flights.m"));
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_ask_in_passing_is_answered() {
    for kind in Kind::ALL {
        let world = World::flights(kind).await;
        let summary = world.get("stranger", &format!("{UC}/metastore_summary")).await.ok();
        assert_eq!(summary["owner"], "admin");
        let assigned = world.get("stranger", &format!("{UC}/current-metastore-assignment")).await.ok();
        assert_eq!((&assigned["workspace_id"], &assigned["metastore_id"]), (&json!(77), &summary["metastore_id"]));
        let namespace = world.get("stranger", "/api/2.0/settings/types/default_namespace_ws/names/default").await.ok();
        assert_eq!(namespace["namespace"]["value"], "main");
        let functions = world.get("admin", &format!("{UC}/functions?catalog_name=main&schema_name=flights")).await.ok();
        assert_eq!(functions["functions"], json!([]));
        let unknown = world.get("admin", &format!("{UC}/no-such-thing")).await;
        assert_eq!((unknown.status, unknown.error_code().as_str()), (404, "ENDPOINT_NOT_FOUND"));
        world.stop().await;
    }
}

#[tokio::test]
async fn where_a_volume_lies_is_told_to_those_who_may_open_it() {
    for kind in Kind::ALL {
        let world = World::flights(kind).await;
        world.grant("catalog", "main", "account users", &["BROWSE"]).await;
        let one = "/api/2.1/unity-catalog/volumes/main.flights.raw";
        let list = "/api/2.1/unity-catalog/volumes?catalog_name=main&schema_name=flights";
        let told = async |who| {
            let (one, list) = (world.get(who, one).await.ok(), world.get(who, list).await.ok());
            assert_eq!(one["storage_location"], list["volumes"][0]["storage_location"]);
            one["storage_location"].as_str().map(str::to_owned)
        };
        assert_eq!(told("ana").await, None);
        assert!(told("admin").await.is_some());
        world.grant("catalog", "main", "ana", &["USE_CATALOG"]).await;
        world.grant("schema", "main.flights", "ana", &["USE_SCHEMA"]).await;
        world.grant("volume", "main.flights.raw", "ana", &["READ_VOLUME"]).await;
        assert!(told("ana").await.is_some());
        world.stop().await;
    }
}

#[tokio::test]
async fn what_was_left_is_deleted_by_whoever_starts() {
    for kind in Kind::ALL {
        let world = World::flights(kind).await;
        let permit = world.caller("admin").ask(NameOf::named(FullName::of(["main", "flights"]))).await.unwrap();
        let place = begin_managed(&world.governance, &permit, Managed::Tables).await.unwrap();
        let folder = world.governance.storage.open(&permit, &place.location, Access::ReadWrite).unwrap();
        folder.put("file", "x").await.unwrap();
        // The first who tries cannot: a file lies where the folder was. What it took over is not lost with it.
        let at = std::path::PathBuf::from(place.location.to_string().replacen("file://", "", 1));
        let aside = at.with_extension("aside");
        std::fs::rename(&at, &aside).unwrap();
        std::fs::write(&at, "in the way").unwrap();
        assert_eq!(open_intents(&world.governance).await.unwrap(), 1, "{kind:?}");
        std::fs::remove_file(&at).unwrap();
        std::fs::rename(&aside, &at).unwrap();
        // Of two who start together each may find it.
        let (one, two) = tokio::join!(open_intents(&world.governance), open_intents(&world.governance));
        assert!(one.unwrap() + two.unwrap() >= 1, "{kind:?}");
        assert!(folder.head("").await.unwrap().is_none());
        assert_eq!(open_intents(&world.governance).await.unwrap(), 0, "{kind:?}");
        // Whoever was at work on the new table all the same is told, and leaves no table without files.
        let made = tables::create(&world.governance.db, &permit, &new_table("late", Files::Managed(place))).await;
        assert_eq!(made.err().map(|problem| problem.code()), Some(Code::Aborted), "{kind:?}");
        assert_eq!(world.get("admin", "/api/2.1/unity-catalog/tables/main.flights.late").await.status, 404);
        world.stop().await;
    }
}
