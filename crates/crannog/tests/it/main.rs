//! The program as a whole: the built binary, its routes as committed lists, and the rules of the workspace.

mod golden;
mod program;
mod running;
mod workspace;
