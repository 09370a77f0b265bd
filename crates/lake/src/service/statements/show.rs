//! SHOW: lists of what the caller may see, and the text that makes a table again. Columns are named as Databricks names
//! them.
//!
//! Lists hold what `Caller::visible` lets through and nothing else; partitions hold values of rows and so need SELECT.

use std::collections::{BTreeMap, BTreeSet};

use crannog_governance::model::objects::{Container, Table, TableType, Volume};
use crannog_governance::service::{catalogs as catalog_verbs, schemas as schema_verbs};
use crannog_governance::service::{tables as table_verbs, volumes as volume_verbs};
use crannog_security::actions::{catalogs, schemas, tables, volumes};
use crannog_security::{NameOf, ScopeOf};
use crannog_types::{Code, FullName, Page, Problem, Result, fold};
use serde_json::Value as Json;

use super::answer::{Answer, Cell, Type};
use super::known::Known;
use super::{Run, information_schema, system};
use crate::grammar::Name;
use crate::grammar::statement::{FunctionScope, Show};
use crate::model::partitions::partition_directory;
use crate::model::schema::{DataType, StructField, StructType};

/// Properties that say how a table was made or what is written elsewhere in its DDL: not for TBLPROPERTIES.
const NOT_FOR_DDL: &[&str] = &[
    "delta.columnMapping.maxColumnId",
    "delta.inCommitTimestampEnablementVersion",
    "delta.inCommitTimestampEnablementTimestamp",
];
/// What a CHECK constraint is called in a table's properties.
pub(super) const CHECK: &str = "delta.constraints.";

impl Run {
    pub(super) async fn show(&self, show: Show) -> Result<Answer> {
        match show {
            Show::Catalogs { like } => {
                let seen = self.seen_catalogs().await?;
                let mut names: Vec<String> = seen.iter().map(|catalog| catalog.object.name.last().to_owned()).collect();
                names.push("system".to_owned());
                list("catalog", names, like.as_deref())
            }
            Show::Schemas { catalog, like } => {
                let catalog = self.catalog_name(catalog.as_ref())?;
                list("databaseName", self.schema_names(&catalog).await?, like.as_deref())
            }
            Show::Tables { schema, like } => self.show_tables(schema.as_ref(), like.as_deref()).await,
            Show::TableExtended { schema, like } => self.show_table_extended(schema.as_ref(), &like).await,
            Show::Views { schema, like } => self.show_views(schema.as_ref(), like.as_deref()).await,
            Show::Volumes { schema, like } => self.show_volumes(schema.as_ref(), like.as_deref()).await,
            Show::Functions { scope: FunctionScope::User, schema, like: _ } => {
                // Functions cannot be made; the schema must be there all the same.
                if let Some(schema) = schema {
                    let name = self.schema_name(Some(&schema))?;
                    self.caller.ask::<schemas::ReadMetadata>(NameOf::named(name)).await?;
                }
                Answer::table(&[("function", Type::Text)], &[])
            }
            Show::Functions { .. } => Err(Problem::new(Code::Unimplemented, "the built-in functions cannot be listed")
                .reason("UNSUPPORTED_FEATURE")
                .sql_state("0A000")
                .hint("they are Spark's; SHOW USER FUNCTIONS lists those of a schema")),
            Show::Columns { table } => {
                let known = self.known(&table).await?;
                let rows: Vec<_> = known.schema.fields.iter().map(|field| vec![field.name.as_str().into()]).collect();
                Answer::table(&[("col_name", Type::Text)], &rows)
            }
            Show::TableProperties { table, key } => self.show_properties(&table, key).await,
            Show::CreateTable { table } => {
                let ddl = create_statement(&self.known(&table).await?)?;
                Answer::table(&[("createtab_stmt", Type::Text)], &[vec![ddl.into()]])
            }
            Show::Partitions { table } => self.show_partitions(&table).await,
        }
    }

    /// REFRESH TABLE: every statement reads the newest version anyway.
    pub(super) async fn refresh_table(&self, table: &Name) -> Result<Answer> {
        let name = self.full_name(table)?;
        if Known::made_by_server(&self.lake, &name).is_some() {
            self.check_catalog(&name).await?;
        } else {
            self.caller.ask::<tables::ReadMetadata>(NameOf::named(name)).await?;
        }
        Ok(Answer::nothing())
    }

    async fn show_tables(&self, schema: Option<&Name>, like: Option<&str>) -> Result<Answer> {
        let schema = self.schema_name(schema)?;
        let names = match self.made_by_server(&schema).await? {
            Some(names) => names,
            None => self.seen_tables(&schema).await?.iter().map(|table| table.object.name.last().to_owned()).collect(),
        };
        let rows: Vec<_> = matching(names, like, String::as_str)
            .map(|name| vec![schema.last().into(), name.into(), false.into()])
            .collect();
        Answer::table(&[("database", Type::Text), ("tableName", Type::Text), ("isTemporary", Type::Bool)], &rows)
    }

    async fn show_views(&self, schema: Option<&Name>, like: Option<&str>) -> Result<Answer> {
        let schema = self.schema_name(schema)?;
        let names = match self.made_by_server(&schema).await? {
            Some(names) => names,
            None => {
                let views = self.seen_tables(&schema).await?.into_iter();
                let views = views.filter(|table| table.table_type == TableType::View);
                views.map(|table| table.object.name.last().to_owned()).collect()
            }
        };
        let rows: Vec<_> = matching(names, like, String::as_str)
            .map(|name| vec![schema.last().into(), name.into(), false.into(), false.into()])
            .collect();
        let columns = [
            ("namespace", Type::Text),
            ("viewName", Type::Text),
            ("isTemporary", Type::Bool),
            ("isMaterialized", Type::Bool),
        ];
        Answer::table(&columns, &rows)
    }

    async fn show_volumes(&self, schema: Option<&Name>, like: Option<&str>) -> Result<Answer> {
        let schema = self.schema_name(schema)?;
        let seen =
            if self.made_by_server(&schema).await?.is_some() { Vec::new() } else { self.seen_volumes(&schema).await? };
        let rows: Vec<_> = matching(seen, like, |volume| volume.object.name.last())
            .map(|volume| vec![schema.last().into(), volume.object.name.last().into()])
            .collect();
        Answer::table(&[("database", Type::Text), ("volume_name", Type::Text)], &rows)
    }

    async fn show_table_extended(&self, schema: Option<&Name>, like: &str) -> Result<Answer> {
        let schema = self.schema_name(schema)?;
        let seen =
            if self.made_by_server(&schema).await?.is_some() { Vec::new() } else { self.seen_tables(&schema).await? };
        let mut rows = Vec::new();
        for table in matching(seen, Some(like), |table| table.object.name.last()) {
            // The catalog's copy: opening every table that matches would read as many logs.
            let known = Known::from_catalog(table)?;
            let mut information = String::new();
            for (name, value) in known.details() {
                information.push_str(&format!("{name}: {value}\n"));
            }
            if !known.partition_columns.is_empty() {
                information.push_str("Partition Provider: Catalog\n");
                let columns: Vec<String> = known.partition_columns.iter().map(|column| format!("`{column}`")).collect();
                information.push_str(&format!("Partition Columns: [{}]\n", columns.join(", ")));
            }
            information.push_str("Schema: root\n");
            tree(&known.schema, " |", &mut information);
            rows.push(vec![schema.last().into(), known.name.last().into(), false.into(), information.into()]);
        }
        let columns = [
            ("database", Type::Text),
            ("tableName", Type::Text),
            ("isTemporary", Type::Bool),
            ("information", Type::Text),
        ];
        Answer::table(&columns, &rows)
    }

    async fn show_properties(&self, table: &Name, key: Option<String>) -> Result<Answer> {
        let known = self.known(table).await?;
        let properties = known.all_properties();
        let rows: Vec<Vec<Cell>> = match key {
            None => properties.into_iter().map(|(key, value)| vec![key.into(), value.into()]).collect(),
            Some(key) => {
                let missing = || format!("Table {} does not have property: {key}", known.name.quoted());
                let value = properties.get(&key).cloned().unwrap_or_else(missing);
                vec![vec![key.into(), value.into()]]
            }
        };
        Answer::table(&[("key", Type::Text), ("value", Type::Text)], &rows)
    }

    async fn show_partitions(&self, table: &Name) -> Result<Answer> {
        let permit = self.caller.ask::<tables::Select>(NameOf::named(self.full_name(table)?)).await?;
        let found = table_verbs::get(&self.lake.governance.db, &permit).await?;
        let (_, state) = self.open_table(&permit, &found).await?;
        let partitions = state.files.layout().partitions();
        if partitions.is_empty() {
            return Err(Problem::invalid(format!("the table {} is not partitioned", found.object.name))
                .reason("INVALID_PARTITION_OPERATION.PARTITION_SCHEMA_IS_EMPTY")
                .sql_state("42601")
                .hint("DESCRIBE DETAIL shows how a table is laid out"));
        }
        let names: BTreeSet<String> =
            state.files.iter().map(|add| partition_directory(partitions, &add.partition_values)).collect();
        let rows: Vec<_> = names.into_iter().map(|name| vec![name.into()]).collect();
        Answer::table(&[("partition", Type::Text)], &rows)
    }

    /// The tables of a schema that the server makes; `None` for a governed one.
    async fn made_by_server(&self, schema: &FullName) -> Result<Option<Vec<String>>> {
        let parts: Vec<String> = schema.parts().iter().map(|part| fold(part)).collect();
        Ok(match parts.as_slice() {
            [_, last] if last == "information_schema" => {
                self.check_catalog(schema).await?;
                Some(information_schema::VIEWS.iter().map(|(name, _)| (*name).to_owned()).collect())
            }
            [catalog, last] if catalog == "system" => {
                let of_schema = system::tables(&self.lake).filter(|(of, _, _)| of == last);
                let mut names: Vec<String> = of_schema.map(|(_, name, _)| name.to_owned()).collect();
                names.sort();
                (!names.is_empty()).then_some(names)
            }
            _ => None,
        })
    }

    /// What the server makes in a catalog is there for those who may see the catalog; `system` is there for everybody.
    pub(super) async fn check_catalog(&self, name: &FullName) -> Result<()> {
        let catalog = name.parts().first().cloned().unwrap_or_default();
        if fold(&catalog) != "system" {
            self.caller.ask::<catalogs::ReadMetadata>(NameOf::named(FullName::of([catalog]))).await?;
        }
        Ok(())
    }

    fn catalog_name(&self, name: Option<&Name>) -> Result<FullName> {
        match name.map(Name::parts) {
            None => Ok(FullName::of([&self.session.catalog])),
            Some([catalog]) => Ok(FullName::of([catalog])),
            Some(parts) => {
                Err(Problem::invalid(format!("{} is no catalog: it has more than one part", parts.join(".")))
                    .sql_state("42601"))
            }
        }
    }

    async fn schema_names(&self, catalog: &FullName) -> Result<Vec<String>> {
        let mut names: Vec<String> = if fold(catalog.last()) == "system" {
            system::tables(&self.lake).map(|(schema, _, _)| schema.to_owned()).collect()
        } else {
            let seen = self.seen_schemas(catalog).await?;
            seen.iter().map(|schema| schema.object.name.last().to_owned()).collect()
        };
        names.push("information_schema".to_owned());
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// The catalogs that the caller may see.
    pub(super) async fn seen_catalogs(&self) -> Result<Vec<Container>> {
        let visible = self.caller.visible::<catalogs::ReadMetadata>(ScopeOf::root()).await?;
        Ok(catalog_verbs::list(&self.lake.governance.db, &visible, &Page::all()).await?.rows)
    }

    /// The schemas of a catalog that the caller may see.
    pub(super) async fn seen_schemas(&self, catalog: &FullName) -> Result<Vec<Container>> {
        let visible = self.caller.visible::<schemas::ReadMetadata>(ScopeOf::under(catalog.clone())).await?;
        Ok(schema_verbs::list(&self.lake.governance.db, &visible, &Page::all()).await?.rows)
    }

    /// The tables and views of a schema that the caller may see.
    pub(super) async fn seen_tables(&self, schema: &FullName) -> Result<Vec<Table>> {
        let visible = self.caller.visible::<tables::ReadMetadata>(ScopeOf::under(schema.clone())).await?;
        Ok(table_verbs::list(&self.lake.governance.db, &visible, &Page::all()).await?.rows)
    }

    /// The volumes of a schema that the caller may see.
    pub(super) async fn seen_volumes(&self, schema: &FullName) -> Result<Vec<Volume>> {
        let visible = self.caller.visible::<volumes::ReadMetadata>(ScopeOf::under(schema.clone())).await?;
        Ok(volume_verbs::list(&self.lake.governance.db, &visible, &Page::all()).await?.rows)
    }
}

fn list(column: &'static str, mut names: Vec<String>, like: Option<&str>) -> Result<Answer> {
    names.sort_by_key(|name| fold(name));
    let rows: Vec<_> = matching(names, like, String::as_str).map(|name| vec![name.into()]).collect();
    Answer::table(&[(column, Type::Text)], &rows)
}

fn matching<T>(all: Vec<T>, like: Option<&str>, name: impl Fn(&T) -> &str) -> impl Iterator<Item = T> {
    let patterns = like.map(|like| like.split('|').map(|pattern| fold(pattern.trim())).collect::<Vec<_>>());
    all.into_iter().filter(move |item| match &patterns {
        None => true,
        Some(patterns) => patterns.iter().any(|pattern| is_like(&fold(name(item)), pattern)),
    })
}

/// Whether a name matches one alternative of SHOW's pattern, where `*` stands for any text. Both are folded.
fn is_like(name: &str, pattern: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

/// Spark's `treeString` of a schema.
fn tree(schema: &StructType, prefix: &str, out: &mut String) {
    for field in &schema.fields {
        let name = type_word(&field.data_type);
        out.push_str(&format!("{prefix}-- {}: {name} (nullable = {})\n", field.name, field.nullable));
        branch(&field.data_type, prefix, out);
    }
}

fn branch(data_type: &DataType, prefix: &str, out: &mut String) {
    let deeper = format!("{prefix}    |");
    match data_type {
        DataType::Struct(inner) => tree(inner, &deeper, out),
        DataType::Array(array) => {
            let (name, null) = (type_word(&array.element_type), array.contains_null);
            out.push_str(&format!("{deeper}-- element: {name} (containsNull = {null})\n"));
            branch(&array.element_type, &deeper, out);
        }
        DataType::Map(map) => {
            out.push_str(&format!("{deeper}-- key: {}\n", type_word(&map.key_type)));
            branch(&map.key_type, &deeper, out);
            let (name, null) = (type_word(&map.value_type), map.value_contains_null);
            out.push_str(&format!("{deeper}-- value: {name} (valueContainsNull = {null})\n"));
            branch(&map.value_type, &deeper, out);
        }
        _ => {}
    }
}

/// Spark's `typeName`, which is what Delta's schemas call a type.
fn type_word(data_type: &DataType) -> String {
    match data_type.to_json() {
        Json::String(name) => name,
        nested => nested.get("type").and_then(Json::as_str).unwrap_or_default().to_owned(),
    }
}

/// The statement that makes a table or view again.
fn create_statement(known: &Known) -> Result<String> {
    let Some(table) = &known.table else {
        return Err(Problem::invalid(format!("{} is made by the server", known.name))
            .reason("UNSUPPORTED_SHOW_CREATE_TABLE")
            .sql_state("0A000")
            .hint("DESCRIBE shows its columns"));
    };
    let mut ddl = if table.view.is_some() { "CREATE VIEW ".to_owned() } else { "CREATE TABLE ".to_owned() };
    ddl.push_str(&table.object.name.quoted());
    let columns: Vec<String> = match &table.view {
        Some(_) => known.schema.fields.iter().map(view_column).collect(),
        None => known.schema.fields.iter().map(column).chain(known.properties.iter().filter_map(check)).collect(),
    };
    if !columns.is_empty() {
        ddl.push_str(&format!(" (\n  {})", columns.join(",\n  ")));
    }
    if table.view.is_none() {
        ddl.push_str("\nUSING delta");
        if !known.partition_columns.is_empty() {
            let columns: Vec<String> = known.partition_columns.iter().map(|name| ticks(name)).collect();
            ddl.push_str(&format!("\nPARTITIONED BY ({})", columns.join(", ")));
        }
        let clustering = known.clustering_columns();
        if !clustering.is_empty() {
            let path = |path: &Vec<String>| path.iter().map(|name| ticks(name)).collect::<Vec<_>>().join(".");
            ddl.push_str(&format!("\nCLUSTER BY ({})", clustering.iter().map(path).collect::<Vec<_>>().join(", ")));
        }
    }
    if let (TableType::External, Some(location)) = (table.table_type, &table.location) {
        ddl.push_str(&format!("\nLOCATION {}", literal(location)));
    }
    if let Some(comment) = &table.object.comment {
        ddl.push_str(&format!("\nCOMMENT {}", literal(comment)));
    }
    let for_ddl = |key: &str| !key.starts_with(CHECK) && !NOT_FOR_DDL.contains(&key);
    let properties: Vec<String> = known
        .properties
        .iter()
        .filter(|(key, _)| for_ddl(key))
        .map(|(key, value)| format!("{} = {}", literal(key), literal(value)))
        .collect();
    if !properties.is_empty() {
        ddl.push_str(&format!("\nTBLPROPERTIES (\n  {})", properties.join(",\n  ")));
    }
    if let Some(view) = &table.view {
        ddl.push_str(&format!("\nAS {}", view.text));
    }
    ddl.push('\n');
    Ok(ddl)
}

fn column(field: &StructField) -> String {
    let mut text = format!("{} {}", ticks(&field.name), sql_type(&field.data_type));
    if !field.nullable {
        text.push_str(" NOT NULL");
    }
    let of = |key: &str| field.metadata.get(key);
    if let Some(expression) = of("delta.generationExpression").and_then(Json::as_str) {
        text.push_str(&format!(" GENERATED ALWAYS AS ({expression})"));
    } else if let Some(start) = of("delta.identity.start").and_then(Json::as_i64) {
        let by_default = of("delta.identity.allowExplicitInsert").and_then(Json::as_bool) == Some(true);
        let step = of("delta.identity.step").and_then(Json::as_i64).unwrap_or(1);
        let when = if by_default { "BY DEFAULT" } else { "ALWAYS" };
        text.push_str(&format!(" GENERATED {when} AS IDENTITY (START WITH {start} INCREMENT BY {step})"));
    } else if let Some(default) = of("CURRENT_DEFAULT").and_then(Json::as_str) {
        text.push_str(&format!(" DEFAULT {default}"));
    }
    text + &comment(field)
}

fn view_column(field: &StructField) -> String {
    ticks(&field.name) + &comment(field)
}

fn comment(field: &StructField) -> String {
    field.comment().map_or_else(String::new, |comment| format!(" COMMENT {}", literal(comment)))
}

fn check((key, expression): (&String, &String)) -> Option<String> {
    let name = key.strip_prefix(CHECK)?;
    Some(format!("CONSTRAINT {} CHECK ({expression})", ticks(name)))
}

/// A type as DDL writes it.
fn sql_type(data_type: &DataType) -> String {
    match data_type {
        DataType::Struct(inner) => {
            let field = |field: &StructField| {
                let null = if field.nullable { "" } else { " NOT NULL" };
                format!("{}: {}{null}{}", ticks(&field.name), sql_type(&field.data_type), comment(field))
            };
            format!("STRUCT<{}>", inner.fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        DataType::Array(array) => format!("ARRAY<{}>", sql_type(&array.element_type)),
        DataType::Map(map) => format!("MAP<{}, {}>", sql_type(&map.key_type), sql_type(&map.value_type)),
        simple => simple.to_type_text().to_uppercase(),
    }
}

fn ticks(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text literal that Spark's lexer reads back to the same text.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Properties as one text, `[a=b,c=d]`.
pub(super) fn bracketed(properties: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = properties.iter().map(|(key, value)| format!("{key}={value}")).collect();
    format!("[{}]", pairs.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_spark_s() {
        for (name, pattern, answer) in [
            ("flights", "flights", true),
            ("flights", "fl*s", true),
            ("flights", "*", true),
            ("flights", "*ig*t*", true),
            ("flights", "flight", false),
            ("flights", "*igs", false),
            ("aa", "a*a*a", false),
            ("", "*", true),
            ("", "", true),
        ] {
            assert_eq!(is_like(name, pattern), answer, "{name} LIKE {pattern}");
        }
        let names = vec!["Flights".to_owned(), "planes".to_owned(), "weather".to_owned()];
        let found: Vec<String> = matching(names, Some("FL* | pl*"), String::as_str).collect();
        assert_eq!(found, ["Flights", "planes"]);
    }

    #[test]
    fn types_and_texts_read_back() {
        for text in ["struct<a:int,`b c`:array<string>>", "map<string,decimal(10,2)>", "timestamp_ntz"] {
            let data_type = DataType::from_type_text(text).unwrap();
            let read = crate::grammar::DataType::parse(&sql_type(&data_type)).unwrap();
            assert_eq!(DataType::from_type_text(&read.to_string()).unwrap(), data_type);
        }
        let text = "it's a \\ `tick`\nand %_ \\%";
        let parsed = crate::grammar::parse(&format!("CREATE TABLE t (a INT) COMMENT {}", literal(text))).unwrap();
        let crate::grammar::Statement::CreateTable(create) = parsed else { panic!() };
        assert_eq!(create.comment.as_deref(), Some(text));
    }
}
