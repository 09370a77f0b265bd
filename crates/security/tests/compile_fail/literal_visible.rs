//! E0451
use std::marker::PhantomData;
use std::sync::Arc;

use crannog_security::actions::tables;
use crannog_security::{Listing, Origin, Target, Visible, Who};

pub fn forge(scope: Target, who: Who, origin: Arc<Origin>) -> Visible<tables::ReadMetadata> {
    Visible { scope, listing: Listing::All, who, origin, of: PhantomData }
}
