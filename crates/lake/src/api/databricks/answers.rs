//! What answers about statements look like, for the OpenAPI document: `answer` and `part` of `statements` write them.
//!
//! Field names and shapes are those of databricks-sdk's `service/sql.py`. What does not apply is left out, not null.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Value, json};

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
