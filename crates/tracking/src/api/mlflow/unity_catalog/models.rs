//! `/unity-catalog/registered-models`

use crannog_governance::model::objects::Change;
use crannog_kit::{Body, Empty, Json, Registry};
use crannog_security::NameOf;
use crannog_security::actions::{metastore, models as actions, schemas};
use crannog_types::FullName;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::wire::{OneUnityModelOut, OneUnityVersionOut, UnityModelOut};
use super::{model_name, uc};
use crate::Tracking;
use crate::api::mlflow::inputs::inputs;
use crate::api::mlflow::model_inputs::{
    CreateRegisteredModelIn, DeleteRegisteredModelAliasIn, RegisteredModelAliasIn, RegisteredModelIn,
    RegisteredModelTagIn, RegisteredModelTagKeyIn, SetRegisteredModelAliasIn, terms,
};
use crate::api::{endpoint, example_model};
use crate::model::experiments::Tag;
use crate::model::registry::number;
use crate::model::search::at_most;
use crate::service::Asked;
use crate::service::registry::aliases;
use crate::service::registry::models;
use crate::service::registry::{search, versions};

pub(super) fn endpoints(registry: &mut Registry, tracking: &Tracking) {
    let of = || tracking.clone();
    registry.add(CreateUnityModel(of()));
    registry.add(GetUnityModel(of()));
    registry.add(UpdateUnityModel(of()));
    registry.add(DeleteUnityModel(of()));
    registry.add(SearchUnityModels(of()));
    registry.add(SetUnityModelTag(of()));
    registry.add(DeleteUnityModelTag(of()));
    registry.add(SetUnityModelAlias(of()));
    registry.add(DeleteUnityModelAlias(of()));
    registry.add(GetUnityVersionByAlias(of()));
    registry.add(UsesFilesForModels(of()));
}

inputs! {
    /// What is to change; what is left out stays.
    pub(super) struct UpdateUnityModelIn {
        /// `catalog.schema.model`
        name: String = required,
        /// Its new name, in the same schema.
        new_name: Option<String>,
        /// What it is for.
        description: Option<String>,
    }
    /// Which page.
    pub(super) struct SearchUnityModelsIn {
        /// How many at most: 100, when left out.
        #[schemars(range(min = 1, max = 1000))]
        max_results: Option<i64>,
        /// `next_page_token` of the page before.
        page_token: String,
    }
    /// Nothing.
    pub(super) struct UnityNothingIn {}
}

/// Models.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct SearchUnityModelsOut {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    registered_models: Vec<UnityModelOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// Whether.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct UsesFilesForModelsOut {
    is_databricks_sdk_models_artifact_repository_enabled: bool,
}

endpoint! {
    /// Registers a model.
    CreateUnityModel: uc!(Post "registered-models/create", "Register a model in Unity Catalog.");
    schemas::CreateModel, CreateRegisteredModelIn => Json<OneUnityModelOut>;
    asks |input| {
        let name = model_name(&input.name)?;
        Ok(NameOf::named(FullName::of(name.parts()[..2].to_vec())))
    };
    run |tracking, _, permit, input| {
        let name = model_name(&input.name)?.last().to_owned();
        let new = input.new_model(name);
        Ok(OneUnityModelOut::of(models::create(&tracking.db, &permit, &new).await?))
    };
    example |fixture| json!({ "name": format!("{}.{}.model_new", fixture.catalog, fixture.schema) });
}

endpoint! {
    /// Reads a model.
    GetUnityModel: uc!(Get "registered-models/get", "Get a model of Unity Catalog.");
    actions::ReadMetadata, RegisteredModelIn => Json<OneUnityModelOut>;
    asks |input| Ok(NameOf::named(model_name(&input.name)?));
    run |tracking, _, permit, _| Ok(OneUnityModelOut::of(models::get(&tracking.db, &permit).await?));
    example |fixture| json!({ "name": example_model(fixture) });
}

endpoint! {
    /// Changes a model.
    UpdateUnityModel: uc!(Patch "registered-models/update", "Rename a model of Unity Catalog, or say what it is for.");
    actions::Manage, UpdateUnityModelIn => Json<OneUnityModelOut>;
    asks |input| Ok(NameOf::named(model_name(&input.name)?));
    run |tracking, _, permit, input| {
        let new_name = match input.new_name.filter(|name| !name.is_empty()) {
            Some(name) => Some(super::renamed(permit.target(), &name)?),
            None => None,
        };
        let change = Change { new_name, comment: input.description, ..Change::default() };
        Ok(OneUnityModelOut::of(models::update(&tracking.db, &permit, &change).await?))
    };
    example |fixture| json!({ "name": example_model(fixture), "description": "was it late?" });
}

endpoint! {
    /// Drops a model.
    DeleteUnityModel: uc!(Delete "registered-models/delete", "Delete a model of Unity Catalog with its versions.").body(Body::Json);
    actions::Manage, RegisteredModelIn => Empty;
    asks |input| Ok(NameOf::named(model_name(&input.name)?));
    run |tracking, _, permit, _| models::delete(&tracking.db, &permit).await.map(|()| Empty);
    example |fixture| json!({ "name": example_model(fixture) });
}

endpoint! {
    /// Lists models.
    SearchUnityModels: uc!(Get "registered-models/search", "List the models of Unity Catalog.");
    metastore::Read, SearchUnityModelsIn => Json<SearchUnityModelsOut>;
    asks |_| Ok(NameOf::root());
    run |tracking, cx, permit, input| {
        let seen = search::schemas(&tracking.db, cx.caller()?, &permit).await?;
        let asked = Asked {
            filter: "",
            order_by: &[],
            max_results: at_most(input.max_results.unwrap_or(100), 1000)?,
            page_token: &input.page_token,
        };
        let (found, next_page_token) = search::find_models(&tracking.db, &seen, &asked).await?;
        let registered_models = found.into_iter().map(UnityModelOut::from).collect();
        Ok(Json(SearchUnityModelsOut { registered_models, next_page_token }))
    };
    example |_| json!({ "max_results": 1000 });
}

endpoint! {
    /// Sets a tag.
    SetUnityModelTag: uc!(Post "registered-models/set-tag", "Set a tag of a model of Unity Catalog.");
    actions::Tag, RegisteredModelTagIn => Empty;
    asks |input| Ok(NameOf::named(model_name(&input.name)?));
    run |tracking, _, permit, input| {
        models::set_tag(&tracking.db, &permit, &Tag { key: input.key, value: input.value }).await.map(|()| Empty)
    };
    example |fixture| json!({ "name": example_model(fixture), "key": "team", "value": "maps" });
}

endpoint! {
    /// Deletes a tag.
    DeleteUnityModelTag: uc!(Delete "registered-models/delete-tag", "Delete a tag of a model of Unity Catalog.").body(Body::Json);
    actions::Tag, RegisteredModelTagKeyIn => Empty;
    asks |input| Ok(NameOf::named(model_name(&input.name)?));
    run |tracking, _, permit, input| models::delete_tag(&tracking.db, &permit, &input.key).await.map(|()| Empty);
    example |fixture| json!({ "name": example_model(fixture), "key": "color" });
}

endpoint! {
    /// Moves an alias.
    SetUnityModelAlias: uc!(Post "registered-models/alias", "Point an alias at a version of a model of Unity Catalog.");
    actions::Manage, SetRegisteredModelAliasIn => Empty;
    asks |input| Ok(NameOf::named(model_name(&input.name)?));
    run |tracking, _, permit, input| {
        let terms = terms(input.expected_version, input.reason);
        aliases::set(&tracking.db, &permit, &input.alias, number(&input.version)?, &terms).await.map(|()| Empty)
    };
    example |fixture| json!({ "name": example_model(fixture), "alias": "challenger", "version": "1" });
}

endpoint! {
    /// Takes an alias away.
    DeleteUnityModelAlias: uc!(Delete "registered-models/alias", "Delete an alias of a model of Unity Catalog.").body(Body::Json);
    actions::Manage, DeleteRegisteredModelAliasIn => Empty;
    asks |input| Ok(NameOf::named(model_name(&input.name)?));
    run |tracking, _, permit, input| {
        let terms = terms(input.expected_version, input.reason);
        aliases::delete(&tracking.db, &permit, &input.alias, &terms).await.map(|_| Empty)
    };
    example |fixture| json!({ "name": example_model(fixture), "alias": "champion" });
}

endpoint! {
    /// Reads the version that an alias points at.
    GetUnityVersionByAlias: uc!(Get "registered-models/alias", "Get the version that an alias of a model of Unity Catalog points at.");
    actions::ReadMetadata, RegisteredModelAliasIn => Json<OneUnityVersionOut>;
    asks |input| Ok(NameOf::named(model_name(&input.name)?));
    run |tracking, _, permit, input| {
        let found = aliases::find(&tracking.db, &permit, &input.alias, input.time()).await?;
        let number = found.ok_or_else(|| aliases::no_alias(&permit.target().name, &input.alias))?;
        Ok(OneUnityVersionOut::of(versions::get(&tracking.db, &permit, number).await?))
    };
    example |fixture| json!({ "name": example_model(fixture), "alias": "champion" });
}

endpoint! {
    /// Says that files of models go through the Files API.
    UsesFilesForModels: uc!(Get "registered-models:is-databricks-sdk-models-artifact-repository-enabled", "Say that files of models go through the Files API.");
    metastore::Read, UnityNothingIn => Json<UsesFilesForModelsOut>;
    asks |_| Ok(NameOf::root());
    run |_tracking, _, _, _| Ok(Json(UsesFilesForModelsOut { is_databricks_sdk_models_artifact_repository_enabled: true }));
    example |_| json!({});
}
