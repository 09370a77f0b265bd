//! `/graphql`: the four queries of MLflow's pages. Each is the REST route of the same name, asked for the same permits, in another
//! shape; there is no way to anything else. What is refused stands in the answer, as in MLflow's: a document that is not understood
//! under `errors`, what the route refuses under `apiError`.

mod document;
mod schema;

use std::collections::BTreeMap;

use crannog_kit::{Cx, Dialect, Endpoint, Fixture, Json, Method, Registry, Route, dialects};
use crannog_security::actions::metastore;
use crannog_security::{Asks, NameOf, Permit};
use crannog_types::{Fault, Problem, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use self::document::Field;
use self::schema::Type;
use super::experiments::GetExperiment;
use super::metrics::GetMetricHistoryBulkInterval;
use super::registry::of_runs;
use super::runs::{GetRun, SearchRuns};
use crate::Tracking;

pub(super) fn endpoints(registry: &mut Registry, tracking: &Tracking) {
    registry.add(QueryMlflowPages(tracking.clone()));
}

/// A query.
#[derive(Deserialize, JsonSchema)]
struct GraphqlIn {
    /// The document: one query of `mlflowGetExperiment`, `mlflowGetRun`, `mlflowSearchRuns` or
    /// `mlflowGetMetricHistoryBulkInterval`.
    query: String,
    /// The values of its variables: what the REST route takes, for its argument `input`.
    #[serde(default)]
    variables: Option<Map<String, Value>>,
}

/// An answer.
#[derive(Serialize, JsonSchema)]
struct GraphqlOut {
    /// What was asked for; nothing for a document that is not understood.
    data: Option<Map<String, Value>>,
    /// What is wrong with the document.
    errors: Option<Vec<GraphqlError>>,
}

/// Something that is wrong with a document.
#[derive(Serialize, JsonSchema)]
struct GraphqlError {
    message: String,
}

/// How many runs one answer has, and how many points of each run: MLflow's pages ask for one and for 320.
const MOST_RUNS: i64 = 100;
const MOST_POINTS: i64 = 500;

struct QueryMlflowPages(Tracking);

impl Endpoint for QueryMlflowPages {
    type Asks = metastore::Read;
    type In = GraphqlIn;
    type Out = Json<GraphqlOut>;
    const ROUTE: Route =
        Route::new(Method::Post, "/graphql", Dialect::Mlflow, "Answer the queries of MLflow's own pages.")
            .on_full_disk();

    fn asks(&self, _: &GraphqlIn) -> Result<NameOf<metastore::Read>> {
        Ok(NameOf::root())
    }

    async fn run(&self, cx: &Cx, permit: Permit<metastore::Read>, input: GraphqlIn) -> Result<Json<GraphqlOut>> {
        let (asked, of) = match understood(&input.query) {
            Ok(asked) => asked,
            Err(message) => {
                return Ok(Json(GraphqlOut { data: None, errors: Some(vec![GraphqlError { message }]) }));
            }
        };
        let variables = input.variables.unwrap_or_default();
        // Its names are REST's in another spelling.
        let given = asked.input.as_ref().and_then(|name| variables.get(name)).and_then(Value::as_object);
        let given = given.into_iter().flatten().map(|(name, value)| (schema::snake_case(name), value.clone()));
        let mut given: Map<String, Value> = given.collect();
        // An answer is a tree of values before it is written, so it is kept small.
        let most = if asked.name == "mlflowSearchRuns" { MOST_RUNS } else { MOST_POINTS };
        if given.get("max_results").and_then(Value::as_i64).is_none_or(|asked| asked > most) {
            given.insert("max_results".to_owned(), Value::from(most));
        }
        let found = match self.found(cx, &permit, &asked, Value::Object(given)).await {
            Ok(found) => found,
            Err(refused) if refused.code().fault() == Fault::Us => return Err(refused),
            Err(refused) => {
                let (_, error) = dialects::render(&refused, Dialect::Mlflow, &cx.origin().request_id);
                json!({ "api_error": { "code": error["error_code"], "message": error["message"] } })
            }
        };
        let data = Map::from_iter([(asked.name.clone(), schema::shaped(of, &asked.fields, &found))]);
        Ok(Json(GraphqlOut { data: Some(data), errors: None }))
    }

    fn example(fixture: &Fixture) -> Value {
        let query = "query GetRun($data: MlflowGetRunInput!) { mlflowGetRun(input: $data) { apiError { code message } \
                     run { info { runUuid } experiment { name } } } }";
        json!({ "query": query, "variables": { "data": { "runId": fixture.text("run") } } })
    }
}

/// The field that a document asks for, and its type.
fn understood(query: &str) -> std::result::Result<(Field, &'static Type), String> {
    let asked = document::read(query)?;
    let of = match asked.name.as_str() {
        "mlflowGetExperiment" => &schema::GET_EXPERIMENT,
        "mlflowGetRun" => &schema::GET_RUN,
        "mlflowSearchRuns" => &schema::SEARCH_RUNS,
        "mlflowGetMetricHistoryBulkInterval" => &schema::METRIC_HISTORY,
        other => return Err(format!("there is no query {other:?} here")),
    };
    schema::check(of, &asked.fields)?;
    Ok((asked, of))
}

impl QueryMlflowPages {
    /// What the REST routes answer.
    async fn found(&self, cx: &Cx, permit: &Permit<metastore::Read>, asked: &Field, given: Value) -> Result<Value> {
        let tracking = || self.0.clone();
        Ok(match asked.name.as_str() {
            "mlflowGetExperiment" => ask(GetExperiment(tracking()), cx, given).await?,
            "mlflowGetMetricHistoryBulkInterval" => ask(GetMetricHistoryBulkInterval(tracking()), cx, given).await?,
            "mlflowSearchRuns" => {
                let mut page = ask(SearchRuns(tracking()), cx, given).await?;
                if let Some(runs) = page.get_mut("runs").and_then(Value::as_array_mut) {
                    self.complete(cx, permit, runs, of(asked, "runs")).await?;
                }
                page
            }
            _ => {
                let mut one = ask(GetRun(tracking()), cx, given).await?;
                if let Some(run) = one.get_mut("run") {
                    self.complete(cx, permit, std::slice::from_mut(run), of(asked, "run")).await?;
                }
                one
            }
        })
    }

    /// Adds to runs what only GraphQL has: their experiments, and the versions of models that come from them.
    async fn complete(
        &self,
        cx: &Cx,
        permit: &Permit<metastore::Read>,
        runs: &mut [Value],
        asked: Option<&Field>,
    ) -> Result<()> {
        let text = |run: &Value, key: &str| run["info"][key].as_str().unwrap_or_default().to_owned();
        if asked.is_some_and(|asked| of(asked, "experiment").is_some()) {
            let mut experiments = BTreeMap::new();
            for run in runs.iter_mut() {
                let id = text(run, "experiment_id");
                if !experiments.contains_key(&id) {
                    let found = ask(GetExperiment(self.0.clone()), cx, json!({ "experiment_id": id })).await?;
                    experiments.insert(id.clone(), found["experiment"].clone());
                }
                run["experiment"] = experiments.get(&id).cloned().unwrap_or_default();
            }
        }
        if asked.is_some_and(|asked| of(asked, "modelVersions").is_some()) && !runs.is_empty() {
            let ids: Vec<String> = runs.iter().map(|run| text(run, "run_id")).collect();
            let found = of_runs(&self.0, cx, permit, &ids).await?;
            let found = serde_json::to_value(found).map_err(unwritable)?;
            for (run, id) in runs.iter_mut().zip(ids) {
                let all = found.as_array().into_iter().flatten();
                run["model_versions"] = all.filter(|version| version["run_id"] == id.as_str()).cloned().collect();
            }
        }
        Ok(())
    }
}

fn of<'a>(field: &'a Field, name: &str) -> Option<&'a Field> {
    field.fields.iter().find(|field| field.name == name)
}

/// What a REST route answers to this caller, asked for the same permits as by REST.
async fn ask<E: Endpoint<Out = Json<T>>, T: Serialize>(endpoint: E, cx: &Cx, input: Value) -> Result<Value> {
    let input: E::In = serde_json::from_value(input).map_err(|error| Problem::invalid(error.to_string()))?;
    let names = endpoint.asks(&input)?;
    let permits = E::Asks::ask(cx.caller()?, names).await?;
    let Json(found) = endpoint.run(cx, permits, input).await?;
    serde_json::to_value(found).map_err(unwritable)
}

fn unwritable(error: serde_json::Error) -> Problem {
    Problem::internal("an answer could not be written as JSON", error)
}
