//! Types as Spark writes them in SQL (`bigint`, `struct<a:int,b:array<string>>`), and as Unity Catalog's `ColumnInfo`
//! wants them (`type_text`, `type_name`, `type_json`).

use super::LogError;
use super::schema::{ArrayType, DataType, MapType, StructField, StructType};

impl DataType {
    /// Spark's `catalogString`; Unity Catalog's `type_text`.
    #[must_use]
    pub fn to_type_text(&self) -> String {
        match self {
            Self::String => "string".to_owned(),
            Self::Long => "bigint".to_owned(),
            Self::Integer => "int".to_owned(),
            Self::Short => "smallint".to_owned(),
            Self::Byte => "tinyint".to_owned(),
            Self::Float => "float".to_owned(),
            Self::Double => "double".to_owned(),
            Self::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
            Self::Boolean => "boolean".to_owned(),
            Self::Binary => "binary".to_owned(),
            Self::Date => "date".to_owned(),
            Self::Timestamp => "timestamp".to_owned(),
            Self::TimestampNtz => "timestamp_ntz".to_owned(),
            Self::Void => "void".to_owned(),
            Self::Variant => "variant".to_owned(),
            Self::Struct(s) => {
                let fields: Vec<_> = s.fields.iter().map(field_text).collect();
                format!("struct<{}>", fields.join(","))
            }
            Self::Array(a) => format!("array<{}>", a.element_type.to_type_text()),
            Self::Map(m) => format!("map<{},{}>", m.key_type.to_type_text(), m.value_type.to_type_text()),
        }
    }

    /// Unity Catalog's `type_name` (`ColumnTypeName`).
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::String => "STRING",
            Self::Long => "LONG",
            Self::Integer => "INT",
            Self::Short => "SHORT",
            Self::Byte => "BYTE",
            Self::Float => "FLOAT",
            Self::Double => "DOUBLE",
            Self::Decimal { .. } => "DECIMAL",
            Self::Boolean => "BOOLEAN",
            Self::Binary => "BINARY",
            Self::Date => "DATE",
            Self::Timestamp => "TIMESTAMP",
            Self::TimestampNtz => "TIMESTAMP_NTZ",
            Self::Void => "NULL",
            Self::Variant => "VARIANT",
            Self::Struct(_) => "STRUCT",
            Self::Array(_) => "ARRAY",
            Self::Map(_) => "MAP",
        }
    }

    /// Reads a type as SQL writes it, in any case and with Spark's synonyms (`long`, `integer`, `dec`, `timestamp_ltz`).
    /// Struct fields may be written `a:int` or `a int`, with `NOT NULL`; names may stand in backticks.
    ///
    /// # Errors
    /// [`LogError::Schema`] for anything else. `char(n)` and `varchar(n)` are refused: their length would not be enforced.
    pub fn from_type_text(text: &str) -> Result<Self, LogError> {
        let mut parser = Parser { text, rest: text };
        let data_type = parser.data_type()?;
        parser.skip_space();
        if parser.rest.is_empty() { Ok(data_type) } else { Err(parser.error("unexpected text after the type")) }
    }
}

fn field_text(field: &StructField) -> String {
    let plain = field.name.chars().all(|c| c.is_alphanumeric() || c == '_') && !field.name.is_empty();
    let name = if plain { field.name.clone() } else { format!("`{}`", field.name.replace('`', "``")) };
    format!("{name}:{}", field.data_type.to_type_text())
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn error(&self, what: &str) -> LogError {
        let at = self.text.len() - self.rest.len();
        LogError::Schema(format!("'{}' is not a type: {what} (at character {at})", self.text))
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, symbol: char) -> bool {
        self.skip_space();
        let eaten = self.rest.strip_prefix(symbol);
        self.rest = eaten.unwrap_or(self.rest);
        eaten.is_some()
    }

    fn expect(&mut self, symbol: char) -> Result<(), LogError> {
        if self.eat(symbol) { Ok(()) } else { Err(self.error(&format!("'{symbol}' expected"))) }
    }

    fn word(&mut self) -> &'a str {
        self.skip_space();
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn name(&mut self) -> Result<String, LogError> {
        if !self.eat('`') {
            let word = self.word();
            return if word.is_empty() { Err(self.error("a column name expected")) } else { Ok(word.to_owned()) };
        }
        let mut name = String::new();
        loop {
            let Some((before, after)) = self.rest.split_once('`') else {
                return Err(self.error("the closing backtick is missing"));
            };
            name.push_str(before);
            self.rest = after;
            // Two backticks inside the quotes are one.
            let Some(after) = self.rest.strip_prefix('`') else { return Ok(name) };
            name.push('`');
            self.rest = after;
        }
    }

    fn number(&mut self) -> Result<u8, LogError> {
        let word = self.word();
        word.parse().map_err(|_| self.error("a number expected"))
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        let before = self.rest;
        let found = self.word().eq_ignore_ascii_case(keyword);
        if !found {
            self.rest = before;
        }
        found
    }

    fn data_type(&mut self) -> Result<DataType, LogError> {
        let name = self.word().to_ascii_lowercase();
        Ok(match name.as_str() {
            "string" => DataType::String,
            "bigint" | "long" => DataType::Long,
            "int" | "integer" => DataType::Integer,
            "smallint" | "short" => DataType::Short,
            "tinyint" | "byte" => DataType::Byte,
            "float" | "real" => DataType::Float,
            "double" => DataType::Double,
            "boolean" => DataType::Boolean,
            "binary" => DataType::Binary,
            "date" => DataType::Date,
            "timestamp" | "timestamp_ltz" => DataType::Timestamp,
            "timestamp_ntz" => DataType::TimestampNtz,
            "void" => DataType::Void,
            "variant" => DataType::Variant,
            "decimal" | "dec" | "numeric" => self.decimal()?,
            "array" => {
                self.expect('<')?;
                let element_type = self.data_type()?;
                self.expect('>')?;
                DataType::Array(Box::new(ArrayType { element_type, contains_null: true }))
            }
            "map" => {
                self.expect('<')?;
                let key_type = self.data_type()?;
                self.expect(',')?;
                let value_type = self.data_type()?;
                self.expect('>')?;
                DataType::Map(Box::new(MapType { key_type, value_type, value_contains_null: true }))
            }
            "struct" => DataType::Struct(self.fields()?),
            "char" | "varchar" | "character" => {
                return Err(self.error("a length would not be enforced; use string and a CHECK constraint"));
            }
            _ => return Err(self.error(&format!("the type '{name}' is not known"))),
        })
    }

    fn decimal(&mut self) -> Result<DataType, LogError> {
        if !self.eat('(') {
            return Ok(DataType::Decimal { precision: 10, scale: 0 });
        }
        let precision = self.number()?;
        let scale = if self.eat(',') { self.number()? } else { 0 };
        self.expect(')')?;
        DataType::decimal(Some(precision), Some(scale))
            .ok_or_else(|| self.error("a decimal has 1 to 38 digits, its scale is at most that"))
    }

    fn fields(&mut self) -> Result<StructType, LogError> {
        self.expect('<')?;
        let mut fields = Vec::new();
        if self.eat('>') {
            return StructType::new(fields);
        }
        loop {
            let name = self.name()?;
            self.eat(':');
            let data_type = self.data_type()?;
            let not_null = self.keyword("not");
            if not_null && !self.keyword("null") {
                return Err(self.error("NOT NULL expected"));
            }
            fields.push(StructField::new(name, data_type, !not_null));
            if self.eat('>') {
                return StructType::new(fields);
            }
            self.expect(',')?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_texts_go_both_ways() {
        for text in [
            "bigint",
            "decimal(38,18)",
            "struct<a:int,b:array<string>>",
            "map<string,struct<x:double,`odd ``name`:timestamp_ntz>>",
            "struct<>",
            "variant",
        ] {
            assert_eq!(DataType::from_type_text(text).unwrap().to_type_text(), text);
        }
        let t = DataType::from_type_text(" STRUCT< a INTEGER NOT NULL , b : DEC(5) > ").unwrap();
        assert_eq!(t.to_type_text(), "struct<a:int,b:decimal(5,0)>");
        let DataType::Struct(s) = t else { panic!() };
        assert!(!s.fields[0].nullable && s.fields[1].nullable);
    }

    #[test]
    fn what_is_no_type_is_refused() {
        for text in [
            "",
            "int int",
            "array<int",
            "map<int>",
            "decimal(39,0)",
            "decimal(2,3)",
            "varchar(10)",
            "int8",
            "struct<a:int,A:int>",
        ] {
            assert!(DataType::from_type_text(text).is_err(), "{text}");
        }
    }
}
