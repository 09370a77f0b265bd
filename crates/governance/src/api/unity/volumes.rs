//! `/volumes`

use crannog_kit::{Cx, Dialect, Empty, Endpoint, Fixture, Json, Method, Route};
use crannog_security::actions::{metastore, schemas, volumes as actions};
use crannog_security::{Either, Kind, List, NameOf, Permit, Reference, ScopeOf, Visible};
use crannog_storage::Location;
use crannog_types::{Page, Problem, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::names::{browse_only, full_name, schema_name};
use super::wire::VolumeInfo;
use crate::Governance;
use crate::model::objects::Change;
use crate::service::volumes;

/// Lists the volumes of a schema that the caller may see.
pub(crate) struct ListVolumes(pub(super) Governance);

/// Of which schema, and which page.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ListVolumesIn {
    /// The catalog.
    #[schemars(length(min = 1, max = 255))]
    catalog_name: String,
    /// The schema.
    #[schemars(length(min = 1, max = 255))]
    schema_name: String,
    /// How many at most: 0 for the server's page of 1000; all of them, when left out.
    #[schemars(range(min = 0))]
    max_results: Option<i64>,
    /// `next_page_token` of the page before, unchanged.
    page_token: Option<String>,
}

/// Volumes.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ListVolumesOut {
    volumes: Vec<VolumeInfo>,
    /// Of the next page; null on the last one.
    next_page_token: Option<String>,
}

impl Endpoint for ListVolumes {
    type Asks = List<actions::ReadMetadata>;
    type In = ListVolumesIn;
    type Out = Json<ListVolumesOut>;
    const ROUTE: Route =
        Route::new(Method::Get, "/api/2.1/unity-catalog/volumes", Dialect::Unity, "List the volumes of a schema.");

    fn asks(&self, input: &ListVolumesIn) -> Result<ScopeOf<actions::ReadMetadata>> {
        Ok(ScopeOf::under(schema_name(&input.catalog_name, &input.schema_name)?))
    }

    async fn run(
        &self,
        cx: &Cx,
        visible: Visible<actions::ReadMetadata>,
        input: ListVolumesIn,
    ) -> Result<Json<ListVolumesOut>> {
        let page = Page::of(input.max_results, input.page_token.as_deref())?;
        let found = volumes::list(&self.0.db, &visible, &page).await?;
        let caller = cx.caller()?;
        // Who may open all of the schema is not asked volume by volume.
        let all = volumes::may_open(caller, &Reference::Id(Kind::Schema, visible.scope().id)).await?;
        let mut volumes = Vec::with_capacity(found.rows.len());
        for volume in found.rows {
            let may_open = all || volumes::may_open(caller, &Reference::Id(Kind::Volume, volume.object.id)).await?;
            volumes.push(VolumeInfo::of(volume, may_open, None));
        }
        Ok(Json(ListVolumesOut { volumes, next_page_token: found.next }))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "catalog_name": fixture.catalog, "schema_name": fixture.schema })
    }
}

/// Makes a volume. One at a place of its own is for administrators: reading through it is reading that place.
pub(crate) struct CreateVolume(pub(super) Governance);

/// A volume that is wanted.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct CreateVolumeIn {
    /// The new volume's name.
    #[schemars(length(min = 1, max = 255))]
    name: String,
    /// The catalog.
    #[schemars(length(min = 1, max = 255))]
    catalog_name: String,
    /// The schema.
    #[schemars(length(min = 1, max = 255))]
    schema_name: String,
    /// `MANAGED`, or `EXTERNAL` with a `storage_location`; when left out, what the location says.
    volume_type: Option<String>,
    /// Where the files of an external volume are: `file:///…` under an allowed folder.
    storage_location: Option<String>,
    /// What it is for.
    comment: Option<String>,
}

impl CreateVolumeIn {
    fn location(&self) -> Result<Option<&str>> {
        let location = self.storage_location.as_deref().filter(|location| !location.is_empty());
        let external = match self.volume_type.as_deref() {
            None => location.is_some(),
            Some(word) if word.eq_ignore_ascii_case("MANAGED") => false,
            Some(word) if word.eq_ignore_ascii_case("EXTERNAL") => true,
            Some(word) => {
                return Err(Problem::invalid(format!("volume_type is {word:?}")).hint("use MANAGED or EXTERNAL"));
            }
        };
        match (external, location) {
            (true, Some(location)) => Ok(Some(location)),
            (false, None) => Ok(None),
            (true, None) => Err(Problem::invalid("an external volume needs a storage_location")),
            (false, Some(_)) => Err(Problem::invalid("a managed volume has no storage_location")
                .hint("leave storage_location out, or say volume_type EXTERNAL")),
        }
    }
}

impl Endpoint for CreateVolume {
    type Asks = Either<schemas::CreateVolume, (schemas::CreateVolume, metastore::Administer)>;
    type In = CreateVolumeIn;
    type Out = Json<VolumeInfo>;
    const ROUTE: Route = Route::new(Method::Post, "/api/2.1/unity-catalog/volumes", Dialect::Unity, "Create a volume.");

    fn asks(
        &self,
        input: &CreateVolumeIn,
    ) -> Result<Either<NameOf<schemas::CreateVolume>, (NameOf<schemas::CreateVolume>, NameOf<metastore::Administer>)>>
    {
        let schema = NameOf::named(schema_name(&input.catalog_name, &input.schema_name)?);
        Ok(match input.location()? {
            None => Either::Left(schema),
            Some(_) => Either::Right((schema, NameOf::root())),
        })
    }

    async fn run(
        &self,
        _: &Cx,
        permits: Either<Permit<schemas::CreateVolume>, (Permit<schemas::CreateVolume>, Permit<metastore::Administer>)>,
        input: CreateVolumeIn,
    ) -> Result<Json<VolumeInfo>> {
        let (Either::Left(permit) | Either::Right((permit, _))) = permits;
        let location = input.location()?.map(Location::parse).transpose()?;
        if let Some(location) = &location {
            self.0.storage.check_external(location)?;
        }
        let comment = input.comment.as_deref().filter(|comment| !comment.is_empty());
        let made = volumes::create(&self.0, &permit, &input.name, comment, location.as_ref()).await?;
        Ok(Json(VolumeInfo::of(made, true, Some(false))))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({
            "name": "volume_new",
            "catalog_name": fixture.catalog,
            "schema_name": fixture.schema,
            "volume_type": "MANAGED",
        })
    }
}

/// One volume by full name, which this path calls `name`.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct VolumeFullName {
    /// `catalog.schema.volume`.
    name: String,
}

/// Reads a volume.
pub(crate) struct GetVolume(pub(super) Governance);

impl Endpoint for GetVolume {
    type Asks = actions::ReadMetadata;
    type In = VolumeFullName;
    type Out = Json<VolumeInfo>;
    const ROUTE: Route =
        Route::new(Method::Get, "/api/2.1/unity-catalog/volumes/{name}", Dialect::Unity, "Get a volume.");

    fn asks(&self, input: &VolumeFullName) -> Result<NameOf<actions::ReadMetadata>> {
        Ok(NameOf::named(full_name(&input.name, 3)?))
    }

    async fn run(&self, cx: &Cx, permit: Permit<actions::ReadMetadata>, _: VolumeFullName) -> Result<Json<VolumeInfo>> {
        let volume = volumes::get(&self.0.db, &permit).await?;
        let browse_only = browse_only(cx, Kind::Volume, &permit.target().name).await?;
        let may_open = volumes::may_open(cx.caller()?, &Reference::Id(Kind::Volume, permit.target().id)).await?;
        Ok(Json(VolumeInfo::of(volume, may_open, Some(browse_only))))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "name": format!("{}.{}.{}", fixture.catalog, fixture.schema, fixture.volume) })
    }
}

/// Changes a volume.
pub(crate) struct UpdateVolume(pub(super) Governance);

/// What is to change; what is left out stays.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct UpdateVolumeIn {
    /// `catalog.schema.volume`.
    name: String,
    /// Its new name.
    #[schemars(length(min = 1, max = 255))]
    new_name: Option<String>,
    /// The new owner: a user, a service principal or a group.
    owner: Option<String>,
    /// What it is for.
    comment: Option<String>,
}

impl Endpoint for UpdateVolume {
    type Asks = actions::Manage;
    type In = UpdateVolumeIn;
    type Out = Json<VolumeInfo>;
    const ROUTE: Route =
        Route::new(Method::Patch, "/api/2.1/unity-catalog/volumes/{name}", Dialect::Unity, "Update a volume.");

    fn asks(&self, input: &UpdateVolumeIn) -> Result<NameOf<actions::Manage>> {
        Ok(NameOf::named(full_name(&input.name, 3)?))
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Manage>, input: UpdateVolumeIn) -> Result<Json<VolumeInfo>> {
        let change = Change { new_name: input.new_name, owner: input.owner, comment: input.comment, properties: None };
        Ok(Json(VolumeInfo::of(volumes::update(&self.0.db, &permit, &change).await?, true, Some(false))))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({
            "name": format!("{}.{}.{}", fixture.catalog, fixture.schema, fixture.volume),
            "comment": "changed by a test",
        })
    }
}

/// Drops a volume.
pub(crate) struct DeleteVolume(pub(super) Governance);

impl Endpoint for DeleteVolume {
    type Asks = actions::Manage;
    type In = VolumeFullName;
    type Out = Empty;
    const ROUTE: Route =
        Route::new(Method::Delete, "/api/2.1/unity-catalog/volumes/{name}", Dialect::Unity, "Delete a volume.");

    fn asks(&self, input: &VolumeFullName) -> Result<NameOf<actions::Manage>> {
        Ok(NameOf::named(full_name(&input.name, 3)?))
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Manage>, _: VolumeFullName) -> Result<Empty> {
        volumes::delete(&self.0, &permit).await?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "name": format!("{}.{}.{}", fixture.catalog, fixture.schema, fixture.volume) })
    }
}
