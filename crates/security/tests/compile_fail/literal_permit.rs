//! E0451
use std::marker::PhantomData;
use std::sync::Arc;

use crannog_security::actions::tables;
use crannog_security::{Origin, Permit, Target, Who};

pub fn forge(target: Target, who: Who, origin: Arc<Origin>) -> Permit<tables::Select> {
    Permit { target, who, origin, of: PhantomData }
}
