#[path = "it/fake.rs"]
mod fake;
#[path = "it/looking.rs"]
mod looking;
