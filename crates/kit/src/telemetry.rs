//! Logs: JSON lines on standard error, with the request's id in every line of a request.

use tracing_subscriber::EnvFilter;

/// What a library says of each scan it makes: it is told when it is asked for by name.
const QUIET: &str = "delta_kernel=warn";

/// Starts logging. `filter` is `info`, or a list such as `warn,crannog_lake=debug`.
///
/// # Errors
/// A filter that cannot be read.
pub fn start(filter: &str, json: bool) -> Result<(), String> {
    let filter = EnvFilter::try_new(format!("{QUIET},{filter}"))
        .map_err(|error| format!("the log filter {filter:?} cannot be read: {error}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(true);
    let started =
        if json { builder.json().flatten_event(true).try_init() } else { builder.with_ansi(false).try_init() };
    started.map_err(|error| error.to_string())?;
    // The usual report of a panic is text between the lines of JSON.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, message = panic.payload_as_str(), "a panic, which is a fault of this program");
    }));
    Ok(())
}
