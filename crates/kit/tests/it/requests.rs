//! A request's way: what is checked before what, and what every answer carries.

use std::sync::atomic::Ordering;

use crannog_store::testing::Kind;
use futures::future::join_all;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{ANA, World};

const CATALOGS: &str = "/api/2.1/unity-catalog/catalogs";

#[tokio::test]
async fn every_answer_names_request_and_workspace() {
    let world = World::new(Kind::Sqlite).await;
    let asked = [
        ("GET /api/2.0/echo/x", "", 200),
        ("HEAD /api/2.0/echo/x", "", 200),
        ("GET /api/2.0/nothing", "", 404),
        ("GET /", "", 404),
        ("DELETE /api/2.0/echo/x", "", 405),
        ("GET /api/2.1/unity-catalog/catalogs/main", "", 401),
        ("GET /api/2.1/unity-catalog/catalogs/main", "stranger", 401),
        ("GET /api/2.1/unity-catalog/catalogs/main", "ana", 404),
        ("GET /api/2.1/unity-catalog/catalogs/main?max_results=x", "admin", 400),
    ];
    for (line, who, status) in asked {
        let answer = world.send(line, who, &[], "").await;
        assert_eq!(answer.status, status, "{line} {answer:?}");
        assert_eq!(answer.header("x-request-id").map(str::len), Some(36), "{line}");
        assert_eq!(answer.header("x-databricks-org-id"), Some("42"), "{line}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{line}");
        assert_eq!(answer.header("www-authenticate").is_some(), status == 401, "{line}");
        if status >= 400 {
            assert_eq!(answer.header("content-type"), Some("application/json"), "{line}");
            let error = answer.json();
            assert!(error["error_code"].is_string() && error["message"].is_string(), "{error}");
            let request = error["details"].as_array().unwrap().last().unwrap()["request_id"].as_str();
            assert_eq!(request, answer.header("x-request-id"), "{line}");
        }
    }
    let head = world.send("HEAD /api/2.0/echo/x", "", &[], "").await;
    let get = world.get("/api/2.0/echo/x", "").await;
    assert_eq!((head.body.as_str(), head.header("content-length")), ("", get.header("content-length")));
    let other = world.send("PATCH /api/2.0/echo/x", "", &[], "").await;
    assert_eq!((other.header("allow"), other.error_code().as_str()), (Some("get, head"), "ENDPOINT_NOT_FOUND"));
    assert_eq!(world.get("/api/2.0/nothing", "").await.error_code(), "ENDPOINT_NOT_FOUND");
}

#[tokio::test]
async fn who_it_is_comes_before_what_was_sent() {
    let world = World::new(Kind::Sqlite).await;
    let create = "POST /api/2.1/unity-catalog/schemas/main";
    let length = |line: &str, who: &str| {
        format!("{line} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {who}\r\ncontent-length: 1000000\r\n\r\n")
    };
    // Malformed and unauthenticated: 401, and nothing of the body is waited for.
    assert_eq!(world.send(create, "", &[], "{").await.status, 401);
    assert_eq!(world.exchange(format!("{}{{", length(create, "stranger")).as_bytes()).await.status, 401);
    let malformed = world.send(create, "ana", &[], "{").await;
    assert_eq!((malformed.status, malformed.error_code().as_str()), (400, "MALFORMED_REQUEST"));

    // A stream: no byte of it is read before the permit; the refusal comes while the client still sends.
    let upload = "PUT /api/2.0/fs/files/main.s";
    let refused = world.exchange(format!("{}part of the body", length(upload, "ana")).as_bytes()).await;
    assert_eq!((refused.status, world.read.load(Ordering::Relaxed)), (404, 0));
    assert_eq!(world.send(upload, "admin", &[], "the whole body").await.status, 204);
    assert_eq!(world.read.load(Ordering::Relaxed), 14);
}

#[tokio::test]
async fn other_hosts_are_refused() {
    let world = World::new(Kind::Sqlite).await;
    for (host, status) in [
        ("localhost:80", 200),
        ("127.0.0.1", 200),
        ("[::1]:8080", 200),
        ("LAKE.example.com:443", 200),
        ("evil.example.com", 400),
        ("localhost.evil.example.com:80", 400),
        ("lake.example.com.", 400),
    ] {
        let answer = world.send("GET /api/2.0/echo/x", "", &[("host", host)], "").await;
        assert_eq!(answer.status, status, "{host}: {answer:?}");
    }
    let answer = world.send("GET /api/2.0/nothing", "", &[("host", "evil.example.com")], "").await;
    assert_eq!(answer.error_code(), "HOST_NOT_ALLOWED", "before anything else");
}

#[tokio::test]
async fn a_proxy_may_pass_the_base_path_on_or_not() {
    let world = World::at(Kind::Sqlite, Some("https://lake.example.com/our/lake")).await;
    for path in ["/api/2.0/echo/x", "/our/lake/api/2.0/echo/x"] {
        assert_eq!(world.get(path, "").await.json()["name"], "x", "{path}");
        assert_eq!(world.send(&format!("DELETE {path}"), "", &[], "").await.status, 405, "{path}");
    }
    for path in ["/our/lake", "/our/lake/", "/our/lake/none", "/our", "/ourlake/api/2.0/echo/x", "/lake/api/2.0/echo/x"]
    {
        let missing = world.get(path, "").await;
        assert_eq!((missing.status, missing.error_code().as_str()), (404, "ENDPOINT_NOT_FOUND"), "{path}");
    }
    let missing = world.get("/our/lake/none", "").await.json()["message"].to_string();
    assert!(missing.contains("GET /none"), "{missing}");
    let none = World::at(Kind::Sqlite, Some("https://lake.example.com")).await;
    assert_eq!(none.get("/api/2.0/echo/x", "").await.status, 200);
    assert_eq!(none.get("/our/lake/api/2.0/echo/x", "").await.status, 404);
}

#[tokio::test]
async fn a_browser_is_sent_to_sign_in_and_a_program_is_told() {
    let world = World::at(Kind::Sqlite, Some("https://lake.example.com/our/lake")).await;
    let accept = ("accept", "text/html,*/*;q=0.8");
    for path in ["/pages/", "/our/lake/pages/"] {
        let page = format!("GET {path}?x=%26y");
        let sent = world.send(&page, "", &[accept], "").await;
        assert_eq!(sent.status, 303, "{sent:?}");
        assert!(sent.head.contains("location: /our/lake/login?next=%2fpages%2f\r\n"), "{}", sent.head);
        assert!(sent.head.contains("cache-control: no-store"), "{}", sent.head);
        // A session that has ended is none.
        let ended = world.send(&page, "", &[accept, ("cookie", "crannog_session=stranger")], "").await;
        assert_eq!(ended.status, 303);
        let session = world.send(&page, "", &[accept, ("cookie", "crannog_session=ana")], "").await;
        assert_eq!((session.status, session.body.as_str()), (200, "ana@example.com"));
        assert_eq!(world.send(&page, "", &[], "").await.status, 401);
        assert_eq!(world.send(&page, "stranger", &[accept], "").await.status, 401, "its token is wrong");
    }
    assert_eq!(world.send("GET /api/2.1/unity-catalog/catalogs", "", &[accept], "").await.status, 401, "no page");
}

#[tokio::test]
async fn routes_are_served_below_pages_as_they_are() {
    let world = World::at(Kind::Sqlite, Some("https://lake.example.com/our")).await;
    for path in ["/pages/api/2.0/echo/x", "/our/pages/api/2.0/echo/x"] {
        assert_eq!(world.get(path, "").await.json()["name"], "x", "{path}");
    }
    assert_eq!(world.get("/pages/api/2.0/count", "ana").await.status, 404, "it is not named");
    assert_eq!(world.get("/pages/pages/", "ana").await.status, 404);
    // With a cookie alone, only our own pages change anything, whichever way they go.
    for path in ["/api/2.0/import", "/pages/api/2.0/import"] {
        let import = format!("POST {path}");
        let sent = async |origin: &[(&str, &str)]| {
            let headers = [&[("cookie", "crannog_session=ana"), ("content-type", "application/json")], origin].concat();
            world.send(&import, "", &headers, "{}").await.status
        };
        assert_eq!(sent(&[("origin", "http://localhost")]).await, 200, "{path}");
        for (name, value) in [
            ("origin", "http://evil.example.com"),
            ("origin", "null"),
            ("origin", "http://localhost:81"),
            ("referer", "http://localhost/pages/"),
        ] {
            assert_eq!(sent(&[(name, value)]).await, 403, "{path} {name}: {value}");
        }
    }
}

#[tokio::test]
async fn bodies_and_queries_are_read_by_the_schema() {
    let world = World::new(Kind::Sqlite).await;
    let said = async |rest: &str| world.get(&format!("/api/2.0/echo/{rest}"), "").await;
    let all = said("x?max_results=10&force=TRUE&kinds=a&kinds=b&unknown=1").await.json();
    assert_eq!(all, json!({ "name": "x", "max_results": 10, "force": true, "kinds": ["a", "b"] }));
    for wrong in
        ["x?max_results=ten", "x?max_results=1.5", "x?max_results=99999999999999999999", "x?force=maybe", "x?kinds=%ff"]
    {
        let answer = said(wrong).await;
        assert_eq!((answer.status, answer.error_code().as_str()), (400, "INVALID_PARAMETER_VALUE"), "{wrong}");
    }
    // Percent-encoding is undone once; a plus is a blank in a query and a plus in a path.
    for (path, name) in
        [("a%20b", "a b"), ("a%2520b", "a%20b"), ("a+b", "a+b"), ("a%2Fb", "a/b"), ("%F0%9F%A6%AB", "🦫")]
    {
        assert_eq!(said(path).await.json()["name"], name, "{path}");
    }
    assert_eq!(said("x?kinds=a+b&kinds=a%252Bb").await.json()["kinds"], json!(["a b", "a%2Bb"]));
    assert_eq!(said("%ff").await.status, 400);
    assert_eq!(said("x?name=y").await.json()["name"], "x", "what the path says cannot be overwritten");

    let create = async |body: &str| {
        world
            .send("POST /api/2.1/unity-catalog/schemas/main", "admin", &[("content-type", "application/json")], body)
            .await
    };
    assert_eq!(create(r#"{"kinds": ["a"], "name": "other", "later": {}}"#).await.json(), json!({ "kinds": ["a"] }));
    for wrong in ["[]", "1", "{\"a\":", &"[".repeat(100_000), "{\"a\":\"\u{1}\"}"] {
        let answer = create(wrong).await;
        assert_eq!((answer.status, answer.error_code().as_str()), (400, "MALFORMED_REQUEST"), "{:.20}", wrong);
    }
    assert_eq!(create(r#"{"kinds": 1}"#).await.status, 400);
    let large = create(&format!("{{\"name\": \"{}\"}}", "x".repeat(17 << 20))).await;
    assert_eq!((large.status, large.error_code().as_str()), (413, "MAX_REQUEST_SIZE_EXCEEDED"));
}

#[tokio::test]
async fn a_panic_costs_one_request() {
    let world = World::new(Kind::Sqlite).await;
    let answer = world.send("POST /api/2.1/unity-catalog/schemas/main", "admin", &[], r#"{"force": true}"#).await;
    assert_eq!((answer.status, answer.error_code().as_str()), (500, "INTERNAL_ERROR"));
    assert!(!answer.body.contains("told to panic"), "{}", answer.body);
    assert_eq!(world.get(&format!("{CATALOGS}/main"), "admin").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_races_are_run_again() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        world.grant("USE CATALOG", ANA).await;
        let all = (0..40).map(|_| world.send("POST /api/2.0/count", "ana", &[], ""));
        let mut counts: Vec<i64> = join_all(all)
            .await
            .iter()
            .map(|answer| answer.json()["count"].as_i64().unwrap_or_else(|| panic!("{kind:?} {answer:?}")))
            .collect();
        counts.sort_unstable();
        assert_eq!(counts, (1..=40).collect::<Vec<_>>());
    }
}

/// Clients that send all of a body before they look for the answer; a connection that closes meanwhile is a reset for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_refused_while_sending_sees_why() {
    let world = World::new(Kind::Sqlite).await;
    let long = "x".repeat(8 << 20);
    let put = "PUT /api/2.0/fs/files/main.s";
    for (line, who, host, status) in [
        (put, "", "localhost", 401),
        (put, "stranger", "localhost", 401),
        (put, "ana", "localhost", 404),
        (put, "admin", "elsewhere.example.com", 400),
        ("PUT /api/2.0/fs/files/main.s?max_results=x", "admin", "localhost", 400),
        ("PUT /api/2.0/nothing", "admin", "localhost", 404),
        ("PATCH /api/2.0/fs/files/main.s", "admin", "localhost", 405),
        ("POST /api/2.0/import", "", "localhost", 401),
        ("POST /api/2.0/import", "admin", "localhost", 413),
        ("POST /form", "", "localhost", 413),
        // A body where there is none to be: it is not looked at.
        ("GET /api/2.0/echo/x", "", "localhost", 200),
    ] {
        let head = format!(
            "{line} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {who}\r\ncontent-length: {}\r\n\r\n",
            long.len()
        );
        let mut stream = TcpStream::connect(&world.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(long.as_bytes()).await.unwrap_or_else(|error| panic!("{line} {who}: {error}"));
        // The connection goes on: the next request is read where the body ended.
        stream
            .write_all(b"GET /api/2.0/echo/next HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).await.unwrap_or_else(|error| panic!("{line} {who}: {error}"));
        assert!(answers.starts_with(&format!("HTTP/1.1 {status} ")), "{line} {who}: {answers}");
        assert!(answers.contains("\"name\":\"next\""), "{line} {who}: {answers}");
    }
}

#[tokio::test]
async fn a_refusal_does_not_wait_for_the_body() {
    let world = World::new(Kind::Sqlite).await;
    let mut stream = TcpStream::connect(&world.address).await.unwrap();
    let head = "PUT /api/2.0/fs/files/main.s HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\npart";
    stream.write_all(head.as_bytes()).await.unwrap();
    // The rest is sent when the answer is there, and not before.
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 401");
    stream.write_all(&[b'x'; 996]).await.unwrap();
    // Who asks first whether to send is told at once, and not to go on.
    let mut stream = TcpStream::connect(&world.address).await.unwrap();
    let head = "PUT /api/2.0/fs/files/main.s HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 1000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401") && !answer.contains("100 Continue"), "{answer}");
}
