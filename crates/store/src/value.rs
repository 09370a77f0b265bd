//! Values and rows, the same for both databases.

use crannog_types::{Micros, PrincipalId, SecurableId};

use crate::StoreError;

/// A parameter or a column. NULL keeps the type it would have: PostgreSQL wants to know.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// BIGINT: numbers, moments, booleans as 0 and 1.
    Int(Option<i64>),
    /// DOUBLE.
    Real(Option<f64>),
    /// TEXT.
    Text(Option<String>),
    /// BLOB.
    Blob(Option<Vec<u8>>),
}

macro_rules! from {
    ($($type:ty => $variant:ident $(, $into:expr)?);* $(;)?) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self { Value::$variant(Some(from!(@ value $(, $into)?))) }
        }
        impl From<Option<$type>> for Value {
            fn from(value: Option<$type>) -> Self { Value::$variant(value.map(|value| from!(@ value $(, $into)?))) }
        }
    )*};
    (@ $value:ident) => { $value };
    (@ $value:ident, $into:expr) => { $into($value) };
}

from! {
    i64 => Int;
    i32 => Int, i64::from;
    bool => Int, i64::from;
    Micros => Int, |micros: Micros| micros.0;
    PrincipalId => Int, |id: PrincipalId| id.0;
    f64 => Real;
    String => Text;
    &str => Text, str::to_owned;
    &String => Text, String::clone;
    SecurableId => Text, |id: SecurableId| id.to_string();
    Vec<u8> => Blob;
    &[u8] => Blob, <[u8]>::to_vec;
}

/// One row of an answer, read by position.
#[derive(Clone, Debug)]
pub struct Row(pub(crate) Vec<Value>);

impl Row {
    /// A number that is there.
    pub fn int(&self, column: usize) -> Result<i64, StoreError> {
        self.opt_int(column)?.ok_or_else(|| self.wrong(column, "a number"))
    }

    /// A number or NULL.
    pub fn opt_int(&self, column: usize) -> Result<Option<i64>, StoreError> {
        match self.0.get(column) {
            Some(Value::Int(value)) => Ok(*value),
            Some(value) if value.is_null() => Ok(None),
            _ => Err(self.wrong(column, "a number")),
        }
    }

    /// A boolean, kept as 0 or 1.
    pub fn flag(&self, column: usize) -> Result<bool, StoreError> {
        Ok(self.int(column)? != 0)
    }

    /// A moment.
    pub fn micros(&self, column: usize) -> Result<Micros, StoreError> {
        self.int(column).map(Micros)
    }

    /// A principal's id.
    pub fn principal(&self, column: usize) -> Result<PrincipalId, StoreError> {
        self.int(column).map(PrincipalId)
    }

    /// A securable's id.
    pub fn securable(&self, column: usize) -> Result<SecurableId, StoreError> {
        self.text(column)?.parse().map_err(|_| self.wrong(column, "a UUID"))
    }

    /// A number with a fraction, or NULL.
    pub fn opt_real(&self, column: usize) -> Result<Option<f64>, StoreError> {
        match self.0.get(column) {
            Some(Value::Real(value)) => Ok(*value),
            Some(value) if value.is_null() => Ok(None),
            _ => Err(self.wrong(column, "a double")),
        }
    }

    /// A text that is there.
    pub fn text(&self, column: usize) -> Result<String, StoreError> {
        self.opt_text(column)?.ok_or_else(|| self.wrong(column, "a text"))
    }

    /// A text or NULL.
    pub fn opt_text(&self, column: usize) -> Result<Option<String>, StoreError> {
        match self.0.get(column) {
            Some(Value::Text(value)) => Ok(value.clone()),
            Some(value) if value.is_null() => Ok(None),
            _ => Err(self.wrong(column, "a text")),
        }
    }

    /// Bytes that are there.
    pub fn blob(&self, column: usize) -> Result<Vec<u8>, StoreError> {
        match self.0.get(column) {
            Some(Value::Blob(Some(value))) => Ok(value.clone()),
            _ => Err(self.wrong(column, "bytes")),
        }
    }

    fn wrong(&self, column: usize, wanted: &'static str) -> StoreError {
        let found = match self.0.get(column) {
            None => "not there",
            Some(value) if value.is_null() => "NULL",
            Some(Value::Int(_)) => "a number",
            Some(Value::Real(_)) => "a double",
            Some(Value::Text(_)) => "a text",
            Some(Value::Blob(_)) => "bytes",
        };
        StoreError::Shape { column, wanted, found }
    }
}

impl Value {
    /// Whether it is NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Int(None) | Value::Real(None) | Value::Text(None) | Value::Blob(None))
    }
}
