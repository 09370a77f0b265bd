//! Column types of definitions, from SQL's words to Delta's.

use crannog_types::{Code, Problem, Result};

use crate::grammar::DataType as SqlType;
use crate::model::schema::{ArrayType, DataType, MapType, StructField, StructType};

/// The type that a table's schema keeps for a type of SQL.
///
/// # Errors
/// Types that no Delta table keeps (intervals), and those whose rule we would not hold (the length of `CHAR(n)`).
pub(super) fn delta_type(sql: &SqlType) -> Result<DataType> {
    Ok(match sql {
        SqlType::Boolean => DataType::Boolean,
        SqlType::TinyInt => DataType::Byte,
        SqlType::SmallInt => DataType::Short,
        SqlType::Int => DataType::Integer,
        SqlType::BigInt => DataType::Long,
        SqlType::Float => DataType::Float,
        SqlType::Double => DataType::Double,
        SqlType::Decimal { precision, scale } => DataType::Decimal { precision: *precision, scale: *scale },
        SqlType::String => DataType::String,
        SqlType::Binary => DataType::Binary,
        SqlType::Date => DataType::Date,
        SqlType::Timestamp => DataType::Timestamp,
        SqlType::TimestampNtz => DataType::TimestampNtz,
        SqlType::Array(element) => {
            DataType::Array(Box::new(ArrayType { element_type: delta_type(element)?, contains_null: true }))
        }
        SqlType::Map(key, value) => DataType::Map(Box::new(MapType {
            key_type: delta_type(key)?,
            value_type: delta_type(value)?,
            value_contains_null: true,
        })),
        SqlType::Struct(fields) => {
            let fields = fields
                .iter()
                .map(|field| delta_field(&field.name, &field.data_type, field.not_null, field.comment.as_deref()))
                .collect::<Result<Vec<_>>>()?;
            DataType::Struct(StructType::new(fields)?)
        }
        SqlType::Char(_) | SqlType::Varchar(_) => return Err(refused(sql, "write STRING")),
        SqlType::Variant => return Err(refused(sql, "keep the JSON text in a STRING")),
        SqlType::Interval(..) | SqlType::Void => {
            return Err(refused(sql, "tables cannot keep it; cast it to another type"));
        }
    })
}

/// A column, or a field of a struct.
pub(super) fn delta_field(name: &str, sql: &SqlType, not_null: bool, comment: Option<&str>) -> Result<StructField> {
    let mut field = StructField::new(name, delta_type(sql)?, !not_null);
    if let Some(comment) = comment {
        field.metadata.insert("comment".to_owned(), comment.into());
    }
    Ok(field)
}

fn refused(sql: &SqlType, hint: &str) -> Problem {
    Problem::new(Code::Unimplemented, format!("a column of type {sql} is not available"))
        .reason("UNSUPPORTED_DATATYPE")
        .sql_state("0A000")
        .hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_types_keep_comments_and_not_null() {
        let sql = SqlType::parse("struct<a: int not null comment 'x', b: map<string, array<decimal(10,2)>>>").unwrap();
        let DataType::Struct(made) = delta_type(&sql).unwrap() else { panic!("not a struct") };
        assert_eq!((made.fields[0].nullable, made.fields[0].comment()), (false, Some("x")));
        assert_eq!(made.fields[1].data_type.to_type_text(), "map<string,array<decimal(10,2)>>");
        assert!(delta_type(&SqlType::parse("varchar(3)").unwrap()).is_err());
    }
}
