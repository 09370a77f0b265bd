//! `/unity-catalog/model-versions`

use crannog_kit::{Body, Empty, Header, Json, Registry};
use crannog_security::actions::{metastore, models as actions};
use crannog_security::{Either, NameOf};
use crannog_types::Problem;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::wire::{OneUnityVersionOut, UnityVersionOut, location};
use super::{model_name, uc};
use crate::Tracking;
use crate::api::mlflow::inputs::inputs;
use crate::api::mlflow::model_inputs::{ModelVersionIn, ModelVersionTagIn, ModelVersionTagKeyIn, UpdateModelVersionIn};
use crate::api::mlflow::wire::{TagIn, tags};
use crate::api::{endpoint, example_model};
use crate::model::experiments::Tag;
use crate::model::registry::number;
use crate::model::registry::source::named_model;
use crate::model::search::at_most;
use crate::service::Asked;
use crate::service::lineage::Whence;
use crate::service::registry::search;
use crate::service::registry::versions::{self, NewVersion};

pub(super) fn endpoints(registry: &mut Registry, tracking: &Tracking) {
    let of = || tracking.clone();
    registry.add(CreateUnityVersion(of()));
    registry.add(FinalizeUnityVersion(of()));
    registry.add(GetUnityVersion(of()));
    registry.add(UpdateUnityVersion(of()));
    registry.add(DeleteUnityVersion(of()));
    registry.add(SearchUnityVersions(of()));
    registry.add(GetUnityVersionDownloadUri(of()));
    registry.add(GenerateUnityVersionCredentials(of()));
    registry.add(SetUnityVersionTag(of()));
    registry.add(DeleteUnityVersionTag(of()));
    registry.add(EmitUnityVersionLineage(of()));
}

/// How long an answer to a request for credentials is good, in seconds.
const LIFETIME: i64 = 3_600;

/// What MLflow's client says of the tables that a version was made of, when a notebook or a job made it.
const LINEAGE: Header = Header {
    name: "X-Databricks-Lineage-Identifier",
    about: "Base64 of JSON that names the tables which the version was made of. Those that the caller may read are in the \
            lineage; what is not in this form is nothing.",
    example: "eyJsaW5lYWdlcyI6W119",
    values: &[],
};

inputs! {
    /// A version that is wanted.
    pub(super) struct CreateUnityVersionIn {
        /// `catalog.schema.model`
        name: String = required,
        /// Where its files come from; the client uploads them.
        source: String = required,
        /// The run that made it.
        run_id: String,
        /// What it is.
        description: String,
        /// Its tags.
        tags: Vec<TagIn>,
        /// The logged model that it is made of.
        model_id: String,
    }
    /// What is searched for.
    pub(super) struct SearchUnityVersionsIn {
        /// Such as `name = 'main.flights.late'`.
        filter: String,
        /// How many at most: 10,000, when left out.
        #[schemars(range(min = 1, max = 200_000))]
        max_results: Option<i64>,
        /// `next_page_token` of the page before.
        page_token: String,
    }
    /// What is to be done with the files.
    pub(super) struct UnityVersionCredentialsIn {
        /// `catalog.schema.model`
        name: String = required,
        /// Its number.
        version: String = required,
        /// `MODEL_VERSION_OPERATION_READ` or `MODEL_VERSION_OPERATION_READ_WRITE`.
        operation: String = required,
    }
}

/// Versions.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct SearchUnityVersionsOut {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    model_versions: Vec<UnityVersionOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// Where the files are.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct UnityDownloadUriOut {
    /// For the Files API.
    artifact_uri: String,
}

/// How the files are reached.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct UnityCredentialsOut {
    credentials: UnityCredentials,
}

/// Through addresses that this server makes: there is nothing to hand out.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct UnityCredentials {
    /// When the answer is too old, in milliseconds since 1970.
    expiration_time: i64,
    /// `DEFAULT_STORAGE`: by `fs/create-upload-url` and `fs/create-download-url`.
    storage_mode: &'static str,
}

endpoint! {
    /// Makes a version, whose files are to come.
    CreateUnityVersion: uc!(Post "model-versions/create", "Make a version of a model of Unity Catalog, whose files are to come.")
        .headers(&[LINEAGE]);
    actions::CreateVersion, CreateUnityVersionIn => Json<OneUnityVersionOut>;
    asks |input| Ok(NameOf::named(model_name(&input.name)?));
    run |tracking, cx, permit, input| {
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        // MLflow's client names the logged model in the source alone, and wants it back where it copies a version.
        let mut new = NewVersion {
            model_id: some(input.model_id).or_else(|| named_model(&input.source)),
            source: input.source,
            run_id: some(input.run_id),
            comment: some(input.description),
            tags: tags(input.tags),
            ..NewVersion::default()
        };
        let (run_id, model_id) = (new.run_id.as_deref(), new.model_id.as_deref());
        let named = cx.header(&LINEAGE.name.to_ascii_lowercase());
        new.whence = Whence::of(&tracking.db, cx.caller()?, &permit, (run_id, model_id), named).await?;
        Ok(OneUnityVersionOut::of(versions::create(&tracking.artifacts, &permit, &new).await?))
    };
    example |fixture| json!({ "name": example_model(fixture), "source": "runs:/0a1b2c/model" });
}

endpoint! {
    /// Makes a version ready.
    FinalizeUnityVersion: uc!(Post "model-versions/finalize", "Say that all files of a version are there.");
    actions::CreateVersion, ModelVersionIn => Json<OneUnityVersionOut>;
    asks |input| Ok(NameOf::named(model_name(&input.name)?));
    run |tracking, _, permit, input| {
        Ok(OneUnityVersionOut::of(versions::finalize(&tracking.artifacts, &permit, number(&input.version)?).await?))
    };
    example |fixture| json!({ "name": example_model(fixture), "version": "2" });
}

endpoint! {
    /// Reads a version.
    GetUnityVersion: uc!(Get "model-versions/get", "Get a version of a model of Unity Catalog.");
    actions::ReadMetadata, ModelVersionIn => Json<OneUnityVersionOut>;
    asks |input| Ok(NameOf::named(model_name(&input.name)?));
    run |tracking, _, permit, input| {
        Ok(OneUnityVersionOut::of(versions::get(&tracking.db, &permit, number(&input.version)?).await?))
    };
    example |fixture| json!({ "name": example_model(fixture), "version": "1" });
}

endpoint! {
    /// Changes what people say of a version.
    UpdateUnityVersion: uc!(Patch "model-versions/update", "Say what a version of a model of Unity Catalog is.");
    actions::Manage, UpdateModelVersionIn => Json<OneUnityVersionOut>;
    asks |input| Ok(NameOf::named(model_name(&input.name)?));
    run |tracking, _, permit, input| {
        let comment = input.description.as_deref();
        Ok(OneUnityVersionOut::of(versions::update(&tracking.db, &permit, number(&input.version)?, comment).await?))
    };
    example |fixture| json!({ "name": example_model(fixture), "version": "1", "description": "the first" });
}

endpoint! {
    /// Deletes a version.
    DeleteUnityVersion: uc!(Delete "model-versions/delete", "Delete a version of a model of Unity Catalog.").body(Body::Json);
    actions::Manage, ModelVersionIn => Empty;
    asks |input| Ok(NameOf::named(model_name(&input.name)?));
    run |tracking, _, permit, input| {
        versions::delete(&tracking.db, &permit, number(&input.version)?).await.map(|()| Empty)
    };
    example |fixture| json!({ "name": example_model(fixture), "version": "1" });
}

endpoint! {
    /// Searches versions.
    SearchUnityVersions: uc!(Get "model-versions/search", "Search versions of models of Unity Catalog.");
    metastore::Read, SearchUnityVersionsIn => Json<SearchUnityVersionsOut>;
    asks |_| Ok(NameOf::root());
    run |tracking, cx, permit, input| {
        let seen = search::schemas(&tracking.db, cx.caller()?, &permit).await?;
        let asked = Asked {
            filter: &input.filter,
            order_by: &[],
            max_results: at_most(input.max_results.unwrap_or(10_000), 200_000)?,
            page_token: &input.page_token,
        };
        let (found, next_page_token) = search::find_versions(&tracking.db, &seen, &asked).await?;
        let model_versions = found.into_iter().map(UnityVersionOut::from).collect();
        Ok(Json(SearchUnityVersionsOut { model_versions, next_page_token }))
    };
    example |fixture| json!({ "filter": format!("name = '{}'", example_model(fixture)) });
}

endpoint! {
    /// Says where a version's files are.
    GetUnityVersionDownloadUri: uc!(Get "model-versions/get-download-uri", "Say where the files of a version of a model of Unity Catalog are.");
    actions::Execute, ModelVersionIn => Json<UnityDownloadUriOut>;
    asks |input| Ok(NameOf::named(model_name(&input.name)?));
    run |tracking, _, permit, input| {
        let version = versions::get(&tracking.db, &permit, number(&input.version)?).await?;
        Ok(Json(UnityDownloadUriOut { artifact_uri: location(&version) }))
    };
    example |fixture| json!({ "name": example_model(fixture), "version": "1" });
}

endpoint! {
    /// Says how a version's files are reached.
    GenerateUnityVersionCredentials: uc!(Post "model-versions/generate-temporary-credentials", "Say how the files of a version of a model of Unity Catalog are read or written.");
    Either<actions::Execute, actions::CreateVersion>, UnityVersionCredentialsIn => Json<UnityCredentialsOut>;
    asks |input| {
        let name = model_name(&input.name)?;
        match input.operation.as_str() {
            "MODEL_VERSION_OPERATION_READ" => Ok(Either::Left(NameOf::named(name))),
            "MODEL_VERSION_OPERATION_READ_WRITE" => Ok(Either::Right(NameOf::named(name))),
            other => Err(Problem::invalid(format!("operation is '{other}'"))
                .hint("use MODEL_VERSION_OPERATION_READ or MODEL_VERSION_OPERATION_READ_WRITE")),
        }
    };
    run |tracking, _, permits, input| {
        let (number, operation) = (number(&input.version)?, input.operation.as_str());
        match &permits {
            Either::Left(permit) => versions::vend(&tracking.db, permit, number, operation).await?,
            Either::Right(permit) => versions::vend(&tracking.db, permit, number, operation).await?,
        }
        let expiration_time = tracking.db.now().plus_seconds(LIFETIME).millis();
        Ok(Json(UnityCredentialsOut { credentials: UnityCredentials { expiration_time, storage_mode: "DEFAULT_STORAGE" } }))
    };
    example |fixture| json!({
        "name": example_model(fixture), "version": "1", "operation": "MODEL_VERSION_OPERATION_READ",
    });
}

endpoint! {
    /// Sets a tag.
    SetUnityVersionTag: uc!(Post "model-versions/set-tag", "Set a tag of a version of a model of Unity Catalog.");
    actions::Tag, ModelVersionTagIn => Empty;
    asks |input| Ok(NameOf::named(model_name(&input.name)?));
    run |tracking, _, permit, input| {
        let tag = Tag { key: input.key, value: input.value };
        versions::set_tag(&tracking.db, &permit, number(&input.version)?, &tag).await.map(|()| Empty)
    };
    example |fixture| json!({ "name": example_model(fixture), "version": "1", "key": "checked", "value": "yes" });
}

endpoint! {
    /// Deletes a tag.
    DeleteUnityVersionTag: uc!(Delete "model-versions/delete-tag", "Delete a tag of a version of a model of Unity Catalog.").body(Body::Json);
    actions::Tag, ModelVersionTagKeyIn => Empty;
    asks |input| Ok(NameOf::named(model_name(&input.name)?));
    run |tracking, _, permit, input| {
        versions::delete_tag(&tracking.db, &permit, number(&input.version)?, &input.key).await.map(|()| Empty)
    };
    example |fixture| json!({ "name": example_model(fixture), "version": "1", "key": "color" });
}

endpoint! {
    /// Takes note that a version was loaded.
    EmitUnityVersionLineage: uc!(Post "model-versions/emit-lineage", "Take note that a version of a model of Unity Catalog was loaded.");
    actions::Execute, ModelVersionIn => Empty;
    asks |input| Ok(NameOf::named(model_name(&input.name)?));
    run |tracking, _, permit, input| {
        versions::loaded(&tracking.db, &permit, number(&input.version)?).await.map(|()| Empty)
    };
    example |fixture| json!({ "name": example_model(fixture), "version": "1" });
}
