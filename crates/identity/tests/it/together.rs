//! Changes at the same time: each is done once, and none is lost.

use std::sync::Arc;

use crannog_store::testing::Kind;
use serde_json::json;

use crate::world::World;

/// Twelve people are made and put into one group, all at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_at_once_all_hold() {
    for kind in Kind::ALL {
        let world = Arc::new(World::start(kind).await);
        let group = world.group("everyone").await;
        let path = format!("/api/2.0/preview/scim/v2/Groups/{group}");
        let mut people = tokio::task::JoinSet::new();
        for n in 0..12 {
            let (world, path) = (Arc::clone(&world), path.clone());
            people.spawn(async move {
                let user = world.user(&format!("user{n}@example.com")).await;
                let body = json!({ "Operations": [{ "op": "add", "path": "members", "value": [{ "value": user }] }] });
                world.patch(&world.admin(), &path, body).await.of(200);
            });
        }
        while let Some(done) = people.join_next().await {
            done.unwrap();
        }
        let found = world.get(&world.admin(), &path).await.of(200);
        assert_eq!(found["members"].as_array().unwrap().len(), 12);
        let closure = world
            .rows("SELECT count(*) FROM closure c JOIN principal p ON p.id = c.principal WHERE p.name = 'everyone'")
            .await;
        assert_eq!(closure[0].int(0).unwrap(), 13);
        world.stop().await;
    }
}
