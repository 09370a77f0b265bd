//! Temporary credentials: who gets them, what they say, and that each is audited.

use crannog_store::testing::Kind;
use serde_json::{Value, json};

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_handed_out_to_those_who_may_read_or_write_it() {
    for kind in Kind::ALL {
        let world = World::flights(kind).await;
        let table = world.get("admin", "/api/2.1/unity-catalog/tables/main.flights.planes").await.ok();
        let ask = |who: &'static str, operation: &'static str| {
            let (world, id) = (&world, table["table_id"].clone());
            async move {
                let body = json!({ "table_id": id, "operation": operation });
                world.post(who, "/api/2.0/unity-catalog/temporary-table-credentials", body).await
            }
        };
        assert_eq!(ask("ben", "READ").await.status, 404);
        world.grant("catalog", "main", "ben", &["USE CATALOG", "USE SCHEMA"]).await;
        world.grant("table", "main.flights.planes", "ben", &["SELECT"]).await;
        let vended = ask("ben", "READ").await.ok();
        assert_eq!(vended["url"], table["storage_location"]);
        assert!(vended["expiration_time"].as_i64().unwrap() > 1_500_000_000_000);
        assert_eq!(vended["aws_temp_credentials"], Value::Null);
        let denied = ask("ben", "READ_WRITE").await;
        assert_eq!(denied.status, 403);
        assert!(denied.json()["message"].as_str().unwrap().contains("MODIFY on main.flights.planes"));
        world.grant("table", "main.flights.planes", "ben", &["MODIFY"]).await;
        ask("ben", "READ_WRITE").await.ok();
        assert_eq!(ask("ben", "WRITE").await.status, 400);
        let audit = world.audit("generateTemporaryTableCredential").await;
        let granted: Vec<_> = audit.iter().filter(|(_, status)| *status == 200).collect();
        assert_eq!(granted.len(), 2);
        assert_eq!(granted[0].0["table_full_name"], "main.flights.planes");
        assert_eq!(audit.iter().filter(|(_, status)| *status == 403).count(), 1);

        let view = world.get("admin", "/api/2.1/unity-catalog/tables/main.flights.flights_public").await.ok();
        let body = json!({ "table_id": view["table_id"], "operation": "READ" });
        let refused = world.post("admin", "/api/2.1/unity-catalog/temporary-table-credentials", body).await;
        assert_eq!(refused.status, 400);
        assert!(refused.json()["message"].as_str().unwrap().contains("is a view"));
        for (id, status) in [(json!("x"), 400), (json!("01900000-0000-7000-8000-00000000ffff"), 404)] {
            let body = json!({ "table_id": id, "operation": "READ" });
            let answer = world.post("admin", "/api/2.1/unity-catalog/temporary-table-credentials", body).await;
            assert_eq!(answer.status, status);
        }
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_and_paths_go_by_the_object_that_they_belong_to() {
    for kind in Kind::ALL {
        let world = World::flights(kind).await;
        world.grant("catalog", "main", "ana", &["USE CATALOG", "USE SCHEMA", "READ VOLUME"]).await;
        let volume = world.get("ana", "/api/2.1/unity-catalog/volumes/main.flights.raw").await.ok();
        let table = world.get("admin", "/api/2.1/unity-catalog/tables/main.flights.planes").await.ok();
        let of_volume = |operation: &'static str| {
            let (world, id) = (&world, volume["volume_id"].clone());
            async move {
                let body = json!({ "volume_id": id, "operation": operation });
                world.post("ana", "/api/2.0/unity-catalog/temporary-volume-credentials", body).await
            }
        };
        assert_eq!(of_volume("READ_VOLUME").await.ok()["url"], volume["storage_location"]);
        assert_eq!(of_volume("WRITE_VOLUME").await.status, 403);
        let of_path = |who: &'static str, url: String, operation: &'static str| {
            let world = &world;
            async move {
                let body = json!({ "url": url, "operation": operation });
                world.post(who, "/api/2.1/unity-catalog/temporary-path-credentials", body).await
            }
        };
        let inside = format!("{}/a/b", volume["storage_location"].as_str().unwrap());
        assert_eq!(of_path("ana", inside.clone(), "PATH_READ").await.ok()["url"], json!(inside));
        assert_eq!(of_path("ana", inside, "PATH_READ_WRITE").await.status, 403);
        let planes = table["storage_location"].as_str().unwrap().to_owned();
        let hidden = of_path("stranger", planes.clone(), "PATH_READ").await;
        let nobodys = of_path("stranger", planes.replace("tables", "nobody"), "PATH_READ").await;
        assert_eq!(hidden.status, 404);
        assert_eq!(
            hidden.without_ids().1.to_string().replace("tables", "nobody"),
            nobodys.without_ids().1.to_string().replace("tables", "nobody")
        );
        of_path("admin", planes, "PATH_READ_WRITE").await.ok();
        for bad in ["file:///etc/passwd", "file:///", "s3://bucket/x", "../x", ""] {
            let answer = of_path("admin", bad.to_owned(), "PATH_READ").await;
            assert!((400..500).contains(&answer.status), "{bad}: {}", answer.status);
        }
        world.stop().await;
    }
}
