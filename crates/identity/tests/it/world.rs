//! A server of its own for each test, with a clock that tests move, and a small HTTP client.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crannog_identity::{FirstStart, Identity, IdentityConfig, bootstrap, endpoints};
use crannog_kit::http::{HttpConfig, Server};
use crannog_kit::{Authenticate, Authority, Recorder, Registry, Tasks, clock};
use crannog_store::Db;
use crannog_store::testing::{Kind, fresh};
use crannog_types::Micros;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A running server.
pub(crate) struct World {
    pub(crate) db: Db,
    pub(crate) identity: Arc<Identity>,
    pub(crate) first: Arc<FirstStart>,
    pub(crate) folder: Arc<TempDir>,
    pub(crate) address: String,
    ahead: Arc<AtomicI64>,
    held: Arc<AtomicI64>,
    tasks: Tasks,
}

/// What the server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body, when the status is the one that is wanted.
    pub(crate) fn of(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        if self.text.is_empty() { Value::Null } else { self.json() }
    }
}

/// Runs a test on each database.
macro_rules! on_each {
    ($($(#[$doc:meta])* async fn $name:ident($world:ident: &World) $body:block)*) => {$(
        $(#[$doc])*
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            for kind in crannog_store::testing::Kind::ALL {
                let world = $crate::world::World::start(kind).await;
                let $world: &$crate::world::World = &world;
                $body
                world.stop().await;
            }
        }
    )*};
}

impl World {
    pub(crate) async fn start(kind: Kind) -> World {
        crate::capture::listen();
        let folder = tempfile::tempdir().unwrap();
        let ahead = Arc::new(AtomicI64::new(0));
        let held = Arc::new(AtomicI64::new(0));
        let (moved, holding) = (Arc::clone(&ahead), Arc::clone(&held));
        let now = move || {
            let base = match holding.load(Ordering::Relaxed) {
                0 => clock::now().0,
                held => held,
            };
            Micros(base + moved.load(Ordering::Relaxed))
        };
        let db = fresh(kind, folder.path(), now).await.unwrap_or_else(|error| panic!("{error}"));
        let first = bootstrap(&db, "admin").await.unwrap().expect("an empty database");
        assert!(bootstrap(&db, "admin").await.unwrap().is_none(), "a second start makes nothing");
        let identity = Self::open(&db, &folder).await;
        let tasks = Tasks::new();
        let address = Self::serve(&db, &identity, &tasks).await;
        World { db, identity, first: Arc::new(first), folder: Arc::new(folder), address, ahead, held, tasks }
    }

    async fn open(db: &Db, folder: &TempDir) -> Arc<Identity> {
        Identity::open(db.clone(), IdentityConfig { root_key_file: Self::root_key(folder) }).await.unwrap()
    }

    async fn serve(db: &Db, identity: &Arc<Identity>, tasks: &Tasks) -> String {
        let authority = Authority::new(db.clone(), Recorder::start(db.clone(), tasks));
        let mut registry = Registry::new();
        endpoints(&mut registry, identity);
        let config = HttpConfig { workspace_id: identity.ground().workspace_id.clone(), ..HttpConfig::default() };
        let server = Server::new(config, authority, Arc::clone(identity) as Arc<dyn Authenticate>);
        let router = server.router(&registry);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let serving = tasks.clone();
        tasks.spawn("http", async move {
            Server::serve(listener, router, &serving).await;
        });
        address
    }

    /// The same database and folder, opened anew and served on another port.
    pub(crate) async fn again(&self) -> World {
        let identity = Self::open(&self.db, &self.folder).await;
        let address = Self::serve(&self.db, &identity, &self.tasks).await;
        let (db, tasks) = (self.db.clone(), self.tasks.clone());
        let (ahead, held) = (Arc::clone(&self.ahead), Arc::clone(&self.held));
        let (first, folder) = (Arc::clone(&self.first), Arc::clone(&self.folder));
        World { db, identity, first, folder, address, ahead, held, tasks }
    }

    fn root_key(folder: &TempDir) -> PathBuf {
        folder.path().join("root.key")
    }

    pub(crate) async fn stop(&self) {
        self.tasks.stop().await;
        self.db.close().await;
    }

    /// Holds the clock: from now on only [`World::later`] moves it, however long things take.
    pub(crate) fn hold_the_clock(&self) {
        self.held.store(clock::now().0, Ordering::Relaxed);
    }

    /// Moves the clock.
    pub(crate) fn later(&self, seconds: i64) {
        self.ahead.fetch_add(seconds * 1_000_000, Ordering::Relaxed);
    }

    /// The admin's token.
    pub(crate) fn admin(&self) -> String {
        self.first.token.reveal().to_owned()
    }

    /// Sends a request with whatever headers.
    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, text) = text.split_once("\r\n\r\n").expect("a head");
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Answer { status, headers, text: text.to_owned() }
    }

    /// A call with a token and JSON.
    pub(crate) async fn call(&self, token: &str, method: &str, path: &str, body: Value) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, path, &headers, &body).await
    }

    pub(crate) async fn get(&self, token: &str, path: &str) -> Answer {
        self.call(token, "GET", path, Value::Null).await
    }

    pub(crate) async fn post(&self, token: &str, path: &str, body: Value) -> Answer {
        self.call(token, "POST", path, body).await
    }

    pub(crate) async fn patch(&self, token: &str, path: &str, body: Value) -> Answer {
        self.call(token, "PATCH", path, body).await
    }

    /// Makes a user; gives the id.
    pub(crate) async fn user(&self, name: &str) -> String {
        let made =
            self.post(&self.admin(), "/api/2.0/preview/scim/v2/Users", json!({ "userName": name })).await.of(201);
        made["id"].as_str().unwrap().to_owned()
    }

    /// Makes a group; gives the id.
    pub(crate) async fn group(&self, name: &str) -> String {
        let made =
            self.post(&self.admin(), "/api/2.0/preview/scim/v2/Groups", json!({ "displayName": name })).await.of(201);
        made["id"].as_str().unwrap().to_owned()
    }

    /// Makes a token for a user; gives its text.
    pub(crate) async fn token_for(&self, user: &str) -> String {
        let path = "/api/2.0/token-management/on-behalf-of/tokens";
        let made = self.post(&self.admin(), path, json!({ "user_name": user })).await.of(200);
        made["token_value"].as_str().unwrap().to_owned()
    }

    /// Rows of the database as texts, with a permit of the program itself.
    #[expect(clippy::disallowed_methods, reason = "tests look at what is stored")]
    pub(crate) async fn rows(&self, sql: &'static str) -> Vec<crannog_store::Row> {
        let system = crannog_security::System::task(crannog_security::Task::Probe);
        self.db.read(&system).rows(sql, Vec::new()).await.unwrap()
    }
}

/// A form as browsers and OAuth clients send it.
pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    fields.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect::<Vec<_>>().join("&")
}

impl World {
    /// Sends a form, with a cookie when there is one.
    pub(crate) async fn form(&self, path: &str, cookie: Option<&str>, fields: &[(&str, &str)]) -> Answer {
        let mut headers = vec![("Content-Type", "application/x-www-form-urlencoded")];
        headers.extend(cookie.map(|cookie| ("Cookie", cookie)));
        self.send("POST", path, &headers, &form(fields)).await
    }

    /// Sets the admin's password with the set-up code; gives the session's cookie and the page.
    pub(crate) async fn set_up(&self, password: &str) -> (String, String) {
        let code = self.first.setup_code.reveal();
        let done = self.form("/setup", None, &[("code", code), ("password", password), ("again", password)]).await;
        assert_eq!(done.status, 200, "{}", done.text);
        let cookie = done.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        (cookie, done.text)
    }
}
