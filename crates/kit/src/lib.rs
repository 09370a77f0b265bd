//! What every component is made with: endpoints, dialects of the wire, decisions, background tasks, clock, configuration.
//!
//! A component declares its routes as [`Endpoint`]s; from the [`Registry`] come the HTTP server, the OpenAPI document, the
//! list of routes and the generated tests. Only this crate knows axum, and only this crate makes callers out of requests.

pub mod authority;
pub mod batches;
pub mod clock;
pub mod config;
pub mod connections;
pub mod dialects;
pub mod endpoint;
pub mod fixture;
pub mod health;
pub mod http;
pub mod input;
pub mod lease;
pub mod metrics;
pub mod openapi;
pub mod recorder;
pub mod registry;
pub mod steps;
pub mod tasks;
pub mod telemetry;
pub mod tls;

pub use authority::Authority;
pub use axum::Router;
pub use axum::http::StatusCode;
pub use endpoint::{
    Answer, Authenticate, Body, Credentials, Cx, Dialect, Empty, Endpoint, Header, InForce, Json, Method, NoContent,
    Output, Reply, ReplyBody, Route, SPELLING, Spelling,
};
pub use fixture::Fixture;
pub use lease::Leased;
pub use recorder::Recorder;
pub use registry::Registry;
pub use steps::Steps;
pub use tasks::Tasks;
