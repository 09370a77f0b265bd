//! What the model's errors mean to a caller.

use crannog_types::{Code, Problem};

use crate::grammar::SyntaxError;
use crate::model::LogError;
use crate::model::conflicts::Conflict;
use crate::model::features::Unsupported;
use crate::model::validate::Invalid;

impl From<SyntaxError> for Problem {
    fn from(mut error: SyntaxError) -> Self {
        let state = error.sqlstate();
        // The hint is the problem's next step, so it does not stand in the message as well.
        let hint = error.hint.take();
        let problem = Problem::new(Code::InvalidArgument, error.to_string()).reason("BAD_REQUEST").sql_state(state);
        match hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

impl From<LogError> for Problem {
    fn from(error: LogError) -> Self {
        match &error {
            LogError::Corrupt { .. } | LogError::Malformed { .. } | LogError::Gap { .. } => {
                Problem::new(Code::DataLoss, "the table's log is damaged").reason("DELTA_LOG_CORRUPT").caused_by(error)
            }
            _ => Problem::new(Code::InvalidArgument, error.to_string()),
        }
    }
}

impl From<Unsupported> for Problem {
    fn from(error: Unsupported) -> Self {
        Problem::new(Code::Unimplemented, error.to_string())
            .reason("DELTA_UNSUPPORTED_FEATURES_FOR_WRITE")
            .sql_state("0AKDD")
    }
}

impl From<Invalid> for Problem {
    fn from(error: Invalid) -> Self {
        match error {
            Invalid::Unsupported(unsupported) => unsupported.into(),
            Invalid::Log(log) => log.into(),
            other => Problem::new(Code::FailedPrecondition, other.to_string()).reason("DELTA_INVALID_COMMIT"),
        }
    }
}

impl From<Conflict> for Problem {
    fn from(conflict: Conflict) -> Self {
        Problem::new(Code::Aborted, format!("[{}] {conflict}", conflict.kind()))
            .reason("ABORTED")
            .sql_state("2D521")
            .fact("conflict", conflict.kind())
    }
}
