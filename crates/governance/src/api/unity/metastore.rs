//! The metastore, and lists of what this server keeps none of yet but clients ask for in passing.

use crannog_kit::{Cx, Dialect, Endpoint, Fixture, Json, Method, Nothing, Route};
use crannog_security::actions::metastore;
use crannog_security::{NameOf, Permit};
use crannog_types::{Result, SecurableId};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::Governance;
use crate::service::metastore as service;

/// The catalog that short names are completed with where a client does not say.
const DEFAULT_CATALOG: &str = "main";

/// Says what this metastore is.
pub(crate) struct GetMetastoreSummary(pub(super) Governance);

/// What this metastore is.
#[derive(Serialize, JsonSchema)]
pub(crate) struct MetastoreSummary {
    metastore_id: String,
    global_metastore_id: String,
    name: &'static str,
    /// The new owner: a user, a service principal or a group.
    owner: Option<String>,
    cloud: &'static str,
    region: &'static str,
    privilege_model_version: &'static str,
    external_access_enabled: bool,
    delta_sharing_scope: &'static str,
    /// Must be left out: managed data is in the server's storage.
    storage_root: Option<String>,
    /// Milliseconds since 1970.
    created_at: i64,
    created_by: String,
    /// Milliseconds since 1970.
    updated_at: i64,
    updated_by: String,
}

impl Endpoint for GetMetastoreSummary {
    type Asks = metastore::Read;
    type In = Nothing;
    type Out = Json<MetastoreSummary>;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/api/2.1/unity-catalog/metastore_summary",
        Dialect::Unity,
        "Say what this metastore is.",
    );

    fn asks(&self, _: &Nothing) -> Result<NameOf<metastore::Read>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, permit: Permit<metastore::Read>, _: Nothing) -> Result<Json<MetastoreSummary>> {
        let root = service::get(&self.0.db, &permit).await?;
        let id = SecurableId::METASTORE.to_string();
        Ok(Json(MetastoreSummary {
            global_metastore_id: format!("local:local:{id}"),
            metastore_id: id,
            name: "metastore",
            owner: Some(root.owner),
            cloud: "local",
            region: "local",
            privilege_model_version: "1.0",
            external_access_enabled: true,
            delta_sharing_scope: "INTERNAL",
            storage_root: None,
            created_at: root.created_at.millis(),
            created_by: root.created_by,
            updated_at: root.updated_at.millis(),
            updated_by: root.updated_by,
        }))
    }

    fn example(_: &Fixture) -> Value {
        json!({})
    }
}

/// Says which metastore this workspace has.
pub(crate) struct GetCurrentMetastoreAssignment(pub(super) Governance);

/// This workspace's metastore.
#[derive(Serialize, JsonSchema)]
pub(crate) struct MetastoreAssignment {
    /// The decimal id of this workspace.
    workspace_id: i64,
    metastore_id: String,
    default_catalog_name: &'static str,
}

impl Endpoint for GetCurrentMetastoreAssignment {
    type Asks = metastore::Read;
    type In = Nothing;
    type Out = Json<MetastoreAssignment>;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/api/2.1/unity-catalog/current-metastore-assignment",
        Dialect::Unity,
        "Say which metastore this workspace has.",
    );

    fn asks(&self, _: &Nothing) -> Result<NameOf<metastore::Read>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, permit: Permit<metastore::Read>, _: Nothing) -> Result<Json<MetastoreAssignment>> {
        Ok(Json(MetastoreAssignment {
            workspace_id: service::workspace_id(&self.0.db, &permit).await?,
            metastore_id: SecurableId::METASTORE.to_string(),
            default_catalog_name: DEFAULT_CATALOG,
        }))
    }

    fn example(_: &Fixture) -> Value {
        json!({})
    }
}

/// Says which catalog short names are completed with. DuckDB asks before anything else.
pub(crate) struct GetDefaultNamespace;

/// A setting that holds the name of a catalog.
#[derive(Serialize, JsonSchema)]
pub(crate) struct DefaultNamespaceSetting {
    namespace: StringMessage,
    setting_name: &'static str,
    etag: &'static str,
}

/// A text in a setting.
#[derive(Serialize, JsonSchema)]
pub(crate) struct StringMessage {
    value: &'static str,
}

impl Endpoint for GetDefaultNamespace {
    type Asks = metastore::Read;
    type In = Nothing;
    type Out = Json<DefaultNamespaceSetting>;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/api/2.0/settings/types/default_namespace_ws/names/default",
        Dialect::Databricks,
        "Say which catalog short names are completed with.",
    );

    fn asks(&self, _: &Nothing) -> Result<NameOf<metastore::Read>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, _: Permit<metastore::Read>, _: Nothing) -> Result<Json<DefaultNamespaceSetting>> {
        Ok(Json(DefaultNamespaceSetting {
            namespace: StringMessage { value: DEFAULT_CATALOG },
            setting_name: "default",
            etag: "1",
        }))
    }

    fn example(_: &Fixture) -> Value {
        json!({})
    }
}

/// Lists functions: there are none yet.
pub(crate) struct ListFunctions;

/// No functions.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ListFunctionsOut {
    functions: Vec<String>,
    /// Of the next page; null on the last one.
    next_page_token: Option<String>,
}

impl Endpoint for ListFunctions {
    type Asks = metastore::Read;
    type In = Nothing;
    type Out = Json<ListFunctionsOut>;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/api/2.1/unity-catalog/functions",
        Dialect::Unity,
        "List functions; there are none yet.",
    );

    fn asks(&self, _: &Nothing) -> Result<NameOf<metastore::Read>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, _: Permit<metastore::Read>, _: Nothing) -> Result<Json<ListFunctionsOut>> {
        Ok(Json(ListFunctionsOut { functions: Vec::new(), next_page_token: None }))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "catalog_name": fixture.catalog, "schema_name": fixture.schema })
    }
}
