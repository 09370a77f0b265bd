//! A server with a few people, on a free port and in a folder that is deleted afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use crannog_governance::Governance;
use crannog_governance::model::objects::View;
use crannog_governance::service::locations::begin_managed;
use crannog_governance::service::tables::{self, Files, NewTable};
use crannog_kit::http::{HttpConfig, Server};
use crannog_kit::{Authenticate, Authority, Credentials, InForce, Recorder, Registry, Tasks};
use crannog_security::actions::schemas;
use crannog_security::{Caller, NameOf, Origin, Permit, System, Task, Who};
use crannog_storage::{Access, External, Location, Managed, Storage};
use crannog_store::testing::{Kind, fresh};
use crannog_store::{Audit, Db, Row, params};
use crannog_types::{Code, FullName, PrincipalId, Problem, Result, SecurableId, fold};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Everybody there is: id, name, kind.
const PEOPLE: [(i64, &str, &str); 6] = [
    (1, "admin", "user"),
    (2, "ana", "user"),
    (3, "ben", "user"),
    (4, "stranger", "user"),
    (10, "analysts", "group"),
    (11, "account users", "group"),
];

/// Who is in which group.
const GROUPS: [(i64, i64); 5] = [(2, 10), (1, 11), (2, 11), (3, 11), (4, 11)];

/// A server. The token of somebody is their name.
pub(crate) struct World {
    pub(crate) governance: Governance,
    pub(crate) dir: PathBuf,
    pub(crate) recorder: Arc<Recorder>,
    address: std::net::SocketAddr,
    tokens: NameIsToken,
    tasks: Tasks,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn error_code(&self) -> String {
        self.json()["error_code"].as_str().unwrap_or_default().to_owned()
    }

    /// The JSON of a good answer.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }

    /// An answer about a failure without what is always another: the request's id.
    pub(crate) fn without_ids(&self) -> (u16, Value) {
        let mut body = self.json();
        for detail in body["details"].as_array_mut().into_iter().flatten() {
            if let Some(id) = detail.get_mut("request_id") {
                *id = Value::Null;
            }
        }
        (self.status, body)
    }
}

/// Everybody's name is their token, until it is revoked.
#[derive(Clone, Default)]
struct NameIsToken(Arc<Mutex<BTreeSet<String>>>);

impl Authenticate for NameIsToken {
    fn authenticate<'a>(
        &'a self,
        credentials: &'a Credentials,
        _: Option<&'a str>,
    ) -> Pin<Box<dyn Future<Output = Result<Who>> + Send + 'a>> {
        Box::pin(async move { who_of(credentials) })
    }

    fn in_force<'a>(
        &'a self,
        credentials: &'a Credentials,
        who: &'a Who,
    ) -> Pin<Box<dyn Future<Output = Result<InForce>> + Send + 'a>> {
        Box::pin(async move {
            let revoked = self.0.lock().unwrap().contains(&*who.name);
            let same = !revoked && self.authenticate(credentials, None).await.is_ok_and(|now| now == *who);
            Ok(if same { InForce::Until(None) } else { InForce::Gone })
        })
    }
}

fn who_of(credentials: &Credentials) -> Result<Who> {
    let unknown = || Problem::new(Code::Unauthenticated, "unknown token");
    let Credentials::Bearer(token) = credentials else { return Err(unknown()) };
    let (id, name, _) = PEOPLE.iter().find(|(_, name, _)| name == token).ok_or_else(unknown)?;
    Ok(Who { id: PrincipalId(*id), name: (*name).into() })
}

#[expect(clippy::disallowed_methods, reason = "a test sets the ground up by itself")]
fn system() -> System {
    System::task(Task::Bootstrap)
}

impl World {
    /// A server with the people, a metastore that `admin` owns, and nothing in it.
    pub(crate) async fn empty(kind: Kind) -> World {
        let dir = std::env::temp_dir().join(format!("crannog-governance-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir_all(&dir).unwrap();
        let db = fresh(kind, &dir, crannog_kit::clock::now).await.unwrap();
        ground(&db).await;
        let tasks = Tasks::new();
        let recorder = Recorder::start(db.clone(), &tasks);
        let authority = Authority::new(db.clone(), Arc::clone(&recorder));
        let outside = dir.join("outside");
        std::fs::create_dir_all(&outside).unwrap();
        let allowed = External::Under(vec![Location::of_path(&outside).unwrap()]);
        let storage = Arc::new(Storage::new(&dir.join("data"), allowed).unwrap());
        let governance = Governance { db, storage, authority: Arc::clone(&authority) };
        let mut registry = Registry::new();
        crannog_governance::endpoints(&mut registry, &governance);
        let config = HttpConfig { workspace_id: "77".to_owned(), ..HttpConfig::default() };
        let tokens = NameIsToken::default();
        let router = Server::new(config, authority, Arc::new(tokens.clone())).router(&registry);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tasks.clone();
        tasks.spawn("server", async move { Server::serve(listener, router, &serving).await });
        World { governance, dir, recorder, address, tokens, tasks }
    }

    /// The same with `main.flights` in it: tables `flights` and `planes`, a view `flights_public`, a volume `raw`.
    pub(crate) async fn flights(kind: Kind) -> World {
        let world = World::empty(kind).await;
        world.post("admin", "/api/2.1/unity-catalog/catalogs", serde_json::json!({ "name": "main" })).await.ok();
        let schema = serde_json::json!({ "name": "flights", "catalog_name": "main" });
        world.post("admin", "/api/2.1/unity-catalog/schemas", schema).await.ok();
        let volume = serde_json::json!({
            "name": "raw", "catalog_name": "main", "schema_name": "flights", "volume_type": "MANAGED"
        });
        world.post("admin", "/api/2.1/unity-catalog/volumes", volume).await.ok();
        world.managed_table("flights").await;
        world.managed_table("planes").await;
        world.view("flights_public").await;
        world
    }

    async fn in_flights(&self) -> Permit<schemas::CreateTable> {
        self.caller("admin").ask(NameOf::named(FullName::of(["main", "flights"]))).await.unwrap()
    }

    pub(crate) fn caller(&self, name: &str) -> Caller {
        let who = who_of(&Credentials::Bearer(name.to_owned())).unwrap();
        self.governance.authority.caller(who, Arc::new(Origin::default()))
    }

    /// A managed table of `main.flights`, with one file where its log would be.
    pub(crate) async fn managed_table(&self, name: &str) -> SecurableId {
        let permit = self.in_flights().await;
        let place = begin_managed(&self.governance, &permit, Managed::Tables).await.unwrap();
        let folder = self.governance.storage.open(&permit, &place.location, Access::ReadWrite).unwrap();
        folder.put("_delta_log/00000000000000000000.json", "{}\n").await.unwrap();
        let new = new_table(name, Files::Managed(place));
        tables::create(&self.governance.db, &permit, &new).await.unwrap().object.id
    }

    /// A view of `main.flights`.
    pub(crate) async fn view(&self, name: &str) -> SecurableId {
        let permit = self.in_flights().await;
        let view = View {
            text: "SELECT id FROM flights".to_owned(),
            catalog: "main".to_owned(),
            schema: "flights".to_owned(),
        };
        let new = new_table(name, Files::View(view));
        tables::create(&self.governance.db, &permit, &new).await.unwrap().object.id
    }

    /// Grants by the REST, as admin.
    #[track_caller]
    pub(crate) fn grant<'a>(
        &'a self,
        kind: &'a str,
        name: &'a str,
        who: &'a str,
        privileges: &'a [&'a str],
    ) -> impl Future<Output = ()> + 'a {
        self.change(kind, name, who, privileges, &[])
    }

    /// Grants and revokes by the REST, as admin.
    pub(crate) async fn change(&self, kind: &str, name: &str, who: &str, add: &[&str], remove: &[&str]) {
        let body = serde_json::json!({ "changes": [{ "principal": who, "add": add, "remove": remove }] });
        let path = format!("/api/2.1/unity-catalog/permissions/{kind}/{name}");
        self.send("admin", "PATCH", &path, &[], body.to_string().as_bytes()).await.ok();
    }

    pub(crate) async fn get(&self, who: &str, path: &str) -> Answer {
        self.send(who, "GET", path, &[], b"").await
    }

    pub(crate) async fn post(&self, who: &str, path: &str, body: Value) -> Answer {
        self.send(who, "POST", path, &[], body.to_string().as_bytes()).await
    }

    pub(crate) async fn patch(&self, who: &str, path: &str, body: Value) -> Answer {
        self.send(who, "PATCH", path, &[], body.to_string().as_bytes()).await
    }

    pub(crate) async fn delete(&self, who: &str, path: &str) -> Answer {
        self.send(who, "DELETE", path, &[], b"").await
    }

    /// One request on a connection of its own; the path is sent as it is. Nobody's token is the empty one.
    pub(crate) async fn send(
        &self,
        who: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut stream = self.begin(who, method, path, headers, body.len()).await;
        // A server that refuses before it has read everything may close first.
        let _ = stream.write_all(body).await;
        Self::answer(stream).await
    }

    /// A request whose body is not sent yet.
    pub(crate) async fn begin(
        &self,
        who: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        length: usize,
    ) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        if !who.is_empty() {
            head += &format!("Authorization: Bearer {who}\r\n");
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!("Content-Length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    /// Revokes somebody's token.
    pub(crate) fn revoke_token(&self, who: &str) {
        self.tokens.0.lock().unwrap().insert(who.to_owned());
    }

    /// The answer to a request that was sent.
    pub(crate) async fn answer(mut stream: TcpStream) -> Answer {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes).await;
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("an answer");
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        Answer { status, headers, body: bytes[end + 4..].to_vec() }
    }

    /// `http://127.0.0.1:port`
    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Rows of the audit with an action's name, newest last: parameters, status.
    pub(crate) async fn audit(&self, action: &str) -> Vec<(Value, i64)> {
        self.recorder.flush().await;
        let sql = "SELECT request_params, status_code FROM audit_event WHERE action_name = $1 ORDER BY event_id";
        let rows = self.governance.db.read(&system()).rows(sql, params![action]).await.unwrap();
        let row = |row: &Row| (serde_json::from_str(&row.text(0).unwrap()).unwrap(), row.int(1).unwrap());
        rows.iter().map(row).collect()
    }

    /// The folder on disk of a `file://` location.
    pub(crate) fn folder_of(&self, url: &Value) -> PathBuf {
        PathBuf::from(url.as_str().unwrap().strip_prefix("file://").unwrap())
    }

    /// A place that external tables and volumes may be at.
    pub(crate) fn outside(&self, name: &str) -> String {
        format!("file://{}", self.dir.join("outside").join(name).display())
    }

    pub(crate) async fn stop(self) {
        self.tasks.stop().await;
        self.governance.db.close().await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

pub(crate) fn new_table(name: &str, files: Files) -> NewTable {
    let schema = serde_json::json!({ "type": "struct", "fields": [
        { "name": "id", "type": "long", "nullable": false, "metadata": {} },
        { "name": "price", "type": "decimal(10,2)", "nullable": true, "metadata": { "comment": "in euro" } },
    ]});
    NewTable {
        name: name.to_owned(),
        comment: None,
        schema_json: schema.to_string(),
        partition_columns: Vec::new(),
        properties: [("delta.appendOnly".to_owned(), "true".to_owned())].into(),
        version: Some(0),
        files,
    }
}

async fn ground(db: &Db) {
    let mut tx = db.write(&system(), Audit::of("accounts", "bootstrap")).await.unwrap();
    for (id, name, kind) in PEOPLE {
        tx.run(
            "INSERT INTO principal (id, kind, name, folded, created_at, updated_at) VALUES ($1, $2, $3, $4, 0, 0)",
            params![id, kind, name, fold(name)],
        )
        .await
        .unwrap();
        tx.run("INSERT INTO closure (member, principal) VALUES ($1, $1)", params![id]).await.unwrap();
    }
    for (member, group) in GROUPS {
        tx.run("INSERT INTO member (group_id, member_id) VALUES ($1, $2)", params![group, member]).await.unwrap();
        tx.run("INSERT INTO closure (member, principal) VALUES ($1, $2)", params![member, group]).await.unwrap();
    }
    tx.run(
        "INSERT INTO securable (id, kind, parent, name, folded, path, owner, created_at, created_by, updated_at, updated_by) \
         VALUES ($1, 'metastore', NULL, 'metastore', 'metastore', '', 1, 0, 'System user', 0, 'System user')",
        params![SecurableId::METASTORE],
    )
    .await
    .unwrap();
    tx.run("INSERT INTO setting (name, value) VALUES ('workspace_id', '77')", params![]).await.unwrap();
    tx.bump().await.unwrap();
    tx.commit().await.unwrap();
}

/// Every file and folder below a folder, with its content.
pub(crate) fn tree(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                open.push(path.clone());
                found.insert(path, Vec::new());
            } else if kind.is_file() {
                let content = std::fs::read(&path).unwrap_or_default();
                found.insert(path, content);
            }
        }
    }
    found
}
