//! What outlives its request asks again: streams that renew their leases, and credentials that were accepted.
//!
//! Thirty seconds is the longest that anything goes on after it was revoked; leases are renewed in a third of that.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use crannog_security::caller::Ready;
use crannog_security::{Lease, Standing, Who};
use crannog_types::{Code, Micros, Problem, Result};
use futures::{Stream, StreamExt};
use tokio::time::Instant;

use crate::clock;
use crate::endpoint::{Authenticate, Credentials, InForce};

/// How old a permit may get.
pub const RENEWED_WITHIN: Duration = Duration::from_secs(10);

/// Leases, and when they were renewed last.
pub struct Leased {
    leases: Vec<Lease>,
    every: Duration,
    renewed: Instant,
}

impl Leased {
    /// Of permits that were given now.
    pub fn new(leases: Vec<Lease>, every: Duration) -> Self {
        Leased { leases, every, renewed: Instant::now() }
    }

    /// Asks again, when the last time is long enough ago.
    ///
    /// # Errors
    /// What [`Lease::renew`] says.
    pub async fn renew_when_due(&mut self) -> Result<()> {
        if self.renewed.elapsed() < self.every {
            return Ok(());
        }
        for lease in &self.leases {
            lease.renew().await?;
        }
        self.renewed = Instant::now();
        Ok(())
    }

    /// A stream that ends with an error at the first chunk after the lease was lost.
    pub fn over<E: Into<io::Error> + Send + 'static>(
        self,
        stream: impl Stream<Item = Result<Bytes, E>> + Send + Unpin + 'static,
    ) -> impl Stream<Item = Result<Bytes, io::Error>> + Send + Unpin + 'static {
        Box::pin(futures::stream::unfold(Some((self, stream)), |state| async move {
            let (mut leased, mut stream) = state?;
            let chunk = match stream.next().await? {
                Ok(chunk) => chunk,
                Err(error) => return Some((Err(error.into()), None)),
            };
            match leased.renew_when_due().await {
                Ok(()) => Some((Ok(chunk), Some((leased, stream)))),
                Err(problem) => {
                    tracing::info!(cause = problem.chain(), "a transfer ended: what it was allowed by is gone");
                    Some((Err(io::Error::other(problem)), None))
                }
            }
        }))
    }
}

/// A credential that was accepted, and is asked about again.
pub(crate) struct Credential {
    authenticate: Arc<dyn Authenticate>,
    credentials: Credentials,
    who: Who,
    /// When it expires, as far as was heard.
    until: Mutex<Option<Micros>>,
}

impl Credential {
    pub(crate) fn new(authenticate: Arc<dyn Authenticate>, credentials: Credentials, who: Who) -> Self {
        Credential { authenticate, credentials, who, until: Mutex::new(None) }
    }
}

impl Standing for Credential {
    fn check(&self) -> Ready<'_, Result<()>> {
        Box::pin(async move {
            let state = self.authenticate.in_force(&self.credentials, &self.who).await?;
            let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
            let stands = match state {
                InForce::Until(expires) => {
                    *until = expires;
                    true
                }
                // Cleared away after it expired: nobody revoked it.
                InForce::Gone => until.is_some_and(|expires| expires <= clock::now()),
                InForce::Nobody => false,
            };
            if stands {
                return Ok(());
            }
            Err(Problem::new(Code::Unauthenticated, "the credential that this began with is not in force any more")
                .hint("sign in again, or use another token"))
        })
    }
}
