//! `/tables` and `/table-summaries`

use crannog_kit::{Cx, Dialect, Empty, Endpoint, Fixture, Json, Method, Route};
use crannog_security::actions::{metastore, schemas, tables as actions};
use crannog_security::{Decision, Kind, List, NameOf, Permit, Reference, Rule, ScopeOf, Visible};
use crannog_storage::Location;
use crannog_types::{Code, FullName, Page, Problem, Result, fold};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::columns::{NewColumn, to_schema_json};
use super::names::{browse_only, full_name, schema_name};
use super::wire::{Omit, TableInfo, TableSummary};
use crate::Governance;
use crate::model::objects::{Change, Properties};
use crate::service::schemas as schema_service;
use crate::service::tables::{self, Files, NewTable};

/// Lists the tables and views of a schema that the caller may see.
pub(crate) struct ListTables(pub(super) Governance);

/// Of which schema, which page, and what to leave out.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ListTablesIn {
    /// The catalog.
    #[schemars(length(min = 1, max = 255))]
    catalog_name: String,
    /// The schema.
    #[schemars(length(min = 1, max = 255))]
    schema_name: String,
    /// How many at most: 0 for the server's page of 1000; all of them, when left out.
    #[schemars(range(min = 0))]
    max_results: Option<i64>,
    /// `next_page_token` of the page before, unchanged.
    page_token: Option<String>,
    /// Whether to leave the columns out.
    omit_columns: Option<bool>,
    /// Whether to leave the properties out.
    omit_properties: Option<bool>,
}

/// Tables and views.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ListTablesOut {
    tables: Vec<TableInfo>,
    /// Of the next page; null on the last one.
    next_page_token: Option<String>,
}

impl Endpoint for ListTables {
    type Asks = List<actions::ReadMetadata>;
    type In = ListTablesIn;
    type Out = Json<ListTablesOut>;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/api/2.1/unity-catalog/tables",
        Dialect::Unity,
        "List the tables and views of a schema.",
    );

    fn asks(&self, input: &ListTablesIn) -> Result<ScopeOf<actions::ReadMetadata>> {
        Ok(ScopeOf::under(schema_name(&input.catalog_name, &input.schema_name)?))
    }

    async fn run(
        &self,
        cx: &Cx,
        visible: Visible<actions::ReadMetadata>,
        input: ListTablesIn,
    ) -> Result<Json<ListTablesOut>> {
        let page = Page::of(input.max_results, input.page_token.as_deref())?;
        let omit =
            Omit { columns: input.omit_columns.unwrap_or(false), properties: input.omit_properties.unwrap_or(false) };
        let found = tables::list(&self.0.db, &visible, &page).await?;
        let next_page_token = found.next;
        // Who may open all of the schema is not asked table by table.
        let all = tables::may_open(cx.caller()?, &Reference::Id(Kind::Schema, visible.scope().id)).await?;
        let mut tables = Vec::with_capacity(found.rows.len());
        for mut table in found.rows {
            if (table.location.is_some() || table.view.is_some())
                && !all
                && !tables::may_open(cx.caller()?, &Reference::Id(Kind::Table, table.object.id)).await?
            {
                (table.location, table.view) = (None, None);
            }
            tables.push(TableInfo::of(table, omit, None)?);
        }
        Ok(Json(ListTablesOut { tables, next_page_token }))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "catalog_name": fixture.catalog, "schema_name": fixture.schema, "max_results": 0 })
    }
}

/// Lists names and types of tables over the schemas of a catalog.
pub(crate) struct ListTableSummaries(pub(super) Governance);

/// Of which catalog; patterns are SQL's LIKE.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ListTableSummariesIn {
    /// The catalog.
    #[schemars(length(min = 1, max = 255))]
    catalog_name: String,
    /// SQL's LIKE, without case: `%` for any characters, `_` for one.
    schema_name_pattern: Option<String>,
    /// The same for the table's name.
    table_name_pattern: Option<String>,
    /// How many at most: 0 for the server's page of 1000; all of them, when left out.
    #[schemars(range(min = 0))]
    max_results: Option<i64>,
    /// `next_page_token` of the page before, unchanged.
    page_token: Option<String>,
}

/// Names and types of tables.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ListTableSummariesOut {
    tables: Vec<TableSummary>,
    /// Of the next page; null on the last one.
    next_page_token: Option<String>,
}

impl Endpoint for ListTableSummaries {
    type Asks = List<schemas::ReadMetadata>;
    type In = ListTableSummariesIn;
    type Out = Json<ListTableSummariesOut>;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/api/2.1/unity-catalog/table-summaries",
        Dialect::Unity,
        "List names and types of the tables of a catalog.",
    );

    fn asks(&self, input: &ListTableSummariesIn) -> Result<ScopeOf<schemas::ReadMetadata>> {
        Ok(ScopeOf::under(full_name(&input.catalog_name, 1)?))
    }

    async fn run(
        &self,
        cx: &Cx,
        visible: Visible<schemas::ReadMetadata>,
        input: ListTableSummariesIn,
    ) -> Result<Json<ListTableSummariesOut>> {
        let page = Page::of(input.max_results, input.page_token.as_deref())?;
        // A page goes on after `schema.table`, folded: schemas before that schema are done, and so are its tables up to it.
        let (done_schema, done_table) = match page.after.as_deref().and_then(|after| after.split_once('.')) {
            Some((schema, table)) => (schema.to_owned(), Some(table.to_owned())),
            None => (String::new(), None),
        };
        let like =
            |pattern: &Option<String>, name: &str| pattern.as_deref().is_none_or(|pattern| matches(pattern, name));
        let mut found: Vec<(String, TableSummary)> = Vec::new();
        for schema in schema_service::list(&self.0.db, &visible, &Page::all()).await?.rows {
            let folded = fold(schema.object.name.last());
            if folded < done_schema || !like(&input.schema_name_pattern, schema.object.name.last()) {
                continue;
            }
            let Ok(below) = cx.caller()?.visible(ScopeOf::under(schema.object.name.clone())).await else { continue };
            let after = done_table.clone().filter(|_| folded == done_schema);
            let tables = tables::list(&self.0.db, &below, &Page { after, limit: None }).await?;
            found.extend(
                tables.rows.iter().filter(|table| like(&input.table_name_pattern, table.object.name.last())).map(
                    |table| {
                        let key = format!("{folded}.{}", fold(table.object.name.last()));
                        (key, TableSummary::of(&table.object.name, table.table_type))
                    },
                ),
            );
            if i64::try_from(found.len()).unwrap_or(i64::MAX) >= page.fetch() {
                break;
            }
        }
        let cut = page.cut(found, |(key, _)| key.clone());
        let tables = cut.rows.into_iter().map(|(_, summary)| summary).collect();
        Ok(Json(ListTableSummariesOut { tables, next_page_token: cut.next }))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "catalog_name": fixture.catalog })
    }
}

/// SQL's LIKE without case: `%` for any characters, `_` for one.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (fold(pattern).chars().collect(), fold(name).chars().collect());
    // The last `%` that was passed, and how much of the name it has taken: only that one ever needs to take more.
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some('%') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '_' || *c == name[n] => (p, n) = (p + 1, n + 1),
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                (p, n) = (at + 1, taken + 1);
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '%')
}

/// Registers an external table: its files are there, or will be, and its maker's clients write its log.
pub(crate) struct CreateTable(pub(super) Governance);

/// A table that is wanted.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct CreateTableIn {
    /// The new table's name.
    #[schemars(length(min = 1, max = 255))]
    name: String,
    /// The catalog.
    #[schemars(length(min = 1, max = 255))]
    catalog_name: String,
    /// The schema.
    #[schemars(length(min = 1, max = 255))]
    schema_name: String,
    /// `EXTERNAL`, the default. Managed tables and views are made by SQL.
    table_type: Option<String>,
    /// `DELTA`, the default.
    data_source_format: Option<String>,
    /// Its columns; those of the log are what counts once there is one.
    columns: Option<Vec<NewColumn>>,
    /// Where its files are: `file:///…` under an allowed folder.
    storage_location: Option<String>,
    /// What it is for.
    comment: Option<String>,
    /// Whatever the caller wants to keep with it.
    properties: Option<Properties>,
}

impl Endpoint for CreateTable {
    // Reading a table reads its place: a place outside the server's own storage is an administrator's to give.
    type Asks = (schemas::CreateTable, metastore::Administer);
    type In = CreateTableIn;
    type Out = Json<TableInfo>;
    const ROUTE: Route =
        Route::new(Method::Post, "/api/2.1/unity-catalog/tables", Dialect::Unity, "Register an external table.")
            .body_limit(4 << 20);

    fn asks(&self, input: &CreateTableIn) -> Result<(NameOf<schemas::CreateTable>, NameOf<metastore::Administer>)> {
        Ok((NameOf::named(schema_name(&input.catalog_name, &input.schema_name)?), NameOf::root()))
    }

    async fn run(
        &self,
        _: &Cx,
        (permit, _): (Permit<schemas::CreateTable>, Permit<metastore::Administer>),
        input: CreateTableIn,
    ) -> Result<Json<TableInfo>> {
        let kind = input.table_type.as_deref().unwrap_or("EXTERNAL");
        if !kind.eq_ignore_ascii_case("EXTERNAL") {
            let full = permit.target().name.child(&input.name);
            return Err(Problem::new(Code::Unimplemented, format!("a {kind} table cannot be made here"))
                .hint(format!("run a statement: CREATE TABLE {} (…), or CREATE VIEW", full.quoted())));
        }
        let format = input.data_source_format.as_deref().unwrap_or("DELTA");
        if !format.eq_ignore_ascii_case("DELTA") {
            return Err(Problem::new(Code::Unimplemented, format!("tables of format {format} are not kept"))
                .hint("read such files with read_files, or load them with COPY INTO"));
        }
        let location = input
            .storage_location
            .as_deref()
            .filter(|location| !location.is_empty())
            .ok_or_else(|| Problem::invalid("an external table needs a storage_location"))?;
        let location = Location::parse(location)?;
        self.0.storage.check_external(&location)?;
        let (schema_json, partition_columns) = to_schema_json(input.columns.as_deref().unwrap_or_default())?;
        let new = NewTable {
            name: input.name,
            comment: input.comment,
            schema_json,
            partition_columns,
            properties: input.properties.unwrap_or_default(),
            version: None,
            files: Files::External(location),
        };
        let made = tables::create(&self.0.db, &permit, &new).await?;
        Ok(Json(TableInfo::of(made, Omit::default(), Some(false))?))
    }

    fn example(fixture: &Fixture) -> Value {
        let place = fixture.more.get("external_location").cloned().unwrap_or_default();
        json!({
            "name": "table_new",
            "catalog_name": fixture.catalog,
            "schema_name": fixture.schema,
            "table_type": "EXTERNAL",
            "data_source_format": "DELTA",
            "storage_location": format!("{place}/table_new"),
            "columns": [{ "name": "id", "type_name": "LONG", "type_text": "bigint" }],
        })
    }
}

/// One table or view by full name.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct TableFullName {
    /// `catalog.schema.table`.
    full_name: String,
}

/// Reads a table or view.
pub(crate) struct GetTable(pub(super) Governance);

impl Endpoint for GetTable {
    type Asks = actions::ReadMetadata;
    type In = TableFullName;
    type Out = Json<TableInfo>;
    const ROUTE: Route =
        Route::new(Method::Get, "/api/2.1/unity-catalog/tables/{full_name}", Dialect::Unity, "Get a table or view.");

    fn asks(&self, input: &TableFullName) -> Result<NameOf<actions::ReadMetadata>> {
        Ok(NameOf::named(full_name(&input.full_name, 3)?))
    }

    async fn run(&self, cx: &Cx, permit: Permit<actions::ReadMetadata>, _: TableFullName) -> Result<Json<TableInfo>> {
        let mut table = tables::get(&self.0.db, &permit).await?;
        let caller = cx.caller()?;
        if !tables::may_open(caller, &Reference::Id(Kind::Table, permit.target().id)).await? {
            // Spark's connector loads tables to read them, and a table without a location ends in a puzzling error there;
            // so it is told what is missing.
            if cx.header("user-agent").is_some_and(|agent| agent.starts_with("UnityCatalog-Java-Client")) {
                caller.ask::<actions::Select>(NameOf::id(permit.target().id)).await?;
            }
            (table.location, table.view) = (None, None);
        }
        let browse_only = browse_only(cx, Kind::Table, &permit.target().name).await?;
        Ok(Json(TableInfo::of(table, Omit::default(), Some(browse_only))?))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "full_name": table_of(fixture) })
    }
}

/// Says whether there is a table that the caller may see.
pub(crate) struct TableExists;

/// Whether it is there.
#[derive(Serialize, JsonSchema)]
pub(crate) struct TableExistsOut {
    table_exists: bool,
}

impl Endpoint for TableExists {
    type Asks = metastore::Read;
    type In = TableFullName;
    type Out = Json<TableExistsOut>;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/api/2.1/unity-catalog/tables/{full_name}/exists",
        Dialect::Unity,
        "Say whether there is a table that the caller may see.",
    );

    fn asks(&self, _: &TableFullName) -> Result<NameOf<metastore::Read>> {
        Ok(NameOf::root())
    }

    async fn run(&self, cx: &Cx, _: Permit<metastore::Read>, input: TableFullName) -> Result<Json<TableExistsOut>> {
        let about = Reference::Named(Kind::Table, full_name(&input.full_name, 3)?);
        let (_, decision) = cx.caller()?.explain(Rule::Visible, &about).await?;
        Ok(Json(TableExistsOut { table_exists: matches!(decision, Decision::Allowed(_)) }))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "full_name": table_of(fixture) })
    }
}

/// Changes a table's or view's owner, comment or name.
pub(crate) struct UpdateTable(pub(super) Governance);

/// What is to change; what is left out stays.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct UpdateTableIn {
    /// `catalog.schema.table`.
    full_name: String,
    /// Its new name.
    #[schemars(length(min = 1, max = 255))]
    new_name: Option<String>,
    /// The new owner: a user, a service principal or a group.
    owner: Option<String>,
    /// What it is for.
    comment: Option<String>,
}

impl Endpoint for UpdateTable {
    type Asks = actions::Manage;
    type In = UpdateTableIn;
    type Out = Json<TableInfo>;
    const ROUTE: Route = Route::new(
        Method::Patch,
        "/api/2.1/unity-catalog/tables/{full_name}",
        Dialect::Unity,
        "Change a table's owner, comment or name.",
    );

    fn asks(&self, input: &UpdateTableIn) -> Result<NameOf<actions::Manage>> {
        Ok(NameOf::named(full_name(&input.full_name, 3)?))
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Manage>, input: UpdateTableIn) -> Result<Json<TableInfo>> {
        let change = Change { new_name: input.new_name, owner: input.owner, comment: input.comment, properties: None };
        let table = tables::update(&self.0.db, &permit, &change).await?;
        Ok(Json(TableInfo::of(table, Omit::default(), Some(false))?))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "full_name": table_of(fixture), "comment": "changed by a test" })
    }
}

/// Drops a table or view.
pub(crate) struct DeleteTable(pub(super) Governance);

impl Endpoint for DeleteTable {
    type Asks = actions::Manage;
    type In = TableFullName;
    type Out = Empty;
    const ROUTE: Route = Route::new(
        Method::Delete,
        "/api/2.1/unity-catalog/tables/{full_name}",
        Dialect::Unity,
        "Delete a table or view.",
    );

    fn asks(&self, input: &TableFullName) -> Result<NameOf<actions::Manage>> {
        Ok(NameOf::named(full_name(&input.full_name, 3)?))
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Manage>, _: TableFullName) -> Result<Empty> {
        tables::delete(&self.0, &permit).await?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "full_name": table_of(fixture) })
    }
}

fn table_of(fixture: &Fixture) -> String {
    FullName::of([fixture.catalog.as_str(), &fixture.schema, &fixture.table]).to_string()
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_sql_does() {
        for (pattern, name, wanted) in [
            ("%", "", true),
            ("", "a", false),
            ("fl%", "flights", true),
            ("%ight%", "FLIGHTS", true),
            ("f_ights", "flights", true),
            ("%s%s", "ss", true),
            ("%a%b%c", "xxaxxbxxbxc", true),
            ("%a%b%c", "xxaxxbxxbxd", false),
            ("_", "", false),
        ] {
            assert_eq!(matches(pattern, name), wanted, "{pattern} {name}");
        }
    }
}
