//! What a statement was allowed to use, asked for again while it runs and when its result is fetched.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crannog_security::Lease;
use crannog_types::{Code, FullName, Problem, Result};

use super::resolve::in_view;

/// Leases on the warehouse, and on every table and volume that the statement uses.
pub struct Held(Mutex<Vec<One>>);

#[derive(Clone)]
struct One {
    lease: Lease,
    /// The view that reads it with the rights of its owner: then what is behind the view is not told.
    via: Option<FullName>,
}

impl Held {
    /// What the statement runs on.
    pub fn new(warehouse: Lease) -> Arc<Self> {
        Arc::new(Held(Mutex::new(vec![One { lease: warehouse, via: None }])))
    }

    /// Nothing: for statements that nobody can take anything from.
    pub fn nothing() -> Arc<Self> {
        Arc::new(Held(Mutex::default()))
    }

    pub(super) fn add(&self, lease: Lease, via: Option<&FullName>) {
        let one = One { lease, via: via.cloned() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(one);
    }

    /// Asks for everything again.
    ///
    /// # Errors
    /// What was revoked.
    pub async fn renew(&self) -> Result<()> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for One { lease, via } in all {
            lease.renew().await.map_err(|problem| match &via {
                Some(view) => in_view(view, problem),
                None => problem,
            })?;
        }
        Ok(())
    }

    /// Resolves when something was revoked, or when twice in a row nobody could say.
    pub async fn lost(&self, every: Duration) -> Problem {
        let mut unsure = false;
        loop {
            tokio::time::sleep(every.max(Duration::from_millis(1))).await;
            match self.renew().await {
                Ok(()) => unsure = false,
                Err(problem)
                    if !unsure && matches!(problem.code(), Code::Unavailable | Code::Aborted | Code::Internal) =>
                {
                    unsure = true;
                }
                Err(problem) => return problem,
            }
        }
    }
}
