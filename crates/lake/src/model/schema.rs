//! Delta's schemas: the JSON of `schemaString`, Arrow's types, and (in [`super::type_text`]) Spark's type text.
//!
//! Column metadata is kept as it stands: column mapping, invariants, defaults and generation expressions live there, and
//! losing a key when a schema is rewritten would corrupt the table for other writers. Column names are unique regardless
//! of case, by the protocol.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_schema::{DataType as ArrowType, Field as ArrowField, Fields, Schema as ArrowSchema, TimeUnit};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::LogError;

/// Key of the physical name under column mapping.
const PHYSICAL_NAME: &str = "delta.columnMapping.physicalName";

/// A struct: the whole table's schema, or a column of type struct.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StructType {
    pub fields: Vec<StructField>,
}

/// A column, possibly nested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StructField {
    pub name: String,
    pub data_type: DataType,
    pub nullable: bool,
    pub metadata: Map<String, Value>,
}

/// A Delta type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataType {
    String,
    Long,
    Integer,
    Short,
    Byte,
    Float,
    Double,
    /// Precision 1 to 38, scale 0 to precision.
    Decimal {
        precision: u8,
        scale: u8,
    },
    Boolean,
    Binary,
    Date,
    /// Microseconds, UTC.
    Timestamp,
    /// Microseconds, no zone; needs the table feature `timestampNtz`.
    TimestampNtz,
    /// Only nulls, never in data files.
    Void,
    /// Needs the table feature `variantType`.
    Variant,
    Struct(StructType),
    Array(Box<ArrayType>),
    Map(Box<MapType>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArrayType {
    pub element_type: DataType,
    pub contains_null: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapType {
    pub key_type: DataType,
    pub value_type: DataType,
    pub value_contains_null: bool,
}

impl StructField {
    /// A column without metadata.
    #[must_use]
    pub fn new(name: impl Into<String>, data_type: DataType, nullable: bool) -> Self {
        Self { name: name.into(), data_type, nullable, metadata: Map::new() }
    }

    /// The name of the column in data files, statistics and partition values.
    #[must_use]
    pub fn physical_name(&self) -> &str {
        self.metadata.get(PHYSICAL_NAME).and_then(Value::as_str).unwrap_or(&self.name)
    }

    /// The column's comment.
    #[must_use]
    pub fn comment(&self) -> Option<&str> {
        self.metadata.get("comment").and_then(Value::as_str)
    }

    /// The field as Delta's JSON writes it; Unity Catalog's `type_json`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "type": self.data_type.to_json(),
            "nullable": self.nullable,
            "metadata": self.metadata,
        })
    }

    /// Arrow's field of the same name. Metadata is Delta's business and not carried over.
    #[must_use]
    pub fn to_arrow(&self) -> ArrowField {
        ArrowField::new(&self.name, self.data_type.to_arrow(), self.nullable)
    }

    fn from_arrow(field: &ArrowField) -> Result<Self, LogError> {
        let data_type = DataType::from_arrow(field.data_type()).map_err(|e| in_column(field.name(), e))?;
        Ok(Self::new(field.name(), data_type, field.is_nullable()))
    }
}

impl StructType {
    /// # Errors
    /// When two columns have the same name but for case.
    pub fn new(fields: Vec<StructField>) -> Result<Self, LogError> {
        let mut seen = HashSet::new();
        for field in &fields {
            if !seen.insert(field.name.to_lowercase()) {
                return Err(LogError::Schema(format!(
                    "the column '{}' occurs twice (names differ only by case count as equal); rename one",
                    field.name
                )));
            }
        }
        Ok(Self { fields })
    }

    /// Reads `metaData.schemaString`.
    ///
    /// # Errors
    /// [`LogError::Schema`] for text that is not JSON or not a schema, and for types that Delta does not define.
    pub fn from_schema_string(text: &str) -> Result<Self, LogError> {
        let raw: RawStruct = serde_json::from_str(text).map_err(|e| LogError::Schema(e.to_string()))?;
        raw.into_struct()
    }

    /// The text for `metaData.schemaString`.
    #[must_use]
    pub fn to_schema_string(&self) -> String {
        self.to_json().to_string()
    }

    fn to_json(&self) -> Value {
        json!({"type": "struct", "fields": self.fields.iter().map(StructField::to_json).collect::<Vec<_>>()})
    }

    /// The column of that name, regardless of case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&StructField> {
        self.fields
            .iter()
            .find(|f| f.name == name)
            .or_else(|| self.fields.iter().find(|f| f.name.to_lowercase() == name.to_lowercase()))
    }

    /// Arrow's schema of the same columns.
    #[must_use]
    pub fn to_arrow(&self) -> ArrowSchema {
        ArrowSchema::new(self.fields.iter().map(StructField::to_arrow).collect::<Vec<_>>())
    }

    /// The Delta schema that can hold batches of an Arrow schema. Types that Delta lacks but can hold without loss are
    /// widened (unsigned integers, views, dictionaries); the writer casts to [`StructType::to_arrow`].
    ///
    /// # Errors
    /// [`LogError::Schema`] naming the column whose type has no equivalent.
    pub fn from_arrow(schema: &ArrowSchema) -> Result<Self, LogError> {
        Self::new(schema.fields().iter().map(|f| StructField::from_arrow(f)).collect::<Result<_, _>>()?)
    }

    /// Calls `visit` on every field, nested ones too, outermost first. Fields inside arrays and maps are included.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a StructField)) {
        for field in &self.fields {
            visit(field);
            field.data_type.walk(visit);
        }
    }

    /// Whether a type occurs anywhere in the schema.
    #[must_use]
    pub fn any_type(&self, mut is: impl FnMut(&DataType) -> bool) -> bool {
        self.fields.iter().any(|f| f.data_type.any(&mut is))
    }
}

impl DataType {
    /// The type as Delta's JSON writes it: a string, or an object for nested types.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let name = match self {
            Self::Struct(s) => return s.to_json(),
            Self::Array(a) => {
                return json!({"type": "array", "elementType": a.element_type.to_json(), "containsNull": a.contains_null});
            }
            Self::Map(m) => {
                return json!({
                    "type": "map",
                    "keyType": m.key_type.to_json(),
                    "valueType": m.value_type.to_json(),
                    "valueContainsNull": m.value_contains_null,
                });
            }
            Self::Decimal { precision, scale } => return Value::String(format!("decimal({precision},{scale})")),
            Self::String => "string",
            Self::Long => "long",
            Self::Integer => "integer",
            Self::Short => "short",
            Self::Byte => "byte",
            Self::Float => "float",
            Self::Double => "double",
            Self::Boolean => "boolean",
            Self::Binary => "binary",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::TimestampNtz => "timestamp_ntz",
            Self::Void => "void",
            Self::Variant => "variant",
        };
        Value::String(name.to_owned())
    }

    fn from_name(name: &str) -> Result<Self, LogError> {
        Ok(match name {
            "string" => Self::String,
            "long" => Self::Long,
            "integer" => Self::Integer,
            "short" => Self::Short,
            "byte" => Self::Byte,
            "float" => Self::Float,
            "double" => Self::Double,
            "boolean" => Self::Boolean,
            "binary" => Self::Binary,
            "date" => Self::Date,
            "timestamp" => Self::Timestamp,
            "timestamp_ntz" => Self::TimestampNtz,
            // Spark's JSON called it "null" before 3.0.
            "void" | "null" => Self::Void,
            "variant" => Self::Variant,
            "decimal" => Self::Decimal { precision: 10, scale: 0 },
            other => {
                let inner = other.strip_prefix("decimal(").and_then(|rest| rest.strip_suffix(')'));
                let Some((precision, scale)) = inner.and_then(|i| i.split_once(',')) else {
                    return Err(LogError::Schema(format!("the type '{other}' is not one of Delta's")));
                };
                Self::decimal(precision.trim().parse().ok(), scale.trim().parse().ok())
                    .ok_or_else(|| LogError::Schema(format!("'{other}' is not a decimal of at most 38 digits")))?
            }
        })
    }

    /// A decimal, if precision and scale are in range.
    #[must_use]
    pub fn decimal(precision: Option<u8>, scale: Option<u8>) -> Option<Self> {
        let (precision, scale) = (precision?, scale?);
        ((1..=38).contains(&precision) && scale <= precision).then_some(Self::Decimal { precision, scale })
    }

    /// Arrow's type of the same values: what data files hold and what queries see.
    #[must_use]
    pub fn to_arrow(&self) -> ArrowType {
        match self {
            Self::String => ArrowType::Utf8,
            Self::Long => ArrowType::Int64,
            Self::Integer => ArrowType::Int32,
            Self::Short => ArrowType::Int16,
            Self::Byte => ArrowType::Int8,
            Self::Float => ArrowType::Float32,
            Self::Double => ArrowType::Float64,
            Self::Decimal { precision, scale } => ArrowType::Decimal128(*precision, *scale as i8),
            Self::Boolean => ArrowType::Boolean,
            Self::Binary => ArrowType::Binary,
            Self::Date => ArrowType::Date32,
            Self::Timestamp => ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::TimestampNtz => ArrowType::Timestamp(TimeUnit::Microsecond, None),
            Self::Void => ArrowType::Null,
            // Parquet's unshredded variant.
            Self::Variant => ArrowType::Struct(Fields::from(vec![
                ArrowField::new("metadata", ArrowType::Binary, false),
                ArrowField::new("value", ArrowType::Binary, false),
            ])),
            Self::Struct(s) => ArrowType::Struct(s.fields.iter().map(StructField::to_arrow).collect()),
            Self::Array(a) => {
                ArrowType::List(Arc::new(ArrowField::new("element", a.element_type.to_arrow(), a.contains_null)))
            }
            Self::Map(m) => {
                let entries = Fields::from(vec![
                    ArrowField::new("key", m.key_type.to_arrow(), false),
                    ArrowField::new("value", m.value_type.to_arrow(), m.value_contains_null),
                ]);
                ArrowType::Map(Arc::new(ArrowField::new("key_value", ArrowType::Struct(entries), false)), false)
            }
        }
    }

    /// The Delta type that holds every value of an Arrow type.
    ///
    /// # Errors
    /// [`LogError::Schema`] when there is none (times, durations, intervals, unions).
    pub fn from_arrow(arrow: &ArrowType) -> Result<Self, LogError> {
        Ok(match arrow {
            ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View => Self::String,
            ArrowType::Int64 | ArrowType::UInt32 => Self::Long,
            ArrowType::Int32 | ArrowType::UInt16 => Self::Integer,
            ArrowType::Int16 | ArrowType::UInt8 => Self::Short,
            ArrowType::Int8 => Self::Byte,
            ArrowType::UInt64 => Self::Decimal { precision: 20, scale: 0 },
            ArrowType::Float16 | ArrowType::Float32 => Self::Float,
            ArrowType::Float64 => Self::Double,
            ArrowType::Boolean => Self::Boolean,
            ArrowType::Binary | ArrowType::LargeBinary | ArrowType::BinaryView | ArrowType::FixedSizeBinary(_) => {
                Self::Binary
            }
            ArrowType::Date32 | ArrowType::Date64 => Self::Date,
            ArrowType::Timestamp(_, Some(_)) => Self::Timestamp,
            ArrowType::Timestamp(_, None) => Self::TimestampNtz,
            ArrowType::Null => Self::Void,
            ArrowType::Decimal32(p, s)
            | ArrowType::Decimal64(p, s)
            | ArrowType::Decimal128(p, s)
            | ArrowType::Decimal256(p, s) => Self::decimal(Some(*p), u8::try_from(*s).ok()).ok_or_else(|| {
                LogError::Schema(format!("decimal({p},{s}) has more than 38 digits or a negative scale; cast it"))
            })?,
            ArrowType::Dictionary(_, values) => Self::from_arrow(values)?,
            ArrowType::RunEndEncoded(_, values) => Self::from_arrow(values.data_type())?,
            ArrowType::List(f)
            | ArrowType::LargeList(f)
            | ArrowType::FixedSizeList(f, _)
            | ArrowType::ListView(f)
            | ArrowType::LargeListView(f) => Self::Array(Box::new(ArrayType {
                element_type: Self::from_arrow(f.data_type())?,
                contains_null: f.is_nullable(),
            })),
            ArrowType::Struct(fields) => Self::Struct(StructType::new(
                fields.iter().map(|f| StructField::from_arrow(f)).collect::<Result<_, _>>()?,
            )?),
            ArrowType::Map(entries, _) => match entries.data_type() {
                ArrowType::Struct(kv) if kv.len() == 2 => Self::Map(Box::new(MapType {
                    key_type: Self::from_arrow(kv[0].data_type())?,
                    value_type: Self::from_arrow(kv[1].data_type())?,
                    value_contains_null: kv[1].is_nullable(),
                })),
                other => return Err(LogError::Schema(format!("a map of {other} is malformed"))),
            },
            other => {
                return Err(LogError::Schema(format!("Delta has no type for {other}; cast it to string or bigint")));
            }
        })
    }

    /// Struct, array, map or variant: a type that has no single value in partition paths and statistics.
    #[must_use]
    pub fn is_nested(&self) -> bool {
        matches!(self, Self::Struct(_) | Self::Array(_) | Self::Map(_) | Self::Variant)
    }

    fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a StructField)) {
        match self {
            Self::Struct(s) => s.walk(visit),
            Self::Array(a) => a.element_type.walk(visit),
            Self::Map(m) => {
                m.key_type.walk(visit);
                m.value_type.walk(visit);
            }
            _ => {}
        }
    }

    fn any(&self, is: &mut dyn FnMut(&Self) -> bool) -> bool {
        is(self)
            || match self {
                Self::Struct(s) => s.fields.iter().any(|f| f.data_type.any(is)),
                Self::Array(a) => a.element_type.any(is),
                Self::Map(m) => m.key_type.any(is) || m.value_type.any(is),
                _ => false,
            }
    }
}

fn in_column(name: &str, error: LogError) -> LogError {
    match error {
        LogError::Schema(reason) => LogError::Schema(format!("column '{name}': {reason}")),
        other => other,
    }
}

/// The JSON as it stands, before types are understood.
#[derive(Deserialize)]
struct RawStruct {
    fields: Vec<RawField>,
}

#[derive(Deserialize)]
struct RawField {
    name: String,
    #[serde(rename = "type")]
    data_type: Value,
    #[serde(default = "nullable_by_default")]
    nullable: bool,
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", rename_all_fields = "camelCase")]
enum RawNested {
    Struct { fields: Vec<RawField> },
    Array { element_type: Value, contains_null: bool },
    Map { key_type: Value, value_type: Value, value_contains_null: bool },
}

fn nullable_by_default() -> bool {
    true
}

impl RawStruct {
    fn into_struct(self) -> Result<StructType, LogError> {
        let field = |raw: RawField| {
            let data_type = DataType::from_json(raw.data_type).map_err(|e| in_column(&raw.name, e))?;
            let metadata = raw.metadata.unwrap_or_default();
            Ok(StructField { name: raw.name, data_type, nullable: raw.nullable, metadata })
        };
        StructType::new(self.fields.into_iter().map(field).collect::<Result<_, LogError>>()?)
    }
}

impl DataType {
    fn from_json(value: Value) -> Result<Self, LogError> {
        if let Value::String(name) = &value {
            return Self::from_name(name);
        }
        let nested: RawNested = serde_json::from_value(value).map_err(|e| LogError::Schema(e.to_string()))?;
        Ok(match nested {
            RawNested::Struct { fields } => Self::Struct(RawStruct { fields }.into_struct()?),
            RawNested::Array { element_type, contains_null } => {
                Self::Array(Box::new(ArrayType { element_type: Self::from_json(element_type)?, contains_null }))
            }
            RawNested::Map { key_type, value_type, value_contains_null } => Self::Map(Box::new(MapType {
                key_type: Self::from_json(key_type)?,
                value_type: Self::from_json(value_type)?,
                value_contains_null,
            })),
        })
    }
}

impl Serialize for StructType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"{"type":"struct","fields":[{"name":"id","type":"long","nullable":false,"metadata":{"comment":"key"}},{"name":"Price","type":"decimal(10,2)","nullable":true,"metadata":{}},{"name":"at","type":"timestamp","nullable":true,"metadata":{}},{"name":"local","type":"timestamp_ntz","nullable":true,"metadata":{}},{"name":"tags","type":{"type":"array","elementType":"string","containsNull":true},"nullable":true,"metadata":{}},{"name":"m","type":{"type":"map","keyType":"string","valueType":{"type":"struct","fields":[{"name":"x","type":"double","nullable":true,"metadata":{"delta.columnMapping.physicalName":"c1"}}]},"valueContainsNull":false},"nullable":true,"metadata":{}}]}"#;

    #[test]
    fn schema_strings_survive_unchanged() {
        let schema = StructType::from_schema_string(SCHEMA).unwrap();
        assert_eq!(schema.to_schema_string(), SCHEMA);
        assert_eq!(schema.field("price").unwrap().name, "Price");
        assert_eq!(schema.fields[0].comment(), Some("key"));
        let mut physical = Vec::new();
        schema.walk(&mut |f| physical.push(f.physical_name().to_owned()));
        assert_eq!(physical, ["id", "Price", "at", "local", "tags", "m", "c1"]);
    }

    #[test]
    fn arrow_and_delta_mean_the_same() {
        let schema = StructType::from_schema_string(SCHEMA).unwrap();
        let arrow = schema.to_arrow();
        assert_eq!(*arrow.field(1).data_type(), ArrowType::Decimal128(10, 2));
        assert_eq!(*arrow.field(2).data_type(), ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
        assert_eq!(*arrow.field(3).data_type(), ArrowType::Timestamp(TimeUnit::Microsecond, None));
        let mut back = StructType::from_arrow(&arrow).unwrap();
        back.fields[0].metadata = schema.fields[0].metadata.clone();
        let types = |s: &StructType| s.fields.iter().map(|f| f.data_type.to_type_text()).collect::<Vec<_>>();
        assert_eq!(types(&back), types(&schema));
        assert_eq!(DataType::from_arrow(&ArrowType::UInt64).unwrap().to_type_text(), "decimal(20,0)");
        assert!(DataType::from_arrow(&ArrowType::Time64(TimeUnit::Microsecond)).is_err());
    }

    #[test]
    fn bad_schemas_say_which_column() {
        let bad = |field: &str| StructType::from_schema_string(&format!(r#"{{"type":"struct","fields":[{field}]}}"#));
        let geometry = bad(r#"{"name":"g","type":"geometry","nullable":true,"metadata":{}}"#).unwrap_err().to_string();
        assert!(geometry.contains("column 'g'") && geometry.contains("geometry"), "{geometry}");
        assert!(
            bad(r#"{"name":"a","type":"long"},{"name":"A","type":"long"}"#).unwrap_err().to_string().contains("twice")
        );
        assert!(bad(r#"{"name":"a","type":"decimal(39,0)"}"#).is_err());
        assert!(StructType::from_schema_string("nonsense").is_err());
    }
}
