//! What `up` does: folder, ports, database, components, and the way back down in stages.
//!
//! Everything that can be refused is refused before anything is written. Nothing here waits for work that a later request
//! could do, so that the server is ready in well under a second.

mod components;
mod first_start;
mod folder;
mod manager;
pub(crate) mod offline;
mod openapi;
mod ports;
mod root_key;

use std::net::SocketAddr;
use std::time::Duration;

use crannog_kit::config::Config;
use crannog_kit::tls::{self, Certificates};
use crannog_kit::{Tasks, clock};
use crannog_store::Db;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::components::Components;
use self::first_start::Welcome;
pub(crate) use self::folder::DataFolder;
pub(crate) use self::manager::Manager;
use self::root_key::Notice;
use crate::cli::{Failure, quoted};
use crate::output::say;

/// How long requests that are under way may take when the server stops, and its background tasks after them.
const DRAIN: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(10);

/// The same for the tasks of a server that was told twice.
const STOP_AT_ONCE: Duration = Duration::from_secs(1);

/// Where the one-time link of the first start is left when what is printed goes to a journal.
const SETUP_LINK: &str = "setup-link";

/// Serves until it is told to stop.
pub(crate) async fn up(config: Config, manager: &Manager) -> Result<(), Failure> {
    let began = Instant::now();
    let folder = DataFolder::open(&config.data)?;
    let bound = match bind(config.listen, "--listen").await {
        Ok(http) => bind(config.listen_tls, "--listen-tls").await.map(|https| (http, https)),
        Err(failure) => Err(failure),
    };
    let (http, https) = match bound {
        Ok(bound) => bound,
        Err(failure) => {
            folder.give_up();
            return Err(failure);
        }
    };
    let db = open_database(&config, &folder).await?;
    let tasks = Tasks::new();
    let names = tls::names(folder::hostname().as_deref(), config.allowed_hosts.iter().cloned().chain(ips(&config)));
    let certificates = Certificates::open(&folder.path().join("tls"), names, clock::now())
        .map_err(|error| Failure::new(error.to_string()))?;
    let fresh = first_start::begin(&db, &folder).await?;
    let components = Components::open(&config, &folder, db.clone(), &tasks).await?;
    let welcome = first_start::finish(&components, &folder, fresh).await?;
    let router = components.router();

    let pulse = components.health.pulse("certificate", tls::PULSE);
    tasks.spawn("certificate", std::sync::Arc::clone(&certificates).keep_renewed(pulse, tasks.stopping()));
    let stop = CancellationToken::new();
    let with = certificates.server_config().map_err(|error| Failure::new(error.to_string()))?;
    let (at_http, at_https) = (http.as_ref().map(local), https.as_ref().map(local));
    let connections = components.connections.clone();
    let serve = |listener: Option<TcpListener>, tls| {
        let (connections, router, stop) = (connections.clone(), router.clone(), stop.clone());
        async move {
            if let Some(listener) = listener {
                connections.serve(listener, tls, router, stop).await;
            }
        }
    };
    let serving = (serve(http, None), serve(https, Some(with)));
    let (notice, took) = (components.root_key.as_ref(), began.elapsed());
    greet(&config, &folder, [at_http, at_https], took, welcome.as_ref(), notice, manager)?;
    manager.ready();

    let mut signals = Signals::new()?;
    let serving = async { tokio::join!(serving.0, serving.1) };
    let mut serving = std::pin::pin!(serving);
    let (executions, mut patience) = (components.executions.clone(), STOP);
    tokio::select! {
        _ = &mut serving => {}
        () = signals.next() => {
            // Stage one: nobody new. Stage two: those who are in finish.
            manager.stopping();
            tracing::info!("stopping: no new connections; requests under way finish");
            stop.cancel();
            // A statement whose client only looks after it now and then is under way without a request.
            let draining = async { tokio::join!(&mut serving, executions.none_under_way()) };
            tokio::select! {
                drained = tokio::time::timeout(DRAIN, draining) => {
                    if drained.is_err() {
                        tracing::warn!("requests are still under way after {} s: they are cut off", DRAIN.as_secs());
                    }
                }
                () = signals.next() => {
                    tracing::warn!("told to stop again: requests under way are cut off");
                    patience = STOP_AT_ONCE;
                }
            }
            connections.cut();
        }
    }
    // Stage three: background work writes what it holds. Stage four: the database.
    if tokio::time::timeout(patience, tasks.stop()).await.is_err() {
        tracing::warn!("background tasks did not end within {} s", patience.as_secs());
    }
    if tokio::time::timeout(patience, db.close()).await.is_err() {
        tracing::warn!("the database did not close within {} s", patience.as_secs());
    }
    drop(folder);
    tracing::info!("stopped");
    Ok(())
}

/// SIGINT and SIGTERM.
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        Ok(Signals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// The addresses that clients may use besides the names: certificates name them too.
fn ips(config: &Config) -> impl Iterator<Item = String> {
    let listens = [config.listen, config.listen_tls].into_iter().flatten();
    listens.map(|address| address.ip()).filter(|ip| !ip.is_unspecified()).map(|ip| ip.to_string())
}

fn local(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)))
}

async fn bind(address: Option<SocketAddr>, flag: &str) -> Result<Option<TcpListener>, Failure> {
    let Some(address) = address else { return Ok(None) };
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Err(Failure::new(ports::taken(address, flag))),
        Err(error) => {
            Err(Failure::new(format!("{address} cannot be listened on: {error}; choose another address with {flag}")))
        }
    }
}

/// Opens the metadata database and brings it up to date.
pub(crate) async fn open_database(config: &Config, folder: &DataFolder) -> Result<Db, Failure> {
    let file = folder.path().join("meta.db");
    let opened = match &config.database_url {
        Some(url) => Db::postgres(url, clock::now).await,
        None => Db::sqlite(&file, clock::now).await,
    };
    // A database of a newer version says so itself, and where the copy is that an older one can go back to.
    opened.map_err(|error| Failure::new(chain(&error)))
}

/// A failure with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// What people see when the server is ready.
fn greet(
    config: &Config,
    folder: &DataFolder,
    [http, https]: [Option<SocketAddr>; 2],
    took: Duration,
    welcome: Option<&Welcome>,
    root_key: Option<&Notice>,
    manager: &Manager,
) -> Result<(), Failure> {
    let plain = http.map(|address| format!("http://{address}"));
    let secure = https.map(|address| format!("https://{address}"));
    let data = folder.path().display();
    let base = config.public_url.clone().or_else(|| plain.clone()).or_else(|| secure.clone()).unwrap_or_default();
    let mut text = format!("crannog {} is ready after {:.2} s\n", env!("CARGO_PKG_VERSION"), took.as_secs_f64());
    for (name, address) in [("http ", plain), ("https", secure)] {
        if let Some(address) = address {
            text.push_str(&format!("  {name}  {address}\n"));
        }
    }
    text.push_str(&format!("  data   {data}\n"));
    match root_key {
        Some(Notice::Moved(notice)) => {
            tracing::info!("{notice}");
            text.push_str(&format!("\n{notice}\n"));
        }
        Some(Notice::Inside(notice)) => {
            tracing::warn!("{notice}");
            text.push_str(&format!("\nwarning: {notice}\n"));
        }
        None => {}
    }
    if let Some(welcome) = welcome {
        text.push_str("\nthis is its first start\n");
        if let Some(code) = &welcome.setup_code {
            let link = format!("{base}/setup?code={}", code.reveal());
            if manager.is_there() {
                // Many may read a journal, and it stays.
                folder.write_private(SETUP_LINK, &format!("{link}\n"))?;
                text.push_str(&format!(
                    "  set a password, once and within a week: the link is in {data}/{SETUP_LINK}\n"
                ));
            } else {
                text.push_str(&format!("  set a password, once and within a week:\n    {link}\n"));
            }
        }
        text.push_str(&format!(
            "  the administrator's token is in {data}/admin.token; in another terminal:\n    \
             export CRANNOG_HOST={base} CRANNOG_TOKEN=\"$(cat {token})\"\n    \
             crannog sql -e \"SELECT current_user()\"\n    \
             crannog user create ana@example.com && crannog token create --user ana@example.com\n",
            token = quoted(&format!("{data}/admin.token"))
        ));
    }
    say(&text)
}
