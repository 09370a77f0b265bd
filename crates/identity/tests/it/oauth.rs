//! OAuth as databricks-sdk does it: between machines, and with a browser.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::world::{World, form};

const ME: &str = "/api/2.0/preview/scim/v2/Me";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

fn authorize(redirect: &str, state: &str) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER.as_bytes()));
    let fields = form(&[
        ("response_type", "code"),
        ("client_id", "databricks-cli"),
        ("redirect_uri", redirect),
        ("scope", "all-apis offline_access"),
        ("state", state),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ]);
    format!("/oidc/v1/authorize?{fields}")
}

async fn code_for(world: &World, cookie: &str) -> String {
    let path = authorize("http://localhost:8020", "st&te");
    let answer = world.send("GET", &path, &[("Cookie", cookie)], "").await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    let location = answer.header("location").unwrap();
    let query = location.strip_prefix("http://localhost:8020?").unwrap_or_else(|| panic!("{location}"));
    let (code, state) = query.split_once('&').unwrap();
    assert_eq!(state, "state=st%26te");
    code.strip_prefix("code=").unwrap().to_owned()
}

async fn exchange(world: &World, code: &str, verifier: &str) -> crate::world::Answer {
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", "databricks-cli"),
        ("redirect_uri", "http://localhost:8020"),
        ("code", code),
        ("code_verifier", verifier),
    ];
    world.form("/oidc/v1/token", None, &fields).await
}

async fn refresh(world: &World, token: &str) -> crate::world::Answer {
    let fields = [("grant_type", "refresh_token"), ("client_id", "databricks-cli"), ("refresh_token", token)];
    world.form("/oidc/v1/token", None, &fields).await
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}

on_each! {
    /// The documents that lead clients to the endpoints.
    async fn clients_find_the_endpoints(world: &World) {
        let config = world.send("GET", "/.well-known/databricks-config", &[], "").await;
        let base = format!("http://{}", world.address);
        assert_eq!(config.header("x-databricks-org-id"), Some(world.identity.ground().workspace_id.as_str()));
        let config = config.of(200);
        assert_eq!(config["oidc_endpoint"], format!("{base}/oidc"));
        assert!(config["workspace_id"].as_str().unwrap().parse::<i64>().is_ok_and(|id| id < 1 << 53));
        let server = world.send("GET", "/oidc/.well-known/oauth-authorization-server", &[], "").await.of(200);
        assert_eq!(server["token_endpoint"], format!("{base}/oidc/v1/token"));
        assert_eq!(server["authorization_endpoint"], format!("{base}/oidc/v1/authorize"));
    }

    /// A service principal's secret gives an access token, until either ends.
    async fn programs_sign_in_with_a_client_secret(world: &World) {
        let admin = world.admin();
        let made = world.post(&admin, "/api/2.0/preview/scim/v2/ServicePrincipals", json!({ "displayName": "ci" })).await.of(201);
        let (id, client) = (text(&made, "id"), text(&made, "applicationId"));
        let path = format!("/api/2.0/accounts/servicePrincipals/{id}/credentials/secrets");
        let secret = world.post(&admin, &path, json!({ "lifetime": "7200s" })).await.of(200);
        let (secret_id, secret) = (text(&secret, "id"), text(&secret, "secret"));
        let listed = world.get(&admin, &path).await.of(200);
        assert_eq!(listed["secrets"][0]["id"], secret_id.as_str());
        assert!(!listed.to_string().contains(&secret));
        let basic = format!("Basic {}", STANDARD.encode(format!("{client}:{secret}")));
        let headers = [("Authorization", basic.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
        let body = form(&[("grant_type", "client_credentials"), ("scope", "all-apis")]);
        let answer = world.send("POST", "/oidc/v1/token", &headers, &body).await;
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let issued = answer.of(200);
        assert_eq!((issued["token_type"].as_str(), issued["expires_in"].as_i64()), (Some("Bearer"), Some(3600)));
        let token = text(&issued, "access_token");
        assert_eq!(world.get(&token, ME).await.of(200)["userName"], client.as_str());
        world.later(3_601);
        assert_eq!(world.get(&token, ME).await.status, 401);
        let fields = [("grant_type", "client_credentials"), ("client_id", client.as_str()), ("client_secret", secret.as_str())];
        let token = text(&world.form("/oidc/v1/token", None, &fields).await.of(200), "access_token");
        assert_eq!(world.get(&token, ME).await.status, 200);
        world.call(&admin, "DELETE", &format!("{path}/{secret_id}"), Value::Null).await.of(200);
        assert_eq!(world.get(&token, ME).await.status, 401);
        let refused = world.form("/oidc/v1/token", None, &fields).await.of(401);
        assert_eq!(refused["error"], "invalid_client");
        let other = world.form("/oidc/v1/token", None, &[("grant_type", "password"), ("client_id", "x")]).await.of(400);
        assert_eq!(other["error"], "unsupported_grant_type");
    }

    /// The whole way of `auth_type="external-browser"`, refresh included.
    async fn people_sign_in_with_pkce(world: &World) {
        let (cookie, _) = world.set_up("correct horse battery").await;
        // Without a session: to the sign-in page, which leads back.
        let away = world.send("GET", &authorize("http://localhost:8020", "s"), &[], "").await;
        let login = away.header("location").unwrap().to_owned();
        assert!(login.starts_with(&format!("http://{}/login?next=%2Foidc%2Fv1%2Fauthorize%3F", world.address)), "{login}");
        let code = code_for(world, &cookie).await;
        let issued = exchange(world, &code, VERIFIER).await.of(200);
        let (access, first) = (text(&issued, "access_token"), text(&issued, "refresh_token"));
        assert_eq!(world.get(&access, ME).await.of(200)["userName"], "admin");
        let again = refresh(world, &first).await.of(200);
        let (access, second) = (text(&again, "access_token"), text(&again, "refresh_token"));
        assert_ne!(first, second);
        assert_eq!(world.get(&access, ME).await.status, 200);
        // The first refresh token once more: somebody has stolen it, so all of the sign-in ends.
        assert_eq!(refresh(world, &first).await.of(400)["error"], "invalid_grant");
        assert_eq!(world.get(&access, ME).await.status, 401);
        assert_eq!(refresh(world, &second).await.of(400)["error"], "invalid_grant");
    }

    /// A code is good once, for its verifier, for a minute.
    async fn a_code_is_good_once(world: &World) {
        let (cookie, _) = world.set_up("correct horse battery").await;
        let code = code_for(world, &cookie).await;
        let access = text(&exchange(world, &code, VERIFIER).await.of(200), "access_token");
        assert_eq!(exchange(world, &code, VERIFIER).await.of(400)["error"], "invalid_grant");
        assert_eq!(world.get(&access, ME).await.status, 401);
        let code = code_for(world, &cookie).await;
        assert_eq!(exchange(world, &code, &VERIFIER.replace('d', "e")).await.of(400)["error"], "invalid_grant");
        assert_eq!(exchange(world, &code, VERIFIER).await.status, 400);
        let code = code_for(world, &cookie).await;
        world.later(61);
        assert_eq!(exchange(world, &code, VERIFIER).await.of(400)["error"], "invalid_grant");
    }

    /// Nothing is sent to an address that is not the client's.
    async fn redirects_elsewhere_are_refused(world: &World) {
        let (cookie, _) = world.set_up("correct horse battery").await;
        for redirect in ["http://evil.example", "http://localhost:9999", "http://localhost:8020@evil.example"] {
            let answer = world.send("GET", &authorize(redirect, "s"), &[("Cookie", &cookie)], "").await;
            assert_eq!((answer.status, answer.header("location")), (400, None), "{redirect}");
        }
        let plain = authorize("http://localhost:8020", "s").replace("S256", "plain").replace("%53%32%35%36", "plain");
        let answer = world.send("GET", &plain, &[("Cookie", &cookie)], "").await;
        assert!(answer.header("location").unwrap().starts_with("http://localhost:8020?error=invalid_request"));
    }
}
