//! The Statement Execution API: `/api/2.0/sql/statements`.
//!
//! Wire shapes are those of databricks-sdk 0.162 (`sql.py`). A failed statement is an answer with state FAILED, not an HTTP
//! error: what fails as HTTP is the request around it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crannog_kit::{
    Answer, Cx, Dialect, Empty, Endpoint, Fixture, Json, Method, Registry, Reply, ReplyBody, Route, StatusCode, clock,
};
use crannog_security::actions::{metastore, warehouses};
use crannog_security::{NameOf, Permit, Public};
use crannog_types::{Code, FullName, Problem, Result};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answers::{
    ChunkAnswer, Disposition, Format, LINK_SECONDS, StatementAnswer, answer, arrow_stream, handing_out, part,
};
use crate::grammar::{DataType, Parameter, Parameters};
use crate::render;
use crate::service::executions::{Executions, Request, State, not_succeeded};
use crate::service::statements::{Context, check_time_zone};
use crate::service::warehouses as warehouse_verbs;

pub(in crate::api) fn endpoints(registry: &mut Registry, executions: &Arc<Executions>) {
    registry.add(ExecuteStatement(Arc::clone(executions)));
    registry.add(GetStatement(Arc::clone(executions)));
    registry.add(CancelStatement(Arc::clone(executions)));
    registry.add(CloseStatement(Arc::clone(executions)));
    registry.add(GetChunk(Arc::clone(executions)));
    registry.add(DownloadChunk(Arc::clone(executions)));
}

#[derive(Deserialize, JsonSchema)]
struct StatementParameter {
    /// The name, for `:name`.
    name: Option<String>,
    /// Its value as a text; null for NULL.
    value: Option<Value>,
    /// Its type in SQL; `STRING` when left out.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// Its place, from 1, for `?`.
    ordinal: Option<i64>,
}

#[derive(Deserialize, JsonSchema)]
struct Execute {
    /// One SQL statement.
    #[schemars(length(max = 16777216))]
    statement: String,
    /// The id of a warehouse that runs.
    warehouse_id: String,
    /// The catalog of short names; `main` when left out.
    catalog: Option<String>,
    /// The schema of short names; `default` when left out.
    schema: Option<String>,
    /// What the statement's session is set to before it runs, as the SQL connector's sessions have it: `TIMEZONE`.
    session_confs: Option<BTreeMap<String, String>>,
    /// Values of parameters, by name or by place.
    parameters: Option<Vec<StatementParameter>>,
    /// Rows at most; more are cut off, and `truncated` says so.
    #[schemars(range(min = 1))]
    row_limit: Option<i64>,
    /// Bytes at most, the same.
    #[schemars(range(min = 1))]
    byte_limit: Option<i64>,
    /// `INLINE`, the default, or `EXTERNAL_LINKS`.
    disposition: Option<String>,
    /// `JSON_ARRAY`, the default, or `ARROW_STREAM`.
    format: Option<String>,
    /// How long to wait for the end: `0s`, or `5s` to `50s`; `10s` when left out.
    wait_timeout: Option<String>,
    /// Then `CONTINUE`, the default, or `CANCEL`.
    on_wait_timeout: Option<String>,
}

impl Execute {
    fn request(&self) -> Result<Request> {
        let mut parameters = Parameters::default();
        for given in self.parameters.iter().flatten() {
            let kind = given.kind.as_deref().unwrap_or("STRING");
            let data_type = DataType::parse(kind)?;
            let value = match &given.value {
                None | Some(Value::Null) => None,
                Some(Value::String(text)) => Some(text.clone()),
                Some(other) => Some(other.to_string()),
            };
            let parameter = Parameter { data_type, value };
            match (&given.name, given.ordinal) {
                (Some(name), _) if !name.is_empty() => parameters.named.push((name.clone(), parameter)),
                _ => parameters.positional.push(parameter),
            }
        }
        let limit = |name: &str, limit: Option<i64>| match limit {
            None => Ok(None),
            Some(limit) if limit > 0 => Ok(Some(limit.unsigned_abs())),
            Some(limit) => Err(Problem::invalid(format!("{name} is {limit}")).hint("give a limit of 1 or more")),
        };
        let default = Context::default();
        Ok(Request {
            text: self.statement.clone(),
            parameters,
            context: Context {
                catalog: self.catalog.clone().filter(|text| !text.is_empty()).unwrap_or(default.catalog),
                schema: self.schema.clone().filter(|text| !text.is_empty()).unwrap_or(default.schema),
                time_zone: self.time_zone()?.unwrap_or(default.time_zone),
            },
            row_limit: limit("row_limit", self.row_limit)?,
            byte_limit: limit("byte_limit", self.byte_limit)?,
        })
    }

    /// The one setting that sessions have; nothing is accepted and ignored.
    fn time_zone(&self) -> Result<Option<String>> {
        let mut zone = None;
        for (key, value) in self.session_confs.iter().flatten() {
            match key.to_ascii_lowercase().as_str() {
                "timezone" | "spark.sql.session.timezone" => zone = Some(value.clone()),
                _ => {
                    return Err(Problem::invalid(format!("there is no setting {key:?} for a session"))
                        .hint("TIMEZONE can be set"));
                }
            }
        }
        Ok(zone)
    }

    fn handing_out(&self) -> Result<(Format, Disposition)> {
        let format = match self.format.as_deref() {
            None | Some("JSON_ARRAY") => Format::JsonArray,
            Some("ARROW_STREAM") => Format::ArrowStream,
            Some(other) => {
                return Err(Problem::new(Code::Unimplemented, format!("the format {other:?} is not available"))
                    .hint("JSON_ARRAY and ARROW_STREAM are"));
            }
        };
        let disposition = match self.disposition.as_deref() {
            None | Some("INLINE" | "INLINE_OR_EXTERNAL_LINKS") => Disposition::Inline,
            Some("EXTERNAL_LINKS") => Disposition::Links,
            Some(other) => return Err(Problem::invalid(format!("there is no disposition {other:?}"))),
        };
        Ok((format, disposition))
    }

    /// How long to wait, and whether to cancel then.
    fn waiting(&self) -> Result<(Duration, bool)> {
        let text = self.wait_timeout.as_deref().unwrap_or("10s");
        let seconds = text.strip_suffix('s').and_then(|seconds| seconds.parse::<u64>().ok());
        let seconds = seconds
            .filter(|seconds| *seconds == 0 || (5..=50).contains(seconds))
            .ok_or_else(|| Problem::invalid(format!("wait_timeout is {text:?}")).hint("give 0s, or 5s to 50s"))?;
        let cancel = match self.on_wait_timeout.as_deref() {
            None | Some("CONTINUE") => false,
            Some("CANCEL") if seconds > 0 => true,
            Some("CANCEL") => {
                return Err(Problem::invalid("on_wait_timeout CANCEL goes with a wait_timeout of 5s to 50s"));
            }
            Some(other) => {
                return Err(Problem::invalid(format!("on_wait_timeout is {other:?}")).hint("CONTINUE or CANCEL"));
            }
        };
        Ok((Duration::from_secs(seconds), cancel))
    }
}

struct ExecuteStatement(Arc<Executions>);

impl Endpoint for ExecuteStatement {
    type Asks = warehouses::Use;
    type In = Execute;
    type Out = Json<StatementAnswer>;
    const ROUTE: Route = Route::new(
        Method::Post,
        "/api/2.0/sql/statements",
        Dialect::Databricks,
        "Run an SQL statement on a warehouse.",
    )
    .also(&["/api/2.0/sql/statements/"])
    .body_limit(16 << 20)
    .on_full_disk();

    fn asks(&self, input: &Execute) -> Result<NameOf<warehouses::Use>> {
        Ok(NameOf::named(FullName::of([input.warehouse_id.as_str()])))
    }

    async fn run(&self, cx: &Cx, permit: Permit<warehouses::Use>, input: Execute) -> Result<Json<StatementAnswer>> {
        let (format, disposition) = input.handing_out()?;
        let (wait, cancel) = input.waiting()?;
        let warehouse = warehouse_verbs::get(&self.0.lake().governance.db, &permit).await?;
        if !warehouse.running {
            return Err(Problem::new(
                Code::FailedPrecondition,
                format!("the warehouse '{}' is stopped", warehouse.name),
            )
            .hint("start it: POST /api/2.0/sql/warehouses/<id>/start"));
        }
        let request = input.request()?;
        check_time_zone(self.0.lake().engine.as_ref(), &request.context.time_zone)?;
        let parsed = request.parse();
        if parsed.writes() {
            cx.writable()?;
        }
        let execution = self.0.begin(&permit, cx.caller()?, parsed).await?;
        let mut state = execution.wait(wait).await;
        if cancel && !state.ended() {
            execution.cancel();
            state = execution.wait(Duration::from_secs(5)).await;
        }
        Ok(Json(StatementAnswer(answer(cx, &execution, &state, format, disposition)?)))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "statement": "SELECT 1", "warehouse_id": fixture.warehouse })
    }
}

#[derive(Deserialize, JsonSchema)]
struct ById {
    /// The statement's id.
    statement_id: String,
}

struct GetStatement(Arc<Executions>);

impl Endpoint for GetStatement {
    type Asks = metastore::Work;
    type In = ById;
    type Out = Json<StatementAnswer>;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/api/2.0/sql/statements/{statement_id}",
        Dialect::Databricks,
        "Read the state of one's own statement, and the first part of its result.",
    );

    fn asks(&self, _: &ById) -> Result<NameOf<metastore::Work>> {
        Ok(NameOf::root())
    }

    async fn run(&self, cx: &Cx, _: Permit<metastore::Work>, input: ById) -> Result<Json<StatementAnswer>> {
        let execution = self.0.get(&input.statement_id, cx.caller()?)?;
        let (format, disposition) = handing_out(&execution);
        let state = execution.state();
        if matches!(state, State::Succeeded(_)) {
            execution.renew().await?;
        }
        Ok(Json(StatementAnswer(answer(cx, &execution, &state, format, disposition)?)))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "statement_id": fixture.text("statement") })
    }
}

struct CancelStatement(Arc<Executions>);

impl Endpoint for CancelStatement {
    type Asks = metastore::Work;
    type In = ById;
    type Out = Empty;
    const ROUTE: Route = Route::new(
        Method::Post,
        "/api/2.0/sql/statements/{statement_id}/cancel",
        Dialect::Databricks,
        "Stop one's own statement.",
    )
    .on_full_disk();

    fn asks(&self, _: &ById) -> Result<NameOf<metastore::Work>> {
        Ok(NameOf::root())
    }

    async fn run(&self, cx: &Cx, _: Permit<metastore::Work>, input: ById) -> Result<Empty> {
        self.0.cancel(&input.statement_id, cx.caller()?)?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "statement_id": fixture.text("statement") })
    }
}

struct CloseStatement(Arc<Executions>);

impl Endpoint for CloseStatement {
    type Asks = metastore::Work;
    type In = ById;
    type Out = Empty;
    const ROUTE: Route = Route::new(
        Method::Delete,
        "/api/2.0/sql/statements/{statement_id}",
        Dialect::Databricks,
        "Stop one's own statement and throw its result away.",
    );

    fn asks(&self, _: &ById) -> Result<NameOf<metastore::Work>> {
        Ok(NameOf::root())
    }

    async fn run(&self, cx: &Cx, _: Permit<metastore::Work>, input: ById) -> Result<Empty> {
        self.0.close(&input.statement_id, cx.caller()?)?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "statement_id": fixture.text("statement") })
    }
}

#[derive(Deserialize, JsonSchema)]
struct OfChunk {
    /// The statement's id.
    statement_id: String,
    /// The number of the part, from 0.
    #[schemars(range(min = 0))]
    chunk_index: i64,
}

struct GetChunk(Arc<Executions>);

impl Endpoint for GetChunk {
    type Asks = metastore::Work;
    type In = OfChunk;
    type Out = Json<ChunkAnswer>;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/api/2.0/sql/statements/{statement_id}/result/chunks/{chunk_index}",
        Dialect::Databricks,
        "Read one part of the result of one's own statement.",
    );

    fn asks(&self, _: &OfChunk) -> Result<NameOf<metastore::Work>> {
        Ok(NameOf::root())
    }

    async fn run(&self, cx: &Cx, _: Permit<metastore::Work>, input: OfChunk) -> Result<Json<ChunkAnswer>> {
        let execution = self.0.get(&input.statement_id, cx.caller()?)?;
        let (format, disposition) = handing_out(&execution);
        let state = execution.state();
        let State::Succeeded(set) = &state else { return Err(not_succeeded(&state)) };
        execution.renew().await?;
        let at = usize::try_from(input.chunk_index).unwrap_or(usize::MAX);
        if at >= set.chunks.len().max(1) {
            return Err(Problem::invalid(format!(
                "the result has {} chunks, and no number {}",
                set.chunks.len(),
                input.chunk_index
            )));
        }
        Ok(Json(ChunkAnswer(part(cx, &execution, set, at, format, disposition)?)))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "statement_id": fixture.text("statement"), "chunk_index": 0 })
    }
}

#[derive(Deserialize, JsonSchema)]
struct Link {
    /// The statement's id.
    statement_id: String,
    /// The number of the part, from 0.
    #[schemars(range(min = 0))]
    chunk_index: i64,
    /// The proof.
    secret: String,
    /// Until when the link is good, in seconds since 1970.
    #[schemars(range(min = 0))]
    expires: i64,
}

struct DownloadChunk(Arc<Executions>);

impl Endpoint for DownloadChunk {
    type Asks = Public;
    type In = Link;
    type Out = Reply;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/api/2.0/sql/results/{statement_id}/{chunk_index}/{secret}/{expires}",
        Dialect::Databricks,
        "Download one part of a result by its link, which is the proof itself.",
    )
    .answers(&[Answer::of(200, "application/vnd.apache.arrow.stream", "an Arrow stream of the rows")]);

    fn asks(&self, _: &Link) -> Result<()> {
        Ok(())
    }

    async fn run(&self, _: &Cx, (): (), input: Link) -> Result<Reply> {
        if input.expires < clock::now().seconds() || input.expires > clock::now().seconds() + LINK_SECONDS {
            return Err(Problem::new(Code::PermissionDenied, "the link has expired").hint("ask for the chunk again"));
        }
        let execution = self.0.by_link(&input.statement_id, input.chunk_index, input.expires, &input.secret)?;
        let state = execution.state();
        let State::Succeeded(set) = &state else { return Err(not_succeeded(&state)) };
        execution.renew().await?;
        let at = usize::try_from(input.chunk_index).unwrap_or(usize::MAX);
        let chunk = set.chunks.get(at);
        let (format, _) = handing_out(&execution);
        if format == Format::JsonArray {
            let rows: Vec<Value> = chunk.iter().flat_map(|chunk| &chunk.batches).flat_map(render::rows).collect();
            return Ok(Reply::new(StatusCode::OK, ReplyBody::Json(Value::Array(rows))));
        }
        let bytes = arrow_stream(set, chunk)?;
        Ok(Reply::new(StatusCode::OK, ReplyBody::Bytes(bytes.into()))
            .header("content-type", "application/vnd.apache.arrow.stream"))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({
            "statement_id": fixture.text("statement"),
            "chunk_index": 0,
            "secret": fixture.text("link_secret"),
            "expires": fixture.text("link_expires").parse::<i64>().unwrap_or_default(),
        })
    }
}
