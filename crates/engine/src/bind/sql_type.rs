//! SQL types as Arrow's.

use arrow::datatypes::DataType;
use crannog_lake::grammar::DataType as SqlType;
use crannog_lake::model::interval::Span;
use datafusion::sql::sqlparser::ast;

use crate::spark::error::{Result, spark, unsupported};
use crate::spark::{interval, types};

/// The Arrow type of a type that the user wrote, and its units if it is an interval.
pub(crate) fn sql_type(data_type: &ast::DataType) -> Result<(DataType, Option<Span>)> {
    let parsed = SqlType::from_ast(data_type).map_err(|error| {
        spark("UNSUPPORTED_DATATYPE", format!("the type {data_type} is not known: {}", error.message))
    })?;
    let span = match parsed {
        SqlType::Interval(span) => Some(span),
        _ => None,
    };
    Ok((arrow_type(&parsed)?, span))
}

/// The Arrow type of a type of the grammar.
pub(crate) fn arrow_type(data_type: &SqlType) -> Result<DataType> {
    Ok(match data_type {
        SqlType::Boolean => DataType::Boolean,
        SqlType::TinyInt => DataType::Int8,
        SqlType::SmallInt => DataType::Int16,
        SqlType::Int => DataType::Int32,
        SqlType::BigInt => DataType::Int64,
        SqlType::Float => DataType::Float32,
        SqlType::Double => DataType::Float64,
        SqlType::Decimal { precision, scale } => DataType::Decimal128(*precision, i8::try_from(*scale).unwrap_or(38)),
        SqlType::String | SqlType::Char(_) | SqlType::Varchar(_) => DataType::Utf8,
        SqlType::Binary => DataType::Binary,
        SqlType::Date => DataType::Date32,
        SqlType::Timestamp => types::timestamp(),
        SqlType::TimestampNtz => types::timestamp_ntz(),
        SqlType::Interval(span) => interval::arrow_type(*span),
        SqlType::Array(element) => types::list_of(arrow_type(element)?),
        SqlType::Map(key, value) => types::map_of(arrow_type(key)?, arrow_type(value)?),
        SqlType::Struct(fields) => {
            let fields = fields
                .iter()
                .map(|field| Ok((field.name.clone(), arrow_type(&field.data_type)?)))
                .collect::<Result<Vec<_>>>()?;
            types::struct_of(fields)
        }
        SqlType::Variant => return Err(unsupported("the type VARIANT")),
        SqlType::Void => DataType::Null,
    })
}
