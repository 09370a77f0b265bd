//! Words that every crate of Crannog shares: ids, names, problems, pages, times.
//!
//! No I/O, no async, no clocks: a value of this crate can be made and compared anywhere.

pub mod calendar;
mod ids;
mod names;
mod pages;
mod problem;
mod times;

pub use ids::{PrincipalId, SecurableId};
pub use names::{FullName, NameError, check_name, fold};
pub use pages::{MAX_PAGE, Page, Paged};
pub use problem::{Code, Fault, Problem, Result};
pub use times::Micros;
