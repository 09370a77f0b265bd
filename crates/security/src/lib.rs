//! The one security model: principals, actions, permits, and the pure evaluator that decides.
//!
//! A verb of any component takes a [`Permit`] or a [`Visible`], and both come only out of [`Caller`]; so a forgotten check
//! does not compile. Decisions are a pure function over rows ([`Facts`]); reading those rows and recording what was
//! decided is `kit`'s work. No I/O here, and no clock.
//!
//! **Invariants.** Actions are a closed set (the trait is sealed). A permit cannot be built, cloned, stored or turned into
//! another. The target of a verb comes from its permit, never from an argument beside it.

pub mod actions;
mod asks;
pub mod caller;
mod evaluate;
mod lease;
mod permit;
mod privileges;
mod securables;

pub use actions::{Action, Rule};
pub use asks::{AnyOf, Asks, Either, List, Public};
pub use caller::{Caller, Denied, Judge, Origin, Standing, Who};
pub use evaluate::{Allowed, Because, Decision, Facts, Grant, Missing, Node, decide, holds, listing};
pub use lease::Lease;
pub use permit::{Evidence, Listing, Permit, System, Target, Task, Visible};
pub use privileges::{Privilege, PrivilegeSet};
pub use securables::{Finder, Kind, NameOf, Reference, ScopeOf, Securable, kinds};
