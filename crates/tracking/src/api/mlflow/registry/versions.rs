//! `/model-versions`

use crannog_governance::api::files::serving::{RANGED, SERVED, serve};
use crannog_kit::{Body, Cx, Dialect, Empty, Json, Method, Registry, Reply, Route};
use crannog_security::actions::{logged_models, metastore, models as actions, runs};
use crannog_security::{Lease, NameOf, Permit};
use crannog_types::{Code, Problem, Result};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::by_name;
use super::wire::{OnePlainVersionOut, PlainVersionOut, PlainVersionsOut};
use crate::Tracking;
use crate::api::mlflow::inputs::inputs;
use crate::api::mlflow::model_inputs::{ModelVersionIn, ModelVersionTagIn, ModelVersionTagKeyIn, UpdateModelVersionIn};
use crate::api::mlflow::route;
use crate::api::mlflow::wire::{TagIn, tags};
use crate::api::{endpoint, example_model};
use crate::model::artifacts::{Holder, plain};
use crate::model::experiments::Tag;
use crate::model::registry::source::{self, Source};
use crate::model::registry::{Status, number, plain_name};
use crate::model::search::at_most;
use crate::service::Asked;
use crate::service::artifacts::{address, unreadable};
use crate::service::lineage::Whence;
use crate::service::logged_models::{self as logged, OF_MODEL};
use crate::service::registry::versions::{self, NewVersion};
use crate::service::registry::{BY_NAME, aliases, files, search};
use crate::service::runs::OF_RUN;

pub(super) fn endpoints(registry: &mut Registry, tracking: &Tracking) {
    let of = || tracking.clone();
    registry.add(CreateModelVersion(of()));
    registry.add(UpdateModelVersion(of()));
    registry.add(TransitionModelVersionStage(of()));
    registry.add(DeleteModelVersion(of()));
    registry.add(GetModelVersion(of()));
    registry.add(SearchModelVersions(of()));
    registry.add(GetModelVersionDownloadUri(of()));
    registry.add(SetModelVersionTag(of()));
    registry.add(DeleteModelVersionTag(of()));
    registry.add(GetModelVersionArtifact(of()));
}

inputs! {
    /// A version that is wanted.
    pub(super) struct CreateModelVersionIn {
        /// The model's name.
        name: String = required,
        /// Where its files are: of the run or the logged model that is named here, of another version, or elsewhere.
        source: String = required,
        /// The run that made it.
        run_id: String,
        /// Its tags.
        tags: Vec<TagIn>,
        /// A link to the run.
        run_link: String,
        /// What it is.
        description: String,
        /// The logged model that it is made of.
        model_id: String,
    }
    /// A stage.
    pub(super) struct TransitionModelVersionStageIn {
        /// The model's name.
        name: String = required,
        /// The version's number.
        version: String = required,
        /// `None`, `Staging`, `Production` or `Archived`.
        stage: String = required,
        /// Whether what was in that stage goes to `Archived`.
        archive_existing_versions: Option<bool>,
    }
    /// What is searched for.
    pub(super) struct SearchModelVersionsIn {
        /// Such as `name = 'late' AND tags.checked = 'yes'`.
        filter: String,
        /// How many at most: 200,000, when left out.
        #[schemars(range(min = 1, max = 200_000))]
        max_results: Option<i64>,
        /// Such as `version_number DESC`.
        order_by: Vec<String>,
        /// `next_page_token` of the page before.
        page_token: String,
    }
    /// Which file of which version.
    pub(super) struct ModelVersionArtifactIn {
        /// The model's name.
        name: String = required,
        /// The version's number.
        version: String = required,
        /// The file, below the version's folder.
        path: String = required,
    }
}

/// Where the files are.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct DownloadUriOut {
    artifact_uri: String,
}

fn some(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// What a version is to be, when its source is one that the caller may read.
async fn wanted(tracking: &Tracking, cx: &Cx, input: CreateModelVersionIn) -> Result<NewVersion> {
    let (run_id, model_id) = (some(input.run_id), some(input.model_id));
    let found = source::parse(&input.source, run_id.as_deref(), model_id.as_deref())?;
    let caller = cx.caller()?;
    // Who may not see the run gets the answer of one that is not there.
    let refused = |problem: Problem| match problem.code() {
        Code::NotFound => source::not_there(&input.source, model_id.as_deref()),
        _ => problem,
    };
    let mut new = NewVersion {
        source: input.source.clone(),
        run_id: run_id.clone(),
        model_id: model_id.clone(),
        run_link: Some(input.run_link),
        comment: Some(input.description),
        tags: tags(input.tags),
        location: Some(input.source.clone()),
        ..NewVersion::default()
    };
    let (ours, root) = match &found {
        Source::Ours { holder: Holder::Run(id), .. } => {
            let permit = caller.ask(NameOf::<runs::Read>::found(&OF_RUN, id.as_str())).await.map_err(refused)?;
            (address(&tracking.db, &permit).await?, format!("runs/{id}"))
        }
        Source::Ours { holder: Holder::Model(id), .. } => {
            let asked = NameOf::<logged_models::Read>::found(&OF_MODEL, id.as_str());
            let permit = caller.ask(asked).await.map_err(refused)?;
            let model = logged::get(&tracking.db, &permit, false).await.map_err(refused)?;
            new.run_id = new.run_id.or_else(|| some(model.info.source_run_id.clone()));
            if input.source.starts_with("models:") {
                new.location = Some(model.info.artifact_uri.clone());
            }
            (model.info.artifact_uri, format!("models/{id}"))
        }
        Source::Version(name) => return of_version(tracking, cx, name, new, (run_id, model_id)).await,
        Source::Elsewhere => {
            if let (None, Some(id)) = (&new.run_id, &new.model_id) {
                let permit = caller.ask(NameOf::<logged_models::Read>::found(&OF_MODEL, id.as_str())).await?;
                new.run_id = some(logged::get(&tracking.db, &permit, false).await?.info.source_run_id);
            }
            new.elsewhere = true;
            return Ok(new);
        }
    };
    let Source::Ours { place, path, .. } = found else { return Ok(new) };
    if place.is_some_and(|place| !place.is_of(&ours)) {
        return Err(source::not_there(&input.source, model_id.as_deref()));
    }
    // An experiment with a place of its own keeps its files there.
    match ours.starts_with("mlflow-artifacts:") {
        true => new.shared = Some((root, path)),
        false => new.elsewhere = true,
    }
    Ok(new)
}

/// A version with the files of another one, which the caller may load: `name/3`, `name@alias`, `name/latest`, `name/Production`.
async fn of_version(
    tracking: &Tracking,
    cx: &Cx,
    named: &str,
    new: NewVersion,
    (run_id, model_id): (Option<String>, Option<String>),
) -> Result<NewVersion> {
    let wrong = || {
        Problem::invalid(format!(
            "Invalid model version source: '{}'. The model_id request parameter must identify the resource that contains the \
             source.",
            new.source
        ))
    };
    let (name, which) = match named.split_once('@') {
        Some((name, alias)) => (name, Err(alias)),
        None => named.rsplit_once('/').map(|(name, which)| (name, Ok(which))).ok_or_else(wrong)?,
    };
    let permit = cx.caller()?.ask(NameOf::<actions::Execute>::found(&BY_NAME, name)).await?;
    let db = &tracking.db;
    let number = match which {
        Err(alias) => aliases::find(db, &permit, alias, None)
            .await?
            .ok_or_else(|| Problem::invalid(format!("Registered model alias {alias} not found.")))?,
        Ok(text) => match text.parse() {
            Ok(number) => number,
            Err(_) => {
                let stages = if text.eq_ignore_ascii_case("latest") { Vec::new() } else { vec![text.to_owned()] };
                let last = versions::latest(db, &permit, &stages).await?;
                last.into_iter().map(|version| version.number).max().ok_or_else(wrong)?
            }
        },
    };
    let of = versions::get(db, &permit, number).await?;
    if of.status != Status::Ready {
        return Err(Problem::invalid(format!(
            "Invalid model version source: '{}'. Its files are not all there: it is {}.",
            new.source,
            of.status.word()
        )));
    }
    let differs = |asked: &Option<String>, found: &Option<String>| asked.is_some() && asked != found;
    if differs(&run_id, &of.run_id) || differs(&model_id, &of.model_id) {
        return Err(Problem::invalid(format!(
            "Invalid model version source: '{}'. The run_id and model_id request parameters must match the referenced model \
             version.",
            new.source
        )));
    }
    let kept = files::root_of(&permit, number);
    Ok(NewVersion {
        source: format!("models:/{}/{number}", plain_name(&of.model)),
        location: of.location.clone(),
        run_id: of.run_id,
        model_id: of.model_id,
        shared: Some((kept, String::new())),
        ..new
    })
}

endpoint! {
    /// Makes a version.
    CreateModelVersion: route!(Post "model-versions/create", "Make a version of a registered model.");
    actions::CreateVersion, CreateModelVersionIn => Json<OnePlainVersionOut>;
    asks |input| by_name(&input.name);
    run |tracking, cx, permit, input| {
        let mut new = wanted(tracking, cx, input).await?;
        let (run_id, model_id) = (new.run_id.as_deref(), new.model_id.as_deref());
        new.whence = Whence::of(&tracking.db, cx.caller()?, &permit, (run_id, model_id), None).await?;
        Ok(OnePlainVersionOut::of(versions::create(&tracking.artifacts, &permit, &new).await?))
    };
    example |fixture| json!({ "name": example_model(fixture), "source": "s3://somewhere/model" });
}

endpoint! {
    /// Changes what people say of a version.
    UpdateModelVersion: route!(Patch "model-versions/update", "Say what a version of a registered model is.");
    actions::Manage, UpdateModelVersionIn => Json<OnePlainVersionOut>;
    asks |input| by_name(&input.name);
    run |tracking, _, permit, input| {
        let comment = input.description.as_deref();
        Ok(OnePlainVersionOut::of(versions::update(&tracking.db, &permit, number(&input.version)?, comment).await?))
    };
    example |fixture| json!({ "name": example_model(fixture), "version": "1", "description": "the first" });
}

endpoint! {
    /// Moves a version to a stage.
    TransitionModelVersionStage: route!(Post "model-versions/transition-stage", "Move a version of a registered model to a stage.");
    actions::Manage, TransitionModelVersionStageIn => Json<OnePlainVersionOut>;
    asks |input| by_name(&input.name);
    run |tracking, _, permit, input| {
        let archive = input.archive_existing_versions.unwrap_or(false);
        let number = number(&input.version)?;
        Ok(OnePlainVersionOut::of(versions::transition(&tracking.db, &permit, number, &input.stage, archive).await?))
    };
    example |fixture| json!({ "name": example_model(fixture), "version": "1", "stage": "Production" });
}

endpoint! {
    /// Deletes a version.
    DeleteModelVersion: route!(Delete "model-versions/delete", "Delete a version of a registered model.").body(Body::Json);
    actions::Manage, ModelVersionIn => Empty;
    asks |input| by_name(&input.name);
    run |tracking, _, permit, input| {
        versions::delete(&tracking.db, &permit, number(&input.version)?).await.map(|()| Empty)
    };
    example |fixture| json!({ "name": example_model(fixture), "version": "1" });
}

endpoint! {
    /// Reads a version.
    GetModelVersion: route!(Get "model-versions/get", "Get a version of a registered model.");
    actions::ReadMetadata, ModelVersionIn => Json<OnePlainVersionOut>;
    asks |input| by_name(&input.name);
    run |tracking, _, permit, input| {
        Ok(OnePlainVersionOut::of(versions::get(&tracking.db, &permit, number(&input.version)?).await?))
    };
    example |fixture| json!({ "name": example_model(fixture), "version": "1" });
}

endpoint! {
    /// Searches versions.
    SearchModelVersions: route!(Get "model-versions/search", "Search versions of registered models.");
    metastore::Read, SearchModelVersionsIn => Json<PlainVersionsOut>;
    asks |_| Ok(NameOf::root());
    run |tracking, cx, permit, input| {
        let seen = search::schemas(&tracking.db, cx.caller()?, &permit).await?;
        let asked = Asked {
            filter: &input.filter,
            order_by: &input.order_by,
            max_results: at_most(input.max_results.unwrap_or(200_000), 200_000)?,
            page_token: &input.page_token,
        };
        let (found, next_page_token) = search::find_versions(&tracking.db, &seen, &asked).await?;
        let model_versions = found.into_iter().map(PlainVersionOut::found).collect();
        Ok(Json(PlainVersionsOut { model_versions, next_page_token }))
    };
    example |fixture| json!({ "filter": format!("name = '{}'", example_model(fixture)) });
}

endpoint! {
    /// Says where a version's files are.
    GetModelVersionDownloadUri: route!(Get "model-versions/get-download-uri", "Say where the files of a version of a registered model are.");
    actions::Execute, ModelVersionIn => Json<DownloadUriOut>;
    asks |input| by_name(&input.name);
    run |tracking, _, permit, input| {
        let version = versions::get(&tracking.db, &permit, number(&input.version)?).await?;
        Ok(Json(DownloadUriOut { artifact_uri: version.location.unwrap_or(version.source) }))
    };
    example |fixture| json!({ "name": example_model(fixture), "version": "1" });
}

endpoint! {
    /// Sets a tag.
    SetModelVersionTag: route!(Post "model-versions/set-tag", "Set a tag of a version of a registered model.");
    actions::Tag, ModelVersionTagIn => Empty;
    asks |input| by_name(&input.name);
    run |tracking, _, permit, input| {
        let tag = Tag { key: input.key, value: input.value };
        versions::set_tag(&tracking.db, &permit, number(&input.version)?, &tag).await.map(|()| Empty)
    };
    example |fixture| json!({ "name": example_model(fixture), "version": "1", "key": "checked", "value": "yes" });
}

endpoint! {
    /// Deletes a tag.
    DeleteModelVersionTag: route!(Delete "model-versions/delete-tag", "Delete a tag of a version of a registered model.").body(Body::Json);
    actions::Tag, ModelVersionTagKeyIn => Empty;
    asks |input| by_name(&input.name);
    run |tracking, _, permit, input| {
        versions::delete_tag(&tracking.db, &permit, number(&input.version)?, &input.key).await.map(|()| Empty)
    };
    example |fixture| json!({ "name": example_model(fixture), "version": "1", "key": "color" });
}

endpoint! {
    /// Gives a file of a version.
    GetModelVersionArtifact: Route::new(
        Method::Get,
        "/model-versions/get-artifact",
        Dialect::Mlflow,
        "Download a file of a version of a registered model, for MLflow's pages.",
    )
    .answers(SERVED)
    .headers(RANGED);
    actions::Execute, ModelVersionArtifactIn => Reply;
    asks |input| by_name(&input.name);
    run |tracking, cx, permit, input| {
        let (number, path) = (number(&input.version)?, plain(&input.path)?);
        versions::get(&tracking.db, &permit, number).await?;
        let (folder, name, written_at) = files::find(&tracking.artifacts, &permit, number, &path).await?;
        let meta = folder.head(&name).await.map_err(|error| unreadable(&path, error))?;
        let meta = meta.ok_or_else(|| Problem::internal(format!("the content of '{path}' is gone"), name.clone()))?;
        let lease = Lease::of(cx.caller()?, &permit);
        let given = serve(cx, &folder, &name, &meta, Some(written_at), lease, |_| ()).await;
        given.map_err(|error| unreadable(&path, error))
    };
    example |fixture| json!({ "name": example_model(fixture), "version": "1", "path": "MLmodel" });
}

/// The versions that come from some runs, of models that the caller may see.
pub(in crate::api::mlflow) async fn of_runs(
    tracking: &Tracking,
    cx: &Cx,
    permit: &Permit<metastore::Read>,
    runs: &[String],
) -> Result<Vec<PlainVersionOut>> {
    let quoted: Vec<String> = runs.iter().filter(|id| !id.contains('\'')).map(|id| format!("'{id}'")).collect();
    let seen = search::schemas(&tracking.db, cx.caller()?, permit).await?;
    let filter = format!("run_id IN ({})", quoted.join(","));
    let asked = Asked { filter: &filter, order_by: &[], max_results: at_most(200_000, 200_000)?, page_token: "" };
    let (found, _) = search::find_versions(&tracking.db, &seen, &asked).await?;
    Ok(found.into_iter().map(PlainVersionOut::found).collect())
}
