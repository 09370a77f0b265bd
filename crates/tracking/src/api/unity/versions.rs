//! `/models/…/versions`

use crannog_governance::api::unity::names::full_name;
use crannog_kit::{Empty, Json, Registry};
use crannog_security::NameOf;
use crannog_security::actions::models as actions;
use crannog_types::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::unity;
use super::wire::VersionInfo;
use crate::Tracking;
use crate::api::{endpoint, example_model};
use crate::model::registry::signature::{Changes, Column};
use crate::service::registry::versions;

pub(super) fn endpoints(registry: &mut Registry, tracking: &Tracking) {
    let of = || tracking.clone();
    registry.add(ListModelVersions(of()));
    registry.add(GetVersion(of()));
    registry.add(UpdateVersion(of()));
    registry.add(DeleteVersion(of()));
    registry.add(CompareSignature(of()));
}

/// Of which model, and which page.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ListModelVersionsIn {
    /// `catalog.schema.model`
    full_name: String,
    /// How many at most: 0, or left out, for the server's page of 1000.
    #[schemars(range(min = 0))]
    max_results: Option<i64>,
    /// `next_page_token` of the page before, unchanged.
    page_token: Option<String>,
}

/// Versions, by number.
#[derive(Serialize, JsonSchema)]
pub(super) struct ListModelVersionsOut {
    model_versions: Vec<VersionInfo>,
    /// Of the next page; null on the last one.
    next_page_token: Option<String>,
}

/// Which version.
#[derive(Deserialize, JsonSchema)]
pub(super) struct GetVersionIn {
    /// `catalog.schema.model`
    full_name: String,
    /// Its number.
    #[schemars(range(min = 1))]
    version: i64,
    /// Whether its aliases are told too.
    include_aliases: Option<bool>,
}

/// Which version.
#[derive(Deserialize, JsonSchema)]
pub(super) struct VersionIn {
    /// `catalog.schema.model`
    full_name: String,
    /// Its number.
    #[schemars(range(min = 1))]
    version: i64,
}

/// What is to change.
#[derive(Deserialize, JsonSchema)]
pub(super) struct UpdateVersionIn {
    /// `catalog.schema.model`
    full_name: String,
    /// Its number.
    #[schemars(range(min = 1))]
    version: i64,
    /// What it is.
    comment: Option<String>,
}

/// What a version takes and gives, and what changed.
#[derive(Serialize, JsonSchema)]
pub(super) struct CompareSignatureOut {
    /// What it takes and gives; null where its `MLmodel` does not say.
    signature: Option<SignatureInfo>,
    /// The last version before it that has a signature; null where there is none.
    #[schemars(range(min = 1))]
    compared_with: Option<i64>,
    /// Whether who calls that version can call this one as before; null where there is none.
    compatible: Option<bool>,
    /// What changed in what the model takes.
    inputs: Option<ChangesInfo>,
    /// What changed in what it gives.
    outputs: Option<ChangesInfo>,
    /// What changed in what may be said with each request.
    params: Option<ChangesInfo>,
}

/// A signature.
#[derive(Serialize, JsonSchema)]
pub(super) struct SignatureInfo {
    inputs: Vec<ColumnInfo>,
    outputs: Vec<ColumnInfo>,
    params: Vec<ColumnInfo>,
}

/// A column, a tensor or a parameter.
#[derive(Serialize, JsonSchema)]
pub(super) struct ColumnInfo {
    /// Its name; one without a name is called by its place, `0` for the first.
    name: String,
    /// `double`, `array<string>`, `tensor(float64, [-1,3])`.
    #[serde(rename = "type")]
    kind: String,
    /// Whether it has to be there.
    required: bool,
}

/// What changed.
#[derive(Serialize, JsonSchema)]
pub(super) struct ChangesInfo {
    added: Vec<ColumnInfo>,
    removed: Vec<ColumnInfo>,
    /// Those of another type, or needed where they were not.
    retyped: Vec<RetypedInfo>,
}

/// A column before and after.
#[derive(Serialize, JsonSchema)]
pub(super) struct RetypedInfo {
    before: ColumnInfo,
    after: ColumnInfo,
}

impl From<Column> for ColumnInfo {
    fn from(column: Column) -> Self {
        ColumnInfo { name: column.name, kind: column.kind, required: column.required }
    }
}

fn columns(columns: Vec<Column>) -> Vec<ColumnInfo> {
    columns.into_iter().map(ColumnInfo::from).collect()
}

impl From<Changes> for ChangesInfo {
    fn from(changes: Changes) -> Self {
        let retyped = |(before, after): (Column, Column)| RetypedInfo { before: before.into(), after: after.into() };
        ChangesInfo {
            added: columns(changes.added),
            removed: columns(changes.removed),
            retyped: changes.retyped.into_iter().map(retyped).collect(),
        }
    }
}

endpoint! {
    /// Lists versions.
    ListModelVersions: unity!(Get "/{full_name}/versions", "List the versions of a registered model.");
    actions::ReadMetadata, ListModelVersionsIn => Json<ListModelVersionsOut>;
    asks |input| Ok(NameOf::named(full_name(&input.full_name, 3)?));
    run |tracking, _, permit, input| {
        let most = match input.max_results.unwrap_or(0) {
            0 => 1000,
            most if most > 0 => most.min(1000),
            most => return Err(Problem::invalid(format!("max_results is {most}")).hint("give 0 or more")),
        };
        let after = match input.page_token.as_deref().filter(|token| !token.is_empty()) {
            Some(token) => token.parse().map_err(|_| {
                Problem::invalid("page_token is not one of ours")
                    .hint("pass next_page_token of the previous answer, unchanged")
            })?,
            None => 0,
        };
        let mut found = versions::list(&tracking.db, &permit, after, most + 1).await?;
        let more = i64::try_from(found.len()).unwrap_or(i64::MAX) > most;
        if more {
            found.pop();
        }
        let next_page_token = found.last().filter(|_| more).map(|version| version.number.to_string());
        let id = permit.target().id;
        let model_versions = found.into_iter().map(|version| VersionInfo::of(version, id, false)).collect();
        Ok(Json(ListModelVersionsOut { model_versions, next_page_token }))
    };
    example |fixture| json!({ "full_name": example_model(fixture) });
}

endpoint! {
    /// Reads a version.
    GetVersion: unity!(Get "/{full_name}/versions/{version}", "Get a version of a registered model.");
    actions::ReadMetadata, GetVersionIn => Json<VersionInfo>;
    asks |input| Ok(NameOf::named(full_name(&input.full_name, 3)?));
    run |tracking, _, permit, input| {
        let version = versions::get(&tracking.db, &permit, input.version).await?;
        Ok(Json(VersionInfo::of(version, permit.target().id, input.include_aliases.unwrap_or(false))))
    };
    example |fixture| json!({ "full_name": example_model(fixture), "version": 1 });
}

endpoint! {
    /// Changes a version.
    UpdateVersion: unity!(Patch "/{full_name}/versions/{version}", "Update a version of a registered model.");
    actions::Manage, UpdateVersionIn => Json<VersionInfo>;
    asks |input| Ok(NameOf::named(full_name(&input.full_name, 3)?));
    run |tracking, _, permit, input| {
        let version = match &input.comment {
            Some(comment) => versions::update(&tracking.db, &permit, input.version, Some(comment)).await?,
            None => versions::get(&tracking.db, &permit, input.version).await?,
        };
        Ok(Json(VersionInfo::of(version, permit.target().id, true)))
    };
    example |fixture| json!({ "full_name": example_model(fixture), "version": 1, "comment": "the first" });
}

endpoint! {
    /// Deletes a version.
    DeleteVersion: unity!(Delete "/{full_name}/versions/{version}", "Delete a version of a registered model.");
    actions::Manage, VersionIn => Empty;
    asks |input| Ok(NameOf::named(full_name(&input.full_name, 3)?));
    run |tracking, _, permit, input| versions::delete(&tracking.db, &permit, input.version).await.map(|()| Empty);
    example |fixture| json!({ "full_name": example_model(fixture), "version": 1 });
}

endpoint! {
    /// Compares a version's signature with the last one's.
    CompareSignature: crannog_kit::Route::new(
        crannog_kit::Method::Get,
        "/api/2.0/crannog/models/{full_name}/versions/{version}/signature",
        crannog_kit::Dialect::Databricks,
        "Get what a version takes and gives, and what changed since the version before.",
    );
    actions::ReadMetadata, VersionIn => Json<CompareSignatureOut>;
    asks |input| Ok(NameOf::named(full_name(&input.full_name, 3)?));
    run |tracking, _, permit, input| {
        let (signature, before) = versions::compared(&tracking.db, &permit, input.version).await?;
        let signature = signature.map(|signature| SignatureInfo {
            inputs: columns(signature.inputs),
            outputs: columns(signature.outputs),
            params: columns(signature.params),
        });
        let (compared_with, comparison) = before.unzip();
        let compatible = comparison.as_ref().map(crate::model::registry::signature::Comparison::compatible);
        let (inputs, outputs, params) = match comparison {
            Some(found) => (Some(found.inputs.into()), Some(found.outputs.into()), Some(found.params.into())),
            None => (None, None, None),
        };
        Ok(Json(CompareSignatureOut { signature, compared_with, compatible, inputs, outputs, params }))
    };
    example |fixture| json!({ "full_name": example_model(fixture), "version": 1 });
}
