//! Identity through its doors: a real HTTP server on a free loopback port, over SQLite and over PostgreSQL. The latter is the
//! server of `scripts/postgres run`; without one the tests fail.

#[cfg(test)]
#[macro_use]
mod world;

#[cfg(test)]
mod capture;
#[cfg(test)]
mod closure;
#[cfg(test)]
mod oauth;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod permissions;
#[cfg(test)]
mod printing;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod scim;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod signin;
#[cfg(test)]
mod together;
#[cfg(test)]
mod tokens;
