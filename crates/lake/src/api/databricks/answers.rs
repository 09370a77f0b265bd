//! Answers about statements: their states, and results as rows, Arrow streams or links, with their schemas for the OpenAPI
//! document.
//!
//! Field names and shapes are those of databricks-sdk's `service/sql.py`. What does not apply is left out, not null.

use std::borrow::Cow;

use arrow_ipc::writer::StreamWriter;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crannog_kit::{Cx, clock};
use crannog_types::{Code, Problem, Result};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::render;
use crate::service::executions::{Chunk, Execution, ResultSet, State};

/// What one inline answer may hold.
const INLINE_BYTES: usize = 25 * 1024 * 1024;
/// Links are good for this long, in seconds.
pub(super) const LINK_SECONDS: i64 = 900;

/// How a result is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    JsonArray,
    ArrowStream,
}

/// By which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disposition {
    Inline,
    Links,
}

/// A statement's state, and the first part of its result once it succeeded.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct StatementAnswer(pub(super) Value);

/// One part of a result.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct ChunkAnswer(pub(super) Value);

impl JsonSchema for StatementAnswer {
    fn schema_name() -> Cow<'static, str> {
        "StatementAnswer".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "required": ["statement_id", "status"],
            "properties": {
                "statement_id": { "type": "string", "format": "uuid" },
                "status": {
                    "type": "object",
                    "required": ["state"],
                    "properties": {
                        "state": { "enum": ["PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELED", "CLOSED"] },
                        "sql_state": { "type": "string", "description": "Five characters: `42P01`." },
                        "error": {
                            "type": "object",
                            "required": ["error_code", "message"],
                            "properties": { "error_code": { "type": "string" }, "message": { "type": "string" } },
                        },
                    },
                },
                "manifest": {
                    "type": "object",
                    "required": ["format", "schema", "total_chunk_count", "chunks", "total_row_count", "total_byte_count", "truncated"],
                    "properties": {
                        "format": { "enum": ["JSON_ARRAY", "ARROW_STREAM"] },
                        "schema": {
                            "type": "object",
                            "required": ["column_count", "columns"],
                            "properties": {
                                "column_count": count("Columns."),
                                "columns": { "type": "array", "items": column() },
                            },
                        },
                        "total_chunk_count": count("Parts of the result."),
                        "chunks": { "type": "array", "items": { "type": "object", "properties": place() } },
                        "total_row_count": count("Rows of all parts."),
                        "total_byte_count": count("Bytes of all parts in memory."),
                        "truncated": { "type": "boolean", "description": "Whether rows were cut off by a limit." },
                    },
                },
                "result": chunk(),
            },
        })
    }
}

impl JsonSchema for ChunkAnswer {
    fn schema_name() -> Cow<'static, str> {
        "ChunkAnswer".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        chunk()
    }
}

fn count(about: &str) -> Value {
    json!({ "type": "integer", "minimum": 0, "description": about })
}

fn column() -> Value {
    json!({
        "type": "object",
        "required": ["name", "position", "type_name", "type_text"],
        "properties": {
            "name": { "type": "string" },
            "position": count("Its place, from 0."),
            "type_name": { "type": "string", "description": "`LONG`." },
            "type_text": { "type": "string", "description": "`BIGINT`." },
            "type_precision": count("Digits of a decimal in all."),
            "type_scale": count("Digits of a decimal after the point."),
        },
    })
}

fn place() -> Value {
    json!({
        "chunk_index": count("The number of the part, from 0."),
        "row_offset": count("Rows in the parts before."),
        "row_count": count("Its rows."),
        "byte_count": count("Its bytes in memory."),
        "next_chunk_index": count("The number of the next part, where there is one."),
        "next_chunk_internal_link": { "type": "string", "description": "Where that is read." },
    })
}

/// Inline as rows or as an Arrow stream, or by links.
fn chunk() -> Schema {
    let row = json!({ "type": "array", "items": { "type": ["string", "null"] } });
    let mut link = json!({ "type": "object", "required": ["external_link", "expiration"], "properties": place() });
    link["properties"]["external_link"] =
        json!({ "type": "string", "format": "uri", "description": "Good without a token." });
    link["properties"]["expiration"] = json!({ "type": "string", "format": "date-time" });
    let mut chunk = json_schema!({ "type": "object", "properties": place() });
    if let Some(properties) = chunk.get_mut("properties") {
        properties["data_array"] = json!({ "type": "array", "items": row, "description": "Values as texts." });
        properties["attachment"] =
            json!({ "type": "string", "contentEncoding": "base64", "description": "An Arrow stream." });
        properties["external_links"] = json!({ "type": "array", "items": link });
    }
    chunk
}

/// What GET gives of a result: as its POST asked for it.
pub(super) fn handing_out(execution: &Execution) -> (Format, Disposition) {
    let (arrow, links) = execution.handing_out();
    (
        if arrow { Format::ArrowStream } else { Format::JsonArray },
        if links { Disposition::Links } else { Disposition::Inline },
    )
}

/// The whole answer about a statement.
pub(super) fn answer(
    cx: &Cx,
    execution: &Execution,
    state: &State,
    format: Format,
    disposition: Disposition,
) -> Result<Value> {
    execution.hand_out_as(format == Format::ArrowStream, disposition == Disposition::Links);
    let mut status = Map::new();
    let word = match state {
        State::Pending => "PENDING",
        State::Running => "RUNNING",
        State::Succeeded(_) => "SUCCEEDED",
        State::Failed(_) => "FAILED",
        State::Canceled => "CANCELED",
        State::Closed => "CLOSED",
    };
    status.insert("state".to_owned(), json!(word));
    if let State::Failed(problem) = state {
        status.insert(
            "error".to_owned(),
            json!({ "error_code": service_error(problem), "message": sql_message(problem) }),
        );
        if let Some(state) = problem.state() {
            status.insert("sql_state".to_owned(), json!(state));
        }
    }
    let mut answer = json!({ "statement_id": execution.id, "status": status });
    if let State::Succeeded(set) = state {
        let inline = set.bytes();
        if disposition == Disposition::Inline && inline > INLINE_BYTES {
            let message = format!("the result has {inline} bytes, more than the {INLINE_BYTES} of an inline answer");
            let hint = "ask for it with disposition EXTERNAL_LINKS and format ARROW_STREAM, or with a LIMIT";
            answer["status"] = json!({ "state": "FAILED", "error": { "error_code": "BAD_REQUEST", "message": format!("{message}; {hint}") } });
            return Ok(answer);
        }
        answer["manifest"] = manifest(set, format, disposition);
        answer["result"] = part(cx, execution, set, 0, format, disposition)?;
    }
    Ok(answer)
}

/// The Statement Execution API's own error codes.
fn service_error(problem: &Problem) -> &'static str {
    match problem.code() {
        Code::Internal | Code::DataLoss => "INTERNAL_ERROR",
        Code::Unavailable => "TEMPORARILY_UNAVAILABLE",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::Cancelled => "CANCELLED",
        Code::Aborted => "ABORTED",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::NotFound => "NOT_FOUND",
        Code::Unauthenticated => "UNAUTHENTICATED",
        Code::InvalidArgument
        | Code::TooLarge
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Unimplemented => "BAD_REQUEST",
    }
}

/// `[TABLE_OR_VIEW_NOT_FOUND] …`: clients look for Spark's condition in brackets.
fn sql_message(problem: &Problem) -> String {
    let text = problem.full_message();
    if text.starts_with('[') {
        return text;
    }
    let condition = match (problem.code(), problem.vendor_reason()) {
        (Code::PermissionDenied, _) => "INSUFFICIENT_PERMISSIONS",
        (_, Some("TABLE_DOES_NOT_EXIST")) => "TABLE_OR_VIEW_NOT_FOUND",
        (_, Some("SCHEMA_DOES_NOT_EXIST")) => "SCHEMA_NOT_FOUND",
        (_, Some("CATALOG_DOES_NOT_EXIST")) => "CATALOG_NOT_FOUND",
        (_, Some("TABLE_ALREADY_EXISTS")) => "TABLE_OR_VIEW_ALREADY_EXISTS",
        (_, Some(reason)) => reason,
        (code, None) => crannog_kit::dialects::vendor_string(code),
    };
    format!("[{condition}] {text}")
}

fn manifest(set: &ResultSet, format: Format, disposition: Disposition) -> Value {
    let columns: Vec<Value> = set
        .schema
        .fields()
        .iter()
        .enumerate()
        .map(|(position, field)| {
            let kind = render::column_type(field);
            let mut column =
                json!({ "name": field.name(), "position": position, "type_name": kind.name, "type_text": kind.text });
            if let (Some(precision), Some(scale)) = (kind.precision, kind.scale) {
                column["type_precision"] = json!(precision);
                column["type_scale"] = json!(scale);
            }
            column
        })
        .collect();
    let mut chunks: Vec<Value> = set
        .chunks
        .iter()
        .enumerate()
        .map(|(at, chunk)| {
            json!({ "chunk_index": at, "row_offset": chunk.row_offset, "row_count": chunk.rows, "byte_count": chunk.bytes })
        })
        .collect();
    if chunks.is_empty() && disposition == Disposition::Links && !set.schema.fields().is_empty() {
        chunks.push(json!({ "chunk_index": 0, "row_offset": 0, "row_count": 0, "byte_count": 0 }));
    }
    json!({
        "format": if format == Format::ArrowStream { "ARROW_STREAM" } else { "JSON_ARRAY" },
        "schema": { "column_count": columns.len(), "columns": columns },
        "total_chunk_count": chunks.len(),
        "chunks": chunks,
        "total_row_count": set.rows(),
        "total_byte_count": set.bytes(),
        "truncated": set.truncated,
    })
}

/// One chunk, or the link to it.
pub(super) fn part(
    cx: &Cx,
    execution: &Execution,
    set: &ResultSet,
    at: usize,
    format: Format,
    disposition: Disposition,
) -> Result<Value> {
    // A result without rows has one part all the same where it is handed out by links: clients take its columns from there.
    let empty = Chunk { batches: Vec::new(), row_offset: 0, rows: 0, bytes: 0 };
    let chunk = match (set.chunks.get(at), disposition) {
        (Some(chunk), _) => chunk,
        (None, Disposition::Links) if at == 0 && !set.schema.fields().is_empty() => &empty,
        (None, Disposition::Links) => return Ok(json!({ "external_links": [] })),
        (None, Disposition::Inline) => return Ok(json!({ "data_array": [] })),
    };
    let next = (at + 1 < set.chunks.len()).then_some(at + 1);
    let mut place = json!({ "chunk_index": at, "row_offset": chunk.row_offset, "row_count": chunk.rows, "byte_count": chunk.bytes });
    if let Some(next) = next {
        place["next_chunk_index"] = json!(next);
        place["next_chunk_internal_link"] =
            json!(format!("/api/2.0/sql/statements/{}/result/chunks/{next}", execution.id));
    }
    match (disposition, format) {
        (Disposition::Links, _) => {
            let expires = clock::now().plus_seconds(LINK_SECONDS);
            let link = format!(
                "{}/api/2.0/sql/results/{}/{at}/{}/{}",
                cx.base_url(),
                execution.id,
                execution.link_proof(i64::try_from(at).unwrap_or(i64::MAX), expires.seconds()),
                expires.seconds()
            );
            place["external_link"] = json!(link);
            place["expiration"] = json!(expires.to_string());
            Ok(json!({ "external_links": [place] }))
        }
        (Disposition::Inline, Format::JsonArray) => {
            place["data_array"] = Value::Array(chunk.batches.iter().flat_map(render::rows).collect());
            Ok(place)
        }
        (Disposition::Inline, Format::ArrowStream) => {
            place["attachment"] = json!(STANDARD.encode(arrow_stream(set, Some(chunk))?));
            Ok(place)
        }
    }
}

pub(super) fn arrow_stream(set: &ResultSet, chunk: Option<&Chunk>) -> Result<Vec<u8>> {
    let failed = |error| Problem::internal("the result cannot be written as Arrow", error);
    let mut writer = StreamWriter::try_new(Vec::new(), &set.schema).map_err(failed)?;
    for batch in chunk.iter().flat_map(|chunk| &chunk.batches) {
        writer.write(batch).map_err(failed)?;
    }
    writer.into_inner().map_err(failed)
}
