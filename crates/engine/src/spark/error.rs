//! Spark's error conditions.
//!
//! An error keeps its condition (`DIVIDE_BY_ZERO`) while it travels through DataFusion as an external error, so that a
//! failure in the middle of a running plan still reaches the caller with Spark's class and SQLSTATE. Conditions and
//! SQLSTATEs are those of Spark's `error-conditions.json`. Must never show a text of DataFusion's as if it were Spark's:
//! what has no condition becomes `INTERNAL_ERROR` or a plain problem.

use std::fmt;

use arrow::error::ArrowError;
use crannog_types::{Code, Problem};
use datafusion::error::DataFusionError;

/// A failure with Spark's condition.
#[derive(Debug, Clone)]
pub(crate) struct SparkError {
    /// For example `CAST_INVALID_INPUT`.
    pub(crate) condition: &'static str,
    /// The text after `[CONDITION]`.
    pub(crate) message: String,
    /// What to write instead.
    pub(crate) hint: Option<String>,
}

/// The result of binding or running.
pub(crate) type Result<T, E = DataFusionError> = std::result::Result<T, E>;

impl fmt::Display for SparkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.condition, self.message)
    }
}

impl std::error::Error for SparkError {}

impl SparkError {
    /// The SQLSTATE of the condition.
    pub(crate) fn sql_state(&self) -> &'static str {
        let class = self.condition.split('.').next().unwrap_or_default();
        match class {
            "DIVIDE_BY_ZERO" | "INTERVAL_DIVIDED_BY_ZERO" | "REMAINDER_BY_ZERO" => "22012",
            "ARITHMETIC_OVERFLOW"
            | "BINARY_ARITHMETIC_OVERFLOW"
            | "CAST_OVERFLOW"
            | "NUMERIC_VALUE_OUT_OF_RANGE"
            | "CAST_OVERFLOW_IN_TABLE_INSERT" => "22003",
            "INTERVAL_ARITHMETIC_OVERFLOW" => "22015",
            "CAST_INVALID_INPUT" => "22018",
            "CANNOT_PARSE_TIMESTAMP" | "DATETIME_FIELD_OUT_OF_BOUNDS" | "DATETIME_OVERFLOW" | "INVALID_TIMEZONE" => {
                "22009"
            }
            "CONVERSION_INVALID_INPUT" => "22018",
            "INVALID_ARRAY_INDEX" | "INVALID_ARRAY_INDEX_IN_ELEMENT_AT" | "INVALID_INDEX_OF_ZERO" => "22003",
            "INVALID_PARAMETER_VALUE" => "22023",
            "UNRESOLVED_COLUMN" | "UNRESOLVED_MAP_KEY" => "42703",
            "UNRESOLVED_ROUTINE" => "42883",
            "TABLE_OR_VIEW_NOT_FOUND" => "42P01",
            "AMBIGUOUS_REFERENCE" => "42704",
            "DATATYPE_MISMATCH" => "42K09",
            "WRONG_NUM_ARGS" => "42605",
            "MISSING_AGGREGATION" | "UNSUPPORTED_EXPR_FOR_OPERATOR" => "42803",
            "MISSING_GROUP_BY" => "42803",
            "NESTED_AGGREGATE_FUNCTION" | "INVALID_WHERE_CONDITION" => "42903",
            "GROUP_BY_AGGREGATE" => "42903",
            "GROUP_BY_POS_OUT_OF_RANGE" | "ORDER_BY_POS_OUT_OF_RANGE" => "42805",
            "SCALAR_SUBQUERY_TOO_MANY_ROWS" => "21000",
            "INVALID_SUBQUERY_EXPRESSION" => "42823",
            "NUM_COLUMNS_MISMATCH" | "NUM_TABLE_VALUE_ALIASES_MISMATCH" | "ASSIGNMENT_ARITY_MISMATCH" => "42826",
            "INCOMPATIBLE_COLUMN_TYPE" => "42825",
            "INSERT_COLUMN_ARITY_MISMATCH" => "21S01",
            "INCOMPATIBLE_DATA_FOR_TABLE" => "KD000",
            "NOT_NULL_ASSERT_VIOLATION" | "DELTA_NOT_NULL_CONSTRAINT_VIOLATED" => "23502",
            "FIELD_NOT_FOUND" => "42704",
            "INVALID_EXTRACT_FIELD_TYPE" => "42000",
            "INVALID_EXTRACT_BASE_FIELD_TYPE" => "42000",
            "UNSUPPORTED_FEATURE" => "0A000",
            "USER_RAISED_EXCEPTION" => "P0001",
            "PARSE_SYNTAX_ERROR" => "42601",
            "DUPLICATED_MAP_KEY" => "23505",
            "NULL_MAP_KEY" => "2200E",
            "WINDOW_FUNCTION_WITHOUT_OVER_CLAUSE" => "42601",
            "INVALID_LIMIT_LIKE_EXPRESSION" => "42K0E",
            "NON_FOLDABLE_ARGUMENT" => "42K08",
            "MALFORMED_RECORD_IN_PARSING" => "22023",
            "CONCURRENT_QUERY_OUT_OF_MEMORY" => "53200",
            "COLLECTION_SIZE_LIMIT_EXCEEDED" => "54000",
            _ => "42000",
        }
    }

    /// As a problem for the caller.
    pub(crate) fn problem(&self) -> Problem {
        let code = match self.condition.split('.').next().unwrap_or_default() {
            "TABLE_OR_VIEW_NOT_FOUND" => Code::NotFound,
            "UNSUPPORTED_FEATURE" => Code::Unimplemented,
            "CONCURRENT_QUERY_OUT_OF_MEMORY" => Code::ResourceExhausted,
            _ => Code::InvalidArgument,
        };
        let problem = Problem::new(code, self.to_string()).reason(self.condition).sql_state(self.sql_state());
        match &self.hint {
            Some(hint) => problem.hint(hint.clone()),
            None => problem,
        }
    }
}

/// Builds the error that binding and kernels return.
pub(crate) fn spark(condition: &'static str, message: impl Into<String>) -> DataFusionError {
    DataFusionError::External(Box::new(SparkError { condition, message: message.into(), hint: None }))
}

/// [`spark`] with the next step.
pub(crate) fn spark_hint(
    condition: &'static str,
    message: impl Into<String>,
    hint: impl Into<String>,
) -> DataFusionError {
    DataFusionError::External(Box::new(SparkError { condition, message: message.into(), hint: Some(hint.into()) }))
}

/// A form that Crannog does not run.
pub(crate) fn unsupported(what: impl fmt::Display) -> DataFusionError {
    spark("UNSUPPORTED_FEATURE", format!("{what} is not supported by this SQL engine"))
}

/// `x / 0`.
pub(crate) fn divide_by_zero() -> DataFusionError {
    spark_hint("DIVIDE_BY_ZERO", "division by zero", "use try_divide to get NULL instead")
}

/// A number that does not fit.
pub(crate) fn overflow(what: &str) -> DataFusionError {
    spark("ARITHMETIC_OVERFLOW", format!("{what} overflow"))
}

/// Text that is no value of the type.
pub(crate) fn cast_invalid(text: &str, from: &str, to: &str) -> DataFusionError {
    spark_hint(
        "CAST_INVALID_INPUT",
        format!("the value '{text}' of the type \"{from}\" cannot be cast to \"{to}\" because it is malformed"),
        "correct the value, or use try_cast to get NULL instead",
    )
}

/// A number that does not fit the target of a cast.
pub(crate) fn cast_overflow(text: &str, from: &str, to: &str) -> DataFusionError {
    spark_hint(
        "CAST_OVERFLOW",
        format!("the value {text} of the type \"{from}\" cannot be cast to \"{to}\" due to an overflow"),
        "use try_cast to get NULL instead",
    )
}

/// Finds Spark's error in a chain of DataFusion's and Arrow's wrappers.
pub(crate) fn find(error: &DataFusionError) -> Option<&SparkError> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = next {
        if let Some(found) = current.downcast_ref::<SparkError>() {
            return Some(found);
        }
        if let Some(DataFusionError::External(inner)) = current.downcast_ref::<DataFusionError>() {
            next = Some(inner.as_ref());
            continue;
        }
        if let Some(DataFusionError::Shared(inner)) = current.downcast_ref::<DataFusionError>() {
            next = Some(inner.as_ref());
            continue;
        }
        if let Some(ArrowError::ExternalError(inner)) = current.downcast_ref::<ArrowError>() {
            next = Some(inner.as_ref());
            continue;
        }
        next = current.source();
    }
    None
}
