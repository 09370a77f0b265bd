//! E0616
use crannog_security::actions::tables;
use crannog_security::{Listing, Visible};

pub fn widened(mut visible: Visible<tables::ReadMetadata>) -> Visible<tables::ReadMetadata> {
    visible.listing = Listing::All;
    visible
}
