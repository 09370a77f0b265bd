//! `/api/2.0/sql/warehouses`.

use crannog_kit::{Cx, Dialect, Empty, Endpoint, Fixture, Json, Method, Nothing, Registry, Route};
use crannog_security::actions::{metastore, warehouses as verbs};
use crannog_security::{List, NameOf, Permit, ScopeOf, Visible};
use crannog_store::Db;
use crannog_types::{FullName, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::service::warehouses::{self, Wanted, Warehouse};

pub(in crate::api) fn endpoints(registry: &mut Registry, db: &Db) {
    registry.add(ListWarehouses(db.clone()));
    registry.add(GetWarehouse(db.clone()));
    registry.add(CreateWarehouse(db.clone()));
    registry.add(EditWarehouse(db.clone()));
    registry.add(StartWarehouse(db.clone()));
    registry.add(StopWarehouse(db.clone()));
    registry.add(DeleteWarehouse(db.clone()));
}

#[derive(Serialize, JsonSchema)]
struct WarehouseInfo {
    id: String,
    name: String,
    cluster_size: String,
    state: &'static str,
    creator_name: String,
    warehouse_type: &'static str,
    enable_serverless_compute: bool,
    /// 1 while it runs, else 0.
    num_clusters: i64,
    /// Always 0: there are no sessions.
    num_active_sessions: i64,
    jdbc_url: String,
    odbc_params: Value,
    health: Value,
    #[serde(flatten)]
    settings: Map<String, Value>,
}

#[derive(Serialize, JsonSchema)]
struct WarehouseList {
    warehouses: Vec<WarehouseInfo>,
}

#[derive(Serialize, JsonSchema)]
struct WarehouseMade {
    id: String,
}

fn info(cx: &Cx, warehouse: Warehouse) -> WarehouseInfo {
    let state = if warehouse.running { "RUNNING" } else { "STOPPED" };
    let host = cx.base_url().split("://").nth(1).unwrap_or_default();
    let (name, port) = host.rsplit_once(':').unwrap_or((host, "443"));
    let path = format!("/sql/1.0/warehouses/{}", warehouse.id);
    let mut settings = warehouse.settings;
    for (key, value) in [
        ("auto_stop_mins", json!(0)),
        ("min_num_clusters", json!(1)),
        ("max_num_clusters", json!(1)),
        ("spot_instance_policy", json!("COST_OPTIMIZED")),
        ("enable_photon", json!(false)),
        ("channel", json!({ "name": "CHANNEL_NAME_CURRENT" })),
        ("tags", json!({ "custom_tags": [] })),
    ] {
        settings.entry(key).or_insert(value);
    }
    for made in ["id", "name", "cluster_size", "state", "creator_name", "warehouse_type", "enable_serverless_compute"] {
        settings.remove(made);
    }
    WarehouseInfo {
        jdbc_url: format!("jdbc:databricks://{host}/default;transportMode=http;httpPath={path}"),
        odbc_params: json!({ "hostname": name, "path": path, "protocol": "https", "port": port.parse::<i64>().unwrap_or(443) }),
        health: json!({ "status": "HEALTHY" }),
        id: warehouse.id,
        name: warehouse.name,
        cluster_size: warehouse.size,
        state,
        creator_name: warehouse.creator,
        warehouse_type: "PRO",
        enable_serverless_compute: false,
        num_clusters: i64::from(warehouse.running),
        num_active_sessions: 0,
        settings,
    }
}

#[derive(Deserialize, JsonSchema)]
struct ById {
    /// The warehouse's id.
    id: String,
}

#[derive(Deserialize, JsonSchema)]
struct Settings {
    /// The warehouse's id, where one is changed.
    id: Option<String>,
    /// Its name, unlike any other's.
    #[schemars(length(min = 1, max = 255))]
    name: Option<String>,
    /// Kept for clients: `2X-Small` to `4X-Large`.
    cluster_size: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Settings {
    fn wanted(self) -> Wanted {
        Wanted { name: self.name, size: self.cluster_size, settings: self.rest }
    }
}

fn named(id: &str) -> FullName {
    FullName::of([id])
}

struct ListWarehouses(Db);

impl Endpoint for ListWarehouses {
    type Asks = List<verbs::View>;
    type In = Nothing;
    type Out = Json<WarehouseList>;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/api/2.0/sql/warehouses",
        Dialect::Databricks,
        "List the SQL warehouses that one may see.",
    );

    fn asks(&self, _: &Nothing) -> Result<ScopeOf<verbs::View>> {
        Ok(ScopeOf::root())
    }

    async fn run(&self, cx: &Cx, visible: Visible<verbs::View>, _: Nothing) -> Result<Json<WarehouseList>> {
        let found = warehouses::list(&self.0, &visible).await?;
        Ok(Json(WarehouseList { warehouses: found.into_iter().map(|one| info(cx, one)).collect() }))
    }

    fn example(_: &Fixture) -> Value {
        json!({})
    }
}

struct GetWarehouse(Db);

impl Endpoint for GetWarehouse {
    type Asks = verbs::View;
    type In = ById;
    type Out = Json<WarehouseInfo>;
    const ROUTE: Route =
        Route::new(Method::Get, "/api/2.0/sql/warehouses/{id}", Dialect::Databricks, "Read one SQL warehouse.");

    fn asks(&self, input: &ById) -> Result<NameOf<verbs::View>> {
        Ok(NameOf::named(named(&input.id)))
    }

    async fn run(&self, cx: &Cx, permit: Permit<verbs::View>, _: ById) -> Result<Json<WarehouseInfo>> {
        Ok(Json(info(cx, warehouses::get(&self.0, &permit).await?)))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "id": fixture.warehouse })
    }
}

struct CreateWarehouse(Db);

impl Endpoint for CreateWarehouse {
    type Asks = metastore::Administer;
    type In = Settings;
    type Out = Json<WarehouseMade>;
    const ROUTE: Route =
        Route::new(Method::Post, "/api/2.0/sql/warehouses", Dialect::Databricks, "Make an SQL warehouse.");

    fn asks(&self, _: &Settings) -> Result<NameOf<metastore::Administer>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, permit: Permit<metastore::Administer>, input: Settings) -> Result<Json<WarehouseMade>> {
        Ok(Json(WarehouseMade { id: warehouses::create(&self.0, &permit, &input.wanted()).await? }))
    }

    fn example(_: &Fixture) -> Value {
        json!({ "name": "warehouse_new", "cluster_size": "2X-Small" })
    }
}

macro_rules! manage {
    ($name:ident, $method:ident, $path:literal, $about:literal, $input:ty, |$db:ident, $permit:ident, $given:ident| $work:expr) => {
        struct $name(Db);

        impl Endpoint for $name {
            type Asks = verbs::Manage;
            type In = $input;
            type Out = Empty;
            const ROUTE: Route = Route::new(Method::$method, $path, Dialect::Databricks, $about);

            fn asks(&self, input: &$input) -> Result<NameOf<verbs::Manage>> {
                Ok(NameOf::named(named(input.id())))
            }

            async fn run(&self, _: &Cx, $permit: Permit<verbs::Manage>, $given: $input) -> Result<Empty> {
                let $db = &self.0;
                $work.await.map(|()| Empty)
            }

            fn example(fixture: &Fixture) -> Value {
                json!({ "id": fixture.warehouse })
            }
        }
    };
}

impl ById {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Settings {
    fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_default()
    }
}

manage!(
    EditWarehouse,
    Post,
    "/api/2.0/sql/warehouses/{id}/edit",
    "Change an SQL warehouse.",
    Settings,
    |db, permit, given| { async { warehouses::edit(db, &permit, &given.wanted()).await } }
);
manage!(
    StartWarehouse,
    Post,
    "/api/2.0/sql/warehouses/{id}/start",
    "Start an SQL warehouse.",
    ById,
    |db, permit, _given| { warehouses::run(db, &permit, true) }
);
manage!(
    StopWarehouse,
    Post,
    "/api/2.0/sql/warehouses/{id}/stop",
    "Stop an SQL warehouse.",
    ById,
    |db, permit, _given| { warehouses::run(db, &permit, false) }
);
manage!(
    DeleteWarehouse,
    Delete,
    "/api/2.0/sql/warehouses/{id}",
    "Delete an SQL warehouse.",
    ById,
    |db, permit, _given| { warehouses::delete(db, &permit) }
);
