//! The program: one server, and the commands that talk to it.
//!
//! This crate wires the components together and holds none of their rules; nothing depends on it. `cli` has a file for each
//! command, `server` what `up` does, `client` the HTTP that the other commands speak. It must never reach around a
//! component's verbs, nor read the environment anywhere but here.

mod cli;
mod client;
mod output;
mod server;

use std::collections::BTreeMap;
use std::process::ExitCode;

use crannog_kit::EventLoop;

/// What threads get for their stacks: expressions and plans are trees, and walking one takes a frame a level.
const STACK: usize = 8 << 20;

fn main() -> ExitCode {
    // Two libraries of cryptography are in the tree; with none chosen, the first connection would panic.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let environment: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let outcome = match EventLoop::start(STACK) {
        // Its own threads have the larger stack; the main thread only waits.
        Ok(threads) => {
            let outcome = threads.block_on(cli::run(environment));
            // What still reads or writes a disk that hangs must not keep a program that was told to stop.
            threads.shutdown();
            outcome
        }
        Err(error) => Err(cli::Failure::new(format!("the program could not start its threads: {error}"))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.is_quiet() {
                eprintln!("crannog: {failure}");
            }
            ExitCode::from(failure.code())
        }
    }
}
