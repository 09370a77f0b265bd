//! MLflow's page tokens: base64 of `{"offset": N}`. Clients send them back unread.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crannog_types::{Problem, Result};
use serde_json::{Value, json};

/// The token of a page that begins there.
pub fn token(offset: usize) -> String {
    STANDARD.encode(json!({ "offset": offset }).to_string())
}

/// Where a page begins; the first one, for no token.
///
/// # Errors
/// When it is no token of ours.
pub fn offset(token: &str) -> Result<usize> {
    if token.is_empty() {
        return Ok(0);
    }
    let wrong = |why: &str| Problem::invalid(format!("Invalid page token, {why}"));
    let bytes = STANDARD.decode(token).map_err(|_| wrong("could not base64-decode"))?;
    let found: Value =
        serde_json::from_slice(&bytes).map_err(|_| wrong("could not parse the decoded value as JSON"))?;
    let offset = found.get("offset").and_then(Value::as_u64).and_then(|offset| usize::try_from(offset).ok());
    offset.ok_or_else(|| wrong("it has no offset"))
}
