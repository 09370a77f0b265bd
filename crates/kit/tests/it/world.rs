//! A server of a few endpoints, three people, one catalog with a schema; and an HTTP client that sends what it is told.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use crannog_kit::connections::{Connections, Limits};
use crannog_kit::http::{HttpConfig, Server};
use crannog_kit::metrics::Metrics;
use crannog_kit::{
    Authenticate, Authority, Body, Credentials, Cx, Dialect, Endpoint, Fixture, InForce, Json, Method, Mount, Recorder,
    Registry, Reply, ReplyBody, Route, StatusCode, Tasks, clock,
};
use crannog_security::actions::{catalogs, metastore, schemas};
use crannog_security::{List, NameOf, Permit, Public, ScopeOf, System, Task, Visible, Who};
use crannog_store::testing::{Kind, fresh};
use crannog_store::{Audit, Db, Value as Stored, params};
use crannog_types::{Code, FullName, PrincipalId, Problem, Result};
use futures::StreamExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

pub(crate) const ADMIN: PrincipalId = PrincipalId(1);
pub(crate) const ANA: PrincipalId = PrincipalId(2);
pub(crate) const BEN: PrincipalId = PrincipalId(3);

#[derive(Deserialize, Serialize, JsonSchema)]
pub(crate) struct Said {
    #[serde(default)]
    name: String,
    #[serde(default)]
    max_results: Option<i64>,
    #[serde(default)]
    force: Option<bool>,
    #[serde(default)]
    kinds: Vec<String>,
}

/// Open to everybody: gives back what it was told.
struct Echo;

impl Endpoint for Echo {
    type Asks = Public;
    type In = Said;
    type Out = Json<Said>;
    const ROUTE: Route = Route::new(Method::Get, "/api/2.0/echo/{name}", Dialect::Databricks, "echo");

    fn asks(&self, _: &Said) -> Result<()> {
        Ok(())
    }
    async fn run(&self, _: &Cx, (): (), input: Said) -> Result<Json<Said>> {
        Ok(Json(input))
    }
    fn example(_: &Fixture) -> Value {
        json!({ "name": "x" })
    }
}

/// One action.
struct GetCatalog;

impl Endpoint for GetCatalog {
    type Asks = catalogs::ReadMetadata;
    type In = Said;
    type Out = Json<Value>;
    const ROUTE: Route = Route::new(Method::Get, "/api/2.1/unity-catalog/catalogs/{name}", Dialect::Unity, "get");

    fn asks(&self, input: &Said) -> Result<NameOf<catalogs::ReadMetadata>> {
        Ok(NameOf::named(FullName::parse(&input.name, 1)?))
    }
    async fn run(&self, _: &Cx, permit: Permit<catalogs::ReadMetadata>, _: Said) -> Result<Json<Value>> {
        Ok(Json(json!({ "name": permit.target().name.to_string() })))
    }
    fn example(_: &Fixture) -> Value {
        json!({})
    }
}

/// A list.
struct ListCatalogs;

impl Endpoint for ListCatalogs {
    type Asks = List<catalogs::ReadMetadata>;
    type In = Said;
    type Out = Json<Value>;
    const ROUTE: Route = Route::new(Method::Get, "/api/2.1/unity-catalog/catalogs", Dialect::Unity, "list");

    fn asks(&self, _: &Said) -> Result<ScopeOf<catalogs::ReadMetadata>> {
        Ok(ScopeOf::root())
    }
    async fn run(&self, _: &Cx, visible: Visible<catalogs::ReadMetadata>, _: Said) -> Result<Json<Value>> {
        Ok(Json(json!({ "listing": format!("{:?}", visible.listing()) })))
    }
    fn example(_: &Fixture) -> Value {
        json!({})
    }
}

/// A JSON body; it panics when it is told to, as a library might.
struct CreateSchema;

impl Endpoint for CreateSchema {
    type Asks = catalogs::CreateSchema;
    type In = Said;
    type Out = Json<Value>;
    const ROUTE: Route = Route::new(Method::Post, "/api/2.1/unity-catalog/schemas/{name}", Dialect::Unity, "create");

    fn asks(&self, input: &Said) -> Result<NameOf<catalogs::CreateSchema>> {
        Ok(NameOf::named(FullName::parse(&input.name, 1)?))
    }
    async fn run(&self, _: &Cx, _: Permit<catalogs::CreateSchema>, input: Said) -> Result<Json<Value>> {
        assert!(input.force != Some(true), "told to panic");
        Ok(Json(json!({ "kinds": input.kinds })))
    }
    fn example(_: &Fixture) -> Value {
        json!({})
    }
}

/// A body that it reads itself; it counts what it read.
struct Upload(Arc<AtomicUsize>);

impl Endpoint for Upload {
    type Asks = schemas::Manage;
    type In = Said;
    type Out = Reply;
    const ROUTE: Route =
        Route::new(Method::Put, "/api/2.0/fs/files/{*name}", Dialect::Databricks, "upload").body(Body::Stream);

    fn asks(&self, input: &Said) -> Result<NameOf<schemas::Manage>> {
        Ok(NameOf::named(FullName::parse(&input.name, 2)?))
    }
    async fn run(&self, cx: &Cx, _: Permit<schemas::Manage>, _: Said) -> Result<Reply> {
        let mut body = cx.body();
        while let Some(part) = body.next().await {
            let part: Bytes = part.map_err(|error| Problem::invalid(error.to_string()))?;
            self.0.fetch_add(part.len(), Ordering::Relaxed);
        }
        Ok(Reply::new(StatusCode::NO_CONTENT, ReplyBody::Empty))
    }
    fn example(_: &Fixture) -> Value {
        json!({})
    }
}

/// Open to everybody, with a small form; like the pages that people sign in on.
struct Form;

impl Endpoint for Form {
    type Asks = Public;
    type In = Said;
    type Out = Json<Said>;
    const ROUTE: Route = Route::new(Method::Post, "/form", Dialect::Html, "form").body(Body::Form);

    fn asks(&self, _: &Said) -> Result<()> {
        Ok(())
    }
    async fn run(&self, _: &Cx, (): (), input: Said) -> Result<Json<Said>> {
        Ok(Json(input))
    }
    fn example(_: &Fixture) -> Value {
        json!({})
    }
}

/// A page for who is signed in.
struct Page;

impl Endpoint for Page {
    type Asks = metastore::Work;
    type In = Said;
    type Out = Reply;
    const ROUTE: Route = Route::new(Method::Get, "/pages/", Dialect::Html, "page");

    fn asks(&self, _: &Said) -> Result<NameOf<metastore::Work>> {
        Ok(NameOf::root())
    }
    async fn run(&self, _: &Cx, permit: Permit<metastore::Work>, _: Said) -> Result<Reply> {
        Ok(Reply::html(permit.who().name.to_string()))
    }
    fn example(_: &Fixture) -> Value {
        json!({})
    }
}

/// Takes larger bodies than others.
struct Import;

impl Endpoint for Import {
    type Asks = metastore::Work;
    type In = Said;
    type Out = Json<Value>;
    const ROUTE: Route = Route::new(Method::Post, "/api/2.0/import", Dialect::Databricks, "import").body_limit(4 << 20);

    fn asks(&self, _: &Said) -> Result<NameOf<metastore::Work>> {
        Ok(NameOf::root())
    }
    async fn run(&self, _: &Cx, _: Permit<metastore::Work>, input: Said) -> Result<Json<Value>> {
        Ok(Json(json!({ "length": input.name.len() })))
    }
    fn example(_: &Fixture) -> Value {
        json!({})
    }
}

/// Answers when it is told to.
struct Wait(Arc<Semaphore>, Arc<AtomicUsize>);

impl Endpoint for Wait {
    type Asks = Public;
    type In = Said;
    type Out = Json<Value>;
    const ROUTE: Route = Route::new(Method::Get, "/wait", Dialect::Databricks, "wait");

    fn asks(&self, _: &Said) -> Result<()> {
        Ok(())
    }
    async fn run(&self, _: &Cx, (): (), _: Said) -> Result<Json<Value>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.acquire().await.unwrap().forget();
        Ok(Json(json!({ "waited": true })))
    }
    fn example(_: &Fixture) -> Value {
        json!({})
    }
}

/// An answer without an end.
struct Endless;

impl Endpoint for Endless {
    type Asks = Public;
    type In = Said;
    type Out = Reply;
    const ROUTE: Route = Route::new(Method::Get, "/endless", Dialect::Databricks, "endless");

    fn asks(&self, _: &Said) -> Result<()> {
        Ok(())
    }
    async fn run(&self, _: &Cx, (): (), _: Said) -> Result<Reply> {
        let part = Bytes::from(vec![b'x'; 1 << 20]);
        let stream = futures::stream::repeat_with(move || Ok(part.clone()));
        Ok(Reply::new(StatusCode::OK, ReplyBody::Stream(Box::pin(stream))))
    }
    fn example(_: &Fixture) -> Value {
        json!({})
    }
}

/// Adds one to a number in the database: two at once are a race.
struct Count(Db);

impl Endpoint for Count {
    type Asks = metastore::Work;
    type In = Said;
    type Out = Json<Value>;
    const ROUTE: Route = Route::new(Method::Post, "/api/2.0/count", Dialect::Databricks, "count");

    fn asks(&self, _: &Said) -> Result<NameOf<metastore::Work>> {
        Ok(NameOf::root())
    }
    async fn run(&self, _: &Cx, permit: Permit<metastore::Work>, _: Said) -> Result<Json<Value>> {
        let mut tx = self.0.write(&permit, Audit::of("test", "count")).await?;
        let row = tx.row("SELECT value FROM setting WHERE name = 'count'", params![]).await?;
        let before: i64 = row.map_or(0, |row| row.text(0).unwrap().parse().unwrap());
        tx.bump().await?;
        tx.run(COUNT, params!["count", (before + 1).to_string()]).await?;
        tx.commit().await?;
        Ok(Json(json!({ "count": before + 1 })))
    }
    fn example(_: &Fixture) -> Value {
        json!({})
    }
}

const COUNT: &str =
    "INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";

/// A token is a principal's name.
struct Names;

impl Authenticate for Names {
    fn authenticate<'a>(
        &'a self,
        credentials: &'a Credentials,
        _: Option<&'a str>,
    ) -> Pin<Box<dyn Future<Output = Result<Who>> + Send + 'a>> {
        Box::pin(async move {
            let (Credentials::Bearer(token) | Credentials::Session(token)) = credentials else {
                return Err(Problem::new(Code::Unauthenticated, "not a token"));
            };
            let id = match token.as_str() {
                "admin" => ADMIN,
                "ana" => ANA,
                "ben" => BEN,
                _ => return Err(Problem::new(Code::Unauthenticated, "this token is not valid")),
            };
            Ok(Who { id, name: format!("{token}@example.com").into() })
        })
    }

    fn in_force<'a>(
        &'a self,
        credentials: &'a Credentials,
        who: &'a Who,
    ) -> Pin<Box<dyn Future<Output = Result<InForce>> + Send + 'a>> {
        Box::pin(async move {
            let same = self.authenticate(credentials, None).await.is_ok_and(|now| now == *who);
            Ok(if same { InForce::Until(None) } else { InForce::Gone })
        })
    }
}

pub(crate) struct World {
    pub(crate) db: Db,
    pub(crate) authority: Arc<Authority>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) read: Arc<AtomicUsize>,
    pub(crate) tasks: Tasks,
    pub(crate) metrics: Metrics,
    /// Lets requests to `/wait` go on.
    pub(crate) go_on: Arc<Semaphore>,
    /// Requests to `/wait` so far.
    pub(crate) waiting: Arc<AtomicUsize>,
    pub(crate) connections: Connections,
    pub(crate) address: String,
    _folder: TempDir,
}

#[expect(clippy::disallowed_methods, reason = "the tests stand where the program itself does")]
pub(crate) fn system() -> System {
    System::task(Task::Bootstrap)
}

const ROOT: &str = "01900000-0000-7000-8000-000000000001";
pub(crate) const CATALOG: &str = "01900000-0000-7000-8000-000000000002";
const SCHEMA: &str = "01900000-0000-7000-8000-000000000003";

impl World {
    pub(crate) async fn new(kind: Kind) -> World {
        World::made(kind, None, Limits::default()).await
    }

    /// With a `public_url`.
    pub(crate) async fn at(kind: Kind, public_url: Option<&str>) -> World {
        World::made(kind, public_url, Limits::default()).await
    }

    pub(crate) async fn limited(kind: Kind, limits: Limits) -> World {
        World::made(kind, None, limits).await
    }

    async fn made(kind: Kind, public_url: Option<&str>, limits: Limits) -> World {
        let folder = tempfile::tempdir().unwrap();
        let db = fresh(kind, folder.path(), clock::now).await.unwrap_or_else(|error| panic!("{error}"));
        let mut tx = db.write_unaudited(&system()).await.unwrap();
        for (id, name) in [(ADMIN, "admin@example.com"), (ANA, "ana@example.com"), (BEN, "ben@example.com")] {
            let sql = "INSERT INTO principal (id, kind, name, folded, created_at, updated_at) VALUES ($1, 'user', $2, $2, 0, 0)";
            tx.run(sql, params![id, name]).await.unwrap();
            tx.run("INSERT INTO closure (member, principal) VALUES ($1, $1)", params![id]).await.unwrap();
        }
        for (id, kind, parent, name, path) in [
            (ROOT, "metastore", None, "metastore", ""),
            (CATALOG, "catalog", Some(ROOT), "Main", "main"),
            (SCHEMA, "schema", Some(CATALOG), "s", "main.s"),
        ] {
            let sql = "INSERT INTO securable (id, kind, parent, name, folded, path, owner, created_at, created_by, \
                       updated_at, updated_by) VALUES ($1, $2, $3, $4, lower($4), $5, 1, 0, '', 0, '')";
            tx.run(sql, params![id, kind, parent, name, path]).await.unwrap();
        }
        tx.bump().await.unwrap();
        tx.commit().await.unwrap();

        let tasks = Tasks::new();
        let recorder = Recorder::start(db.clone(), &tasks);
        let authority = Authority::new(db.clone(), Arc::clone(&recorder));
        let read = Arc::new(AtomicUsize::new(0));
        let mut registry = Registry::new();
        registry.add(Echo);
        registry.add(GetCatalog);
        registry.add(ListCatalogs);
        registry.add(CreateSchema);
        registry.add(Upload(Arc::clone(&read)));
        registry.add(Count(db.clone()));
        registry.add(Form);
        registry.add(Page);
        registry.mount(Mount { below: "/pages", paths: &["/api/2.0/import", "/api/2.0/echo/"] });
        registry.add(Import);
        registry.add(Endless);
        let (go_on, waiting) = (Arc::new(Semaphore::new(0)), Arc::default());
        registry.add(Wait(Arc::clone(&go_on), Arc::clone(&waiting)));
        let config = HttpConfig {
            limits,
            workspace_id: "42".to_owned(),
            allowed_hosts: ["lake.example.com".to_owned()].into(),
            public_url: public_url.map(str::to_owned),
            ..HttpConfig::default()
        };
        let server = Server::new(config, Arc::clone(&authority), Arc::new(Names));
        let router = server.router(&registry);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let serving = tasks.clone();
        let metrics = Metrics::default();
        let connections = Connections::new(limits, [].into(), &metrics);
        let listening = connections.clone();
        tasks.spawn("http", async move { listening.serve(listener, None, router, serving.stopping()).await });
        let _folder = folder;
        World { db, authority, recorder, read, tasks, metrics, go_on, waiting, connections, address, _folder }
    }

    /// Changes something that decisions depend on.
    pub(crate) async fn change(&self, sql: &'static str, params: Vec<Stored>) {
        loop {
            let mut tx = self.db.write_unaudited(&system()).await.unwrap();
            let done = async {
                tx.run(sql, params.clone()).await?;
                tx.bump().await?;
                tx.commit().await
            };
            match done.await {
                Ok(()) => return,
                Err(error) => assert_eq!(Problem::from(error).code(), Code::Aborted),
            }
        }
    }

    pub(crate) async fn grant(&self, privilege: &str, to: PrincipalId) {
        let sql = "INSERT INTO securable_grant (securable, principal, privilege, granted_at, granted_by) \
                   VALUES ($1, $2, $3, 0, '')";
        self.change(sql, params![CATALOG, to, privilege]).await;
    }

    pub(crate) async fn revoke(&self, privilege: &str, from: PrincipalId) {
        let sql = "DELETE FROM securable_grant WHERE securable = $1 AND principal = $2 AND privilege = $3";
        self.change(sql, params![CATALOG, from, privilege]).await;
    }

    /// `send("GET /path", "ana", &[("header", "value")], "body")`; nobody is `""`.
    pub(crate) async fn send(&self, line: &str, who: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut text = format!("{line} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| *name == "host") {
            text += "host: localhost\r\n";
        }
        if !who.is_empty() {
            text += &format!("authorization: Bearer {who}\r\n");
        }
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        self.exchange(format!("{text}\r\n{body}").as_bytes()).await
    }

    /// Sends bytes as they are and reads until the server closes.
    pub(crate) async fn exchange(&self, bytes: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        // A server that refuses may answer and close before everything was sent.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let text = String::from_utf8(answer).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    pub(crate) async fn get(&self, path: &str, who: &str) -> Answer {
        self.send(&format!("GET {path}"), who, &[], "").await
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(found, _)| *found == name).map(|(_, value)| value).next()
    }

    pub(crate) fn error_code(&self) -> String {
        self.json()["error_code"].as_str().unwrap_or_default().to_owned()
    }
}
