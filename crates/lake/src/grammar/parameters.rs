//! Parameter markers, `:name` and `?`: which there are, and putting values in their place.
//!
//! Values never become SQL text: a value is a literal inside a CAST to its declared type, so nothing in it can be read
//! as SQL.

use sqlparser::ast::{Expr, Value, ValueWithSpan};

use super::{
    cursor::Result,
    error::{SyntaxError, SyntaxErrorKind},
    normalize::{Normalize, cast},
    statement::Statement,
    strict::{Strict, Visit},
    types::DataType,
};

/// A marker in a statement.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Marker {
    /// `:name`, without the colon
    Named(String),
    /// The n-th `?` of the text, counted from 1
    Positional(usize),
}

/// A value as a client sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    pub data_type: DataType,
    /// The value as text, in the form that CAST of a string accepts; `None` is NULL.
    pub value: Option<String>,
}

/// The values for one statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    pub named: Vec<(String, Parameter)>,
    pub positional: Vec<Parameter>,
}

/// The markers of a statement, each once, in the order of first use.
pub fn parameters(statement: &Statement) -> Vec<Marker> {
    let mut markers = Markers::default();
    let _ = Strict::new(&mut markers).statement(&mut statement.clone());
    markers.0
}

/// Puts the values into the statement.
///
/// # Errors
/// A marker without a value; a value without a marker; a name given twice; an `IDENTIFIER(:name)` whose value is no
/// name. The statement is then left as it was.
pub fn bind(statement: &mut Statement, values: &Parameters) -> Result<()> {
    let wrong = |message: String| SyntaxError::new(SyntaxErrorKind::Parameter, message);
    let markers = parameters(statement);
    for (index, (name, _)) in values.named.iter().enumerate() {
        if values.named[..index].iter().any(|(earlier, _)| earlier == name) {
            return Err(wrong(format!("parameter :{name} is given twice")));
        }
        if !markers.contains(&Marker::Named(name.clone())) {
            return Err(wrong(format!("parameter :{name} is given but not in the statement"))
                .with_hint("names are case-sensitive"));
        }
    }
    let places = markers.iter().filter(|marker| matches!(marker, Marker::Positional(_))).count();
    if places < values.positional.len() {
        let given = values.positional.len();
        return Err(wrong(format!("{given} values are given for {places} markers ?")));
    }
    if let Some(marker) = markers.iter().find(|marker| values.get(marker).is_none()) {
        let marker = match marker {
            Marker::Named(name) => format!(":{name}"),
            Marker::Positional(index) => format!("? number {index}"),
        };
        return Err(wrong(format!("parameter {marker} has no value")).with_hint("send it in the request's parameters"));
    }
    let mut bound = statement.clone();
    Strict::new(&mut Bind { values }).statement(&mut bound)?;
    // Names in IDENTIFIER(…) are known only now.
    Strict::new(&mut Normalize::default()).statement(&mut bound)?;
    *statement = bound;
    Ok(())
}

impl Parameters {
    fn get(&self, marker: &Marker) -> Option<&Parameter> {
        match marker {
            Marker::Named(name) => self.named.iter().find(|(known, _)| known == name).map(|(_, value)| value),
            Marker::Positional(index) => self.positional.get(index.checked_sub(1)?),
        }
    }
}

fn marker(expr: &Expr) -> Option<Marker> {
    let Expr::Value(ValueWithSpan { value: Value::Placeholder(text), .. }) = expr else {
        return None;
    };
    match text.strip_prefix(':') {
        Some(name) => Some(Marker::Named(name.to_owned())),
        None => text.strip_prefix('?')?.parse().ok().map(Marker::Positional),
    }
}

#[derive(Default)]
struct Markers(Vec<Marker>);

impl Visit for Markers {
    fn expr(&mut self, expr: &mut Expr) -> Result<()> {
        if let Some(marker) = marker(expr)
            && !self.0.contains(&marker)
        {
            self.0.push(marker);
        }
        Ok(())
    }
}

struct Bind<'p> {
    values: &'p Parameters,
}

impl Visit for Bind<'_> {
    fn expr(&mut self, expr: &mut Expr) -> Result<()> {
        if let Some(parameter) = marker(expr).and_then(|marker| self.values.get(&marker)) {
            *expr = literal(parameter)?;
        }
        Ok(())
    }
}

/// A string stays a plain string literal, so that `IDENTIFIER`, LIKE and paths can read it.
fn literal(parameter: &Parameter) -> Result<Expr> {
    let Parameter { data_type, value } = parameter;
    let Some(text) = value else {
        return cast(Expr::value(Value::Null), data_type);
    };
    if *data_type == DataType::String {
        return Ok(Expr::value(Value::SingleQuotedString(text.clone())));
    }
    let whole = matches!(data_type, DataType::TinyInt | DataType::SmallInt | DataType::Int | DataType::BigInt)
        && text.parse::<u64>().is_ok_and(|number| number.to_string() == *text);
    let literal = if whole { Value::Number(text.clone(), false) } else { Value::SingleQuotedString(text.clone()) };
    cast(Expr::value(literal), data_type)
}
