//! `crannog version`.

use super::Failure;
use crate::output::say;

pub(super) fn run() -> Result<(), Failure> {
    say(&format!("crannog {}", env!("CARGO_PKG_VERSION")))
}
