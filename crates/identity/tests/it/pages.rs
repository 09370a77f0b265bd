//! The pages: set up, sign in, sign out.

use serde_json::json;

const ME: &str = "/api/2.0/preview/scim/v2/Me";

on_each! {
    /// The set-up link works once, and ends with a token and what to paste.
    async fn the_set_up_link_works_once(world: &World) {
        let code = world.first.setup_code.reveal().to_owned();
        let page = world.send("GET", &format!("/setup?code={code}"), &[], "").await;
        assert_eq!(page.status, 200);
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert!(!page.text.contains("<script"));
        let short = world.form("/setup", None, &[("code", &code), ("password", "short"), ("again", "short")]).await;
        assert_eq!(short.status, 400);
        let differs = [("code", code.as_str()), ("password", "long enough 1"), ("again", "long enough 2")];
        assert_eq!(world.form("/setup", None, &differs).await.status, 400);
        let (cookie, page) = world.set_up("correct horse battery").await;
        for wanted in ["DATABRICKS_HOST=http://", "WorkspaceClient(", "mlflow.set_tracking_uri", "pl.Catalog("] {
            assert!(page.contains(wanted), "{wanted}");
        }
        let token = page.split("<pre>").nth(1).unwrap().split('<').next().unwrap().to_owned();
        assert_eq!(world.get(&token, ME).await.of(200)["userName"], "admin");
        assert_eq!(world.send("GET", ME, &[("Cookie", &cookie)], "").await.status, 200);
        assert_eq!(world.send("GET", &format!("/setup?code={code}"), &[], "").await.status, 401);
        let again = [("code", code.as_str()), ("password", "another password"), ("again", "another password")];
        assert_eq!(world.form("/setup", None, &again).await.status, 401);
    }

    /// Sign in, be somebody, sign out, be nobody.
    async fn a_session_begins_and_ends(world: &World) {
        world.set_up("correct horse battery").await;
        let wrong = world.form("/login", None, &[("name", "<b>"), ("password", "wrong")]).await;
        assert_eq!(wrong.status, 401);
        assert!(wrong.text.contains("&lt;b&gt;") && !wrong.text.contains("<b>"));
        let right = [("name", "Admin"), ("password", "correct horse battery"), ("next", "//evil.example")];
        let answer = world.form("/login", None, &right).await;
        assert_eq!((answer.status, answer.header("location")), (303, Some(format!("http://{}/login", world.address).as_str())));
        let set = answer.header("set-cookie").unwrap();
        assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax"), "{set}");
        let cookie = set.split(';').next().unwrap().to_owned();
        assert_eq!(world.send("GET", ME, &[("Cookie", &cookie)], "").await.status, 200);
        assert!(world.send("GET", "/login", &[("Cookie", &cookie)], "").await.text.contains("signed in as"));
        // A cookie is no bearer token, and changes nothing when another site sends it.
        let value = cookie.split_once('=').unwrap().1.to_owned();
        assert_eq!(world.get(&value, ME).await.status, 401);
        let body = json!({ "comment": "x" }).to_string();
        let headers = [("Cookie", cookie.as_str()), ("Content-Type", "application/json")];
        assert_eq!(world.send("POST", "/api/2.0/token/create", &headers, &body).await.status, 403);
        let origin = format!("http://{}", world.address);
        let ours = [headers[0], headers[1], ("Origin", origin.as_str())];
        assert_eq!(world.send("POST", "/api/2.0/token/create", &ours, &body).await.status, 200);
        let theirs = [headers[0], ("Origin", "http://evil.example")];
        assert_eq!(world.send("POST", "/logout", &theirs, "").await.status, 403);
        assert_eq!(world.form("/logout", Some(&cookie), &[]).await.status, 303);
        assert_eq!(world.send("GET", ME, &[("Cookie", &cookie)], "").await.status, 401);
    }

    /// Five wrong passwords lock the page, not the token; setting a new password ends older sessions.
    async fn wrong_passwords_lock_the_page(world: &World) {
        let (cookie, _) = world.set_up("correct horse battery").await;
        for n in 0..6 {
            let answer = world.form("/login", None, &[("name", "admin"), ("password", "wrong")]).await;
            assert_eq!(answer.status, if n < 5 { 401 } else { 429 }, "{n}");
            assert_eq!(answer.header("retry-after").is_some(), n == 5);
        }
        let right = [("name", "admin"), ("password", "correct horse battery")];
        assert_eq!(world.form("/login", None, &right).await.status, 429);
        assert_eq!(world.get(&world.admin(), ME).await.status, 200);
        world.later(16);
        assert_eq!(world.form("/login", None, &right).await.status, 303);
        let path = "/api/2.0/crannog/setup-links";
        let link = world.post(&world.admin(), path, json!({ "user_name": "admin" })).await.of(200);
        let code = link["setup_url"].as_str().unwrap().split("code=").nth(1).unwrap().to_owned();
        let new = [("code", code.as_str()), ("password", "a new password"), ("again", "a new password")];
        assert_eq!(world.form("/setup", None, &new).await.status, 200);
        assert_eq!(world.send("GET", ME, &[("Cookie", &cookie)], "").await.status, 401);
        assert_eq!(world.form("/login", None, &right).await.status, 401);
    }
}
