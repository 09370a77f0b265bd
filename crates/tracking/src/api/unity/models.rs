//! `/models` and `/models/…/aliases`

use crannog_governance::api::unity::names::{browse_only, full_name, schema_name};
use crannog_governance::model::objects::Change;
use crannog_kit::{Empty, Json, Registry};
use crannog_security::actions::{metastore, models as actions, schemas};
use crannog_security::{Kind, NameOf};
use crannog_types::{Micros, Page, fold};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::unity;
use super::wire::{AliasInfo, ModelInfo, VersionInfo};
use crate::Tracking;
use crate::api::{endpoint, example_model};
use crate::service::registry::aliases::{self, Terms};
use crate::service::registry::models::{self, NewModel};
use crate::service::registry::{search, versions};

pub(super) fn endpoints(registry: &mut Registry, tracking: &Tracking) {
    let of = || tracking.clone();
    registry.add(ListModels(of()));
    registry.add(CreateModel(of()));
    registry.add(GetModel(of()));
    registry.add(UpdateModel(of()));
    registry.add(DeleteModel(of()));
    registry.add(SetModelAlias(of()));
    registry.add(DeleteModelAlias(of()));
    registry.add(GetVersionByAlias(of()));
    registry.add(ListAliasMoves(of()));
}

/// Of which schema, or of all, and which page.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ListModelsIn {
    /// The catalog; without it and a schema, models of all schemas.
    catalog_name: Option<String>,
    /// The schema.
    schema_name: Option<String>,
    /// How many at most: 0 for the server's page of 1000; all of them, when left out.
    #[schemars(range(min = 0))]
    max_results: Option<i64>,
    /// `next_page_token` of the page before, unchanged.
    page_token: Option<String>,
}

/// Models, by name.
#[derive(Serialize, JsonSchema)]
pub(super) struct ListModelsOut {
    registered_models: Vec<ModelInfo>,
    /// Of the next page; null on the last one.
    next_page_token: Option<String>,
}

/// A model that is wanted.
#[derive(Deserialize, JsonSchema)]
pub(super) struct CreateModelIn {
    /// The new model's name.
    #[schemars(length(min = 1, max = 255))]
    name: String,
    /// The catalog.
    #[schemars(length(min = 1, max = 255))]
    catalog_name: String,
    /// The schema.
    #[schemars(length(min = 1, max = 255))]
    schema_name: String,
    /// What it is for.
    comment: Option<String>,
}

/// Which model.
#[derive(Deserialize, JsonSchema)]
pub(super) struct GetModelIn {
    /// `catalog.schema.model`
    full_name: String,
    /// Whether its aliases are told too.
    include_aliases: Option<bool>,
}

/// What is to change; what is left out stays.
#[derive(Deserialize, JsonSchema)]
pub(super) struct UpdateModelIn {
    /// `catalog.schema.model`
    full_name: String,
    /// Its new name.
    #[schemars(length(min = 1, max = 255))]
    new_name: Option<String>,
    /// The new owner: a user, a service principal or a group.
    owner: Option<String>,
    /// What it is for.
    comment: Option<String>,
}

/// Which model.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ModelIn {
    /// `catalog.schema.model`
    full_name: String,
}

/// Where an alias is to point.
#[derive(Deserialize, JsonSchema)]
pub(super) struct SetModelAliasIn {
    /// `catalog.schema.model`
    full_name: String,
    /// The alias: letters, digits, `_` and `-`.
    alias: String,
    /// The version's number.
    #[schemars(range(min = 1))]
    version_num: i64,
    /// The version that it has to point at before, else nothing is changed; 0: it must point at none.
    #[schemars(range(min = 0))]
    expected_version: Option<i64>,
    /// Why, for its history.
    reason: Option<String>,
}

/// Which alias.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ModelAliasIn {
    /// `catalog.schema.model`
    full_name: String,
    /// The alias.
    alias: String,
    /// What it pointed at then, in milliseconds since 1970; left out: what it points at.
    #[schemars(range(min = 0))]
    as_of: Option<i64>,
    /// Whether the version's aliases are told too.
    include_aliases: Option<bool>,
}

/// Which alias.
#[derive(Deserialize, JsonSchema)]
pub(super) struct DeleteModelAliasIn {
    /// `catalog.schema.model`
    full_name: String,
    /// The alias.
    alias: String,
    /// The version that it has to point at before, else nothing is changed.
    #[schemars(range(min = 0))]
    expected_version: Option<i64>,
    /// Why, for its history.
    reason: Option<String>,
}

/// Which moves.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ListAliasMovesIn {
    /// `catalog.schema.model`
    full_name: String,
    /// Of this alias alone.
    alias: Option<String>,
    /// How many at most: 100, when left out.
    #[schemars(range(min = 1, max = 1000))]
    max_results: Option<i64>,
    /// `next_page_token` of the page before, unchanged.
    page_token: Option<String>,
}

/// Moves of aliases, the last first.
#[derive(Serialize, JsonSchema)]
pub(super) struct ListAliasMovesOut {
    moves: Vec<AliasMove>,
    /// Of the next page; null on the last one.
    next_page_token: Option<String>,
}

/// A move of an alias.
#[derive(Serialize, JsonSchema)]
pub(super) struct AliasMove {
    alias: String,
    /// What it points at since; null: it was taken away.
    #[schemars(range(min = 1))]
    version: Option<i64>,
    /// What it pointed at before; null: nothing.
    #[schemars(range(min = 1))]
    previous_version: Option<i64>,
    /// When, in milliseconds since 1970.
    moved_at: i64,
    moved_by: String,
    /// Why, as they said.
    reason: Option<String>,
}

fn terms(expected: Option<i64>, reason: Option<String>) -> Terms {
    Terms { expected: expected.map(|version| Some(version).filter(|version| *version != 0)), reason }
}

endpoint! {
    /// Lists models.
    ListModels: unity!(Get "", "List registered models.");
    metastore::Read, ListModelsIn => Json<ListModelsOut>;
    asks |_| Ok(NameOf::root());
    run |tracking, cx, permit, input| {
        let page = Page::of(input.max_results, input.page_token.as_deref())?;
        let caller = cx.caller()?;
        let mut schemas = match (&input.catalog_name, &input.schema_name) {
            (Some(catalog), Some(schema)) => {
                vec![caller.visible(crannog_security::ScopeOf::under(schema_name(catalog, schema)?)).await?]
            }
            _ => search::schemas(&tracking.db, caller, &permit).await?,
        };
        if let (Some(catalog), None) = (&input.catalog_name, &input.schema_name) {
            schemas.retain(|schema| schema.scope().name.parts().first().is_some_and(|name| fold(name) == fold(catalog)));
        }
        // A page goes on after `catalog.schema.model`, folded: schemas before that one are done, and so are its models up to it.
        let done = page.after.clone().unwrap_or_default();
        let (done_schema, done_model) = done.rsplit_once('.').unwrap_or_default();
        schemas.sort_by_key(|schema| fold(&schema.scope().name.to_string()));
        let mut found = Vec::new();
        for schema in &schemas {
            let name = fold(&schema.scope().name.to_string());
            if name.as_str() < done_schema {
                continue;
            }
            let after = (name == done_schema).then(|| done_model.to_owned());
            let models = models::list(&tracking.db, schema, &Page { after, limit: page.limit.map(|limit| limit + 1) }).await?;
            found.extend(models.rows);
            if i64::try_from(found.len()).unwrap_or(i64::MAX) >= page.fetch() {
                break;
            }
        }
        let cut = page.cut(found, |model| fold(&model.object.name.to_string()));
        let registered_models = cut.rows.into_iter().map(|model| ModelInfo::of(model, false, None)).collect();
        Ok(Json(ListModelsOut { registered_models, next_page_token: cut.next }))
    };
    example |fixture| json!({ "catalog_name": fixture.catalog, "schema_name": fixture.schema });
}

endpoint! {
    /// Registers a model.
    CreateModel: unity!(Post "", "Register a model.");
    schemas::CreateModel, CreateModelIn => Json<ModelInfo>;
    asks |input| Ok(NameOf::named(schema_name(&input.catalog_name, &input.schema_name)?));
    run |tracking, _, permit, input| {
        let comment = input.comment.filter(|comment| !comment.is_empty());
        let new = NewModel { name: input.name, comment, tags: Vec::new() };
        Ok(Json(ModelInfo::of(models::create(&tracking.db, &permit, &new).await?, true, Some(false))))
    };
    example |fixture| json!({ "name": "model_new", "catalog_name": fixture.catalog, "schema_name": fixture.schema });
}

endpoint! {
    /// Reads a model.
    GetModel: unity!(Get "/{full_name}", "Get a registered model.");
    actions::ReadMetadata, GetModelIn => Json<ModelInfo>;
    asks |input| Ok(NameOf::named(full_name(&input.full_name, 3)?));
    run |tracking, cx, permit, input| {
        let model = models::get(&tracking.db, &permit).await?;
        let browse_only = browse_only(cx, Kind::Model, &permit.target().name).await?;
        Ok(Json(ModelInfo::of(model, input.include_aliases.unwrap_or(false), Some(browse_only))))
    };
    example |fixture| json!({ "full_name": example_model(fixture) });
}

endpoint! {
    /// Changes a model.
    UpdateModel: unity!(Patch "/{full_name}", "Update a registered model.");
    actions::Manage, UpdateModelIn => Json<ModelInfo>;
    asks |input| Ok(NameOf::named(full_name(&input.full_name, 3)?));
    run |tracking, _, permit, input| {
        let change = Change { new_name: input.new_name, owner: input.owner, comment: input.comment, properties: None };
        Ok(Json(ModelInfo::of(models::update(&tracking.db, &permit, &change).await?, true, Some(false))))
    };
    example |fixture| json!({ "full_name": example_model(fixture), "comment": "changed by a test" });
}

endpoint! {
    /// Drops a model.
    DeleteModel: unity!(Delete "/{full_name}", "Delete a registered model with its versions.");
    actions::Manage, ModelIn => Empty;
    asks |input| Ok(NameOf::named(full_name(&input.full_name, 3)?));
    run |tracking, _, permit, _| models::delete(&tracking.db, &permit).await.map(|()| Empty);
    example |fixture| json!({ "full_name": example_model(fixture) });
}

endpoint! {
    /// Moves an alias.
    SetModelAlias: unity!(Put "/{full_name}/aliases/{alias}", "Point an alias at a version of a registered model.");
    actions::Manage, SetModelAliasIn => Json<AliasInfo>;
    asks |input| Ok(NameOf::named(full_name(&input.full_name, 3)?));
    run |tracking, _, permit, input| {
        let terms = terms(input.expected_version, input.reason);
        aliases::set(&tracking.db, &permit, &input.alias, input.version_num, &terms).await?;
        Ok(Json(AliasInfo::of(&permit.target().name, input.alias, input.version_num)))
    };
    example |fixture| json!({ "full_name": example_model(fixture), "alias": "challenger", "version_num": 1 });
}

endpoint! {
    /// Takes an alias away.
    DeleteModelAlias: unity!(Delete "/{full_name}/aliases/{alias}", "Delete an alias of a registered model.");
    actions::Manage, DeleteModelAliasIn => Empty;
    asks |input| Ok(NameOf::named(full_name(&input.full_name, 3)?));
    run |tracking, _, permit, input| {
        let terms = terms(input.expected_version, input.reason);
        match aliases::delete(&tracking.db, &permit, &input.alias, &terms).await? {
            true => Ok(Empty),
            false => Err(aliases::no_alias(&permit.target().name, &input.alias)),
        }
    };
    example |fixture| json!({ "full_name": example_model(fixture), "alias": "champion" });
}

endpoint! {
    /// Reads the version that an alias points at.
    GetVersionByAlias: unity!(Get "/{full_name}/aliases/{alias}", "Get the version that an alias points at, or pointed at at a time.");
    actions::ReadMetadata, ModelAliasIn => Json<VersionInfo>;
    asks |input| Ok(NameOf::named(full_name(&input.full_name, 3)?));
    run |tracking, _, permit, input| {
        let as_of = input.as_of.map(|millis| Micros(millis.saturating_mul(1000)));
        let found = aliases::find(&tracking.db, &permit, &input.alias, as_of).await?;
        let number = found.ok_or_else(|| aliases::no_alias(&permit.target().name, &input.alias))?;
        let version = versions::get(&tracking.db, &permit, number).await?;
        Ok(Json(VersionInfo::of(version, permit.target().id, input.include_aliases.unwrap_or(false))))
    };
    example |fixture| json!({ "full_name": example_model(fixture), "alias": "champion" });
}

endpoint! {
    /// Lists moves of aliases.
    ListAliasMoves: crannog_kit::Route::new(
        crannog_kit::Method::Get,
        "/api/2.0/crannog/models/{full_name}/alias-moves",
        crannog_kit::Dialect::Databricks,
        "List the moves of a model's aliases: who, when, why.",
    );
    actions::ReadMetadata, ListAliasMovesIn => Json<ListAliasMovesOut>;
    asks |input| Ok(NameOf::named(full_name(&input.full_name, 3)?));
    run |tracking, _, permit, input| {
        let most = input.max_results.unwrap_or(100).clamp(1, 1000);
        let before = match input.page_token.as_deref().filter(|token| !token.is_empty()) {
            Some(token) => Some(token.parse().map_err(|_| {
                crannog_types::Problem::invalid("page_token is not one of ours")
                    .hint("pass next_page_token of the previous answer, unchanged")
            })?),
            None => None,
        };
        let mut found = aliases::history(&tracking.db, &permit, input.alias.as_deref(), before, most + 1).await?;
        let more = i64::try_from(found.len()).unwrap_or(i64::MAX) > most;
        if more {
            found.pop();
        }
        let next_page_token = found.last().filter(|_| more).map(|(number, _)| number.to_string());
        let moves = found
            .into_iter()
            .map(|(_, moved)| AliasMove {
                alias: moved.alias,
                version: moved.version,
                previous_version: moved.previous,
                moved_at: moved.at.millis(),
                moved_by: moved.by,
                reason: moved.reason,
            })
            .collect();
        Ok(Json(ListAliasMovesOut { moves, next_page_token }))
    };
    example |fixture| json!({ "full_name": example_model(fixture), "alias": "champion" });
}
