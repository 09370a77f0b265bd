//! `/catalogs`

use crannog_kit::{Cx, Dialect, Empty, Endpoint, Fixture, Json, Method, Route};
use crannog_security::actions::{catalogs as actions, metastore};
use crannog_security::{Kind, List, NameOf, Permit, ScopeOf, Visible};
use crannog_types::{Code, Page, Problem, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::names::{browse_only, full_name};
use super::wire::CatalogInfo;
use crate::Governance;
use crate::model::objects::{Change, Properties};
use crate::service::catalogs;
use crate::service::containers::NewContainer;

/// Lists the catalogs that the caller may see.
pub(crate) struct ListCatalogs(pub(super) Governance);

/// A page of a list below the root.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ListCatalogsIn {
    /// How many at most: 0 for the server's page of 1000; all of them, when left out.
    #[schemars(range(min = 0))]
    max_results: Option<i64>,
    /// `next_page_token` of the page before, unchanged.
    page_token: Option<String>,
}

/// Catalogs.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ListCatalogsOut {
    catalogs: Vec<CatalogInfo>,
    /// Of the next page; null on the last one.
    next_page_token: Option<String>,
}

impl Endpoint for ListCatalogs {
    type Asks = List<actions::ReadMetadata>;
    type In = ListCatalogsIn;
    type Out = Json<ListCatalogsOut>;
    const ROUTE: Route = Route::new(Method::Get, "/api/2.1/unity-catalog/catalogs", Dialect::Unity, "List catalogs.");

    fn asks(&self, _: &ListCatalogsIn) -> Result<ScopeOf<actions::ReadMetadata>> {
        Ok(ScopeOf::root())
    }

    async fn run(
        &self,
        _: &Cx,
        visible: Visible<actions::ReadMetadata>,
        input: ListCatalogsIn,
    ) -> Result<Json<ListCatalogsOut>> {
        let page = Page::of(input.max_results, input.page_token.as_deref())?;
        let found = catalogs::list(&self.0.db, &visible, &page).await?.map(|catalog| CatalogInfo::of(catalog, None));
        Ok(Json(ListCatalogsOut { catalogs: found.rows, next_page_token: found.next }))
    }

    fn example(_: &Fixture) -> Value {
        json!({ "max_results": 0 })
    }
}

/// Makes a catalog.
pub(crate) struct CreateCatalog(pub(super) Governance);

/// A catalog that is wanted.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct CreateCatalogIn {
    /// The new catalog's name.
    #[schemars(length(min = 1, max = 255))]
    name: String,
    /// What it is for.
    comment: Option<String>,
    /// Whatever the caller wants to keep with it.
    properties: Option<Properties>,
    /// Must be left out: managed data is in the server's storage.
    storage_root: Option<String>,
}

impl Endpoint for CreateCatalog {
    type Asks = metastore::CreateCatalog;
    type In = CreateCatalogIn;
    type Out = Json<CatalogInfo>;
    const ROUTE: Route =
        Route::new(Method::Post, "/api/2.1/unity-catalog/catalogs", Dialect::Unity, "Create a catalog.");

    fn asks(&self, _: &CreateCatalogIn) -> Result<NameOf<metastore::CreateCatalog>> {
        Ok(NameOf::root())
    }

    async fn run(
        &self,
        _: &Cx,
        permit: Permit<metastore::CreateCatalog>,
        input: CreateCatalogIn,
    ) -> Result<Json<CatalogInfo>> {
        no_storage_root(input.storage_root.as_deref())?;
        let new =
            NewContainer { name: input.name, comment: input.comment, properties: input.properties.unwrap_or_default() };
        Ok(Json(CatalogInfo::of(catalogs::create(&self.0.db, &permit, &new).await?, Some(false))))
    }

    fn example(_: &Fixture) -> Value {
        json!({ "name": "catalog_new", "comment": "made by a test" })
    }
}

/// Catalogs and schemas keep managed data in the server's own folder.
pub(super) fn no_storage_root(given: Option<&str>) -> Result<()> {
    match given {
        None | Some("") => Ok(()),
        Some(_) => Err(Problem::new(Code::Unimplemented, "storage_root cannot be set yet")
            .hint("leave it out: managed data is kept in the server's storage")),
    }
}

/// One catalog by name.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct CatalogName {
    /// The catalog's name.
    #[schemars(length(min = 1, max = 255))]
    name: String,
}

/// Reads a catalog.
pub(crate) struct GetCatalog(pub(super) Governance);

impl Endpoint for GetCatalog {
    type Asks = actions::ReadMetadata;
    type In = CatalogName;
    type Out = Json<CatalogInfo>;
    const ROUTE: Route =
        Route::new(Method::Get, "/api/2.1/unity-catalog/catalogs/{name}", Dialect::Unity, "Get a catalog.");

    fn asks(&self, input: &CatalogName) -> Result<NameOf<actions::ReadMetadata>> {
        Ok(NameOf::named(full_name(&input.name, 1)?))
    }

    async fn run(&self, cx: &Cx, permit: Permit<actions::ReadMetadata>, _: CatalogName) -> Result<Json<CatalogInfo>> {
        let catalog = catalogs::get(&self.0.db, &permit).await?;
        let browse_only = browse_only(cx, Kind::Catalog, &permit.target().name).await?;
        Ok(Json(CatalogInfo::of(catalog, Some(browse_only))))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "name": fixture.catalog })
    }
}

/// Changes a catalog.
pub(crate) struct UpdateCatalog(pub(super) Governance);

/// What is to change; what is left out stays.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct UpdateCatalogIn {
    /// The catalog's name.
    #[schemars(length(min = 1, max = 255))]
    name: String,
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

impl Endpoint for UpdateCatalog {
    type Asks = actions::Manage;
    type In = UpdateCatalogIn;
    type Out = Json<CatalogInfo>;
    const ROUTE: Route =
        Route::new(Method::Patch, "/api/2.1/unity-catalog/catalogs/{name}", Dialect::Unity, "Update a catalog.");

    fn asks(&self, input: &UpdateCatalogIn) -> Result<NameOf<actions::Manage>> {
        Ok(NameOf::named(full_name(&input.name, 1)?))
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Manage>, input: UpdateCatalogIn) -> Result<Json<CatalogInfo>> {
        let change = Change {
            new_name: input.new_name,
            owner: input.owner,
            comment: input.comment,
            properties: input.properties,
        };
        Ok(Json(CatalogInfo::of(catalogs::update(&self.0.db, &permit, &change).await?, Some(false))))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "name": fixture.catalog, "comment": "changed by a test" })
    }
}

/// Drops a catalog.
pub(crate) struct DeleteCatalog(pub(super) Governance);

/// Which, and whether with everything in it.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct DeleteCatalogIn {
    /// The catalog's name.
    #[schemars(length(min = 1, max = 255))]
    name: String,
    /// Whether with everything in it; if not, it has to be empty.
    force: Option<bool>,
}

impl Endpoint for DeleteCatalog {
    type Asks = actions::Manage;
    type In = DeleteCatalogIn;
    type Out = Empty;
    const ROUTE: Route =
        Route::new(Method::Delete, "/api/2.1/unity-catalog/catalogs/{name}", Dialect::Unity, "Delete a catalog.");

    fn asks(&self, input: &DeleteCatalogIn) -> Result<NameOf<actions::Manage>> {
        Ok(NameOf::named(full_name(&input.name, 1)?))
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Manage>, input: DeleteCatalogIn) -> Result<Empty> {
        catalogs::delete(&self.0, &permit, input.force.unwrap_or(false)).await?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "name": fixture.catalog, "force": true })
    }
}
