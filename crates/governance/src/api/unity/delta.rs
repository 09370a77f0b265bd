//! The Delta API of Unity Catalog, as far as its clients need an answer: none.
//!
//! Spark's connector loads every table through it first. An answer of 400 that names `UnsupportedTableFormatException` sends
//! it to the tables API, whatever the table; a 404 would mean that there is no such table.

use crannog_kit::{Answer, Cx, Dialect, Endpoint, Fixture, Method, Reply, ReplyBody, Route, StatusCode};
use crannog_security::actions::metastore;
use crannog_security::{NameOf, Permit};
use crannog_types::Result;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize, JsonSchema)]
pub(super) struct OfTable {
    /// A catalog, whatever it is.
    #[expect(dead_code, reason = "the answer is the same for every table, so that it tells nothing of any")]
    catalog: String,
    /// A schema, whatever it is.
    #[expect(dead_code, reason = "see catalog")]
    schema: String,
    /// A table, whatever it is.
    #[expect(dead_code, reason = "see catalog")]
    table: String,
}

/// Says that tables are loaded by the tables API.
pub(super) struct LoadDeltaTable;

impl Endpoint for LoadDeltaTable {
    type Asks = metastore::Read;
    type In = OfTable;
    type Out = Reply;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/api/2.1/unity-catalog/delta/v1/catalogs/{catalog}/schemas/{schema}/tables/{table}",
        Dialect::Unity,
        "Send a client of the Delta API to the tables API.",
    )
    .answers(&[Answer::of(400, "application/json", "always: clients then ask the tables API")]);

    fn asks(&self, _: &OfTable) -> Result<NameOf<metastore::Read>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, _: Permit<metastore::Read>, _: OfTable) -> Result<Reply> {
        let error = json!({
            "message": "tables are loaded by GET /api/2.1/unity-catalog/tables/{full_name}",
            "type": "UnsupportedTableFormatException",
            "code": 400,
        });
        Ok(Reply::new(StatusCode::BAD_REQUEST, ReplyBody::Json(json!({ "error": error }))))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "catalog": fixture.catalog, "schema": fixture.schema, "table": fixture.table })
    }
}
