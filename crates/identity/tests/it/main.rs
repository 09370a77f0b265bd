//! Identity through its doors: a real HTTP server on a free loopback port, over SQLite and, when
//! `CRANNOG_TEST_POSTGRES_URL` names a server, over PostgreSQL too.

#[macro_use]
mod world;

mod closure;
mod scim;
mod signin;
mod tokens;
