//! The parts of `make bench` for which Python would be the bottleneck; `tests/bench` starts it and reads what it prints.
//!
//! `load bare FOLDER` answers queries with DataFusion alone, `load appends FOLDER WRITERS SECONDS` appends to a table at the
//! arbiter's port, `load tokens FOLDER` checks tokens, `load http` sends the requests that its input describes. Each prints
//! one JSON object a line. It is a bench target, so it shares the program's build of every library and is part of nothing
//! that is shipped. It measures; it decides nothing and compares nothing.

mod appends;
mod bare;
mod http;
mod tokens;

use std::error::Error;
use std::path::Path;
use std::time::Duration;

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

fn main() -> Outcome {
    // Cargo hands `--bench` to every bench target.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match words.as_slice() {
        ["bare", folder] => runtime.block_on(bare::answer(Path::new(folder))),
        ["appends", folder, writers, seconds] => {
            let lasting = Duration::from_secs(seconds.parse()?);
            runtime.block_on(appends::append(Path::new(folder), writers.parse()?, lasting))
        }
        ["tokens", folder] => runtime.block_on(tokens::check(Path::new(folder))),
        ["http"] => runtime.block_on(http::send()),
        _ => Err("load bare FOLDER | appends FOLDER WRITERS SECONDS | tokens FOLDER | http".into()),
    }
}

/// The value below which this share of the sorted values lies; 0 when there are none.
fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let at = (sorted.len() as f64 * share) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}
