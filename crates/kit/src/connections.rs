//! Connections: accepted, counted, and watched, so that no client can hold the server's room by doing nothing.
//!
//! hyper speaks the protocol. What it leaves open is decided here, for HTTP/1.1 and HTTP/2 alike, by looking at one thing:
//! whose turn it is. While the server works on a request, a connection may be silent for as long as that takes. While it is
//! the client's turn, there are limits: for the first request, between requests, for each part of a body (the dispatcher
//! looks after that), and for taking an answer. A connection that goes beyond them is closed.
//!
//! One address has a limited number of connections, unless it is a trusted proxy, which speaks for many. An IPv6 client
//! counts by its /64, which is what one customer gets.

mod turns;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::turns::{Serving, Verdict, Watch, Watched};
use crate::metrics::Metrics;

/// What a connection that is to end gets for its last bytes.
const FAREWELL: Duration = Duration::from_secs(5);

/// After a failed accept, mostly for want of file descriptors, others get time to close theirs.
const AFTER_FAILURE: Duration = Duration::from_millis(200);

/// The largest head of an HTTP/1.1 request and of an HTTP/2 one, in bytes.
const HEAD_1: usize = 128 * 1024;
const HEAD_2: u32 = 32 * 1024;

/// What clients may take of the server by holding connections.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the connection to the end of its first request's head; the TLS handshake takes it too.
    pub first: Duration,
    /// Between an answer and the end of the next request's head.
    pub idle: Duration,
    /// Between two parts of a body.
    pub part: Duration,
    /// For all of a JSON or form body; streamed bodies may take as long as they keep coming.
    pub body: Duration,
    /// Until a client takes the next part of an answer.
    pub answer: Duration,
    /// Connections of one address.
    pub per_address: usize,
    /// Connections of all.
    pub all: usize,
    /// Requests that one HTTP/2 connection may have under way.
    pub streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            first: Duration::from_secs(20),
            idle: Duration::from_secs(75),
            part: Duration::from_secs(30),
            body: Duration::from_secs(300),
            answer: Duration::from_secs(300),
            per_address: 512,
            all: 8_192,
            streams: 128,
        }
    }
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Whether it came by TLS.
    pub secure: bool,
}

/// The connections of a server, over all its listeners. Cheap to clone.
#[derive(Clone, Default)]
pub struct Connections(Arc<Inner>);

#[derive(Default)]
struct Inner {
    limits: Limits,
    proxies: BTreeSet<IpAddr>,
    by_address: Mutex<BTreeMap<IpAddr, usize>>,
    open: AtomicUsize,
    accepted: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
    silent: Arc<AtomicU64>,
    cut: CancellationToken,
}

impl Connections {
    /// With these limits; trusted proxies may have any number of connections.
    pub fn new(limits: Limits, proxies: BTreeSet<IpAddr>, metrics: &Metrics) -> Self {
        let connections = Connections(Arc::new(Inner {
            limits,
            proxies,
            accepted: metrics.counter("crannog_http_connections_total", "Connections that were accepted."),
            refused: metrics.counter(
                "crannog_http_connections_refused_total",
                "Connections that were closed at once: too many, of one address or of all.",
            ),
            silent: metrics.counter(
                "crannog_http_connections_silent_total",
                "Connections that were closed because the client neither asked nor took its answer.",
            ),
            ..Inner::default()
        }));
        let open = Arc::clone(&connections.0);
        metrics.gauge("crannog_http_connections", "Connections that are open.", move || {
            open.open.load(Ordering::Relaxed) as f64
        });
        connections
    }

    /// Serves what comes to a listener, with TLS or without, until told to stop; then finishes what is under way. It
    /// resolves when the last connection has ended.
    pub async fn serve(
        &self,
        listener: TcpListener,
        tls: Option<Arc<ServerConfig>>,
        router: Router,
        stop: CancellationToken,
    ) {
        let tls = tls.map(TlsAcceptor::from);
        let tracker = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.cancelled() => break,
                () = self.0.cut.cancelled() => break,
            };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    let _ = timeout(AFTER_FAILURE, stop.cancelled()).await;
                    continue;
                }
            };
            let Some(admitted) = self.admit(address.ip()) else { continue };
            let (connections, tls, router, stop) = (self.clone(), tls.clone(), router.clone(), stop.clone());
            tracker.spawn(async move {
                tokio::select! {
                    () = connections.converse(stream, address, tls, router, stop) => {}
                    () = connections.0.cut.cancelled() => {}
                }
                drop(admitted);
            });
        }
        drop(listener);
        tracker.close();
        tracker.wait().await;
    }

    /// Ends every connection at once, whatever is under way on it.
    pub fn cut(&self) {
        self.0.cut.cancel();
    }

    /// A place for a connection, if there is one.
    fn admit(&self, from: IpAddr) -> Option<Admitted> {
        let address = counted(from);
        let limits = &self.0.limits;
        let theirs = {
            let mut by_address = lock(&self.0.by_address);
            let theirs = by_address.entry(address).or_default();
            *theirs += 1;
            *theirs
        };
        let all = self.0.open.fetch_add(1, Ordering::Relaxed) + 1;
        let admitted = Admitted { connections: self.clone(), address };
        let trusted = self.0.proxies.contains(&from.to_canonical());
        if all > limits.all || (theirs > limits.per_address && !trusted) {
            // One line for a flood, not one for each of its connections.
            let before = self.0.refused.fetch_add(1, Ordering::Relaxed);
            if before.is_multiple_of(1_000) {
                tracing::warn!(%from, theirs, all, "too many connections: new ones are refused");
            }
            return None;
        }
        self.0.accepted.fetch_add(1, Ordering::Relaxed);
        Some(admitted)
    }

    async fn converse(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        tls: Option<TlsAcceptor>,
        router: Router,
        stop: CancellationToken,
    ) {
        // Answers are written in one piece; waiting for more to send with them would only delay them.
        let _ = stream.set_nodelay(true);
        let secure = tls.is_some();
        let watch = Arc::new(Watch::new());
        let serving = Serving {
            router: TowerToHyperService::new(router),
            watch: Arc::clone(&watch),
            peer: Peer { address, secure },
        };
        match tls {
            None => self.watched(Watched { stream, watch }, serving, stop).await,
            Some(tls) => {
                let handshake = tokio::select! {
                    done = timeout(self.0.limits.first, tls.accept(stream)) => done,
                    () = stop.cancelled() => return,
                };
                match handshake {
                    Ok(Ok(stream)) => self.watched(Watched { stream, watch }, serving, stop).await,
                    Ok(Err(error)) => tracing::debug!(%address, %error, "a client broke its TLS handshake off"),
                    Err(_) => self.count_silent(),
                }
            }
        }
    }

    async fn watched<S>(&self, stream: Watched<S>, serving: Serving, stop: CancellationToken)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut limits = self.0.limits;
        let watch = Arc::clone(&stream.watch);
        let mut builder = Builder::new(TokioExecutor::new());
        // The watch sees slow heads too, and hyper's own limit cannot tell them from a wait for the next request.
        builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(HEAD_1);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams)
            .max_header_list_size(HEAD_2)
            .max_pending_accept_reset_streams(32)
            .max_local_error_reset_streams(256);
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), serving);
        let mut connection = pin!(connection);
        let mut ending = false;
        loop {
            let next = match watch.verdict(&limits) {
                Verdict::Fine(next) => next,
                Verdict::Silent => {
                    self.count_silent();
                    // An answer that nobody takes would hold the farewell up as well.
                    connection.as_mut().graceful_shutdown();
                    let _ = timeout(FAREWELL.min(limits.first).min(limits.answer), connection).await;
                    return;
                }
            };
            tokio::select! {
                done = &mut connection => {
                    if let Err(error) = done {
                        tracing::debug!(%error, "a connection ended early");
                    }
                    return;
                }
                () = stop.cancelled(), if !ending => {
                    ending = true;
                    // Who has nothing under way has nothing to wait for either.
                    limits.first = limits.first.min(FAREWELL);
                    limits.idle = limits.idle.min(FAREWELL);
                    connection.as_mut().graceful_shutdown();
                }
                () = sleep_until(next) => {}
            }
        }
    }

    fn count_silent(&self) {
        self.0.silent.fetch_add(1, Ordering::Relaxed);
    }
}

/// A place among the connections; given back when dropped.
struct Admitted {
    connections: Connections,
    address: IpAddr,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut by_address = lock(&self.connections.0.by_address);
        if let Some(theirs) = by_address.get_mut(&self.address) {
            *theirs -= 1;
            if *theirs == 0 {
                by_address.remove(&self.address);
            }
        }
        self.connections.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The address that a connection counts for.
fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        address => address,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_counts_as_what_one_customer_has() {
        let count = |text: &str| counted(text.parse().unwrap()).to_string();
        assert_eq!(count("192.0.2.7"), "192.0.2.7");
        assert_eq!(count("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(count("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(count("::1"), "::1");
    }

    #[test]
    fn proxies_may_have_any_number_and_places_are_given_back() {
        let limits = Limits { per_address: 1, all: 3, ..Limits::default() };
        let proxy: IpAddr = "192.0.2.1".parse().unwrap();
        let connections = Connections::new(limits, [proxy].into(), &Metrics::default());
        let client: IpAddr = "192.0.2.2".parse().unwrap();
        let first = connections.admit(client);
        assert!(first.is_some() && connections.admit(client).is_none());
        let proxied = (connections.admit(proxy), connections.admit(proxy));
        assert!(proxied.0.is_some() && proxied.1.is_some());
        assert!(connections.admit("192.0.2.3".parse().unwrap()).is_none(), "three are all");
        drop(first);
        assert!(connections.admit(client).is_some());
        drop(proxied);
        assert_eq!(connections.0.open.load(Ordering::Relaxed), 0);
        assert!(lock(&connections.0.by_address).is_empty());
    }
}
