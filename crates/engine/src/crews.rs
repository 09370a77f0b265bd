//! A crew: the threads of one query, or of one write.
//!
//! An operator computes for as long as it likes between two points at which it lets others go on: a sort, a window or a
//! join over everything that it holds is one step. On threads that queries share, as many heavy ones as there are
//! threads would keep all others waiting. So each has threads of its own, and the system, which stops threads in the
//! middle of a step, shares the processors out. Threads that computed for long get less of them than others, so that
//! short queries and the threads that serve requests go first.
//!
//! A crew whose query ended or was given up rests until nothing of it is left, then it works for another one. What it
//! computed in vain until then ends where it asks [`wanted`], or where it lets others go on.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crannog_types::{Problem, Result};
use datafusion::error::DataFusionError;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// Bytes of stack: the same as for the threads that serve.
const STACK: usize = 8 << 20;
/// Crews that are kept for the next queries.
const RESTING: usize = 16;
/// Threads of all that work, about: a query that begins beside so many has one.
const MOST: usize = 2048;
/// How long a crew works before it gets less of the processors.
const SHORT: Duration = Duration::from_millis(250);

/// Takes priority from a thread of this process, which Linux knows by this number.
pub type TakePriority = fn(thread: i32);

thread_local! {
    static CREW: RefCell<Option<Arc<Signals>>> = const { RefCell::new(None) };
}

/// Whether somebody waits for what this thread computes. Long steps ask now and then.
///
/// # Errors
/// When nobody does: the step ends with it, and nobody reads it.
pub(crate) fn wanted() -> Result<(), DataFusionError> {
    let given_up =
        CREW.with_borrow(|crew| crew.as_ref().is_some_and(|signals| signals.given_up.load(Ordering::Relaxed)));
    match given_up {
        true => Err(DataFusionError::Execution("nobody waits for the query any more".to_owned())),
        false => Ok(()),
    }
}

/// All crews. Their threads end with the last use of this.
#[derive(Debug)]
pub(crate) struct Crews {
    /// Threads of a crew.
    threads: usize,
    /// Threads of those that work.
    working: AtomicUsize,
    resting: Mutex<Vec<Members>>,
    clock: Option<Clock>,
}

/// What takes priority from threads that computed for long.
#[derive(Debug)]
struct Clock {
    runtime: Option<Runtime>,
    take: TakePriority,
}

impl Drop for Clock {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What the threads of a crew know.
#[derive(Debug, Default)]
struct Signals {
    given_up: AtomicBool,
    /// The crew worked for long: its threads have less priority and do not get it back.
    slow: AtomicBool,
    /// Linux's numbers of the threads that are there.
    threads: Mutex<Vec<i32>>,
}

impl Signals {
    fn threads(&self) -> MutexGuard<'_, Vec<i32>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread of the crew began.
    fn begins(&self, thread: Option<i32>, take: Option<TakePriority>) {
        let mut threads = self.threads();
        threads.extend(thread);
        if let (Some(thread), Some(take), true) = (thread, take, self.slow.load(Ordering::SeqCst)) {
            take(thread);
        }
    }

    /// A thread leaves the list before its number can be another's.
    fn ends(&self, thread: Option<i32>) {
        self.threads().retain(|known| Some(*known) != thread);
    }

    fn take_priority(&self, take: TakePriority) {
        let threads = self.threads();
        self.slow.store(true, Ordering::SeqCst);
        threads.iter().copied().for_each(take);
    }
}

#[derive(Debug)]
struct Members {
    runtime: Option<Runtime>,
    threads: usize,
    signals: Arc<Signals>,
}

impl Members {
    /// Nothing of its last work is left.
    fn are_idle(&self) -> bool {
        self.runtime.as_ref().is_some_and(|runtime| runtime.metrics().num_alive_tasks() == 0)
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // What still computes ends at its next step; nobody waits for it, and here nobody may.
            runtime.shutdown_background();
        }
    }
}

impl Crews {
    /// Crews of so many threads.
    ///
    /// # Errors
    /// When the system has no thread for the clock.
    pub(crate) fn new(threads: usize, take: Option<TakePriority>) -> Result<Arc<Self>> {
        let clock = take
            .map(|take| {
                let runtime = Builder::new_multi_thread()
                    .worker_threads(1)
                    .thread_name("compute clock")
                    .enable_time()
                    .build()
                    .map_err(no_threads)?;
                Ok::<_, Problem>(Clock { runtime: Some(runtime), take })
            })
            .transpose()?;
        Ok(Arc::new(Crews { threads: threads.max(1), working: AtomicUsize::new(0), resting: Mutex::default(), clock }))
    }

    fn resting(&self) -> MutexGuard<'_, Vec<Members>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A crew that nobody else has.
    ///
    /// # Errors
    /// When the system has no more threads.
    pub(crate) fn take(self: &Arc<Self>) -> Result<Crew> {
        let rested = {
            let mut resting = self.resting();
            resting.retain(|members| !members.signals.slow.load(Ordering::SeqCst));
            resting.iter().rposition(Members::are_idle).map(|at| resting.remove(at))
        };
        let members = match rested {
            Some(members) => members,
            None => self.gather()?,
        };
        members.signals.given_up.store(false, Ordering::SeqCst);
        self.working.fetch_add(members.threads, Ordering::SeqCst);
        let signals = Arc::clone(&members.signals);
        let slower = self.clock.as_ref().and_then(|clock| {
            let (runtime, take) = (clock.runtime.as_ref()?, clock.take);
            Some(runtime.spawn(async move {
                tokio::time::sleep(SHORT).await;
                signals.take_priority(take);
            }))
        });
        Ok(Crew { crews: Arc::clone(self), members: Some(members), slower })
    }

    fn gather(&self) -> Result<Members> {
        let free = MOST.saturating_sub(self.working.load(Ordering::SeqCst));
        let threads = self.threads.min(free.max(1));
        let signals = Arc::new(Signals::default());
        let (begins, ends) = (Arc::clone(&signals), Arc::clone(&signals));
        let take = self.clock.as_ref().map(|clock| clock.take);
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("compute")
            .thread_stack_size(STACK)
            .on_thread_start(move || {
                CREW.set(Some(Arc::clone(&begins)));
                begins.begins(own_number(), take);
            })
            .on_thread_stop(move || ends.ends(own_number()))
            .enable_all()
            .build()
            .map_err(no_threads)?;
        Ok(Members { runtime: Some(runtime), threads, signals })
    }

    /// Crews of which something still computes, whether somebody waits for it or not.
    pub(crate) fn busy(&self) -> usize {
        let left = self.resting().iter().filter(|members| !members.are_idle()).count();
        left + self.working.load(Ordering::SeqCst).div_ceil(self.threads)
    }
}

fn no_threads(error: std::io::Error) -> Problem {
    Problem::internal("the threads of a query could not be started", error)
}

/// This thread's number, where the system tells it.
fn own_number() -> Option<i32> {
    std::fs::read_link("/proc/thread-self").ok()?.file_name()?.to_str()?.parse().ok()
}

/// Threads for one piece of work. Dropped, they give it up.
#[derive(Debug)]
pub(crate) struct Crew {
    crews: Arc<Crews>,
    members: Option<Members>,
    slower: Option<JoinHandle<()>>,
}

impl Crew {
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<JoinHandle<T>> {
        match self.members.as_ref().and_then(|members| members.runtime.as_ref()) {
            Some(runtime) => Ok(runtime.spawn(work)),
            None => Err(Problem::internal("a query came after the end of its threads", "they are gone")),
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        if let Some(slower) = self.slower.take() {
            slower.abort();
        }
        let Some(members) = self.members.take() else { return };
        members.signals.given_up.store(true, Ordering::SeqCst);
        self.crews.working.fetch_sub(members.threads, Ordering::SeqCst);
        if members.signals.slow.load(Ordering::SeqCst) || members.threads < self.crews.threads {
            return;
        }
        let mut resting = self.crews.resting();
        resting.push(members);
        let over = resting.len().saturating_sub(RESTING);
        let gone: Vec<Members> = resting.drain(..over).collect();
        drop(resting);
        drop(gone);
    }
}
