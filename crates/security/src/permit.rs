//! Permits: what a verb holds instead of trust.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crannog_types::{FullName, PrincipalId, SecurableId};

use crate::actions::Action;
use crate::caller::{Origin, Who};
use crate::securables::{Kind, Reference};

/// The object that a permit is for, as it was resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its id.
    pub id: SecurableId,
    /// Its kind (the real one, where the action is for any).
    pub kind: Kind,
    /// Its full name as it is stored; empty for the metastore.
    pub name: FullName,
    /// Who owns it.
    pub owner: PrincipalId,
    /// Which part of it, where the action is about one: a run's id.
    pub part: Option<Arc<str>>,
}

impl Target {
    /// With the part that was asked about, if it was one.
    pub(crate) fn about(self, reference: &Reference) -> Self {
        match reference {
            Reference::Found(finder, word) if finder.kind != finder.kind.governed() => {
                Target { kind: finder.kind, part: Some(word.as_str().into()), ..self }
            }
            _ => self,
        }
    }
}

/// Proof that this caller may do `A` to this target. Made only by [`crate::Caller::ask`].
pub struct Permit<A: Action> {
    pub(crate) target: Target,
    pub(crate) who: Who,
    pub(crate) origin: Arc<Origin>,
    pub(crate) of: PhantomData<fn() -> A>,
}

impl<A: Action> Permit<A> {
    /// What it is for.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Who asked.
    pub fn who(&self) -> &Who {
        &self.who
    }
}

impl<A: Action> fmt::Debug for Permit<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permit<{}>({})", A::NAME, self.target.name)
    }
}

/// Which children of a container a list may show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// All of them.
    All,
    /// Those that the caller owns or has a grant on: a WHERE clause, before any LIMIT.
    Granted,
    /// None.
    Nothing,
}

/// Proof that this caller may list objects, and which. Made only by [`crate::Caller::visible`].
pub struct Visible<A: Action> {
    pub(crate) scope: Target,
    pub(crate) listing: Listing,
    pub(crate) who: Who,
    pub(crate) origin: Arc<Origin>,
    pub(crate) of: PhantomData<fn() -> A>,
}

impl<A: Action> Visible<A> {
    /// The container.
    pub fn scope(&self) -> &Target {
        &self.scope
    }

    /// Which of its children.
    pub fn listing(&self) -> Listing {
        self.listing
    }

    /// Who asked.
    pub fn who(&self) -> &Who {
        &self.who
    }
}

/// The closed set of background work that touches the database without a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Task {
    /// First start: the root, the admin, the defaults.
    Bootstrap,
    /// Finding out who a token belongs to.
    Authenticate,
    /// Resolving names and reading grants for a decision.
    Decide,
    /// Writing denials, reads and query history in batches.
    Record,
    /// Finishing or undoing what a crash left open.
    Reconcile,
    /// Health and readiness.
    Probe,
    /// Keeping what runs logged in a good shape, and writing it in groups.
    Track,
    /// What the machine's owner adds to an installation, from its command line.
    Install,
}

/// A permit of the program itself, for background work and for the decisions that permits come from.
///
/// Anybody could build one, so the build refuses it (`clippy.toml`) but where a reason is written beside it.
#[derive(Debug, Clone, Copy)]
pub struct System(Task);

impl System {
    /// The program's own permit for one task.
    pub fn task(task: Task) -> Self {
        System(task)
    }
}

mod sealed {
    pub trait Sealed {}
}

/// What opens the database: any permit. Sealed: nothing else can be evidence.
pub trait Evidence: sealed::Sealed + Send + Sync {
    /// On whose behalf; `None` for the program itself.
    fn principal(&self) -> Option<&Who>;
    /// Where the request came from; `None` for the program itself.
    fn origin(&self) -> Option<&Arc<Origin>>;
    /// The action's name, or the task's.
    fn action(&self) -> &'static str;
    /// The object, when there is one.
    fn object(&self) -> Option<&Target>;
}

impl<A: Action> sealed::Sealed for Permit<A> {}
impl<A: Action> sealed::Sealed for Visible<A> {}
impl sealed::Sealed for System {}

impl<A: Action> Evidence for Permit<A> {
    fn principal(&self) -> Option<&Who> {
        Some(&self.who)
    }
    fn origin(&self) -> Option<&Arc<Origin>> {
        Some(&self.origin)
    }
    fn action(&self) -> &'static str {
        A::NAME
    }
    fn object(&self) -> Option<&Target> {
        Some(&self.target)
    }
}

impl<A: Action> Evidence for Visible<A> {
    fn principal(&self) -> Option<&Who> {
        Some(&self.who)
    }
    fn origin(&self) -> Option<&Arc<Origin>> {
        Some(&self.origin)
    }
    fn action(&self) -> &'static str {
        A::NAME
    }
    fn object(&self) -> Option<&Target> {
        Some(&self.scope)
    }
}

impl Evidence for System {
    fn principal(&self) -> Option<&Who> {
        None
    }
    fn origin(&self) -> Option<&Arc<Origin>> {
        None
    }
    fn action(&self) -> &'static str {
        match self.0 {
            Task::Bootstrap => "system.bootstrap",
            Task::Authenticate => "system.authenticate",
            Task::Decide => "system.decide",
            Task::Record => "system.record",
            Task::Reconcile => "system.reconcile",
            Task::Probe => "system.probe",
            Task::Track => "system.track",
            Task::Install => "system.install",
        }
    }
    fn object(&self) -> Option<&Target> {
        None
    }
}
