//! What every component is made with: endpoints, dialects of the wire, decisions, background tasks, clock, configuration.
//!
//! A component declares its routes as [`Endpoint`]s; from the [`Registry`] come the HTTP server, the OpenAPI document, the
//! list of routes and the generated tests. Only this crate knows axum, and only this crate makes callers out of requests.

pub mod addresses;
pub mod authority;
pub mod batches;
mod bodies;
pub mod clock;
pub mod config;
pub mod connections;
pub mod dialects;
pub mod disk;
pub mod endpoint;
pub mod event_loop;
pub mod fixture;
pub mod health;
pub mod http;
pub mod input;
pub mod lease;
pub mod metrics;
pub mod openapi;
pub mod recorder;
pub mod registry;
pub mod reply;
pub mod route;
pub mod steps;
pub mod tasks;
pub mod telemetry;
pub mod tls;

pub use addresses::Addresses;
pub use authority::Authority;
pub use axum::Router;
pub use axum::http::StatusCode;
pub use disk::Disk;
pub use endpoint::{Authenticate, Credentials, Cx, Endpoint, InForce, Nothing, SPELLING, Spelling};
pub use event_loop::EventLoop;
pub use fixture::Fixture;
pub use lease::Leased;
pub use recorder::Recorder;
pub use registry::{Mount, Registry};
pub use reply::{Empty, Json, NoContent, Output, Reply, ReplyBody};
pub use route::{Answer, Body, Dialect, Header, Method, Route};
pub use steps::Steps;
pub use tasks::Tasks;
