//! `/registered-models`

use crannog_governance::model::objects::Change;
use crannog_kit::{Body, Empty, Json, Registry};
use crannog_security::NameOf;
use crannog_security::actions::{metastore, models as actions, schemas};
use crannog_types::{Code, FullName, Problem, Result};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::wire::{OnePlainModelOut, OnePlainVersionOut, PlainModelOut, PlainVersionOut, PlainVersionsOut};
use super::{by_name, check_name};
use crate::Tracking;
use crate::api::mlflow::inputs::inputs;
use crate::api::mlflow::model_inputs::{
    CreateRegisteredModelIn, DeleteRegisteredModelAliasIn, RegisteredModelAliasIn, RegisteredModelIn,
    RegisteredModelTagIn, RegisteredModelTagKeyIn, SetRegisteredModelAliasIn, terms,
};
use crate::api::mlflow::route;
use crate::api::{endpoint, example_model};
use crate::model::experiments::Tag;
use crate::model::registry::{check_alias, check_alias_name, full_name, number};
use crate::model::search::at_most;
use crate::service::Asked;
use crate::service::registry::aliases;
use crate::service::registry::models;
use crate::service::registry::{search, versions};

pub(super) fn endpoints(registry: &mut Registry, tracking: &Tracking) {
    let of = || tracking.clone();
    registry.add(CreateRegisteredModel(of()));
    registry.add(RenameRegisteredModel(of()));
    registry.add(UpdateRegisteredModel(of()));
    registry.add(DeleteRegisteredModel(of()));
    registry.add(GetRegisteredModel(of()));
    registry.add(SearchRegisteredModels(of()));
    registry.add(GetLatestVersions(of()));
    registry.add(GetLatestVersionsByGet(of()));
    registry.add(SetRegisteredModelTag(of()));
    registry.add(DeleteRegisteredModelTag(of()));
    registry.add(SetRegisteredModelAlias(of()));
    registry.add(DeleteRegisteredModelAlias(of()));
    registry.add(GetModelVersionByAlias(of()));
}

inputs! {
    /// A new name.
    pub(super) struct RenameRegisteredModelIn {
        /// The model's name.
        name: String = required,
        /// Its new name, in the same schema.
        new_name: String = required,
    }
    /// What is to change.
    pub(super) struct UpdateRegisteredModelIn {
        /// The model's name.
        name: String = required,
        /// What it is for; left out: nothing is said of it.
        description: String,
    }
    /// What is searched for.
    pub(super) struct SearchRegisteredModelsIn {
        /// Such as `name LIKE 'late%' AND tags.team = 'maps'`.
        filter: String,
        /// How many at most: 100, when left out.
        #[schemars(range(min = 1, max = 1000))]
        max_results: Option<i64>,
        /// Such as `name DESC`.
        order_by: Vec<String>,
        /// `next_page_token` of the page before.
        page_token: String,
    }
    /// Which versions.
    pub(super) struct LatestVersionsIn {
        /// The model's name.
        name: String = required,
        /// In which stages: all of them, when left out.
        stages: Vec<String>,
    }
}

/// Models.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct SearchRegisteredModelsOut {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    registered_models: Vec<PlainModelOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// The problem of a name that is taken, in MLflow's words.
fn taken(name: &str) -> impl FnOnce(Problem) -> Problem {
    move |problem| match problem.code() {
        Code::AlreadyExists => {
            Problem::new(Code::AlreadyExists, format!("Registered Model (name={name}) already exists."))
        }
        _ => problem,
    }
}

/// The last part of a model's new name.
///
/// # Errors
/// What no model is called; a name in another schema.
fn renamed(old: &FullName, name: &str) -> Result<String> {
    check_name("new_name", name)?;
    let new = full_name(name);
    if old.parts()[..2] != new.parts()[..2] {
        return Err(Problem::invalid(format!("a model stays in its schema: '{old}' cannot become '{new}'")));
    }
    Ok(new.last().to_owned())
}

endpoint! {
    /// Registers a model.
    CreateRegisteredModel: route!(Post "registered-models/create", "Register a model.");
    schemas::CreateModel, CreateRegisteredModelIn => Json<OnePlainModelOut>;
    asks |input| {
        check_name("name", &input.name)?;
        Ok(NameOf::named(FullName::of(full_name(&input.name).parts()[..2].to_vec())))
    };
    run |tracking, _, permit, input| {
        let name = full_name(&input.name).last().to_owned();
        let asked = input.name.clone();
        let new = input.new_model(name);
        let made = models::create(&tracking.db, &permit, &new).await.map_err(taken(&asked))?;
        Ok(OnePlainModelOut::of(made, Vec::new()))
    };
    example |fixture| json!({ "name": format!("{}.{}.model_new", fixture.catalog, fixture.schema) });
}

endpoint! {
    /// Renames a model.
    RenameRegisteredModel: route!(Post "registered-models/rename", "Rename a registered model.");
    actions::Manage, RenameRegisteredModelIn => Json<OnePlainModelOut>;
    asks |input| by_name(&input.name);
    run |tracking, _, permit, input| {
        let new_name = renamed(&permit.target().name, &input.new_name)?;
        let change = Change { new_name: Some(new_name), ..Change::default() };
        let changed = models::update(&tracking.db, &permit, &change).await.map_err(taken(&input.new_name))?;
        let mut latest = versions::latest(&tracking.db, &permit, &[]).await?;
        latest.iter_mut().for_each(|version| version.model = changed.object.name.clone());
        Ok(OnePlainModelOut::of(changed, latest))
    };
    example |fixture| json!({
        "name": example_model(fixture),
        "new_name": format!("{}.{}.model_new", fixture.catalog, fixture.schema),
    });
}

endpoint! {
    /// Says what a model is for.
    UpdateRegisteredModel: route!(Patch "registered-models/update", "Say what a registered model is for.");
    actions::Manage, UpdateRegisteredModelIn => Json<OnePlainModelOut>;
    asks |input| by_name(&input.name);
    run |tracking, _, permit, input| {
        let change = Change { comment: Some(input.description), ..Change::default() };
        let changed = models::update(&tracking.db, &permit, &change).await?;
        Ok(OnePlainModelOut::of(changed, versions::latest(&tracking.db, &permit, &[]).await?))
    };
    example |fixture| json!({ "name": example_model(fixture), "description": "was it late?" });
}

endpoint! {
    /// Drops a model.
    DeleteRegisteredModel: route!(Delete "registered-models/delete", "Delete a registered model with its versions.").body(Body::Json);
    actions::Manage, RegisteredModelIn => Empty;
    asks |input| by_name(&input.name);
    run |tracking, _, permit, _| models::delete(&tracking.db, &permit).await.map(|()| Empty);
    example |fixture| json!({ "name": example_model(fixture) });
}

endpoint! {
    /// Reads a model.
    GetRegisteredModel: route!(Get "registered-models/get", "Get a registered model.");
    actions::ReadMetadata, RegisteredModelIn => Json<OnePlainModelOut>;
    asks |input| by_name(&input.name);
    run |tracking, _, permit, _| {
        let found = models::get(&tracking.db, &permit).await?;
        Ok(OnePlainModelOut::of(found, versions::latest(&tracking.db, &permit, &[]).await?))
    };
    example |fixture| json!({ "name": example_model(fixture) });
}

endpoint! {
    /// Searches models.
    SearchRegisteredModels: route!(Get "registered-models/search", "Search registered models.");
    metastore::Read, SearchRegisteredModelsIn => Json<SearchRegisteredModelsOut>;
    asks |_| Ok(NameOf::root());
    run |tracking, cx, permit, input| {
        let seen = search::schemas(&tracking.db, cx.caller()?, &permit).await?;
        let asked = Asked {
            filter: &input.filter,
            order_by: &input.order_by,
            max_results: at_most(input.max_results.unwrap_or(100), 1000)?,
            page_token: &input.page_token,
        };
        let (found, next_page_token) = search::find_models_with_latest(&tracking.db, &seen, &asked).await?;
        let registered_models = found.into_iter().map(|(model, latest)| PlainModelOut::of(model, latest)).collect();
        Ok(Json(SearchRegisteredModelsOut { registered_models, next_page_token }))
    };
    example |_| json!({ "max_results": 1000 });
}

endpoint! {
    /// Reads the last version in each stage.
    GetLatestVersions: route!(Post "registered-models/get-latest-versions", "Get the last version of a model in each stage.").on_full_disk();
    actions::ReadMetadata, LatestVersionsIn => Json<PlainVersionsOut>;
    asks |input| by_name(&input.name);
    run |tracking, _, permit, input| {
        let found = versions::latest(&tracking.db, &permit, &input.stages).await?;
        let model_versions = found.into_iter().map(PlainVersionOut::from).collect();
        Ok(Json(PlainVersionsOut { model_versions, next_page_token: None }))
    };
    example |fixture| json!({ "name": example_model(fixture) });
}

endpoint! {
    /// Reads the last version in each stage.
    GetLatestVersionsByGet: route!(Get "registered-models/get-latest-versions", "Get the last version of a model in each stage.");
    actions::ReadMetadata, LatestVersionsIn => Json<PlainVersionsOut>;
    asks |input| by_name(&input.name);
    run |tracking, _, permit, input| {
        let found = versions::latest(&tracking.db, &permit, &input.stages).await?;
        let model_versions = found.into_iter().map(PlainVersionOut::from).collect();
        Ok(Json(PlainVersionsOut { model_versions, next_page_token: None }))
    };
    example |fixture| json!({ "name": example_model(fixture) });
}

endpoint! {
    /// Sets a tag.
    SetRegisteredModelTag: route!(Post "registered-models/set-tag", "Set a tag of a registered model.");
    actions::Tag, RegisteredModelTagIn => Empty;
    asks |input| by_name(&input.name);
    run |tracking, _, permit, input| {
        models::set_tag(&tracking.db, &permit, &Tag { key: input.key, value: input.value }).await.map(|()| Empty)
    };
    example |fixture| json!({ "name": example_model(fixture), "key": "team", "value": "maps" });
}

endpoint! {
    /// Deletes a tag.
    DeleteRegisteredModelTag: route!(Delete "registered-models/delete-tag", "Delete a tag of a registered model.").body(Body::Json);
    actions::Tag, RegisteredModelTagKeyIn => Empty;
    asks |input| by_name(&input.name);
    run |tracking, _, permit, input| models::delete_tag(&tracking.db, &permit, &input.key).await.map(|()| Empty);
    example |fixture| json!({ "name": example_model(fixture), "key": "color" });
}

endpoint! {
    /// Moves an alias.
    SetRegisteredModelAlias: route!(Post "registered-models/alias", "Point an alias at a version of a registered model.");
    actions::Manage, SetRegisteredModelAliasIn => Empty;
    asks |input| {
        check_alias(&input.alias)?;
        by_name(&input.name)
    };
    run |tracking, _, permit, input| {
        let terms = terms(input.expected_version, input.reason);
        aliases::set(&tracking.db, &permit, &input.alias, number(&input.version)?, &terms).await.map(|()| Empty)
    };
    example |fixture| json!({ "name": example_model(fixture), "alias": "challenger", "version": "1" });
}

endpoint! {
    /// Takes an alias away.
    DeleteRegisteredModelAlias: route!(Delete "registered-models/alias", "Delete an alias of a registered model.").body(Body::Json);
    actions::Manage, DeleteRegisteredModelAliasIn => Empty;
    asks |input| by_name(&input.name);
    run |tracking, _, permit, input| {
        check_alias_name(&input.alias)?;
        let terms = terms(input.expected_version, input.reason);
        aliases::delete(&tracking.db, &permit, &input.alias, &terms).await.map(|_| Empty)
    };
    example |fixture| json!({ "name": example_model(fixture), "alias": "champion" });
}

endpoint! {
    /// Reads the version that an alias points at.
    GetModelVersionByAlias: route!(Get "registered-models/alias", "Get the version that an alias points at, or pointed at at a time.");
    actions::ReadMetadata, RegisteredModelAliasIn => Json<OnePlainVersionOut>;
    asks |input| by_name(&input.name);
    run |tracking, _, permit, input| {
        check_alias_name(&input.alias)?;
        if input.alias.eq_ignore_ascii_case("latest") {
            let last = versions::latest(&tracking.db, &permit, &[]).await?.into_iter().max_by_key(|version| version.number);
            return last.map(OnePlainVersionOut::of).ok_or_else(|| {
                Problem::not_found(format!("Latest version not found for model {}.", input.name))
                    .reason("RESOURCE_DOES_NOT_EXIST")
            });
        }
        let number = aliases::find(&tracking.db, &permit, &input.alias, input.time()).await?;
        let number =
            number.ok_or_else(|| Problem::invalid(format!("Registered model alias {} not found.", input.alias)))?;
        Ok(OnePlainVersionOut::of(versions::get(&tracking.db, &permit, number).await?))
    };
    example |fixture| json!({ "name": example_model(fixture), "alias": "champion" });
}
