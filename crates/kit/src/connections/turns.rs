//! Whose turn it is on a connection, the server's or the client's: told by what is read of it, written to it and answered.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::{Limits, Peer, lock};

/// Whose turn it is on a connection.
pub(super) struct Watch(Mutex<Turn>);

struct Turn {
    /// Requests that are being answered, by number; with the time since when the client has had a part of its answer to
    /// take, or nothing when the next step is the server's.
    requests: BTreeMap<u64, Option<Instant>>,
    /// Requests so far.
    begun: u64,
    /// When the client last took something of what was written, or the last answer was done.
    quiet_since: Instant,
    /// Whether something waits to be written because the client does not take it.
    blocked: bool,
}

pub(super) enum Verdict {
    /// To be asked again then.
    Fine(Instant),
    /// The client had its time.
    Silent,
}

impl Watch {
    pub(super) fn new() -> Self {
        Watch(Mutex::new(Turn { requests: BTreeMap::new(), begun: 0, quiet_since: Instant::now(), blocked: false }))
    }

    pub(super) fn verdict(&self, limits: &Limits) -> Verdict {
        let turn = lock(&self.0);
        let now = Instant::now();
        let until = if turn.requests.is_empty() {
            turn.quiet_since
                + match turn.begun {
                    _ if turn.blocked => limits.answer,
                    0 => limits.first,
                    _ => limits.idle,
                }
        } else {
            let oldest = turn.requests.values().flatten().min();
            oldest.map_or(now + limits.answer, |since| *since + limits.answer)
        };
        // Nobody tells when the turn passes, so it is looked at again after the shortest of the times.
        let soon = now + limits.first.min(limits.idle).min(limits.answer);
        if until <= now { Verdict::Silent } else { Verdict::Fine(until.min(soon)) }
    }

    fn begin(&self) -> u64 {
        let mut turn = lock(&self.0);
        turn.begun += 1;
        let number = turn.begun;
        turn.requests.insert(number, None);
        number
    }

    fn handed_out(&self, request: u64, part: bool) {
        if let Some(since) = lock(&self.0).requests.get_mut(&request) {
            *since = part.then(Instant::now);
        }
    }

    fn end(&self, request: u64) {
        let mut turn = lock(&self.0);
        turn.requests.remove(&request);
        turn.quiet_since = Instant::now();
    }

    fn wrote(&self, written: &Poll<io::Result<usize>>) {
        let mut turn = lock(&self.0);
        turn.blocked = written.is_pending();
        if matches!(written, Poll::Ready(Ok(bytes)) if *bytes > 0) {
            turn.quiet_since = Instant::now();
        }
    }
}

/// The router, for one connection.
pub(super) struct Serving {
    pub(super) router: TowerToHyperService<Router>,
    pub(super) watch: Arc<Watch>,
    pub(super) peer: Peer,
}

impl Service<hyper::Request<Incoming>> for Serving {
    type Response = hyper::Response<Answer>;
    type Error = std::convert::Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn call(&self, request: hyper::Request<Incoming>) -> Self::Future {
        let under_way = UnderWay { watch: Arc::clone(&self.watch), request: self.watch.begin() };
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(self.peer);
        let answer = self.router.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            Ok(answer.map(|body| Answer { body, under_way }))
        })
    }
}

/// A request that is being answered, until this is dropped.
struct UnderWay {
    watch: Arc<Watch>,
    request: u64,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.watch.end(self.request);
    }
}

/// The body of an answer, which tells the watch when it is the client who is waited for.
pub(super) struct Answer {
    body: Body,
    under_way: UnderWay,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.under_way.watch.handed_out(self.under_way.request, polled.is_ready());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        HttpBody::size_hint(&self.body)
    }
}

/// A connection's stream, which tells the watch whether the client takes what is written.
pub(super) struct Watched<S> {
    pub(super) stream: S,
    pub(super) watch: Arc<Watch>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, from);
        self.watch.wrote(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, from);
        self.watch.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
