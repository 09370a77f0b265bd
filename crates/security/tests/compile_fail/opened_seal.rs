//! E0603
pub enum Anything {}

impl crannog_security::actions::sealed::Sealed for Anything {}
