//! Leases: a permit that is asked for again, for whatever outlives a request's first seconds.
//!
//! A permit says what was allowed at one moment. A download, a long statement or a stream goes on after it; whoever runs one
//! holds a lease and renews it while it goes on, at least twice in 30 seconds. What was revoked meanwhile (a grant, a token,
//! the person) ends it then.

use crannog_types::Result;

use crate::actions::Action;
use crate::caller::{Caller, Standing};
use crate::permit::Permit;
use crate::securables::{Kind, Reference};
use crate::{Rule, Securable};

/// What a permit allowed, to be asked for again.
#[derive(Clone)]
pub struct Lease {
    caller: Caller,
    action: &'static str,
    kind: Kind,
    rule: Rule,
    about: Reference,
}

impl Lease {
    /// Of a permit that this caller holds.
    pub fn of<A: Action>(caller: &Caller, permit: &Permit<A>) -> Self {
        let about = Reference::Id(permit.target.kind, permit.target.id);
        Lease { caller: caller.clone(), action: A::NAME, kind: A::On::KIND, rule: A::RULE, about }
    }

    /// Asks again: whether the caller's credential is in force, and whether the permit would be given now.
    ///
    /// # Errors
    /// `Unauthenticated`, or [`crate::Denied`] as a problem, which the audit then has.
    pub async fn renew(&self) -> Result<()> {
        self.caller.stands().await?;
        self.caller.ask_again(self.action, self.kind, self.rule, &self.about).await
    }
}

impl Standing for () {
    fn check(&self) -> crate::caller::Ready<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }
}
