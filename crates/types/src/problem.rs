//! What can go wrong, in few codes that every protocol's dialect renders.
//!
//! A [`Problem`] says what failed, the facts and the next step, in words for the person who called. Its `Display` is one
//! lowercase clause without the chain of causes; the chain is for the log.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// A result whose error can be shown to a caller.
pub type Result<T, E = Problem> = std::result::Result<T, E>;

/// The kinds of failure. Each dialect has one status and one vendor string for each (`docs/errors.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// The request itself is wrong; sending it again changes nothing.
    InvalidArgument,
    /// The body is larger than the server takes.
    TooLarge,
    /// No token, or one that is not valid.
    Unauthenticated,
    /// Known and visible, but a grant is missing.
    PermissionDenied,
    /// Not there, or not visible: deliberately the same.
    NotFound,
    /// The name is taken.
    AlreadyExists,
    /// Lost a race; reading again and retrying can work.
    Aborted,
    /// The thing is in a state in which this cannot be done.
    FailedPrecondition,
    /// A rate, size or count limit.
    ResourceExhausted,
    /// The caller or an administrator stopped it.
    Cancelled,
    /// Took longer than it may.
    DeadlineExceeded,
    /// Not built, or not for this kind of object.
    Unimplemented,
    /// Ours, and temporary: full disk, database down.
    Unavailable,
    /// Stored data is damaged.
    DataLoss,
    /// Ours, and a bug.
    Internal,
}

/// Who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The caller: change the request.
    Caller,
    /// The people who run this server, or we who wrote it.
    Us,
}

impl Code {
    /// Every code, for tables and tests.
    pub const ALL: [Code; 15] = [
        Code::InvalidArgument,
        Code::TooLarge,
        Code::Unauthenticated,
        Code::PermissionDenied,
        Code::NotFound,
        Code::AlreadyExists,
        Code::Aborted,
        Code::FailedPrecondition,
        Code::ResourceExhausted,
        Code::Cancelled,
        Code::DeadlineExceeded,
        Code::Unimplemented,
        Code::Unavailable,
        Code::DataLoss,
        Code::Internal,
    ];

    /// Who has to act on a failure of this kind.
    pub fn fault(self) -> Fault {
        match self {
            Code::InvalidArgument
            | Code::TooLarge
            | Code::Unauthenticated
            | Code::PermissionDenied
            | Code::NotFound
            | Code::AlreadyExists
            | Code::Aborted
            | Code::FailedPrecondition
            | Code::ResourceExhausted
            | Code::Cancelled
            | Code::Unimplemented => Fault::Caller,
            Code::DeadlineExceeded | Code::Unavailable | Code::DataLoss | Code::Internal => Fault::Us,
        }
    }
}

/// One failure, ready to be rendered in any dialect.
#[derive(Debug)]
pub struct Problem(Box<Inner>);

#[derive(Debug)]
struct Inner {
    code: Code,
    reason: Option<Cow<'static, str>>,
    sql_state: Option<Cow<'static, str>>,
    message: String,
    hint: Option<String>,
    facts: Vec<(&'static str, String)>,
    retry_after: Option<Duration>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Problem {
    /// A failure with what failed, in one lowercase clause.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Problem(Box::new(Inner {
            code,
            reason: None,
            sql_state: None,
            message: message.into(),
            hint: None,
            facts: Vec::new(),
            retry_after: None,
            source: None,
        }))
    }

    /// The caller's request is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Problem::new(Code::InvalidArgument, message)
    }

    /// Not there or not visible.
    pub fn not_found(message: impl Into<String>) -> Self {
        Problem::new(Code::NotFound, message)
    }

    /// A bug of ours, or a failure below us that no caller can mend. The cause goes to the log, not to the caller.
    pub fn internal(message: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Problem::new(Code::Internal, message).caused_by(source)
    }

    /// A more exact vendor string than the code's own, for example `SCHEMA_ALREADY_EXISTS`: clients look for it.
    pub fn reason(mut self, reason: impl Into<Cow<'static, str>>) -> Self {
        self.0.reason = Some(reason.into());
        self
    }

    /// The five characters of an SQLSTATE, for failures of statements.
    pub fn sql_state(mut self, state: impl Into<Cow<'static, str>>) -> Self {
        self.0.sql_state = Some(state.into());
        self
    }

    /// What to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// A fact that a program may read from `details[]`, for example the grant that is missing.
    pub fn fact(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.0.facts.push((key, value.into()));
        self
    }

    /// When trying again may work.
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }

    /// The cause, for the log.
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The kind of failure.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The vendor string set by [`Problem::reason`].
    pub fn vendor_reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// The SQLSTATE set by [`Problem::sql_state`].
    pub fn state(&self) -> Option<&str> {
        self.0.sql_state.as_deref()
    }

    /// What failed, without the hint.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The next step, when there is one.
    pub fn next_step(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Facts for programs, in the order they were added.
    pub fn facts(&self) -> &[(&'static str, String)] {
        &self.0.facts
    }

    /// When trying again may work.
    pub fn retry(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// What failed and what to do next, in one text for protocols that have one field.
    pub fn full_message(&self) -> String {
        match &self.0.hint {
            Some(hint) => format!("{}; {hint}", self.0.message),
            None => self.0.message.clone(),
        }
    }

    /// Every cause below this one, for the log: `a: b: c`.
    pub fn chain(&self) -> String {
        let mut text = self.0.message.clone();
        let mut cause: Option<&dyn Error> = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl Error for Problem {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}
