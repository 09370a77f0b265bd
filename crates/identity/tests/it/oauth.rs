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

/// The hidden fields of the page that asks.
fn hidden(page: &str) -> Vec<(String, String)> {
    let unescape =
        |text: &str| text.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    let fields = page.split("<input type=\"hidden\" name=\"").skip(1).map(|rest| {
        let (name, rest) = rest.split_once("\" value=\"").unwrap();
        (name.to_owned(), unescape(rest.split_once('"').unwrap().0))
    });
    fields.collect()
}

/// Answers the page that asks.
async fn answer(world: &World, cookie: &str, page: &str, answer: &str) -> crate::world::Answer {
    let fields = hidden(page);
    let mut fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    fields.push(("answer", answer));
    world.form("/oidc/v1/consent", Some(cookie), &fields).await
}

async fn code_for(world: &World, cookie: &str) -> String {
    let path = authorize("http://localhost:8020", "st&te");
    let page = world.send("GET", &path, &[("Cookie", cookie)], "").await;
    assert_eq!((page.status, page.header("location")), (200, None), "{}", page.text);
    let answer = answer(world, cookie, &page.text, "allow").await;
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

    /// The page says who asks, for what, and where the answer goes; only its own form gives a code, and to its own session.
    async fn nobody_gets_a_code_without_being_allowed(world: &World) {
        let (cookie, _) = world.set_up("correct horse battery").await;
        let path = authorize("http://localhost:8020", "<s>");
        let page = world.send("GET", &path, &[("Cookie", &cookie)], "").await;
        assert_eq!(page.status, 200);
        for wanted in ["databricks-cli", "<strong>admin</strong>", "http://localhost:8020<", "all-apis offline_access<", "&lt;s&gt;"] {
            assert!(page.text.contains(wanted), "{wanted}: {}", page.text);
        }
        assert!(!page.text.contains("<s>"));
        assert!(page.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
        let codes = || world.rows("SELECT hash FROM oauth_grant");
        // Another site's page, or one that guesses: no proof, one for another request, one of another session.
        let mut fields = hidden(&page.text);
        fields.push(("answer".to_owned(), "allow".to_owned()));
        let send = async |fields: &[(String, String)], cookie: &str, origin: Option<&str>| {
            let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let mut headers = vec![("Content-Type", "application/x-www-form-urlencoded"), ("Cookie", cookie)];
            headers.extend(origin.map(|origin| ("Origin", origin)));
            world.send("POST", "/oidc/v1/consent", &headers, &form(&fields)).await
        };
        let without: Vec<_> = fields.iter().filter(|(name, _)| name != "proof").cloned().collect();
        let mut other = fields.clone();
        for (name, value) in &mut other {
            if name == "redirect_uri" {
                *value = "http://localhost:8021".to_owned();
            }
        }
        let right = [("name", "admin"), ("password", "correct horse battery")];
        let signed_in = world.form("/login", None, &right).await;
        let elsewhere = signed_in.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        for (what, fields, cookie, origin) in [
            ("no proof", &without, &cookie, None),
            ("another request", &other, &cookie, None),
            ("another session", &fields, &elsewhere, None),
            ("another site", &fields, &cookie, Some("http://evil.example")),
            ("a page without a name", &fields, &cookie, Some("null")),
        ] {
            let refused = send(fields, cookie, origin).await;
            assert_eq!((refused.status, refused.header("location")), (403, None), "{what}: {}", refused.text);
        }
        let away = send(&fields, "crannog_session=none", None).await;
        assert!(away.header("location").unwrap().contains("/login?next="), "nobody is signed in");
        assert!(codes().await.is_empty());
        let denied = answer(world, &cookie, &page.text, "deny").await;
        let wanted = "http://localhost:8020?error=access_denied&error_description=the%20person%20denied%20the%20request&state=%3Cs%3E";
        assert_eq!((denied.status, denied.header("location")), (303, Some(wanted)));
        assert!(codes().await.is_empty());
        assert_eq!(answer(world, &cookie, &page.text, "allow").await.status, 303);
        assert_eq!(codes().await.len(), 1);
        let audit = world.rows("SELECT request_params FROM audit_event WHERE action_name = 'oidcBrowserLogin'").await;
        assert_eq!(audit.len(), 1);
        assert!(audit[0].text(0).unwrap().contains("http://localhost:8020"));
    }

    /// OpenID Connect's prompts: silence is an error, signing in anew is offered, and nonsense is refused.
    async fn prompts_are_followed(world: &World) {
        let (cookie, _) = world.set_up("correct horse battery").await;
        let ask = async |prompt: &str, headers: &[(&str, &str)]| {
            let path = format!("{}&prompt={prompt}", authorize("http://localhost:8020", "s"));
            let answer = world.send("GET", &path, headers, "").await;
            (answer.status, answer.header("location").unwrap_or_default().to_owned())
        };
        let signed_in = [("Cookie", cookie.as_str())];
        for (prompt, headers, error) in [
            ("none", &[][..], "login_required"),
            ("none", &signed_in[..], "consent_required"),
            ("none%20login", &signed_in[..], "invalid_request"),
            ("never", &signed_in[..], "invalid_request"),
        ] {
            let (status, location) = ask(prompt, headers).await;
            assert_eq!(status, 303);
            assert!(location.starts_with(&format!("http://localhost:8020?error={error}&error_description=")), "{location}");
            assert!(location.ends_with("&state=s"), "{location}");
        }
        assert_eq!(ask("consent", &signed_in).await, (200, String::new()));
        for anew in ["login", "select_account", "login%20consent"] {
            let (status, location) = ask(anew, &signed_in).await;
            let (login, next) = location.split_once("&next=").unwrap();
            assert_eq!((status, login), (303, format!("http://{}/login?anew=true", world.address).as_str()));
            assert!(!next.contains("prompt"), "who has signed in is not asked to again: {next}");
        }
    }

    /// A scope that there is not is refused, from people's clients and from programs.
    async fn unknown_scopes_are_refused(world: &World) {
        let (cookie, _) = world.set_up("correct horse battery").await;
        let path = authorize("http://localhost:8020", "s").replace(&form(&[("x", "all-apis")])[2..], "%73%71%6C");
        let answer = world.send("GET", &path, &[("Cookie", &cookie)], "").await;
        assert!(answer.header("location").unwrap().starts_with("http://localhost:8020?error=invalid_scope&"));
        let fields = [("grant_type", "client_credentials"), ("client_id", "x"), ("client_secret", "y"), ("scope", "sql")];
        assert_eq!(world.form("/oidc/v1/token", None, &fields).await.of(400)["error"], "invalid_scope");
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
