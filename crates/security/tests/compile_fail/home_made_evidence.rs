//! E0277
use std::sync::Arc;

use crannog_security::{Evidence, Origin, Target, Who};

pub struct Trust;

impl Evidence for Trust {
    fn principal(&self) -> Option<&Who> {
        None
    }
    fn origin(&self) -> Option<&Arc<Origin>> {
        None
    }
    fn action(&self) -> &'static str {
        "trust me"
    }
    fn object(&self) -> Option<&Target> {
        None
    }
}
