//! The threads that requests and background tasks run on, and who wakes them.
//!
//! One of the threads waits for all sockets and clocks. What comes first it runs itself, and it tells another thread only where
//! more came at once. Should what it runs keep it, as a statement of SQLite's does on a disk that hangs, then nobody waits for sockets
//! and clocks any more, though every other thread is free: not even `/livez` would be answered. So somebody outside wakes one
//! of them every second, which then waits in its place.

use std::future::Future;
use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

/// How long sockets and clocks may go without a thread that waits for them.
const EVERY: Duration = Duration::from_secs(1);

/// The threads, until it is shut down.
pub struct EventLoop {
    runtime: Runtime,
    /// Whoever wakes them ends when this is gone.
    _wakes: mpsc::Sender<()>,
}

impl EventLoop {
    /// Two threads, or as many as there are processors, with stacks of so many bytes. Two also where there is one processor: a
    /// statement of SQLite's that waits for the disk must not keep all requests waiting.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn start(stack: usize) -> io::Result<Self> {
        let threads = std::thread::available_parallelism().map_or(2, usize::from).max(2);
        EventLoop::of(threads, stack, EVERY)
    }

    fn of(threads: usize, stack: usize, every: Duration) -> io::Result<Self> {
        let runtime =
            Builder::new_multi_thread().worker_threads(threads).enable_all().thread_stack_size(stack).build()?;
        let (wakes, ended) = mpsc::channel::<()>();
        let threads = runtime.handle().clone();
        let wake = move || {
            while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                drop(threads.spawn(std::future::ready(())));
            }
        };
        std::thread::Builder::new().name("wakes".to_owned()).spawn(wake)?;
        Ok(EventLoop { runtime, _wakes: wakes })
    }

    /// Runs something to its end on this thread, and on the threads what it spawns.
    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Ends the threads, without waiting for one that does not come back.
    pub fn shutdown(self) {
        self.runtime.shutdown_background();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// The thread that waited for sockets takes up what comes on one, and does not come back.
    #[test]
    fn a_thread_that_does_not_come_back_does_not_stop_the_others() {
        for _ in 0..20 {
            let threads = EventLoop::of(2, 1 << 20, Duration::from_millis(20)).unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let connection = || {
                let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                let (theirs, _) = listener.accept().unwrap();
                theirs.set_nonblocking(true).unwrap();
                // A minute is for ever here.
                ours.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
                (ours, theirs)
            };
            let ((mut hangs, theirs), (mut asks, other)) = (connection(), connection());
            let (let_go, held) = mpsc::channel::<()>();
            let (began, holding) = mpsc::channel::<()>();
            threads.runtime.spawn(async move {
                let mut stream = tokio::net::TcpStream::from_std(theirs).unwrap();
                stream.read_u8().await.unwrap();
                began.send(()).unwrap();
                held.recv().unwrap();
            });
            threads.runtime.spawn(async move {
                let mut stream = tokio::net::TcpStream::from_std(other).unwrap();
                for _ in 0..2 {
                    let byte = stream.read_u8().await.unwrap();
                    stream.write_u8(byte).await.unwrap();
                }
            });
            let mut answer = [0];
            asks.write_all(&[1]).unwrap();
            asks.read_exact(&mut answer).unwrap();
            hangs.write_all(&[1]).unwrap();
            holding.recv().unwrap();
            asks.write_all(&[7]).unwrap();
            asks.read_exact(&mut answer).unwrap();
            assert_eq!(answer, [7]);
            let_go.send(()).unwrap();
            threads.shutdown();
        }
    }
}
