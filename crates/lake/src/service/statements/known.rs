//! What is known of a table or view, and how Spark, Delta and Databricks write it: DESCRIBE and SHOW are made of it.
//!
//! Whoever may not open a table is not told where it lies, nor what a view says.

use std::collections::BTreeMap;
use std::sync::Arc;

use crannog_governance::model::objects::{Table, TableType};
use crannog_governance::service::tables as table_verbs;
use crannog_security::actions::tables;
use crannog_security::{Kind, NameOf, Reference};
use crannog_types::calendar::civil;
use crannog_types::{FullName, Micros, Result, fold};
use serde_json::{Map, Value as Json, json};

use super::answer::schema_of;
use super::create::VIEW_COLUMNS;
use super::show::bracketed;
use super::{Lake, Run, information_schema, system};
use crate::grammar::Name;
use crate::model::schema::{DataType, StructField, StructType};
use crate::model::state::TableState;

/// What is known of a table or view.
pub(super) struct Known {
    /// Its full name, as it is stored.
    pub(super) name: FullName,
    /// What the catalog says; `None` for what the server makes itself.
    pub(super) table: Option<Table>,
    /// Its newest version, when its log was opened.
    pub(super) state: Option<Arc<TableState>>,
    /// Its columns.
    pub(super) schema: StructType,
    /// The columns that it is partitioned by.
    pub(super) partition_columns: Vec<String>,
    /// Its properties, without those that are ours alone.
    pub(super) properties: BTreeMap<String, String>,
}

impl Known {
    /// One of the server's own tables; `None` for every other name.
    pub(super) fn made_by_server(lake: &Lake, name: &FullName) -> Option<Self> {
        let parts: Vec<String> = name.parts().iter().map(|part| fold(part)).collect();
        let columns = match parts.as_slice() {
            [_, schema, view] if schema == "information_schema" => information_schema::columns(view),
            [catalog, schema, table] if catalog == "system" => system::columns(lake, schema, table),
            _ => None,
        };
        let schema = StructType::from_arrow(&schema_of(columns?)).ok()?;
        let (partition_columns, properties) = (Vec::new(), BTreeMap::new());
        Some(Known { name: FullName::of(parts), table: None, state: None, schema, partition_columns, properties })
    }

    /// As the catalog's copy has it.
    pub(super) fn from_catalog(table: Table) -> Result<Self> {
        let schema = StructType::from_schema_string(&table.schema_json)?;
        let (partition_columns, mut properties) = (table.partition_columns.clone(), table.properties.clone());
        properties.remove(VIEW_COLUMNS);
        let name = table.object.name.clone();
        Ok(Known { name, table: Some(table), state: None, schema, partition_columns, properties })
    }

    pub(super) fn at(mut self, state: Arc<TableState>) -> Self {
        self.schema = (*state.schema).clone();
        self.partition_columns.clone_from(&state.metadata.partition_columns);
        self.properties.clone_from(&state.metadata.configuration);
        self.state = Some(state);
        self
    }

    /// Its properties, with the protocol's as Databricks shows them there.
    pub(super) fn all_properties(&self) -> BTreeMap<String, String> {
        let mut all = self.properties.clone();
        if let Some(state) = &self.state {
            let protocol = &state.protocol;
            all.insert("delta.minReaderVersion".to_owned(), protocol.min_reader_version.to_string());
            all.insert("delta.minWriterVersion".to_owned(), protocol.min_writer_version.to_string());
            for feature in protocol.writer_features.iter().chain(&protocol.reader_features).flatten() {
                all.insert(format!("delta.feature.{feature}"), "supported".to_owned());
            }
        }
        all
    }

    /// The columns that it is clustered by, each as its path of names.
    pub(super) fn clustering_columns(&self) -> Vec<Vec<String>> {
        let domain = self.state.as_ref().and_then(|state| state.domains.get("delta.clustering"));
        let parsed: Option<Json> = domain.and_then(|domain| serde_json::from_str(&domain.configuration).ok());
        let physical: Vec<Vec<String>> = parsed
            .and_then(|mut json| serde_json::from_value(json.get_mut("clusteringColumns")?.take()).ok())
            .unwrap_or_default();
        physical.iter().map(|path| logical_path(&self.schema, path)).collect()
    }

    /// The rows of "Detailed Table Information", in Databricks' order.
    pub(super) fn details(&self) -> Vec<(&'static str, String)> {
        let [catalog, schema, last] = [0, 1, 2].map(|at| self.name.parts().get(at).cloned().unwrap_or_default());
        let mut rows = vec![("Catalog", catalog), ("Database", schema), ("Table", last)];
        let Some(table) = &self.table else {
            rows.push(("Type", "VIEW".to_owned()));
            return rows;
        };
        let object = &table.object;
        rows.push(("Created Time", java_date(object.created_at)));
        rows.push(("Last Access", "UNKNOWN".to_owned()));
        rows.push(("Created By", object.created_by.clone()));
        if let Some(state) = &self.state {
            rows.push(("Statistics", format!("{} bytes{}", state.files.bytes(), rows_text(state.files.rows()))));
        }
        rows.push(("Type", table.table_type.word().to_owned()));
        if let Some(comment) = &object.comment {
            rows.push(("Comment", comment.clone()));
        }
        if let Some(location) = &table.location {
            rows.push(("Location", location.clone()));
        }
        if let Some(view) = &table.view {
            let columns: Vec<&str> = self.schema.fields.iter().map(|field| field.name.as_str()).collect();
            rows.push(("View Text", view.text.clone()));
            rows.push(("View Original Text", view.text.clone()));
            rows.push(("View Schema Mode", "BINDING".to_owned()));
            rows.push(("View Catalog and Namespace", FullName::of([&view.catalog, &view.schema]).quoted()));
            rows.push(("View Query Output Columns", format!("[{}]", columns.join(", "))));
        } else {
            rows.push(("Provider", "delta".to_owned()));
        }
        rows.push(("Owner", object.owner.clone()));
        if table.table_type == TableType::Managed {
            rows.push(("Is_managed_location", "true".to_owned()));
        }
        rows.push(("Table Properties", bracketed(&self.all_properties())));
        rows
    }

    pub(super) fn field(&self, name: &str) -> Option<&StructField> {
        self.schema.field(name)
    }

    /// The one text of `DESCRIBE TABLE EXTENDED … AS JSON`.
    pub(super) fn as_json(&self) -> Json {
        let parts = self.name.parts();
        let part = |at: usize| parts.get(at).cloned().unwrap_or_default();
        let mut json = Map::new();
        json.insert("table_name".to_owned(), part(2).into());
        json.insert("catalog_name".to_owned(), part(0).into());
        json.insert("namespace".to_owned(), json!([part(1)]));
        json.insert("schema_name".to_owned(), part(1).into());
        json.insert("columns".to_owned(), self.schema.fields.iter().map(json_field).collect());
        let mut set = |key: &str, value: Json| {
            json.insert(key.to_owned(), value);
        };
        let Some(table) = &self.table else {
            set("type", "VIEW".into());
            return Json::Object(json);
        };
        let object = &table.object;
        set("type", table.table_type.word().into());
        set("owner", object.owner.clone().into());
        set("created_time", seconds_text(object.created_at).into());
        set("created_by", object.created_by.clone().into());
        if let Some(comment) = &object.comment {
            set("comment", comment.clone().into());
        }
        if let Some(location) = &table.location {
            set("location", location.clone().into());
        }
        if let Some(view) = &table.view {
            set("view_text", view.text.clone().into());
            set("view_original_text", view.text.clone().into());
            set("view_schema_mode", "BINDING".into());
            set("view_catalog_and_namespace", FullName::of([&view.catalog, &view.schema]).quoted().into());
            set("view_query_output_columns", self.schema.fields.iter().map(|field| field.name.clone()).collect());
        } else {
            set("provider", "delta".into());
            set("is_managed_location", (table.table_type == TableType::Managed).into());
        }
        if let Some(state) = &self.state {
            let mut statistics = Map::from_iter([("size_in_bytes".to_owned(), state.files.bytes().into())]);
            if let Some(rows) = state.files.rows() {
                statistics.insert("num_rows".to_owned(), rows.into());
            }
            set("statistics", Json::Object(statistics));
        }
        if !self.partition_columns.is_empty() {
            set("partition_columns", self.partition_columns.clone().into());
        }
        let clustering = self.clustering_columns();
        if !clustering.is_empty() {
            set("clustering_columns", clustering.iter().map(|path| path.join(".")).collect());
        }
        set("table_properties", json!(self.all_properties()));
        Json::Object(json)
    }
}

impl Run {
    /// What is known of a table or view: its log is opened.
    pub(super) async fn known(&self, name: &Name) -> Result<Known> {
        let name = self.full_name(name)?;
        if let Some(known) = Known::made_by_server(&self.lake, &name) {
            self.check_catalog(&name).await?;
            return Ok(known);
        }
        let permit = self.caller.ask::<tables::ReadMetadata>(NameOf::named(name)).await?;
        let mut table = table_verbs::get(&self.lake.governance.db, &permit).await?;
        let may_open = table_verbs::may_open(&self.caller, &Reference::Id(Kind::Table, permit.target().id)).await?;
        if let Some(view) = &mut table.view {
            if !may_open {
                "-- shown to those who may select from the view".clone_into(&mut view.text);
            }
            return Known::from_catalog(table);
        }
        let (_, state) = self.open_table(&permit, &table).await?;
        if !may_open {
            table.location = None;
        }
        Ok(Known::from_catalog(table)?.at(state))
    }
}

/// The names of a path of physical names; what is not found stays.
fn logical_path(schema: &StructType, physical: &[String]) -> Vec<String> {
    let mut inside = Some(schema);
    let mut names = Vec::with_capacity(physical.len());
    for part in physical {
        let field = inside.and_then(|schema| schema.fields.iter().find(|field| field.physical_name() == part));
        names.push(field.map_or_else(|| part.clone(), |field| field.name.clone()));
        inside =
            field.and_then(|field| if let DataType::Struct(inner) = &field.data_type { Some(inner) } else { None });
    }
    names
}

/// A column, or a field of a struct, in Spark's `AS JSON`.
fn json_field(field: &StructField) -> Json {
    let mut json = json!({
        "name": field.name,
        "type": json_type(&field.data_type),
        "nullable": field.nullable,
    });
    if let Some(object) = json.as_object_mut() {
        if let Some(comment) = field.comment() {
            object.insert("comment".to_owned(), comment.into());
        }
        if let Some(default) = field.metadata.get("CURRENT_DEFAULT") {
            object.insert("default".to_owned(), default.clone());
        }
    }
    json
}

fn json_type(data_type: &DataType) -> Json {
    match data_type {
        DataType::String => json!({ "name": "string", "collation": "UTF8_BINARY" }),
        DataType::Timestamp => json!({ "name": "timestamp_ltz" }),
        DataType::Decimal { precision, scale } => json!({ "name": "decimal", "precision": precision, "scale": scale }),
        DataType::Array(array) => json!({
            "name": "array",
            "element_type": json_type(&array.element_type),
            "element_nullable": array.contains_null,
        }),
        DataType::Map(map) => json!({
            "name": "map",
            "key_type": json_type(&map.key_type),
            "value_type": json_type(&map.value_type),
            "value_nullable": map.value_contains_null,
        }),
        DataType::Struct(inner) => {
            json!({ "name": "struct", "fields": inner.fields.iter().map(json_field).collect::<Vec<_>>() })
        }
        simple => json!({ "name": simple.to_type_text() }),
    }
}

fn rows_text(rows: Option<i64>) -> String {
    rows.map_or_else(String::new, |rows| format!(", {rows} rows"))
}

/// `2026-11-22T08:30:00Z`
fn seconds_text(at: Micros) -> String {
    let text = at.to_string();
    text.split_once('.').map_or(text.clone(), |(seconds, _)| format!("{seconds}Z"))
}

/// `Sun Nov 22 08:30:00 UTC 2026`, as Java writes dates, which is what Spark shows.
pub(super) fn java_date(at: Micros) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let days = at.0.div_euclid(86_400_000_000);
    let (year, month, day) = civil(days);
    let name = |names: &[&'static str], at: i64| usize::try_from(at).ok().and_then(|at| names.get(at).copied());
    let weekday = name(&DAYS, days.rem_euclid(7)).unwrap_or_default();
    let month = name(&MONTHS, i64::from(month) - 1).unwrap_or_default();
    let seconds = at.0.rem_euclid(86_400_000_000) / 1_000_000;
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{weekday} {month} {day:02} {hour:02}:{minute:02}:{second:02} UTC {year:04}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_java_s() {
        assert_eq!(java_date(Micros(0)), "Thu Jan 01 00:00:00 UTC 1970");
        assert_eq!(java_date(Micros(951_782_400_000_000)), "Tue Feb 29 00:00:00 UTC 2000");
        assert_eq!(seconds_text(Micros(1_357_016_400_123_456)), "2013-01-01T05:00:00Z");
    }

    #[test]
    fn json_types_are_spark_s() {
        let text = "struct<a:int,b:array<map<string,timestamp>>,c:decimal(10,2)>";
        let json = json_type(&DataType::from_type_text(text).unwrap());
        assert_eq!(json["fields"][0]["type"], json!({ "name": "int" }));
        assert_eq!(json["fields"][1]["type"]["element_type"]["value_type"], json!({ "name": "timestamp_ltz" }));
        assert_eq!(json["fields"][2]["type"], json!({ "name": "decimal", "precision": 10, "scale": 2 }));
    }
}
