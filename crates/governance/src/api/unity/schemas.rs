//! `/schemas`

use crannog_kit::{Cx, Dialect, Empty, Endpoint, Fixture, Json, Method, Route};
use crannog_security::actions::{catalogs, schemas as actions};
use crannog_security::{Kind, List, NameOf, Permit, ScopeOf, Visible};
use crannog_types::{Page, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::catalogs::no_storage_root;
use super::names::{browse_only, full_name};
use super::wire::SchemaInfo;
use crate::Governance;
use crate::model::objects::{Change, Properties};
use crate::service::containers::NewContainer;
use crate::service::schemas;

/// Lists the schemas of a catalog that the caller may see.
pub(crate) struct ListSchemas(pub(super) Governance);

/// Of which catalog, and which page.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ListSchemasIn {
    /// The catalog.
    #[schemars(length(min = 1, max = 255))]
    catalog_name: String,
    /// How many at most: 0 for the server's page of 1000; all of them, when left out.
    #[schemars(range(min = 0))]
    max_results: Option<i64>,
    /// `next_page_token` of the page before, unchanged.
    page_token: Option<String>,
}

/// Schemas.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ListSchemasOut {
    schemas: Vec<SchemaInfo>,
    /// Of the next page; null on the last one.
    next_page_token: Option<String>,
}

impl Endpoint for ListSchemas {
    type Asks = List<actions::ReadMetadata>;
    type In = ListSchemasIn;
    type Out = Json<ListSchemasOut>;
    const ROUTE: Route =
        Route::new(Method::Get, "/api/2.1/unity-catalog/schemas", Dialect::Unity, "List the schemas of a catalog.");

    fn asks(&self, input: &ListSchemasIn) -> Result<ScopeOf<actions::ReadMetadata>> {
        Ok(ScopeOf::under(full_name(&input.catalog_name, 1)?))
    }

    async fn run(
        &self,
        _: &Cx,
        visible: Visible<actions::ReadMetadata>,
        input: ListSchemasIn,
    ) -> Result<Json<ListSchemasOut>> {
        let page = Page::of(input.max_results, input.page_token.as_deref())?;
        let found = schemas::list(&self.0.db, &visible, &page).await?.map(|schema| SchemaInfo::of(schema, None));
        Ok(Json(ListSchemasOut { schemas: found.rows, next_page_token: found.next }))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "catalog_name": fixture.catalog, "max_results": 0 })
    }
}

/// Makes a schema.
pub(crate) struct CreateSchema(pub(super) Governance);

/// A schema that is wanted.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct CreateSchemaIn {
    /// The new schema's name.
    #[schemars(length(min = 1, max = 255))]
    name: String,
    /// The catalog.
    #[schemars(length(min = 1, max = 255))]
    catalog_name: String,
    /// What it is for.
    comment: Option<String>,
    /// Whatever the caller wants to keep with it.
    properties: Option<Properties>,
    /// Must be left out: managed data is in the server's storage.
    storage_root: Option<String>,
}

impl Endpoint for CreateSchema {
    type Asks = catalogs::CreateSchema;
    type In = CreateSchemaIn;
    type Out = Json<SchemaInfo>;
    const ROUTE: Route = Route::new(Method::Post, "/api/2.1/unity-catalog/schemas", Dialect::Unity, "Create a schema.");

    fn asks(&self, input: &CreateSchemaIn) -> Result<NameOf<catalogs::CreateSchema>> {
        Ok(NameOf::named(full_name(&input.catalog_name, 1)?))
    }

    async fn run(
        &self,
        _: &Cx,
        permit: Permit<catalogs::CreateSchema>,
        input: CreateSchemaIn,
    ) -> Result<Json<SchemaInfo>> {
        no_storage_root(input.storage_root.as_deref())?;
        let new =
            NewContainer { name: input.name, comment: input.comment, properties: input.properties.unwrap_or_default() };
        Ok(Json(SchemaInfo::of(schemas::create(&self.0.db, &permit, &new).await?, Some(false))))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "name": "schema_new", "catalog_name": fixture.catalog })
    }
}

/// One schema by full name.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct SchemaFullName {
    /// `catalog.schema`.
    full_name: String,
}

/// Reads a schema.
pub(crate) struct GetSchema(pub(super) Governance);

impl Endpoint for GetSchema {
    type Asks = actions::ReadMetadata;
    type In = SchemaFullName;
    type Out = Json<SchemaInfo>;
    const ROUTE: Route =
        Route::new(Method::Get, "/api/2.1/unity-catalog/schemas/{full_name}", Dialect::Unity, "Get a schema.");

    fn asks(&self, input: &SchemaFullName) -> Result<NameOf<actions::ReadMetadata>> {
        Ok(NameOf::named(full_name(&input.full_name, 2)?))
    }

    async fn run(&self, cx: &Cx, permit: Permit<actions::ReadMetadata>, _: SchemaFullName) -> Result<Json<SchemaInfo>> {
        let schema = schemas::get(&self.0.db, &permit).await?;
        let browse_only = browse_only(cx, Kind::Schema, &permit.target().name).await?;
        Ok(Json(SchemaInfo::of(schema, Some(browse_only))))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "full_name": format!("{}.{}", fixture.catalog, fixture.schema) })
    }
}

/// Changes a schema.
pub(crate) struct UpdateSchema(pub(super) Governance);

/// What is to change; what is left out stays.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct UpdateSchemaIn {
    /// `catalog.schema`.
    full_name: String,
    /// Its new name.
    #[schemars(length(min = 1, max = 255))]
    new_name: Option<String>,
    /// The new owner: a user, a service principal or a group.
    owner: Option<String>,
    /// What it is for.
    comment: Option<String>,
    /// Whatever the caller wants to keep with it.
    properties: Option<Properties>,
}

impl Endpoint for UpdateSchema {
    type Asks = actions::Manage;
    type In = UpdateSchemaIn;
    type Out = Json<SchemaInfo>;
    const ROUTE: Route =
        Route::new(Method::Patch, "/api/2.1/unity-catalog/schemas/{full_name}", Dialect::Unity, "Update a schema.");

    fn asks(&self, input: &UpdateSchemaIn) -> Result<NameOf<actions::Manage>> {
        Ok(NameOf::named(full_name(&input.full_name, 2)?))
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Manage>, input: UpdateSchemaIn) -> Result<Json<SchemaInfo>> {
        let change = Change {
            new_name: input.new_name,
            owner: input.owner,
            comment: input.comment,
            properties: input.properties,
        };
        Ok(Json(SchemaInfo::of(schemas::update(&self.0.db, &permit, &change).await?, Some(false))))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "full_name": format!("{}.{}", fixture.catalog, fixture.schema), "comment": "changed by a test" })
    }
}

/// Drops a schema.
pub(crate) struct DeleteSchema(pub(super) Governance);

/// Which, and whether with everything in it.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct DeleteSchemaIn {
    /// `catalog.schema`.
    full_name: String,
    /// Whether with everything in it; if not, it has to be empty.
    force: Option<bool>,
}

impl Endpoint for DeleteSchema {
    type Asks = actions::Manage;
    type In = DeleteSchemaIn;
    type Out = Empty;
    const ROUTE: Route =
        Route::new(Method::Delete, "/api/2.1/unity-catalog/schemas/{full_name}", Dialect::Unity, "Delete a schema.");

    fn asks(&self, input: &DeleteSchemaIn) -> Result<NameOf<actions::Manage>> {
        Ok(NameOf::named(full_name(&input.full_name, 2)?))
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Manage>, input: DeleteSchemaIn) -> Result<Empty> {
        schemas::delete(&self.0, &permit, input.force.unwrap_or(false)).await?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "full_name": format!("{}.{}", fixture.catalog, fixture.schema), "force": true })
    }
}
