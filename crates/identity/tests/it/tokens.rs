//! The life of a token.

use crannog_kit::{Authenticate, Credentials, InForce};
use crannog_security::Who;
use crannog_types::PrincipalId;
use serde_json::{Value, json};

use crate::world::{Answer, World};

const ME: &str = "/api/2.0/preview/scim/v2/Me";

/// What is said of a credential of Ana's that was accepted before.
async fn in_force(world: &World, ana: &str, credentials: &Credentials) -> InForce {
    let who = Who { id: PrincipalId(ana.parse().unwrap()), name: "ana@example.com".into() };
    world.identity.in_force(credentials, &who).await.unwrap()
}

/// Says who besides administrators may use a way to sign in.
async fn allow(world: &World, way: &str, group: Option<&str>) {
    let given: Vec<Value> =
        group.iter().map(|group| json!({ "group_name": group, "permission_level": "CAN_USE" })).collect();
    let path = format!("/api/2.0/permissions/authorization/{way}");
    world.call(&world.admin(), "PUT", &path, json!({ "access_control_list": given })).await.of(200);
}

/// Ana's new password, by a link that an administrator made; gives the page's answer.
async fn set_password(world: &World, password: &str) -> Answer {
    let asked = json!({ "user_name": "ana@example.com" });
    let made = world.post(&world.admin(), "/api/2.0/crannog/setup-links", asked).await.of(200);
    let code = made["setup_url"].as_str().unwrap().split("code=").nth(1).unwrap();
    world.form("/setup", None, &[("code", code), ("password", password), ("again", password)]).await
}

on_each! {
    /// What outlives its request asks again: whether the token is there, may be used, and its owner is active.
    async fn a_token_is_in_force_until_it_or_its_use_or_its_owner_is_gone(world: &World) {
        let ana = world.user("ana@example.com").await;
        let first = world.token_for("ana@example.com").await;
        let bearer = |token: &str| Credentials::Bearer(token.to_owned());
        assert!(matches!(in_force(world, &ana, &bearer(&first)).await, InForce::Until(_)));
        assert_eq!(in_force(world, &ana, &bearer(&world.admin())).await, InForce::Gone, "it is somebody else's");
        assert_eq!(in_force(world, "987654321", &bearer(&first)).await, InForce::Nobody);

        let made = world.post(&first, "/api/2.0/token/create", json!({ "lifetime_seconds": 60 })).await.of(200);
        let (second, info) = (made["token_value"].as_str().unwrap(), &made["token_info"]);
        let until = InForce::Until(Some(crannog_types::Micros(info["expiry_time"].as_i64().unwrap() * 1_000)));
        let basic = Credentials::Basic { user: "token".to_owned(), password: second.to_owned() };
        for credentials in [bearer(second), basic] {
            let found = in_force(world, &ana, &credentials).await;
            let (InForce::Until(Some(found)), InForce::Until(Some(told))) = (found, until) else { panic!("{found:?}") };
            assert_eq!(found.millis(), told.millis());
        }
        world.post(&first, "/api/2.0/token/delete", json!({ "token_id": info["token_id"] })).await.of(200);
        assert_eq!(in_force(world, &ana, &bearer(second)).await, InForce::Gone);

        allow(world, "tokens", None).await;
        assert_eq!(in_force(world, &ana, &bearer(&first)).await, InForce::Gone, "she may not use tokens");
        allow(world, "tokens", Some("account users")).await;
        assert!(matches!(in_force(world, &ana, &bearer(&first)).await, InForce::Until(_)));

        let path = format!("/api/2.0/preview/scim/v2/Users/{ana}");
        let off = json!({ "Operations": [{ "op": "replace", "path": "active" }] });
        world.patch(&world.admin(), &path, off).await.of(200);
        assert_eq!(in_force(world, &ana, &bearer(&first)).await, InForce::Nobody);
        let on = json!({ "Operations": [{ "op": "replace", "value": { "active": true } }] });
        world.patch(&world.admin(), &path, on).await.of(200);
        assert!(matches!(in_force(world, &ana, &bearer(&first)).await, InForce::Until(_)));
        assert_eq!(world.call(&world.admin(), "DELETE", &path, Value::Null).await.status, 204);
        assert_eq!(in_force(world, &ana, &bearer(&first)).await, InForce::Nobody);
    }

    /// The same of passwords and of the sessions that begin with one.
    async fn a_password_and_a_session_are_in_force_while_passwords_may_be_used(world: &World) {
        let ana = world.user("ana@example.com").await;
        let done = set_password(world, "a good password").await;
        let cookie = done.header("set-cookie").unwrap().split(';').next().unwrap();
        let session = Credentials::Session(cookie.split_once('=').unwrap().1.to_owned());
        let with = |password: &str| {
            let user = "ana@example.com".to_owned();
            Credentials::Basic { user, password: password.to_owned() }
        };
        let password = with("a good password");
        assert_eq!(in_force(world, &ana, &password).await, InForce::Until(None));
        assert!(matches!(in_force(world, &ana, &session).await, InForce::Until(Some(_))));
        allow(world, "passwords", None).await;
        for credentials in [&password, &session] {
            assert_eq!(in_force(world, &ana, credentials).await, InForce::Gone);
        }
        allow(world, "passwords", Some("account users")).await;
        assert_eq!(in_force(world, &ana, &password).await, InForce::Until(None));
        assert_eq!(world.form("/logout", Some(cookie), &[]).await.status, 303);
        assert_eq!(in_force(world, &ana, &session).await, InForce::Gone);
        assert_eq!(in_force(world, &ana, &password).await, InForce::Until(None));
        // Another password ends what began with the old one; and the old one, chosen once more, is the password again.
        set_password(world, "a better password").await;
        assert_eq!(in_force(world, &ana, &password).await, InForce::Gone);
        assert_eq!(in_force(world, &ana, &with("a better password")).await, InForce::Until(None));
        set_password(world, "a good password").await;
        assert_eq!(in_force(world, &ana, &password).await, InForce::Until(None));
        assert_eq!(in_force(world, &ana, &with("a better password")).await, InForce::Gone);
    }

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
