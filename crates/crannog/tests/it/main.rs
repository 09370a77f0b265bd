//! The program as a whole: the built binary, its routes as committed lists, and the rules of the workspace.

#[cfg(test)]
mod golden;
#[cfg(test)]
mod program;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod running;
#[cfg(test)]
mod workspace;
