//! Levels on warehouses; who may use tokens and passwords.

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
    let sql = "INSERT INTO warehouse (id, name, size, running, settings) VALUES ($1, 'Night shift', 'Small', 1, '{}')";
    tx.run(sql, params![id]).await.unwrap();
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
        assert!(owner.text.contains("warehouse Night shift"), "{}", owner.text);
        for bad in [level("CAN_FLY"), json!({ "access_control_list": [{ "permission_level": "CAN_USE" }] })] {
            assert_eq!(world.patch(&admin, &path, bad).await.status, 400);
        }
        let nobody = json!({ "access_control_list": [{ "user_name": "nobody", "permission_level": "CAN_USE" }] });
        assert_eq!(world.patch(&admin, &path, nobody).await.status, 404);
        let levels = world.get(&admin, &format!("{path}/permissionLevels")).await.of(200);
        assert_eq!(levels["permission_levels"].as_array().unwrap().len(), 5);
    }

    /// Everybody may use tokens at first; whoever loses it is out at the next request, and in again when it is given back.
    async fn the_use_of_tokens_is_given_and_taken(world: &World) {
        let admin = world.admin();
        let path = "/api/2.0/permissions/authorization/tokens";
        world.user("ana@example.com").await;
        world.user("ben@example.com").await;
        let (ana, ben) = (world.token_for("ana@example.com").await, world.token_for("ben@example.com").await);
        let at_first = world.get(&ana, path).await.of(200);
        assert_eq!((&at_first["object_id"], &at_first["object_type"]), (&json!("/authorization/tokens"), &json!("tokens")));
        let mut groups: Vec<&str> =
            at_first["access_control_list"].as_array().unwrap().iter().map(|acl| acl["group_name"].as_str().unwrap()).collect();
        groups.sort_unstable();
        assert_eq!(groups, ["account users", "admins"]);
        let only_ben = json!({ "access_control_list": [{ "user_name": "ben@example.com", "permission_level": "CAN_USE" }] });
        assert_eq!(world.call(&ana, "PUT", path, only_ben.clone()).await.status, 403);
        let now = world.call(&admin, "PUT", path, only_ben.clone()).await.of(200);
        assert_eq!(now["access_control_list"].as_array().unwrap().len(), 2, "{now}");
        let fixed = now["access_control_list"].as_array().unwrap().iter().find(|acl| acl["group_name"] == "admins").unwrap();
        let inherited = json!([{ "permission_level": "CAN_USE", "inherited": true, "inherited_from_object": ["/authorization"] }]);
        assert_eq!(fixed["all_permissions"], inherited);
        for (token, status) in [(&ana, 401), (&ben, 200), (&admin, 200)] {
            assert_eq!(world.get(token, path).await.status, status);
        }
        let behalf = "/api/2.0/token-management/on-behalf-of/tokens";
        assert_eq!(world.post(&admin, behalf, json!({ "user_name": "ana@example.com" })).await.status, 403);
        // By a group, nested or not.
        let group = world.group("robots").await;
        let robots = json!({ "access_control_list": [{ "group_name": "robots", "permission_level": "CAN_USE" }] });
        world.patch(&admin, path, robots).await.of(200);
        assert_eq!(world.get(&ana, path).await.status, 401);
        let users = world.get(&admin, "/api/2.0/preview/scim/v2/Users?filter=userName%20sw%20%22ana%22").await.of(200);
        let id = users["Resources"][0]["id"].as_str().unwrap();
        let into = json!({ "Operations": [{ "op": "add", "path": "members", "value": [{ "value": id }] }] });
        world.patch(&admin, &format!("/api/2.0/preview/scim/v2/Groups/{group}"), into).await.of(200);
        assert_eq!(world.get(&ana, path).await.status, 200, "the old token works again");
        assert_eq!(world.call(&admin, "PUT", path, json!({ "access_control_list": [] })).await.status, 200);
        for (token, status) in [(&ana, 401), (&ben, 401), (&admin, 200)] {
            assert_eq!(world.get(token, path).await.status, status);
        }
        for (bad, status) in [("CAN_MANAGE", 400), ("", 400)] {
            let bad = json!({ "access_control_list": [{ "user_name": "ben@example.com", "permission_level": bad }] });
            assert_eq!(world.patch(&admin, path, bad).await.status, status);
        }
        let nobody = json!({ "access_control_list": [{ "user_name": "no@example.com", "permission_level": "CAN_USE" }] });
        assert_eq!(world.patch(&admin, path, nobody).await.status, 404);
        assert_eq!(world.get(&admin, "/api/2.0/permissions/authorization/none").await.status, 404);
        let levels = world.get(&admin, &format!("{path}/permissionLevels")).await.of(200);
        assert_eq!(levels["permission_levels"][0]["permission_level"], "CAN_USE");
        let audit = world.rows("SELECT request_params FROM audit_event WHERE action_name = 'changeAuthorizationAcls'").await;
        assert_eq!(audit.len(), 3);
    }

    /// Without passwords, neither signing in nor a session that began with one works; tokens do.
    async fn the_use_of_passwords_is_given_and_taken(world: &World) {
        let admin = world.admin();
        let path = "/api/2.0/permissions/authorization/passwords";
        world.user("ana@example.com").await;
        let link = async || {
            let made = world.post(&admin, "/api/2.0/crannog/setup-links", json!({ "user_name": "ana@example.com" })).await.of(200);
            made["setup_url"].as_str().unwrap().split("code=").nth(1).unwrap().to_owned()
        };
        let code = link().await;
        let fields = [("code", code.as_str()), ("password", "a good password"), ("again", "a good password")];
        let done = world.form("/setup", None, &fields).await;
        let cookie = done.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        let token = done.text.split("<pre>").nth(1).unwrap().split('<').next().unwrap().to_owned();
        let me = "/api/2.0/preview/scim/v2/Me";
        let sign_in = [("name", "ana@example.com"), ("password", "a good password")];
        let statuses = async || {
            let signed_in = world.form("/login", None, &sign_in).await.status;
            let session = world.send("GET", me, &[("Cookie", &cookie)], "").await.status;
            (signed_in, session, world.get(&token, me).await.status)
        };
        assert_eq!(statuses().await, (303, 200, 200));
        world.call(&admin, "PUT", path, json!({ "access_control_list": [] })).await.of(200);
        assert_eq!(statuses().await, (401, 401, 200));
        let code = link().await;
        assert_eq!(world.send("GET", &format!("/setup?code={code}"), &[], "").await.status, 401);
        let back = json!({ "access_control_list": [{ "group_name": "account users", "permission_level": "CAN_USE" }] });
        world.patch(&admin, path, back).await.of(200);
        assert_eq!(statuses().await, (303, 200, 200));
        // Who may not use tokens gets none with their password.
        world.call(&admin, "PUT", "/api/2.0/permissions/authorization/tokens", json!({ "access_control_list": [] })).await.of(200);
        let fields = [("code", code.as_str()), ("password", "a new password"), ("again", "a new password")];
        let done = world.form("/setup", None, &fields).await;
        assert_eq!(done.status, 200);
        assert!(!done.text.contains("crg_") && done.text.contains("&lt;your token&gt;"), "{}", done.text);
    }
}
