//! E0277
use crannog_security::actions::Action;
use crannog_security::{Rule, kinds};

pub enum Anything {}

impl Action for Anything {
    type On = kinds::Table;
    const NAME: &'static str = "tables.anything";
    const RULE: Rule = Rule::SignedIn;
}
