//! Columns: Delta's schema JSON on our side, `ColumnInfo` on the wire.
//!
//! Only names of types are translated here. What a type means, and which a table may have, is `lake`'s business; a table
//! that is read goes by its Delta log, not by what stands here.

use crannog_types::{Problem, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// A column as Unity Catalog's clients read it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ColumnInfo {
    name: String,
    type_text: String,
    type_json: String,
    type_name: &'static str,
    /// Digits of a decimal in all; 0 for other types.
    type_precision: Option<i64>,
    /// Digits of a decimal after the point; 0 for other types.
    type_scale: Option<i64>,
    type_interval_type: Option<String>,
    /// Its place among the columns, from 0.
    position: i64,
    comment: Option<String>,
    nullable: bool,
    /// Its place among the partition columns, from 0; null for others.
    partition_index: Option<i64>,
}

/// A column as a client gives it.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct NewColumn {
    name: String,
    type_text: Option<String>,
    type_json: Option<String>,
    type_name: Option<String>,
    /// Digits of a decimal in all; 0 for other types.
    type_precision: Option<i64>,
    /// Digits of a decimal after the point; 0 for other types.
    type_scale: Option<i64>,
    comment: Option<String>,
    nullable: Option<bool>,
    /// Its place among the partition columns, from 0; null for others.
    partition_index: Option<i64>,
}

/// Names of types: Delta's JSON, SQL's text, Unity Catalog's `ColumnTypeName`.
const NAMES: [(&str, &str, &str); 15] = [
    ("string", "string", "STRING"),
    ("long", "bigint", "LONG"),
    ("integer", "int", "INT"),
    ("short", "smallint", "SHORT"),
    ("byte", "tinyint", "BYTE"),
    ("float", "float", "FLOAT"),
    ("double", "double", "DOUBLE"),
    ("boolean", "boolean", "BOOLEAN"),
    ("binary", "binary", "BINARY"),
    ("date", "date", "DATE"),
    ("timestamp", "timestamp", "TIMESTAMP"),
    ("timestamp_ntz", "timestamp_ntz", "TIMESTAMP_NTZ"),
    ("void", "void", "NULL"),
    ("null", "void", "NULL"),
    ("variant", "variant", "VARIANT"),
];

/// The columns of a table. A view whose columns are not known has none.
///
/// # Errors
/// Stored text that is no schema: a bug.
pub(super) fn of_schema_json(text: &str, partitions: &[String]) -> Result<Vec<ColumnInfo>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let schema: Value =
        serde_json::from_str(text).map_err(|error| Problem::internal("a stored schema cannot be read", error))?;
    let fields = schema.get("fields").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    Ok(fields.iter().zip(0..).map(|(field, position)| column(field, position, partitions)).collect())
}

fn column(field: &Value, position: i64, partitions: &[String]) -> ColumnInfo {
    let name = field.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let of_type = field.get("type").unwrap_or(&Value::Null);
    let decimal = of_type.as_str().and_then(decimal);
    let at = partitions.iter().position(|partition| partition.eq_ignore_ascii_case(&name));
    ColumnInfo {
        type_text: type_text(of_type),
        type_json: field.to_string(),
        type_name: type_name(of_type),
        type_precision: Some(decimal.map_or(0, |(precision, _)| precision)),
        type_scale: Some(decimal.map_or(0, |(_, scale)| scale)),
        type_interval_type: None,
        position,
        comment: field.pointer("/metadata/comment").and_then(Value::as_str).map(str::to_owned),
        nullable: field.get("nullable").and_then(Value::as_bool).unwrap_or(true),
        partition_index: at.and_then(|at| i64::try_from(at).ok()),
        name,
    }
}

fn decimal(text: &str) -> Option<(i64, i64)> {
    let (precision, scale) = text.strip_prefix("decimal(")?.strip_suffix(')')?.split_once(',')?;
    let (precision, scale) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
    ((1..=38).contains(&precision) && (0..=precision).contains(&scale)).then_some((precision, scale))
}

fn type_text(of_type: &Value) -> String {
    let at = |key| type_text(of_type.get(key).unwrap_or(&Value::Null));
    match of_type {
        Value::String(word) => match NAMES.iter().find(|(delta, _, _)| delta == word) {
            Some((_, sql, _)) => (*sql).to_owned(),
            None => word.replace(' ', ""),
        },
        Value::Object(object) => match object.get("type").and_then(Value::as_str) {
            Some("array") => format!("array<{}>", at("elementType")),
            Some("map") => format!("map<{},{}>", at("keyType"), at("valueType")),
            _ => {
                let fields = object.get("fields").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
                let fields: Vec<String> = fields.iter().map(field_text).collect();
                format!("struct<{}>", fields.join(","))
            }
        },
        _ => "void".to_owned(),
    }
}

fn field_text(field: &Value) -> String {
    let name = field.get("name").and_then(Value::as_str).unwrap_or_default();
    let plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    let name = if plain { name.to_owned() } else { format!("`{}`", name.replace('`', "``")) };
    format!("{name}:{}", type_text(field.get("type").unwrap_or(&Value::Null)))
}

fn type_name(of_type: &Value) -> &'static str {
    match of_type {
        Value::String(word) if word.starts_with("decimal") => "DECIMAL",
        Value::String(word) => {
            NAMES.iter().find(|(delta, _, _)| delta == word).map_or("USER_DEFINED_TYPE", |(_, _, name)| name)
        }
        _ => match of_type.get("type").and_then(Value::as_str) {
            Some("array") => "ARRAY",
            Some("map") => "MAP",
            _ => "STRUCT",
        },
    }
}

/// Delta's schema JSON of columns that a client gives, and the columns that it is partitioned by, in their order.
///
/// # Errors
/// A type that Delta does not have, a nested one without `type_json`, or two columns of one name.
pub(super) fn to_schema_json(columns: &[NewColumn]) -> Result<(String, Vec<String>)> {
    let mut fields = Vec::with_capacity(columns.len());
    let mut seen = std::collections::BTreeSet::new();
    for column in columns {
        if column.name.is_empty() || !seen.insert(column.name.to_lowercase()) {
            return Err(Problem::invalid(format!("the column name {:?} is empty or there twice", column.name))
                .hint("names of columns differ by more than case"));
        }
        fields.push(field_of(column)?);
    }
    let mut partitions: Vec<(i64, String)> =
        columns.iter().filter_map(|column| Some((column.partition_index?, column.name.clone()))).collect();
    partitions.sort();
    let schema = json!({ "type": "struct", "fields": fields });
    Ok((schema.to_string(), partitions.into_iter().map(|(_, name)| name).collect()))
}

fn field_of(column: &NewColumn) -> Result<Value> {
    let given: Option<Value> = match column.type_json.as_deref().filter(|text| !text.trim().is_empty()) {
        Some(text) => Some(serde_json::from_str(text).or_else(|_| {
            // Some clients write the bare word of a type where JSON is wanted.
            let word = text.trim();
            let plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_(), ".contains(&byte));
            plain.then(|| Value::String(word.to_ascii_lowercase())).ok_or_else(|| unknown(column, text))
        })?),
        None => None,
    };
    // Databricks and Spark write the whole field, the open-source command line only its type.
    let (of_type, metadata) = match given {
        Some(Value::Object(field)) if field.contains_key("name") => {
            let metadata = field.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
            (field.get("type").cloned().unwrap_or(Value::Null), metadata)
        }
        Some(of_type) => (of_type, Map::new()),
        None => (named_type(column)?, Map::new()),
    };
    let mut metadata = metadata;
    if let Some(comment) = &column.comment {
        metadata.insert("comment".to_owned(), Value::String(comment.clone()));
    }
    Ok(json!({
        "name": column.name,
        "type": canonical(&of_type).ok_or_else(|| unknown(column, &of_type.to_string()))?,
        "nullable": column.nullable.unwrap_or(true),
        "metadata": metadata,
    }))
}

/// A type that is given by name only.
fn named_type(column: &NewColumn) -> Result<Value> {
    if column.type_name.as_deref() == Some("DECIMAL")
        && let (Some(precision), Some(scale)) = (column.type_precision, column.type_scale)
        && precision > 0
    {
        return Ok(Value::String(format!("decimal({precision},{scale})")));
    }
    let text = column.type_text.as_deref().or(column.type_name.as_deref()).unwrap_or_default();
    Ok(Value::String(text.trim().to_ascii_lowercase()))
}

/// A type with Delta's own names, if it is one.
fn canonical(of_type: &Value) -> Option<Value> {
    match of_type {
        Value::String(word) => {
            let word = word.to_ascii_lowercase();
            if let Some((precision, scale)) = decimal(&word) {
                return Some(Value::String(format!("decimal({precision},{scale})")));
            }
            let found = NAMES.iter().find(|(delta, sql, _)| *delta == word || *sql == word);
            found.map(|(delta, _, _)| Value::String((*delta).to_owned()))
        }
        Value::Object(object) => {
            let mut object = object.clone();
            let mut replace = |key: &str| {
                let inner = canonical(object.get(key)?)?;
                object.insert(key.to_owned(), inner);
                Some(())
            };
            match of_type.get("type").and_then(Value::as_str)? {
                "array" => replace("elementType")?,
                "map" => {
                    replace("keyType")?;
                    replace("valueType")?;
                }
                "struct" => {
                    for field in object.get_mut("fields")?.as_array_mut()? {
                        field.get("name")?.as_str()?;
                        let inner = canonical(field.get("type")?)?;
                        field.as_object_mut()?.insert("type".to_owned(), inner);
                    }
                }
                _ => return None,
            }
            Some(Value::Object(object))
        }
        _ => None,
    }
}

fn unknown(column: &NewColumn, text: &str) -> Problem {
    Problem::invalid(format!("the type {text} of column {:?} is none that Delta has", column.name))
        .hint("give the column's field of the Delta schema in type_json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_read_as_clients_want_them() {
        let schema = json!({ "type": "struct", "fields": [
            { "name": "id", "type": "long", "nullable": false, "metadata": { "comment": "key" } },
            { "name": "price", "type": "decimal(10,2)", "nullable": true, "metadata": {} },
            { "name": "tags", "type": { "type": "map", "keyType": "string", "valueType":
                { "type": "array", "elementType": "integer", "containsNull": true }, "valueContainsNull": true },
              "nullable": true, "metadata": {} },
            { "name": "at", "type": { "type": "struct", "fields": [
                { "name": "x y", "type": "double", "nullable": true, "metadata": {} }] }, "nullable": true, "metadata": {} },
        ]});
        let columns = of_schema_json(&schema.to_string(), &["price".to_owned()]).unwrap();
        let shown: Vec<_> = columns.iter().map(|column| (column.type_text.as_str(), column.type_name)).collect();
        assert_eq!(
            shown,
            [
                ("bigint", "LONG"),
                ("decimal(10,2)", "DECIMAL"),
                ("map<string,array<int>>", "MAP"),
                ("struct<`x y`:double>", "STRUCT"),
            ]
        );
        assert_eq!((columns[1].type_precision, columns[1].type_scale), (Some(10), Some(2)));
        assert_eq!(columns[1].partition_index, Some(0));
        assert_eq!((columns[0].comment.as_deref(), columns[0].nullable), (Some("key"), false));
        assert!(columns[0].type_json.starts_with("{\"name\":\"id\",\"type\":\"long\""));
    }

    #[test]
    fn columns_are_taken_in_every_way_that_clients_write_them() {
        let column = |name: &str, rest: Value| -> NewColumn {
            let mut object = json!({ "name": name });
            object.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
            serde_json::from_value(object).unwrap()
        };
        let given = [
            column(
                "a",
                json!({ "type_json": "{\"name\":\"a\",\"type\":\"integer\",\"nullable\":true,\"metadata\":{}}" }),
            ),
            column("b", json!({ "type_json": "\"string\"", "type_name": "STRING", "partition_index": 0 })),
            column("c", json!({ "type_text": "bigint", "type_name": "LONG", "nullable": false })),
            column("d", json!({ "type_name": "DECIMAL", "type_precision": 5, "type_scale": 1 })),
            column("e", json!({ "type_json": "{\"type\":\"array\",\"elementType\":\"int\",\"containsNull\":true}" })),
            column("f", json!({ "type_json": "decimal(3, 1)" })),
        ];
        let (schema, partitions) = to_schema_json(&given).unwrap();
        let schema: Value = serde_json::from_str(&schema).unwrap();
        let types: Vec<String> =
            schema["fields"].as_array().unwrap().iter().map(|field| type_text(&field["type"])).collect();
        assert_eq!(types, ["int", "string", "bigint", "decimal(5,1)", "array<int>", "decimal(3,1)"]);
        assert_eq!(schema["fields"][2]["nullable"], json!(false));
        assert_eq!(partitions, ["b"]);
        for bad in [json!({ "type_name": "INTERVAL" }), json!({}), json!({ "type_json": "{\"type\":\"udt\"}" })] {
            assert!(to_schema_json(&[column("x", bad)]).is_err());
        }
        assert!(to_schema_json(&[column("x", json!({ "type_name": "LONG" })), column("X", json!({}))]).is_err());
    }
}
