//! The audit: what a change says of itself, written in the change's own transaction.

use std::sync::Arc;

use crannog_security::{Origin, Who};
use crannog_types::Micros;
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use crate::params;
use crate::value::Value;

/// What a change says of itself. Names of services and actions are Databricks', so that queries written for its
/// `system.access.audit` work: `unityCatalog` / `createSchema`.
#[derive(Clone, Debug, PartialEq)]
pub struct Audit {
    pub(crate) service: &'static str,
    pub(crate) action: &'static str,
    pub(crate) params: Map<String, Json>,
}

impl Audit {
    /// A change of a service.
    pub fn of(service: &'static str, action: &'static str) -> Self {
        Audit { service, action, params: Map::new() }
    }

    /// With one parameter of the request. Never a secret, never a token.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.params.insert(name.to_owned(), value.into());
        self
    }
}

/// One row of the audit.
#[derive(Clone, Debug)]
pub struct AuditEvent {
    /// When it happened.
    pub at: Micros,
    /// Who did it.
    pub who: Option<Who>,
    /// Where the request came from.
    pub origin: Option<Arc<Origin>>,
    /// What was done.
    pub what: Audit,
    /// An HTTP status: 200 for what was done, 403 for what was refused.
    pub status: i64,
    /// Why it was refused.
    pub error: Option<String>,
}

pub(crate) const INSERT: &str = "INSERT INTO audit_event (event_id, event_time, principal, principal_name, source_ip, \
     user_agent, request_id, statement_id, service_name, action_name, request_params, status_code, error_message) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";

impl AuditEvent {
    pub(crate) fn values(&self) -> Vec<Value> {
        let who = self.who.as_ref();
        let origin = self.origin.as_deref();
        let text = |of: fn(&Origin) -> Option<&String>| origin.and_then(of).cloned();
        params![
            Uuid::now_v7().to_string(),
            self.at,
            who.map(|who| who.id),
            who.map(|who| who.name.to_string()),
            text(|origin| origin.source_ip.as_ref()),
            text(|origin| origin.user_agent.as_ref()),
            text(|origin| Some(&origin.request_id)),
            text(|origin| origin.statement_id.as_ref()),
            self.what.service,
            self.what.action,
            Json::Object(self.what.params.clone()).to_string(),
            self.status,
            // A name that was refused may hold a NUL, which no text can; the audit keeps the rest.
            self.error.as_ref().map(|error| error.replace('\0', "\u{fffd}")),
        ]
    }
}
