//! Levels on warehouses.

use crannog_security::{System, Task};
use crannog_store::{Audit, params};
use crannog_types::SecurableId;
use serde_json::{Value, json};

use crate::world::World;

#[expect(clippy::disallowed_methods, reason = "warehouses are made by a component above this one")]
async fn warehouse(world: &World) -> String {
    let id = SecurableId::new();
    let mut tx = world.db.write(&System::task(Task::Bootstrap), Audit::of("test", "makeWarehouse")).await.unwrap();
    let sql = "INSERT INTO securable (id, kind, parent, name, folded, path, owner, created_at, created_by, updated_at, \
         updated_by) VALUES ($1, 'warehouse', $2, 'w', 'w', 'w', $3, 0, 'x', 0, 'x')";
    tx.run(sql, params![id, SecurableId::METASTORE, world.identity.ground().admins]).await.unwrap();
    tx.bump().await.unwrap();
    tx.commit().await.unwrap();
    id.to_string()
}

on_each! {
    /// Given, replaced, taken; the owner changes by IS_OWNER.
    async fn levels_are_given_and_replaced(world: &World) {
        let admin = world.admin();
        let path = format!("/api/2.0/permissions/warehouses/{}", warehouse(world).await);
        world.user("ana@example.com").await;
        let ana = world.token_for("ana@example.com").await;
        assert_eq!(world.get(&ana, &path).await.status, 404);
        let level = |level: &str| json!({ "access_control_list": [{ "user_name": "ana@example.com", "permission_level": level }] });
        let given = world.patch(&admin, &path, level("CAN_USE")).await.of(200);
        assert_eq!(given["access_control_list"][1]["user_name"], "ana@example.com");
        assert_eq!(given["access_control_list"][1]["all_permissions"], json!([{ "permission_level": "CAN_USE", "inherited": false }]));
        assert_eq!(world.get(&ana, &path.replace("warehouses/", "sql/warehouses/")).await.status, 200);
        assert_eq!(world.patch(&ana, &path, level("CAN_MANAGE")).await.status, 403);
        world.patch(&admin, &path, level("CAN_MANAGE")).await.of(200);
        assert_eq!(world.patch(&ana, &path, level("IS_OWNER")).await.status, 403);
        let group = json!({ "access_control_list": [{ "group_name": "account users", "permission_level": "CAN_VIEW" }] });
        world.patch(&ana, &path, group.clone()).await.of(200);
        world.call(&admin, "PUT", &path, group).await.of(200);
        assert_eq!(world.patch(&ana, &path, level("CAN_MANAGE")).await.status, 403);
        assert_eq!(world.get(&ana, &path).await.status, 200);
        let owned = world.patch(&admin, &path, level("IS_OWNER")).await.of(200);
        assert_eq!(owned["access_control_list"][0]["all_permissions"][0]["permission_level"], "IS_OWNER");
        assert_eq!(owned["access_control_list"][0]["user_name"], "ana@example.com");
        assert_eq!(world.call(&ana, "PUT", &path, json!({ "access_control_list": [] })).await.status, 200);
        let ana_id = world.get(&ana, "/api/2.0/preview/scim/v2/Me").await.of(200)["id"].as_str().unwrap().to_owned();
        let owner = world.call(&admin, "DELETE", &format!("/api/2.0/preview/scim/v2/Users/{ana_id}"), Value::Null).await;
        assert_eq!(owner.status, 400, "{}", owner.text);
        assert!(owner.text.contains("warehouse w"));
        for bad in [level("CAN_FLY"), json!({ "access_control_list": [{ "permission_level": "CAN_USE" }] })] {
            assert_eq!(world.patch(&admin, &path, bad).await.status, 400);
        }
        let nobody = json!({ "access_control_list": [{ "user_name": "nobody", "permission_level": "CAN_USE" }] });
        assert_eq!(world.patch(&admin, &path, nobody).await.status, 404);
        let levels = world.get(&admin, &format!("{path}/permissionLevels")).await.of(200);
        assert_eq!(levels["permission_levels"].as_array().unwrap().len(), 5);
        assert_eq!(world.get(&ana, "/api/2.0/permissions/authorization/tokens").await.status, 200);
    }
}
