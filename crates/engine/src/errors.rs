//! Failures of DataFusion, Arrow, Parquet and object stores as problems that a caller can act on.
//!
//! A problem that one of our own nodes raised comes back as it was. The rest is sorted by who has to act: a statement that
//! is wrong is the caller's, a lost or damaged data file is lost data, memory that ran out is a limit. Nothing here may put
//! a path of this machine into a message: paths in messages are relative to the table.

use std::error::Error;

use crannog_lake::model::LogError;
use crannog_storage::StorageError;
use crannog_types::{Code, Problem};
use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use datafusion::parquet::errors::ParquetError;

use crate::spark::error::{SparkError, find};

/// The problem behind a failure of planning or running a query.
pub(crate) fn from_datafusion(error: DataFusionError) -> Problem {
    if let Some(spark) = find(&error) {
        return spark.problem();
    }
    if let Some(problem) = ours(&error) {
        return again(problem);
    }
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => from_datafusion(*inner),
        DataFusionError::Shared(shared) => kind(shared.as_ref()).caused_by(shared),
        DataFusionError::Collection(mut errors) if !errors.is_empty() => from_datafusion(errors.swap_remove(0)),
        DataFusionError::External(inner) => from_source(inner),
        DataFusionError::ArrowError(inner, _) if of_a_value(&inner) => from_arrow(*inner),
        DataFusionError::ParquetError(inner) => from_parquet(*inner),
        DataFusionError::ObjectStore(inner) => from_object_store(*inner),
        other => kind(&other).caused_by(other),
    }
}

/// Whether the memory pool refused.
pub(crate) fn is_out_of_memory(error: &DataFusionError) -> bool {
    matches!(error.find_root(), DataFusionError::ResourcesExhausted(_))
}

/// Whether a value made Arrow fail; the rest are faults of whoever called it.
fn of_a_value(error: &ArrowError) -> bool {
    matches!(
        error,
        ArrowError::ExternalError(_)
            | ArrowError::DivideByZero
            | ArrowError::ArithmeticOverflow(_)
            | ArrowError::CastError(_)
            | ArrowError::MemoryError(_)
    )
}

/// The problem behind a failure of an Arrow kernel: almost always a value that the statement cannot work with.
pub(crate) fn from_arrow(error: ArrowError) -> Problem {
    match error {
        ArrowError::ExternalError(inner) => match inner.downcast::<Problem>() {
            Ok(problem) => *problem,
            Err(inner) => from_source(inner),
        },
        ArrowError::DivideByZero => Problem::invalid("[DIVIDE_BY_ZERO] division by zero")
            .reason("DIVIDE_BY_ZERO")
            .sql_state("22012")
            .hint("use try_divide, or filter out rows whose divisor is 0"),
        ArrowError::ArithmeticOverflow(what) => Problem::invalid(format!("[ARITHMETIC_OVERFLOW] {what}"))
            .reason("ARITHMETIC_OVERFLOW")
            .sql_state("22003")
            .hint("cast to a wider type first"),
        ArrowError::CastError(what) => {
            Problem::invalid(format!("a value cannot be cast: {what}")).reason("CAST_INVALID_INPUT").sql_state("22018")
        }
        ArrowError::MemoryError(_) => {
            Problem::new(Code::ResourceExhausted, "the statement needs more memory than there is")
        }
        other => {
            let message = format!("the values cannot be computed: {other}");
            Problem::invalid(message).caused_by(other)
        }
    }
}

/// The problem behind a failure to read or write a Parquet file.
pub(crate) fn from_parquet(error: ParquetError) -> Problem {
    match error {
        ParquetError::External(inner) => from_source(inner),
        ParquetError::ArrowError(text) => {
            Problem::new(Code::DataLoss, format!("a data file is not as its schema says: {text}"))
        }
        other => Problem::new(Code::DataLoss, "a data file cannot be read").caused_by(other),
    }
}

/// The problem behind a failure of a table's folder.
pub(crate) fn from_object_store(error: object_store::Error) -> Problem {
    match error {
        object_store::Error::NotFound { path, source } => {
            Problem::new(Code::DataLoss, format!("the file '{path}' does not exist, though the table's log names it"))
                .hint("restore the file from a backup, or the table to an older version (RESTORE TABLE)")
                .caused_by(source)
        }
        object_store::Error::AlreadyExists { path, source } => {
            Problem::new(Code::AlreadyExists, format!("the file '{path}' exists already")).caused_by(source)
        }
        object_store::Error::PermissionDenied { path, source }
        | object_store::Error::Unauthenticated { path, source } => {
            Problem::new(Code::Unavailable, format!("the server may not access the file '{path}'"))
                .hint("give the account that runs the server access to it")
                .caused_by(source)
        }
        // What the store has no word for: our storage says what to do about a disk.
        object_store::Error::Generic { source, .. } => match source.downcast::<StorageError>() {
            Ok(error) if matches!(*error, StorageError::Full(_) | StorageError::ReadOnlyDisk(_)) => (*error).into(),
            Ok(error) => inaccessible().caused_by(error),
            Err(source) => inaccessible().caused_by(source),
        },
        other => inaccessible().caused_by(other),
    }
}

fn inaccessible() -> Problem {
    Problem::new(Code::Unavailable, "the table's folder cannot be accessed")
        .hint("the server's log has the cause; try again when its disk or the connection to it is well")
}

/// The problem of a log that does not make sense.
pub(crate) fn from_log(error: LogError) -> Problem {
    let code = match error {
        LogError::Gap { .. } => Code::Internal,
        _ => Code::DataLoss,
    };
    Problem::new(code, error.to_string()).caused_by(error)
}

fn from_source(error: Box<dyn Error + Send + Sync>) -> Problem {
    let error = match error.downcast::<Problem>() {
        Ok(problem) => return *problem,
        Err(error) => error,
    };
    let error = match error.downcast::<SparkError>() {
        Ok(error) => return error.problem(),
        Err(error) => error,
    };
    let error = match error.downcast::<DataFusionError>() {
        Ok(error) => return from_datafusion(*error),
        Err(error) => error,
    };
    let error = match error.downcast::<ArrowError>() {
        Ok(error) => return from_arrow(*error),
        Err(error) => error,
    };
    let error = match error.downcast::<ParquetError>() {
        Ok(error) => return from_parquet(*error),
        Err(error) => error,
    };
    match error.downcast::<object_store::Error>() {
        Ok(error) => from_object_store(*error),
        Err(error) => Problem::internal("the statement failed for a reason that is not known here", error),
    }
}

/// The code and message of a failure that has nothing of ours below it. DataFusion's own texts are not shown: what its
/// planner finds wrong, the binder should have found.
fn kind(error: &DataFusionError) -> Problem {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => {
            Problem::new(Code::ResourceExhausted, "the query needs more memory than the server gives to queries")
                .reason("OUT_OF_MEMORY")
                .sql_state("53200")
                .hint("read fewer columns or rows, join on selective keys, or raise the server's query memory")
        }
        DataFusionError::Execution(text) if text.contains("more than one row") => Problem::invalid(
            "[SCALAR_SUBQUERY_TOO_MANY_ROWS] more than one row returned by a subquery used as an expression",
        )
        .reason("SCALAR_SUBQUERY_TOO_MANY_ROWS")
        .sql_state("21000"),
        DataFusionError::NotImplemented(text) => {
            Problem::new(Code::Unimplemented, format!("[UNSUPPORTED_FEATURE] {text}"))
                .reason("UNSUPPORTED_FEATURE")
                .sql_state("0A000")
        }
        DataFusionError::IoError(_) => Problem::new(Code::Unavailable, "a file cannot be accessed"),
        _ => Problem::new(Code::Internal, "[INTERNAL_ERROR] the statement failed by a fault of the engine")
            .reason("INTERNAL_ERROR")
            .sql_state("XX000"),
    }
}

/// One of our own problems below a failure that is shared between partitions.
fn ours(error: &DataFusionError) -> Option<&Problem> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(problem) = error.downcast_ref::<Problem>() {
            return Some(problem);
        }
        if let Some(DataFusionError::External(inner)) = error.downcast_ref::<DataFusionError>()
            && let Some(problem) = inner.downcast_ref::<Problem>()
        {
            return Some(problem);
        }
        cause = error.source();
    }
    None
}

/// The same problem once more (a problem cannot be cloned: its cause cannot).
fn again(problem: &Problem) -> Problem {
    let mut copy = Problem::new(problem.code(), problem.message());
    if let Some(reason) = problem.vendor_reason() {
        copy = copy.reason(reason.to_owned());
    }
    if let Some(state) = problem.state() {
        copy = copy.sql_state(state.to_owned());
    }
    if let Some(hint) = problem.next_step() {
        copy = copy.hint(hint);
    }
    if let Some(after) = problem.retry() {
        copy = copy.retry_after(after);
    }
    problem.facts().iter().fold(copy, |copy, (key, value)| copy.fact(key, value.clone()))
}
