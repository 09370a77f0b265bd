//! Column types as Databricks SQL writes them.
//!
//! The one place that knows their spelling: column definitions, `CAST`, schema strings and parameter types all come
//! through [`DataType`]. An engine that plans sqlparser's trees converts with [`DataType::from_ast`]; a type that is
//! not here does not exist for Crannog.

use std::fmt;

use sqlparser::{
    ast::{
        self, ArrayElemTypeDef, CharacterLength, ExactNumberInfo, Ident, ObjectName, StructBracketKind, TimezoneInfo,
    },
    tokenizer::{Token, TokenWithSpan},
};

use super::{
    error::{SyntaxError, SyntaxErrorKind},
    statement::quote_if_needed,
    tokens::{Tokens, tokenize, too_complex},
};
use crate::model::interval::{IntervalUnit, Span};

/// A Spark SQL type. `Display` is Spark's short spelling (`array<int>`, `decimal(10,2)`), which [`DataType::parse`]
/// reads back to the same value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DataType {
    Boolean,
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    Float,
    Double,
    /// 1 ≤ precision ≤ 38, scale ≤ precision.
    Decimal {
        precision: u8,
        scale: u8,
    },
    String,
    Char(u32),
    Varchar(u32),
    Binary,
    Date,
    /// An instant, shown in the session's time zone (Spark's TIMESTAMP, also TIMESTAMP_LTZ).
    Timestamp,
    /// A wall-clock time without zone.
    TimestampNtz,
    /// Of these units. INTERVAL alone is not a type.
    Interval(Span),
    Array(Box<DataType>),
    Map(Box<DataType>, Box<DataType>),
    Struct(Vec<StructField>),
    Variant,
    /// The type of a bare NULL.
    Void,
}

/// One field of a STRUCT type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StructField {
    pub name: String,
    pub data_type: DataType,
    pub not_null: bool,
    pub comment: Option<String>,
}

const DEFAULT_DECIMAL: DataType = DataType::Decimal { precision: 10, scale: 0 };

/// Types that nest deeper than this are refused: they are walked recursively.
const MAX_TYPE_DEPTH: usize = 50;

impl DataType {
    /// Reads one type, such as `struct<a: int not null comment 'x', b: array<string>>`.
    ///
    /// # Errors
    /// A word that is no type, a precision out of range, or text after the type.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let Tokens { tokens, .. } = tokenize(text)?;
        let (data_type, read) = Self::parse_tokens(&tokens)?;
        match tokens.get(read) {
            None => Ok(data_type),
            Some(token) => Err(unexpected(Some(token), "the end of the type")),
        }
    }

    /// Reads the type that `tokens` begin with, and says of how many tokens it consists.
    pub(super) fn parse_tokens(tokens: &[TokenWithSpan]) -> Result<(Self, usize), SyntaxError> {
        let mut reader = TypeReader { tokens, position: 0, half_closed: false, depth: 0 };
        let data_type = reader.data_type()?;
        if reader.half_closed {
            return Err(unexpected(tokens.get(reader.position), "a single '>'"));
        }
        Ok((data_type, reader.position))
    }

    /// From sqlparser's tree: the types that `CAST` can hold.
    ///
    /// # Errors
    /// A type that Databricks SQL does not have.
    pub fn from_ast(data_type: &ast::DataType) -> Result<Self, SyntaxError> {
        use ast::DataType as Ast;
        Ok(match data_type {
            Ast::Array(ArrayElemTypeDef::AngleBracket(element)) => Self::Array(Box::new(Self::from_ast(element)?)),
            Ast::Map(key, value) => Self::Map(Box::new(Self::from_ast(key)?), Box::new(Self::from_ast(value)?)),
            Ast::Struct(fields, StructBracketKind::AngleBrackets) => {
                let fields = fields.iter().map(struct_field_from_ast);
                Self::Struct(fields.collect::<Result<_, _>>()?)
            }
            Ast::Custom(name, modifiers) if modifiers.is_empty() => match name.0.as_slice() {
                // Nested types arrive as one quoted word, see `mod.rs`.
                [ast::ObjectNamePart::Identifier(word)] => Self::parse(&word.value)?,
                _ => return Err(unknown_type(data_type)),
            },
            // sqlparser writes scalar types so that they read back.
            Ast::Array(_) | Ast::Struct(..) => return Err(unknown_type(data_type)),
            other => Self::parse(&other.to_string()).map_err(|_| unknown_type(other))?,
        })
    }

    /// To sqlparser's tree, in the one spelling that each type has there.
    ///
    /// # Errors
    /// A STRUCT field that is NOT NULL or has a comment: sqlparser's tree cannot hold it.
    pub fn to_ast(&self) -> Result<ast::DataType, SyntaxError> {
        use ast::DataType as Ast;
        Ok(match self {
            Self::Boolean => Ast::Boolean,
            Self::TinyInt => Ast::TinyInt(None),
            Self::SmallInt => Ast::SmallInt(None),
            Self::Int => Ast::Int(None),
            Self::BigInt => Ast::BigInt(None),
            Self::Float => Ast::Float(ExactNumberInfo::None),
            Self::Double => Ast::Double(ExactNumberInfo::None),
            Self::Decimal { precision, scale } => {
                Ast::Decimal(ExactNumberInfo::PrecisionAndScale(u64::from(*precision), i64::from(*scale)))
            }
            Self::String => Ast::String(None),
            Self::Char(length) => Ast::Char(Some(character_length(*length))),
            Self::Varchar(length) => Ast::Varchar(Some(character_length(*length))),
            Self::Binary => Ast::Binary(None),
            Self::Date => Ast::Date,
            Self::Timestamp => Ast::Timestamp(None, TimezoneInfo::None),
            Self::TimestampNtz => Ast::TimestampNtz(None),
            Self::Interval(..) | Self::Variant | Self::Void => {
                let word = Ident::with_quote('`', self.to_string());
                Ast::Custom(ObjectName::from(vec![word]), Vec::new())
            }
            Self::Array(element) => Ast::Array(ArrayElemTypeDef::AngleBracket(Box::new(element.to_ast()?))),
            Self::Map(key, value) => Ast::Map(Box::new(key.to_ast()?), Box::new(value.to_ast()?)),
            Self::Struct(fields) => {
                let fields = fields.iter().map(struct_field_to_ast);
                Ast::Struct(fields.collect::<Result<_, _>>()?, StructBracketKind::AngleBrackets)
            }
        })
    }
}

fn character_length(length: u32) -> CharacterLength {
    CharacterLength::IntegerLength { length: u64::from(length), unit: None }
}

fn struct_field_from_ast(field: &ast::StructField) -> Result<StructField, SyntaxError> {
    let ast::StructField { field_name, field_type, options } = field;
    match (field_name, options) {
        (Some(name), None) => Ok(StructField {
            name: name.value.clone(),
            data_type: DataType::from_ast(field_type)?,
            not_null: false,
            comment: None,
        }),
        _ => Err(SyntaxError::syntax(format!("field {field} of a STRUCT type is malformed"))
            .with_hint("write STRUCT<name: TYPE>")),
    }
}

fn struct_field_to_ast(field: &StructField) -> Result<ast::StructField, SyntaxError> {
    let StructField { name, data_type, not_null, comment } = field;
    if *not_null || comment.is_some() {
        let hint = "leave them out: a cast changes the type only";
        return Err(SyntaxError::unsupported("NOT NULL or COMMENT in the type of a CAST", hint));
    }
    Ok(ast::StructField {
        field_name: Some(Ident::with_quote('`', name)),
        field_type: data_type.to_ast()?,
        options: None,
    })
}

fn unknown_type(name: impl fmt::Display) -> SyntaxError {
    SyntaxError::new(SyntaxErrorKind::DataType, format!("data type {name} is not supported")).with_hint(KNOWN_TYPES)
}

const KNOWN_TYPES: &str = "types are BOOLEAN, TINYINT, SMALLINT, INT, BIGINT, FLOAT, DOUBLE, DECIMAL(p,s), STRING, CHAR(n), \
     VARCHAR(n), BINARY, DATE, TIMESTAMP, TIMESTAMP_NTZ, INTERVAL <unit> [TO <unit>], ARRAY<…>, MAP<…,…>, STRUCT<…>, VARIANT";

fn unexpected(token: Option<&TokenWithSpan>, expected: &str) -> SyntaxError {
    match token {
        Some(TokenWithSpan { token, span }) => {
            SyntaxError::syntax(format!("syntax error at or near '{token}': expected {expected}"))
                .at(span.start.line, span.start.column)
        }
        None => SyntaxError::syntax(format!("syntax error at end of input: expected {expected}")),
    }
}

struct TypeReader<'t> {
    tokens: &'t [TokenWithSpan],
    position: usize,
    /// One `>` of the token `>>` at `position` has been used.
    half_closed: bool,
    depth: usize,
}

impl TypeReader<'_> {
    fn peek(&self) -> Option<&TokenWithSpan> {
        self.tokens.get(self.position)
    }

    fn error(&self, expected: &str) -> SyntaxError {
        unexpected(self.peek(), expected)
    }

    fn eat(&mut self, token: &Token) -> bool {
        let found = !self.half_closed && self.peek().is_some_and(|next| next.token == *token);
        self.position += usize::from(found);
        found
    }

    fn expect(&mut self, token: &Token) -> Result<(), SyntaxError> {
        if self.eat(token) { Ok(()) } else { Err(self.error(&format!("'{token}'"))) }
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = !self.half_closed
            && matches!(self.peek().map(|next| &next.token),
                Some(Token::Word(next)) if next.quote_style.is_none() && next.value.eq_ignore_ascii_case(word));
        self.position += usize::from(found);
        found
    }

    fn word(&mut self, expected: &str) -> Result<String, SyntaxError> {
        match self.peek().map(|next| &next.token) {
            Some(Token::Word(word)) if !self.half_closed => {
                let value = word.value.clone();
                self.position += 1;
                Ok(value)
            }
            _ => Err(self.error(expected)),
        }
    }

    fn number(&mut self, limit: u32) -> Result<u32, SyntaxError> {
        let expected = format!("a whole number up to {limit}");
        let number = match self.peek().map(|next| &next.token) {
            Some(Token::Number(digits, _)) => digits.parse().ok().filter(|number| *number <= limit),
            _ => None,
        };
        let number = number.ok_or_else(|| self.error(&expected))?;
        self.position += 1;
        Ok(number)
    }

    /// The `>` that ends a nested type; `>>` ends two.
    fn close(&mut self) -> Result<(), SyntaxError> {
        match self.peek().map(|next| &next.token) {
            Some(Token::Gt) => self.position += 1,
            Some(Token::ShiftRight) if self.half_closed => {
                self.half_closed = false;
                self.position += 1;
            }
            Some(Token::ShiftRight) => self.half_closed = true,
            _ => return Err(self.error("'>'")),
        }
        Ok(())
    }

    fn data_type(&mut self) -> Result<DataType, SyntaxError> {
        self.depth += 1;
        if self.depth > MAX_TYPE_DEPTH {
            return Err(too_complex(format!("a type nests deeper than {MAX_TYPE_DEPTH} levels")));
        }
        let start = self.position;
        let name = self.word("a type")?;
        let data_type = match name.to_ascii_uppercase().as_str() {
            "BOOLEAN" => DataType::Boolean,
            "TINYINT" | "BYTE" => DataType::TinyInt,
            "SMALLINT" | "SHORT" => DataType::SmallInt,
            "INT" | "INTEGER" => DataType::Int,
            "BIGINT" | "LONG" => DataType::BigInt,
            "FLOAT" | "REAL" => DataType::Float,
            "DOUBLE" => DataType::Double,
            "DECIMAL" | "DEC" | "NUMERIC" => self.decimal()?,
            "STRING" => DataType::String,
            "CHAR" | "CHARACTER" => DataType::Char(self.length()?),
            "VARCHAR" => DataType::Varchar(self.length()?),
            "BINARY" => DataType::Binary,
            "DATE" => DataType::Date,
            "TIMESTAMP" | "TIMESTAMP_LTZ" => DataType::Timestamp,
            "TIMESTAMP_NTZ" => DataType::TimestampNtz,
            "INTERVAL" => self.interval()?,
            "VARIANT" => DataType::Variant,
            "VOID" => DataType::Void,
            "ARRAY" => {
                self.expect(&Token::Lt)?;
                let element = self.data_type()?;
                self.close()?;
                DataType::Array(Box::new(element))
            }
            "MAP" => {
                self.expect(&Token::Lt)?;
                let key = self.data_type()?;
                self.expect(&Token::Comma)?;
                let value = self.data_type()?;
                self.close()?;
                DataType::Map(Box::new(key), Box::new(value))
            }
            "STRUCT" => DataType::Struct(self.fields()?),
            _ => {
                let at = self.tokens[start].span.start;
                return Err(unknown_type(&name).at(at.line, at.column));
            }
        };
        self.depth -= 1;
        Ok(data_type)
    }

    fn decimal(&mut self) -> Result<DataType, SyntaxError> {
        if !self.eat(&Token::LParen) {
            return Ok(DEFAULT_DECIMAL);
        }
        let precision = self.number(38)?;
        if precision == 0 {
            return Err(SyntaxError::syntax("a decimal's precision is at least 1"));
        }
        let scale = if self.eat(&Token::Comma) { self.number(precision)? } else { 0 };
        self.expect(&Token::RParen)?;
        let narrow = |number: u32| u8::try_from(number).unwrap_or(u8::MAX);
        Ok(DataType::Decimal { precision: narrow(precision), scale: narrow(scale) })
    }

    fn length(&mut self) -> Result<u32, SyntaxError> {
        self.expect(&Token::LParen)?;
        let length = self.number(i32::MAX.unsigned_abs())?;
        self.expect(&Token::RParen)?;
        if length == 0 {
            return Err(SyntaxError::syntax("the length of CHAR and VARCHAR is at least 1"));
        }
        Ok(length)
    }

    fn interval(&mut self) -> Result<DataType, SyntaxError> {
        const EXPECTED: &str = "YEAR, MONTH, DAY, HOUR, MINUTE or SECOND";
        let unit = |reader: &mut Self| {
            let here = reader.position;
            let word = reader.word(EXPECTED)?;
            IntervalUnit::parse(&word).ok_or_else(|| unexpected(reader.tokens.get(here), EXPECTED))
        };
        let first = unit(self)?;
        let last = if self.eat_word("TO") { unit(self)? } else { first };
        Span::new(first, last).map(DataType::Interval).ok_or_else(|| {
            let (first, last) = (first.name(), last.name());
            SyntaxError::syntax(format!("INTERVAL {first} TO {last} is not a range of units"))
        })
    }

    fn fields(&mut self) -> Result<Vec<StructField>, SyntaxError> {
        let mut fields = Vec::new();
        if self.eat(&Token::Neq) {
            return Ok(fields); // `<>` is one token
        }
        self.expect(&Token::Lt)?;
        if matches!(self.peek().map(|next| &next.token), Some(Token::Gt | Token::ShiftRight)) {
            self.close()?;
            return Ok(fields);
        }
        loop {
            let name = self.word("the name of a field")?;
            self.eat(&Token::Colon);
            let data_type = self.data_type()?;
            let not_null = self.eat_word("NOT");
            if not_null && !self.eat_word("NULL") {
                return Err(self.error("NULL"));
            }
            let comment = if self.eat_word("COMMENT") {
                match self.peek().map(|next| &next.token) {
                    Some(Token::SingleQuotedString(text)) => {
                        let text = text.clone();
                        self.position += 1;
                        Some(text)
                    }
                    _ => return Err(self.error("the comment's text in quotation marks")),
                }
            } else {
                None
            };
            fields.push(StructField { name, data_type, not_null, comment });
            if !self.eat(&Token::Comma) {
                self.close()?;
                return Ok(fields);
            }
        }
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("boolean"),
            Self::TinyInt => f.write_str("tinyint"),
            Self::SmallInt => f.write_str("smallint"),
            Self::Int => f.write_str("int"),
            Self::BigInt => f.write_str("bigint"),
            Self::Float => f.write_str("float"),
            Self::Double => f.write_str("double"),
            Self::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            Self::String => f.write_str("string"),
            Self::Char(length) => write!(f, "char({length})"),
            Self::Varchar(length) => write!(f, "varchar({length})"),
            Self::Binary => f.write_str("binary"),
            Self::Date => f.write_str("date"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::TimestampNtz => f.write_str("timestamp_ntz"),
            Self::Interval(span) => write!(f, "interval {span}"),
            Self::Array(element) => write!(f, "array<{element}>"),
            Self::Map(key, value) => write!(f, "map<{key},{value}>"),
            Self::Struct(fields) => {
                f.write_str("struct<")?;
                for (index, field) in fields.iter().enumerate() {
                    if index > 0 {
                        f.write_str(",")?;
                    }
                    write!(f, "{field}")?;
                }
                f.write_str(">")
            }
            Self::Variant => f.write_str("variant"),
            Self::Void => f.write_str("void"),
        }
    }
}

impl fmt::Display for StructField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", quote_if_needed(&self.name), self.data_type)?;
        if self.not_null {
            f.write_str(" NOT NULL")?;
        }
        match &self.comment {
            Some(comment) => write!(f, " COMMENT '{}'", comment.replace('\\', "\\\\").replace('\'', "\\'")),
            None => Ok(()),
        }
    }
}
