//! What a caller learns when a statement cannot be used: where it went wrong, why, and what to write instead.
//!
//! The bracketed condition names and SQLSTATEs are Spark's (`error-conditions.json`), because clients match on them.

use std::fmt;

/// The class of a [`SyntaxError`]; it decides the condition name and the SQLSTATE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyntaxErrorKind {
    /// The text is not SQL as Crannog knows it.
    Syntax,
    /// The text is valid Databricks SQL, but Crannog does not execute it.
    Unsupported,
    /// The text nests deeper, or chains more operators, than is safe to process.
    TooComplex,
    /// A parameter marker has no value, or a value has no marker.
    Parameter,
    /// A number with a suffix is not one of the suffix's type.
    NumberRange,
    /// There is no type of that name.
    DataType,
}

impl SyntaxErrorKind {
    fn condition(self) -> &'static str {
        match self {
            Self::Syntax => "PARSE_SYNTAX_ERROR",
            Self::Unsupported => "UNSUPPORTED_FEATURE",
            Self::TooComplex => "STATEMENT_TOO_COMPLEX",
            Self::Parameter => "UNBOUND_SQL_PARAMETER",
            Self::NumberRange => "INVALID_NUMERIC_LITERAL_RANGE",
            Self::DataType => "UNSUPPORTED_DATATYPE",
        }
    }
}

/// Why a statement was refused before anything was looked up or executed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SyntaxError {
    pub kind: SyntaxErrorKind,
    /// What is wrong, without condition name and position.
    pub message: String,
    /// 1-based line of the offending token; 0 when no single place is to blame (parameters).
    pub line: u64,
    /// 1-based column, counted in characters; 0 together with `line`.
    pub column: u64,
    /// What to write or do instead.
    pub hint: Option<String>,
}

impl SyntaxError {
    /// The SQLSTATE: `42601` syntax, `0A000` unsupported feature or type, `54001` statement too complex, `42P02` parameter,
    /// `22003` number out of range.
    pub fn sqlstate(&self) -> &'static str {
        match self.kind {
            SyntaxErrorKind::Syntax => "42601",
            SyntaxErrorKind::Unsupported | SyntaxErrorKind::DataType => "0A000",
            SyntaxErrorKind::NumberRange => "22003",
            SyntaxErrorKind::TooComplex => "54001",
            SyntaxErrorKind::Parameter => "42P02",
        }
    }

    pub(super) fn new(kind: SyntaxErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), line: 0, column: 0, hint: None }
    }

    pub(super) fn syntax(message: impl Into<String>) -> Self {
        Self::new(SyntaxErrorKind::Syntax, message)
    }

    /// `feature` names the clause as the user wrote it; `hint` says what to do instead.
    pub(super) fn unsupported(feature: impl fmt::Display, hint: impl Into<String>) -> Self {
        Self::new(SyntaxErrorKind::Unsupported, format!("{feature} is not supported")).with_hint(hint)
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn at(mut self, line: u64, column: u64) -> Self {
        self.line = line;
        self.column = column;
        self
    }
}

impl SyntaxError {
    /// What is wrong and where, without what to do instead.
    pub fn without_hint(&self) -> String {
        let place =
            if self.line > 0 { format!(" (line {}, column {})", self.line, self.column) } else { String::new() };
        format!("[{}] {}{place}", self.kind.condition(), self.message)
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.without_hint())?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}
