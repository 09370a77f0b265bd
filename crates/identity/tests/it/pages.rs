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
        for wanted in ["DATABRICKS_HOST=http://", "WorkspaceClient(", "MLFLOW_TRACKING_URI=http://", "pl.Catalog("] {
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
        assert_eq!((answer.status, answer.header("location")), (303, Some(format!("http://{}/", world.address).as_str())));
        let set = answer.header("set-cookie").unwrap();
        assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax"), "{set}");
        let cookie = set.split(';').next().unwrap().to_owned();
        assert_eq!(world.send("GET", ME, &[("Cookie", &cookie)], "").await.status, 200);
        let there = world.send("GET", "/login?next=/x", &[("Cookie", &cookie)], "").await;
        assert_eq!((there.status, there.header("location")), (303, Some(format!("http://{}/x", world.address).as_str())));
        let anew = world.send("GET", "/login?anew=true", &[("Cookie", &cookie)], "").await;
        assert!(anew.status == 200 && anew.text.contains("<form method=\"post\">"), "{}", anew.text);
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

    /// Browsers find the sign-in page or their own start page; programs find the JSON 404 of every unknown path.
    async fn a_browser_finds_its_start_page(world: &World) {
        for accept in ["*/*", "application/json", "text/html;q=0"] {
            let missing = world.send("GET", "/", &[("Accept", accept)], "").await.of(404);
            assert_eq!(missing["error_code"], "ENDPOINT_NOT_FOUND");
        }
        assert_eq!(world.send("GET", "/", &[], "").await.of(404)["error_code"], "ENDPOINT_NOT_FOUND");
        let browser = ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");
        let away = world.send("GET", "/", &[browser], "").await;
        assert_eq!((away.status, away.header("location")), (303, Some(format!("http://{}/login", world.address).as_str())));
        let (cookie, _) = world.set_up("correct horse battery").await;
        let home = world.send("GET", "/", &[browser, ("Cookie", &cookie)], "").await;
        assert_eq!(home.status, 200);
        let host = format!("http://{}", world.address);
        for wanted in ["Signed in as <strong>admin</strong>", &host, &world.identity.ground().workspace_id, "&lt;your token&gt;"] {
            assert!(home.text.contains(wanted), "{wanted}");
        }
        assert_eq!(home.header("cache-control"), Some("no-store"));
        assert!(!home.text.contains("crg_"));
        // One script, which is always the same text: the policy names it and no other.
        let policy = home.header("content-security-policy").unwrap();
        assert_eq!((home.text.matches("<script>").count(), home.text.matches("<script").count()), (1, 1));
        assert!(policy.contains("script-src 'sha256-") && !policy.contains("unsafe") && !policy.contains("script-src 'self'"), "{policy}");
        assert_eq!(world.form("/", Some(&cookie), &[]).await.status, 405);
    }

    /// Five wrong passwords lock the page, not the token; setting a new password ends older sessions.
    async fn wrong_passwords_lock_the_page(world: &World) {
        let (cookie, _) = world.set_up("correct horse battery").await;
        world.hold_the_clock();
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

    /// Each failure after a lock locks for twice as long, up to fifteen minutes; a right token passes all the while; fifteen
    /// quiet minutes forget it all.
    async fn locks_double_to_fifteen_minutes(world: &World) {
        world.set_up("correct horse battery").await;
        world.hold_the_clock();
        let wrong = [("name", "admin"), ("password", "wrong")];
        for _ in 0..4 {
            assert_eq!(world.form("/login", None, &wrong).await.status, 401);
        }
        for seconds in [15, 30, 60, 120, 240, 480, 900, 900] {
            assert_eq!(world.form("/login", None, &wrong).await.status, 401, "the one that locks for {seconds} s");
            let locked = world.form("/login", None, &wrong).await;
            assert_eq!(locked.status, 429);
            assert_eq!(locked.header("retry-after"), Some(seconds.to_string().as_str()));
            assert_eq!(world.get(&world.admin(), ME).await.status, 200);
            world.later(seconds);
        }
        world.later(901);
        for _ in 0..5 {
            assert_eq!(world.form("/login", None, &wrong).await.status, 401);
        }
        assert_eq!(world.form("/login", None, &wrong).await.header("retry-after"), Some("15"));
    }
}
