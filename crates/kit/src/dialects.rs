//! Errors in each protocol's words: one table of code × dialect → status, vendor string.
//!
//! Clients act on these: databricks-sdk picks the class by `error_code` first and by status second, retries 429 and 503,
//! and retries a 500 whose message has one of eight magic phrases (a test keeps ours free of them).

use axum::http::StatusCode;
use crannog_types::{Code, Fault, Problem};
use serde_json::{Map, Value, json};

use crate::route::Dialect;

/// The HTTP status of a code in a dialect.
pub fn status(code: Code, dialect: Dialect) -> StatusCode {
    match code {
        // MLflow's own server answers its clients so.
        Code::Unimplemented if dialect == Dialect::Mlflow => StatusCode::NOT_IMPLEMENTED,
        // What is asked for and not there yet is the caller's to leave out: 5xx are faults of ours alone.
        Code::InvalidArgument | Code::FailedPrecondition | Code::Unimplemented => StatusCode::BAD_REQUEST,
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        // RFC 6749 §5.2: 400 but for a client that is not who it says.
        Code::NotFound | Code::AlreadyExists if dialect == Dialect::OAuth => StatusCode::BAD_REQUEST,
        Code::NotFound => StatusCode::NOT_FOUND,
        // Unity Catalog's own servers say 400 for a name that is taken, and its clients look for that.
        // So does MLflow.
        Code::AlreadyExists if matches!(dialect, Dialect::Unity | Dialect::Databricks | Dialect::Mlflow) => {
            StatusCode::BAD_REQUEST
        }

        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DataLoss | Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The vendor string of a code, where the problem brings none of its own.
pub fn vendor_string(code: Code) -> &'static str {
    match code {
        Code::InvalidArgument => "INVALID_PARAMETER_VALUE",
        Code::TooLarge => "MAX_REQUEST_SIZE_EXCEEDED",
        Code::Unauthenticated => "UNAUTHENTICATED",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::NotFound => "RESOURCE_DOES_NOT_EXIST",
        Code::AlreadyExists => "RESOURCE_ALREADY_EXISTS",
        Code::Aborted => "ABORTED",
        Code::FailedPrecondition => "INVALID_STATE",
        Code::ResourceExhausted => "REQUEST_LIMIT_EXCEEDED",
        Code::Cancelled => "CANCELLED",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::Unimplemented => "NOT_IMPLEMENTED",
        Code::Unavailable => "TEMPORARILY_UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Internal => "INTERNAL_ERROR",
    }
}

/// Renders a problem. Of what is our own fault only the kind is told; the cause is in the log under the request id.
pub fn render(problem: &Problem, dialect: Dialect, request_id: &str) -> (StatusCode, Value) {
    let status = status(problem.code(), dialect);
    let error_code = problem.vendor_reason().unwrap_or_else(|| vendor_string(problem.code()));
    let message = match (problem.code().fault(), problem.code()) {
        (Fault::Us, Code::Internal | Code::DataLoss) => {
            format!("{}; the server's log has the cause under request id {request_id}", problem.message())
        }
        _ => problem.full_message(),
    };
    let body = match dialect {
        Dialect::Databricks | Dialect::Unity => {
            let mut body = Map::new();
            body.insert("error_code".to_owned(), json!(error_code));
            body.insert("message".to_owned(), json!(message));
            body.insert("details".to_owned(), details(problem, error_code, request_id));
            if dialect == Dialect::Unity {
                body.insert("stack_trace".to_owned(), Value::Null);
            }
            Value::Object(body)
        }
        Dialect::Mlflow => {
            let mut body = json!({ "error_code": error_code, "message": message });
            if let (Some((state, class)), Some(body)) = (mlflow_class(error_code), body.as_object_mut()) {
                body.insert("sqlstate".to_owned(), json!(state));
                body.insert("error_class".to_owned(), json!(class));
            }
            body
        }
        Dialect::Scim => {
            let mut body = json!({
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
                "detail": message,
                "status": status.as_str(),
            });
            let kind = match problem.code() {
                Code::AlreadyExists => Some("uniqueness"),
                Code::InvalidArgument => Some("invalidValue"),
                _ => None,
            };
            if let (Some(kind), Some(object)) = (kind, body.as_object_mut()) {
                object.insert("scimType".to_owned(), json!(kind));
            }
            body
        }
        Dialect::OAuth => {
            let error = problem.vendor_reason().unwrap_or(oauth_error(problem.code()));
            json!({ "error": error, "error_description": message })
        }
        Dialect::Html => json!(message),
    };
    (status, body)
}

/// What MLflow's server adds to its codes: SQLSTATE and class (`mlflow/error_classification.py`, 3.17).
fn mlflow_class(error_code: &str) -> Option<(&'static str, &'static str)> {
    Some(match error_code {
        "INVALID_PARAMETER_VALUE" | "BAD_REQUEST" => ("KAM00", "INVALID_PARAMETER_VALUE"),
        "RESOURCE_DOES_NOT_EXIST" | "ENDPOINT_NOT_FOUND" | "NOT_FOUND" => ("KAM00", "RESOURCE_NOT_FOUND"),
        "RESOURCE_ALREADY_EXISTS" => ("KAM00", "RESOURCE_ALREADY_EXISTS"),
        "PERMISSION_DENIED" | "CUSTOMER_UNAUTHORIZED" => ("KAM00", "PERMISSION_DENIED"),
        "INTERNAL_ERROR" | "INVALID_STATE" | "TEMPORARILY_UNAVAILABLE" => ("XXM00", "CLIENT_INTERNAL_ERROR"),
        _ => return None,
    })
}

/// The word of RFC 6749 (§5.2, and §4.1.2.1 for what is not the client's fault).
fn oauth_error(code: Code) -> &'static str {
    match code {
        Code::Unauthenticated => "invalid_client",
        Code::PermissionDenied => "access_denied",
        Code::InvalidArgument
        | Code::TooLarge
        | Code::NotFound
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::Unimplemented
        | Code::Cancelled => "invalid_request",
        Code::Aborted | Code::ResourceExhausted | Code::DeadlineExceeded | Code::Unavailable => {
            "temporarily_unavailable"
        }
        Code::DataLoss | Code::Internal => "server_error",
    }
}

fn details(problem: &Problem, error_code: &str, request_id: &str) -> Value {
    let mut details = Vec::new();
    if !problem.facts().is_empty() {
        let mut metadata = Map::new();
        for (key, value) in problem.facts() {
            let joined = match metadata.get(*key).and_then(Value::as_str) {
                Some(before) => format!("{before}; {value}"),
                None => value.clone(),
            };
            metadata.insert((*key).to_owned(), Value::String(joined));
        }
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": error_code,
            "domain": "crannog",
            "metadata": metadata,
        }));
    }
    if let Some(retry) = problem.retry() {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retry_delay": format!("{}s", retry.as_secs_f64()),
        }));
    }
    details.push(json!({
        "@type": "type.googleapis.com/google.rpc.RequestInfo",
        "request_id": request_id,
        "serving_data": "",
    }));
    Value::Array(details)
}
