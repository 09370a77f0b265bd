//! A server with people on it, and objects in the place of those that the examples speak of.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use crannog_kit::Fixture;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::running::{Running, admin_token};

/// Something that can be granted on an object of the fixture, named by its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grant {
    /// A privilege of Unity Catalog.
    On(&'static str, &'static str),
    /// A level on the warehouse.
    Warehouse(&'static str),
    /// A level on the secret scope.
    Scope(&'static str),
    /// A level on the experiment.
    Experiment(&'static str),
    /// Membership in `admins`.
    Administrator,
}

impl Grant {
    /// What it is on, in the document's words.
    pub(super) fn on(self) -> String {
        let fixture = Fixture::documented();
        match self {
            Grant::On("metastore", _) | Grant::Administrator => String::new(),
            Grant::On("table", _) => fixture.table,
            Grant::On("volume", _) => fixture.volume,
            Grant::On("registered_model", _) => fixture.text("model").to_owned(),
            Grant::On(_, _) => fixture.catalog,
            Grant::Warehouse(_) => fixture.warehouse,
            Grant::Scope(_) => fixture.scope,
            Grant::Experiment(_) => fixture.text("experiment").to_owned(),
        }
    }
}

/// Somebody with a token.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) token: String,
}

/// What is sent.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) method: reqwest::Method,
    pub(super) path: String,
    pub(super) body: Option<(String, Vec<u8>)>,
}

/// What came back.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    pub(super) fn request_id(&self) -> String {
        self.headers.get("x-request-id").cloned().unwrap_or_default()
    }

    fn ok(self, what: &str) -> Value {
        assert!(self.status < 300, "{what}: {} {}", self.status, self.text);
        self.json()
    }
}

/// What stands in the place of a text of the document.
#[derive(Clone, Debug, Default)]
pub(super) struct Places(Vec<(String, String)>);

impl Places {
    fn put(&mut self, documented: &str, actual: impl Into<String>) {
        self.0.push((documented.to_owned(), actual.into()));
        self.0.sort_by_key(|(documented, _)| std::cmp::Reverse(documented.len()));
    }

    /// The text with all of them in place.
    pub(super) fn fill(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (documented, actual)| text.replace(documented, actual))
    }

    /// What is there in the place of a documented text.
    pub(super) fn get(&self, documented: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == documented).map(|(_, actual)| actual.as_str())
    }

    /// Objects that are not there, under names and ids of the same form; `only` these.
    pub(super) fn missing(&self, only: &[&str]) -> Places {
        let fixture = Fixture::documented();
        let values = fixture.values();
        let mut missing = self.clone();
        for (name, documented) in values.iter().filter(|(name, _)| only.contains(name)) {
            let Some(place) = missing.0.iter_mut().find(|(text, _)| text == documented) else { continue };
            place.1 = match *name {
                // Another place: nothing lies in the reversed one.
                "volume_url" => {
                    let reversed: String =
                        place.1.chars().rev().map(|one| if one == '/' { 'x' } else { one }).collect();
                    format!("file:///{}", &reversed[8..])
                }
                _ => other_than(&place.1),
            };
        }
        missing
    }

    /// A text that speaks of these objects as if it spoke of those.
    pub(super) fn renamed(&self, text: &str, those: &Places) -> String {
        let pairs = self.0.iter().filter_map(|(documented, actual)| Some((actual, those.get(documented)?)));
        pairs.fold(text.to_owned(), |text, (actual, other)| text.replace(actual.as_str(), other))
    }

    /// The names and ids of the objects that a text of the document speaks of.
    pub(super) fn named_in(&self, text: &str) -> Vec<String> {
        /// What goes by an id and by a name.
        const SAME: [(&str, &str); 5] = [
            ("experiment_name", "experiment"),
            ("user", "user_name"),
            ("service_principal", "application_id"),
            ("table_id", "table"),
            ("volume_id", "volume"),
        ];
        let fixture = Fixture::documented();
        let values = fixture.values();
        let mut spoken: Vec<&str> = values.keys().filter(|name| text.contains(values[*name])).copied().collect();
        let twins = SAME.iter().filter(|(id, _)| spoken.contains(id)).map(|(_, name)| *name).collect::<Vec<_>>();
        spoken.extend(twins);
        let free = ["_new"].into_iter().filter(|free| text.contains(free));
        let found =
            spoken.into_iter().map(|name| values[name]).chain(free).filter_map(|documented| self.get(documented));
        found.map(str::to_owned).collect()
    }
}

/// The same form with other letters and digits in the last places: UUIDs and numbers stay such.
fn other_than(text: &str) -> String {
    let mut left = 4;
    let swapped = text.chars().rev().map(|one| match one {
        '0'..='8' if left > 0 => {
            left -= 1;
            char::from(one as u8 + 1)
        }
        '9' if left > 0 => {
            left -= 1;
            '1'
        }
        _ => one,
    });
    swapped.collect::<Vec<_>>().into_iter().rev().collect()
}

/// The server and its people.
pub(super) struct World {
    server: Running,
    client: reqwest::Client,
    folder: TempDir,
    admins: String,
    next: AtomicUsize,
    pub(super) admin: Person,
    /// Whom things are granted to.
    pub(super) person: Person,
    /// Who is granted nothing.
    pub(super) stranger: Person,
}

impl World {
    pub(super) async fn start(database: Option<String>) -> World {
        let folder = tempfile::tempdir().unwrap();
        let outside = folder.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        let data = folder.path().join("data");
        let outside = outside.display().to_string();
        let mut arguments = vec!["--external-locations", outside.as_str(), "--trusted-proxies", "127.0.0.1"];
        if let Some(url) = &database {
            arguments.extend(["--database-url", url]);
        }
        let server = Running::with(&data, &arguments);
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        let token = admin_token(&data);
        let admin = Person { id: String::new(), name: "admin@localhost".to_owned(), token };
        let (person, stranger) = (admin.clone(), admin.clone());
        let mut world =
            World { server, client, folder, admins: String::new(), next: AtomicUsize::new(1), admin, person, stranger };
        world.person = world.somebody("person@example.com").await;
        world.stranger = world.somebody("stranger@example.com").await;
        let found = world.get("/api/2.0/preview/scim/v2/Groups?filter=displayName%20eq%20%22admins%22").await;
        world.admins = found["Resources"][0]["id"].as_str().unwrap().to_owned();
        world
    }

    async fn somebody(&self, name: &str) -> Person {
        let user = self.user(name).await;
        let path = "/api/2.0/token-management/on-behalf-of/tokens";
        let made = self.post(path, json!({ "user_name": name })).await;
        Person { id: user, name: name.to_owned(), token: text(&made["token_value"]) }
    }

    /// Sends a request, signed in or not.
    pub(super) async fn send(&self, token: Option<&str>, sent: &Sent, headers: &[(&str, &str)]) -> Answer {
        let mut request = self.client.request(sent.method.clone(), format!("{}{}", self.server.url, sent.path));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some((kind, body)) = &sent.body {
            request = request.header("content-type", kind).body(body.clone());
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let headers = response.headers().iter().filter(|(name, _)| *name != "date");
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()));
        let headers = headers.collect();
        let text = String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned();
        Answer { status, headers, text }
    }

    pub(super) async fn call(&self, who: &Person, method: &str, path: &str, body: Value) -> Answer {
        let body = (!body.is_null()).then(|| ("application/json".to_owned(), body.to_string().into_bytes()));
        let sent = Sent { method: method.parse().unwrap(), path: path.to_owned(), body };
        self.send(Some(&who.token), &sent, &[]).await
    }

    pub(super) async fn get(&self, path: &str) -> Value {
        self.call(&self.admin, "GET", path, Value::Null).await.ok(path)
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.call(&self.admin, "POST", path, body).await.ok(path)
    }

    pub(super) async fn sql(&self, statement: &str) -> Value {
        let asked = json!({ "statement": statement, "warehouse_id": self.warehouse().await, "wait_timeout": "50s" });
        let answer = self.post("/api/2.0/sql/statements", asked).await;
        assert_eq!(answer["status"]["state"], "SUCCEEDED", "{statement}: {answer}");
        answer
    }

    /// The warehouse that everybody may use.
    async fn warehouse(&self) -> String {
        let all = self.get("/api/2.0/sql/warehouses").await;
        let all = all["warehouses"].as_array().unwrap();
        text(&all.iter().find(|one| one["name"] == "default").unwrap()["id"])
    }

    async fn user(&self, name: &str) -> String {
        text(&self.post("/api/2.0/preview/scim/v2/Users", json!({ "userName": name })).await["id"])
    }

    async fn setup_code(&self, name: &str) -> String {
        let link = self.post("/api/2.0/crannog/setup-links", json!({ "user_name": name })).await;
        text(&link["setup_url"]).rsplit_once('=').unwrap().1.to_owned()
    }

    /// Sends a form as a page of the server does.
    fn form(path: &str, fields: &[(&str, &str)]) -> Sent {
        let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let body = fields.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect::<Vec<_>>().join("&");
        let body = Some(("application/x-www-form-urlencoded".to_owned(), body.into_bytes()));
        Sent { method: reqwest::Method::POST, path: path.to_owned(), body }
    }

    /// Where pages of the server come from.
    pub(super) fn origin(&self) -> &str {
        &self.server.url
    }

    /// New objects in the place of all that a text speaks of, and of what those are in.
    pub(super) async fn objects(&self, spoken: &str) -> Places {
        let fixture = Fixture::documented();
        let values = fixture.values();
        let wanted: BTreeSet<&str> =
            values.iter().filter(|(_, value)| spoken.contains(**value)).map(|(name, _)| *name).collect();
        let any = |names: &[&str]| names.iter().any(|name| wanted.contains(name));
        let n = self.next.fetch_add(1, Ordering::Relaxed) + 1000;
        let mut places = Places::default();
        places.put("_new", format!("_new{n}"));
        places.put("renamed", format!("renamed{n}"));
        let volume = any(&["volume", "volume_id", "volume_url", "upload_session", "part_secret"]);
        let table = any(&["table", "table_id"]);
        let model = any(&["model", "model_upload", "model_download"]);
        if volume || table || model || any(&["catalog", "schema"]) {
            let (catalog, schema) = (format!("{}{n}", values["catalog"]), format!("{}{n}", values["schema"]));
            self.post("/api/2.1/unity-catalog/catalogs", json!({ "name": catalog })).await;
            self.post("/api/2.1/unity-catalog/schemas", json!({ "name": schema, "catalog_name": catalog })).await;
            places.put(values["catalog"], &catalog);
            places.put(values["schema"], &schema);
            if table {
                self.table(&mut places, &values, &format!("{catalog}.{schema}"), n).await;
            }
            if volume {
                self.volume(&mut places, &values, &catalog, &schema, n).await;
            }
            if model {
                self.model(&mut places, &values, &catalog, &schema, n).await;
            }
        }
        if any(&["warehouse"]) {
            let made = self.post("/api/2.0/sql/warehouses", json!({ "name": format!("warehouse{n}") })).await;
            places.put(values["warehouse"], text(&made["id"]));
        }
        if any(&["scope", "secret_key", "scope_reader"]) {
            self.scope(&mut places, &values, n).await;
        }
        if any(&["user", "user_name", "password", "setup_code"]) {
            self.account(&mut places, &values, &wanted, n).await;
        }
        if any(&["group"]) {
            let made =
                self.post("/api/2.0/preview/scim/v2/Groups", json!({ "displayName": format!("group{n}") })).await;
            places.put(values["group"], text(&made["id"]));
        }
        if any(&["service_principal", "application_id", "client_secret", "client_secret_text"]) {
            let made = json!({ "displayName": format!("service{n}") });
            let made = self.post("/api/2.0/preview/scim/v2/ServicePrincipals", made).await;
            let id = text(&made["id"]);
            let path = format!("/api/2.0/accounts/servicePrincipals/{id}/credentials/secrets");
            let secret = self.post(&path, json!({})).await;
            places.put(values["service_principal"], id);
            places.put(values["application_id"], text(&made["applicationId"]));
            places.put(values["client_secret"], text(&secret["id"]));
            places.put(values["client_secret_text"], text(&secret["secret"]));
        }
        if any(&["token"]) {
            let made = self.call(&self.person, "POST", "/api/2.0/token/create", json!({ "comment": "spare" })).await;
            places.put(values["token"], text(&made.ok("token")["token_info"]["token_id"]));
        }
        if any(&["statement", "link_secret", "link_expires"]) {
            self.statement(&mut places, &values).await;
        }
        if any(&["experiment", "experiment_name", "deleted_experiment", "run", "logged_model"]) {
            self.experiment(&mut places, &values, n).await;
        }
        if any(&["external_location"]) {
            let folder: PathBuf = self.folder.path().join(format!("outside/{n}"));
            places.put(values["external_location"], format!("file://{}", folder.display()));
        }
        places
    }

    async fn table(&self, places: &mut Places, values: &BTreeMap<&str, &str>, schema: &str, n: usize) {
        let table = format!("{}{n}", values["table"]);
        self.sql(&format!("CREATE TABLE {schema}.{table} (id BIGINT)")).await;
        let made = self.get(&format!("/api/2.1/unity-catalog/tables/{schema}.{table}")).await;
        places.put(values["table"], table);
        places.put(values["table_id"], text(&made["table_id"]));
    }

    async fn volume(&self, places: &mut Places, values: &BTreeMap<&str, &str>, catalog: &str, schema: &str, n: usize) {
        let volume = format!("{}{n}", values["volume"]);
        let asked = json!({ "name": volume, "catalog_name": catalog, "schema_name": schema, "volume_type": "MANAGED" });
        let made = self.post("/api/2.1/unity-catalog/volumes", asked).await;
        let root = format!("/Volumes/{catalog}/{schema}/{volume}");
        let admin = &self.admin;
        let put = |what: &str| format!("/api/2.0/fs/{what}");
        self.call(admin, "PUT", &put(&format!("files{root}/file.csv")), json!("a,b")).await.ok("file");
        self.call(admin, "PUT", &put(&format!("directories{root}/directory")), Value::Null).await.ok("directory");
        let begin = put(&format!("files{root}/large.csv?action=initiate-upload"));
        let session = text(&self.post(&begin, Value::Null).await["multipart_upload"]["session_token"]);
        let part = json!({ "path": format!("{root}/large.csv"), "session_token": session, "start_part_number": 1 });
        let part = self.post("/api/2.0/fs/create-upload-part-urls", part).await;
        let part = text(&part["upload_part_urls"][0]["url"]);
        places.put(values["volume"], volume);
        places.put(values["volume_id"], text(&made["volume_id"]));
        places.put(values["volume_url"], text(&made["storage_location"]));
        places.put(values["upload_session"], session);
        places.put(values["part_secret"], part.rsplit_once('/').unwrap().1);
    }

    async fn model(&self, places: &mut Places, values: &BTreeMap<&str, &str>, catalog: &str, schema: &str, n: usize) {
        let model = format!("{}{n}", values["model"]);
        let name = format!("{catalog}.{schema}.{model}");
        let mlflow = |path: &str| format!("/api/2.0/mlflow/unity-catalog/{path}");
        let file = |rest: &str| format!("Models/{catalog}/{schema}/{model}/{rest}");
        let tag = json!([{ "key": "color", "value": "blue" }]);
        self.post(&mlflow("registered-models/create"), json!({ "name": name, "tags": tag })).await;
        for _ in 0..2 {
            let version = json!({ "name": name, "source": "s3://somewhere/model", "tags": tag });
            self.post(&mlflow("model-versions/create"), version).await;
        }
        let put = format!("/api/2.0/fs/files/{}", file("1/MLmodel"));
        self.call(&self.admin, "PUT", &put, json!("flavors")).await.ok("file");
        self.post(&mlflow("model-versions/finalize"), json!({ "name": name, "version": "1" })).await;
        let alias = json!({ "name": name, "alias": "champion", "version": "1" });
        self.post(&mlflow("registered-models/alias"), alias).await;
        for (what, path, documented) in
            [("upload", "2/file_new.txt", "model_upload"), ("download", "1/MLmodel", "model_download")]
        {
            let made = json!({ "path": format!("/{}", file(path)) });
            let made = self.post(&format!("/api/2.0/fs/create-{what}-url"), made).await;
            places.put(values[documented], text(&made["url"]).rsplit_once('/').unwrap().1);
        }
        places.put(values["model"], model);
    }

    async fn experiment(&self, places: &mut Places, values: &BTreeMap<&str, &str>, n: usize) {
        let mlflow = |path: &str| format!("/api/2.0/mlflow/{path}");
        let tag = json!([{ "key": "color", "value": "blue" }]);
        let name = format!("{}{n}", values["experiment_name"]);
        let made = self.post(&mlflow("experiments/create"), json!({ "name": name, "tags": tag })).await;
        let id = text(&made["experiment_id"]);
        let run = self.post(&mlflow("runs/create"), json!({ "experiment_id": id, "tags": tag })).await;
        let run = text(&run["run"]["info"]["run_id"]);
        let point = json!({ "run_id": run, "key": "accuracy", "value": 0.5, "timestamp": 1 });
        self.post(&mlflow("runs/log-metric"), point).await;
        let dataset = json!({ "name": "flights-2024", "digest": "0a1b", "source_type": "http", "source": "{}" });
        let used = json!({ "run_id": run, "datasets": [{ "tags": [], "dataset": dataset }] });
        self.post(&mlflow("runs/log-inputs"), used).await;
        let file = format!("/api/2.0/mlflow-artifacts/artifacts/{id}/{run}/artifacts/notes.txt");
        self.call(&self.admin, "PUT", &file, json!("notes")).await.ok("file");
        let model = json!({ "experiment_id": id, "name": "late", "source_run_id": run, "tags": tag });
        let model = text(&self.post(&mlflow("logged-models"), model).await["model"]["info"]["model_id"]);
        let file = format!("/api/2.0/mlflow-artifacts/artifacts/{id}/models/{model}/artifacts/MLmodel");
        self.call(&self.admin, "PUT", &file, json!("flavors")).await.ok("file");
        let deleted = json!({ "name": format!("deleted-{name}") });
        let deleted = text(&self.post(&mlflow("experiments/create"), deleted).await["experiment_id"]);
        self.post(&mlflow("experiments/delete"), json!({ "experiment_id": deleted })).await;
        places.put(values["experiment"], id);
        places.put(values["experiment_name"], name);
        places.put(values["deleted_experiment"], deleted);
        places.put(values["run"], run);
        places.put(values["logged_model"], model);
    }

    async fn scope(&self, places: &mut Places, values: &BTreeMap<&str, &str>, n: usize) {
        let scope = format!("{}{n}", values["scope"]);
        let reader = format!("reader{n}@example.com");
        self.user(&reader).await;
        self.post("/api/2.0/secrets/scopes/create", json!({ "scope": scope })).await;
        let secret = json!({ "scope": scope, "key": values["secret_key"], "string_value": "secret" });
        self.post("/api/2.0/secrets/put", secret).await;
        let acl = json!({ "scope": scope, "principal": reader, "permission": "READ" });
        self.post("/api/2.0/secrets/acls/put", acl).await;
        places.put(values["scope"], scope);
        places.put(values["scope_reader"], reader);
    }

    async fn account(&self, places: &mut Places, values: &BTreeMap<&str, &str>, wanted: &BTreeSet<&str>, n: usize) {
        let name = format!("user{n}@example.com");
        places.put(values["user"], self.user(&name).await);
        places.put(values["user_name"], &name);
        if wanted.contains("password") {
            let (code, password) = (self.setup_code(&name).await, values["password"]);
            let form = Self::form("/setup", &[("code", &code), ("password", password), ("again", password)]);
            self.send(None, &form, &[("origin", self.origin())]).await.ok("password");
        }
        if wanted.contains("setup_code") {
            places.put(values["setup_code"], self.setup_code(&name).await);
        }
    }

    async fn statement(&self, places: &mut Places, values: &BTreeMap<&str, &str>) {
        let asked = json!({
            "statement": "SELECT 1",
            "warehouse_id": self.warehouse().await,
            "wait_timeout": "50s",
            "disposition": "EXTERNAL_LINKS",
            "format": "ARROW_STREAM",
        });
        let answer = self.call(&self.person, "POST", "/api/2.0/sql/statements", asked).await.ok("statement");
        let link = text(&answer["result"]["external_links"][0]["external_link"]);
        let mut parts = link.rsplit('/');
        places.put(values["statement"], text(&answer["statement_id"]));
        places.put(values["link_expires"], parts.next().unwrap());
        places.put(values["link_secret"], parts.next().unwrap());
    }

    /// Grants something to somebody, or takes it away.
    pub(super) async fn grant(&self, grant: Grant, places: &Places, who: &Person, give: bool) {
        let fixture = Fixture::documented();
        let place = |documented: &str| places.get(documented).unwrap_or_default().to_owned();
        let what = format!("{grant:?} for {}", who.name);
        match grant {
            Grant::On(kind, privilege) => {
                let (catalog, schema) = (place(&fixture.catalog), place(&fixture.schema));
                let name = match kind {
                    "metastore" => "metastore".to_owned(),
                    "catalog" => catalog,
                    "schema" => format!("{catalog}.{schema}"),
                    "table" => format!("{catalog}.{schema}.{}", place(&fixture.table)),
                    "registered_model" => format!("{catalog}.{schema}.{}", place(fixture.text("model"))),
                    _ => format!("{catalog}.{schema}.{}", place(&fixture.volume)),
                };
                let list = if give { "add" } else { "remove" };
                let change = json!({ "changes": [{ "principal": who.name, list: [privilege] }] });
                let path = format!("/api/2.1/unity-catalog/permissions/{kind}/{name}");
                self.call(&self.admin, "PATCH", &path, change).await.ok(&what);
            }
            Grant::Warehouse(level) => {
                let path = format!("/api/2.0/permissions/warehouses/{}", place(&fixture.warehouse));
                let (method, list) = match give {
                    true => ("PATCH", json!([{ "user_name": who.name, "permission_level": level }])),
                    false => ("PUT", json!([])),
                };
                self.call(&self.admin, method, &path, json!({ "access_control_list": list })).await.ok(&what);
            }
            Grant::Experiment(level) => {
                for experiment in ["experiment", "deleted_experiment"] {
                    let path = format!("/api/2.0/permissions/experiments/{}", place(fixture.text(experiment)));
                    let (method, list) = match give {
                        true => ("PATCH", json!([{ "user_name": who.name, "permission_level": level }])),
                        false => ("PUT", json!([])),
                    };
                    self.call(&self.admin, method, &path, json!({ "access_control_list": list })).await.ok(&what);
                }
            }
            Grant::Scope(level) => {
                let word = if give { "put" } else { "delete" };
                let acl = json!({ "scope": place(&fixture.scope), "principal": who.name, "permission": level });
                self.post(&format!("/api/2.0/secrets/acls/{word}"), acl).await;
            }
            Grant::Administrator => {
                let change = match give {
                    true => json!({ "op": "add", "value": { "members": [{ "value": who.id }] } }),
                    false => json!({ "op": "remove", "path": format!("members[value eq \"{}\"]", who.id) }),
                };
                let path = format!("/api/2.0/preview/scim/v2/Groups/{}", self.admins);
                self.call(&self.admin, "PATCH", &path, json!({ "Operations": [change] })).await.ok(&what);
            }
        }
    }

    /// Makes a user active or not.
    pub(super) async fn activate(&self, who: &Person, active: bool) {
        let change = json!({ "Operations": [{ "op": "replace", "path": "active", "value": active }] });
        let path = format!("/api/2.0/preview/scim/v2/Users/{}", who.id);
        self.call(&self.admin, "PATCH", &path, change).await.ok("active");
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}
