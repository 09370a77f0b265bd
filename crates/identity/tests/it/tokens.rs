//! The life of a token.

use serde_json::json;

const ME: &str = "/api/2.0/preview/scim/v2/Me";

on_each! {
    /// Made, listed, used, revoked: and out at the next request.
    async fn a_revoked_token_is_out_at_the_next_request(world: &World) {
        world.user("ana@example.com").await;
        let first = world.token_for("ana@example.com").await;
        let made = world
            .post(&first, "/api/2.0/token/create", json!({ "comment": "laptop", "lifetime_seconds": 60 }))
            .await
            .of(200);
        let second = made["token_value"].as_str().unwrap().to_owned();
        let id = made["token_info"]["token_id"].as_str().unwrap().to_owned();
        assert_eq!(made["token_info"]["comment"], "laptop");
        let listed = world.get(&second, "/api/2.0/token/list").await.of(200);
        assert_eq!(listed["token_infos"].as_array().unwrap().len(), 2);
        assert!(!listed.to_string().contains(&second));
        for _ in 0..3 {
            assert_eq!(world.get(&second, ME).await.of(200)["userName"], "ana@example.com");
        }
        // Nobody else's token can be revoked by its id.
        assert_eq!(world.post(&world.admin(), "/api/2.0/token/delete", json!({ "token_id": id })).await.status, 404);
        world.post(&first, "/api/2.0/token/delete", json!({ "token_id": id })).await.of(200);
        let refused = world.get(&second, ME).await;
        assert_eq!(refused.status, 401, "{}", refused.text);
        assert_eq!(world.get(&first, ME).await.status, 200);
        assert_eq!(world.post(&first, "/api/2.0/token/delete", json!({ "token_id": id })).await.status, 404);
    }

    /// A lifetime ends by itself.
    async fn an_expired_token_is_out(world: &World) {
        let made = world.post(&world.admin(), "/api/2.0/token/create", json!({ "lifetime_seconds": 60 })).await.of(200);
        let token = made["token_value"].as_str().unwrap().to_owned();
        assert_eq!(world.get(&token, ME).await.status, 200);
        world.later(61);
        assert_eq!(world.get(&token, ME).await.status, 401);
        let listed = world.get(&world.admin(), "/api/2.0/token-management/tokens").await.of(200);
        assert_eq!(listed["token_infos"].as_array().unwrap().len(), 1);
        let bad = world.post(&world.admin(), "/api/2.0/token/create", json!({ "lifetime_seconds": -5 })).await;
        assert_eq!(bad.status, 400);
    }

    /// Deactivation ends every token at the next request; activation brings personal tokens back.
    async fn a_deactivated_user_is_out_at_the_next_request(world: &World) {
        let ana = world.user("ana@example.com").await;
        let token = world.token_for("ANA@example.com").await;
        assert_eq!(world.get(&token, ME).await.status, 200);
        let path = format!("/api/2.0/preview/scim/v2/Users/{ana}");
        // As databricks-sdk sends `Patch(op=REPLACE, path="active", value=False)`: without the value.
        let off = json!({ "Operations": [{ "op": "replace", "path": "active" }] });
        assert_eq!(world.patch(&world.admin(), &path, off).await.of(200)["active"], false);
        assert_eq!(world.get(&token, ME).await.status, 401);
        let on = json!({ "Operations": [{ "op": "Replace", "value": { "active": true } }] });
        world.patch(&world.admin(), &path, on).await.of(200);
        assert_eq!(world.get(&token, ME).await.status, 200);
        assert_eq!(world.call(&world.admin(), "DELETE", &path, serde_json::Value::Null).await.status, 204);
        assert_eq!(world.get(&token, ME).await.status, 401);
    }

    /// Managing others' tokens is for administrators, and audited without the text of any token.
    async fn others_tokens_are_for_administrators(world: &World) {
        world.user("ana@example.com").await;
        let ana = world.token_for("ana@example.com").await;
        for (method, path) in [
            ("GET", "/api/2.0/token-management/tokens"),
            ("GET", "/api/2.0/token-management/tokens/x"),
            ("DELETE", "/api/2.0/token-management/tokens/x"),
            ("POST", "/api/2.0/token-management/on-behalf-of/tokens"),
            ("POST", "/api/2.0/preview/scim/v2/Users"),
            ("DELETE", "/api/2.0/preview/scim/v2/Users/1"),
        ] {
            let answer = world.call(&ana, method, path, json!({ "token_id": "x", "Operations": [] })).await;
            assert_eq!(answer.status, 403, "{method} {path}: {}", answer.text);
            assert_eq!(world.send(method, path, &[], "{}").await.status, 401);
        }
        let tokens = world.get(&world.admin(), "/api/2.0/token-management/tokens").await.of(200);
        let of_ana = tokens["token_infos"].as_array().unwrap().iter().find(|token| token["created_by_username"] == "admin");
        let id = of_ana.unwrap()["token_id"].as_str().unwrap().to_owned();
        let path = format!("/api/2.0/token-management/tokens/{id}");
        assert_eq!(world.get(&world.admin(), &path).await.of(200)["token_info"]["token_id"], id.as_str());
        world.call(&world.admin(), "DELETE", &path, serde_json::Value::Null).await.of(200);
        assert_eq!(world.get(&ana, ME).await.status, 401);
        let audit = world.rows("SELECT action_name, request_params, principal_name FROM audit_event").await;
        let texts: Vec<String> = audit.iter().map(|row| format!("{} {}", row.text(0).unwrap(), row.text(1).unwrap())).collect();
        assert!(texts.iter().any(|text| text.starts_with("generateDbToken") && text.contains("ana@example.com")));
        assert!(texts.iter().any(|text| text.starts_with("revokeDbToken") && text.contains(&id)));
        assert!(!texts.concat().contains("crg_"));
    }
}
