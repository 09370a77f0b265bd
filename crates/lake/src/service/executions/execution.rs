//! One statement that runs beside its request: where it is, its result, and links to parts of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use crannog_types::{Code, Micros, PrincipalId, Problem, Result};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::model::seal;
use crate::service::limits::Taken;
use crate::service::statements::held::Held;

/// A part of a result.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// Its rows.
    pub batches: Vec<RecordBatch>,
    /// The first row's number in the result.
    pub row_offset: usize,
    /// How many rows it has.
    pub rows: usize,
    /// How much memory it takes.
    pub bytes: usize,
}

/// A result.
#[derive(Clone)]
pub struct ResultSet {
    /// Its columns.
    pub schema: SchemaRef,
    /// Its rows; none where there are no rows.
    pub chunks: Vec<Chunk>,
    /// Whether a limit cut it.
    pub truncated: bool,
    /// The memory that it counts for.
    pub(super) _taken: Arc<Taken>,
}

impl ResultSet {
    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.rows).sum()
    }

    /// How much memory it takes.
    pub fn bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.bytes).sum()
    }
}

/// Where a statement is.
#[derive(Clone)]
pub enum State {
    /// Not begun.
    Pending,
    /// Under way.
    Running,
    /// Done.
    Succeeded(Arc<ResultSet>),
    /// Not done, and why.
    Failed(Arc<Problem>),
    /// Stopped.
    Canceled,
    /// Done, and the result thrown away.
    Closed,
}

impl State {
    /// Whether nothing more happens to it.
    pub fn ended(&self) -> bool {
        !matches!(self, State::Pending | State::Running)
    }
}

/// One statement.
pub struct Execution {
    /// Its id.
    pub id: String,
    /// What links to its result are made with; see [`Execution::link_proof`].
    secret: [u8; 32],
    pub(super) owner: PrincipalId,
    pub(super) state: watch::Sender<State>,
    pub(super) cancel: CancellationToken,
    pub(super) ended_at: Mutex<Option<Micros>>,
    /// Whether its result is wanted as Arrow, and whether as links.
    handing_out: Mutex<(bool, bool)>,
    /// What it was allowed by; whoever fetches the result is held to it too.
    pub(super) held: Arc<Held>,
}

impl Execution {
    /// One that has not begun.
    pub(super) fn new(id: String, owner: PrincipalId, held: Arc<Held>) -> Self {
        Execution {
            id,
            secret: secret(),
            owner,
            state: watch::Sender::new(State::Pending),
            cancel: CancellationToken::new(),
            ended_at: Mutex::new(None),
            handing_out: Mutex::default(),
            held,
        }
    }

    /// The proof in a link to a part of the result, which needs no other: good for this part until then.
    pub fn link_proof(&self, chunk: i64, expires: i64) -> String {
        let message = format!("{}/{chunk}/{expires}", self.id);
        seal::hmac(&self.secret, message.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Asks again for everything that the statement was allowed to use.
    ///
    /// # Errors
    /// What was revoked since.
    pub async fn renew(&self) -> Result<()> {
        self.held.renew().await
    }

    /// How its result is wanted: as Arrow (else JSON), as links (else inline).
    pub fn handing_out(&self) -> (bool, bool) {
        *self.handing_out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers how its result is wanted.
    pub fn hand_out_as(&self, arrow: bool, links: bool) {
        *self.handing_out.lock().unwrap_or_else(PoisonError::into_inner) = (arrow, links);
    }

    /// Where it is now.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    pub(super) fn ended_at(&self) -> Option<Micros> {
        *self.ended_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it ended, or for this long.
    pub async fn wait(&self, at_most: Duration) -> State {
        let mut states = self.state.subscribe();
        let ended = states.wait_for(State::ended);
        match tokio::time::timeout(at_most, ended).await {
            Ok(Ok(state)) => state.clone(),
            Ok(Err(_)) | Err(_) => self.state(),
        }
    }

    /// Stops it. What it committed before stays.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Throws its result away.
    pub fn close(&self) {
        self.cancel.cancel();
        self.state.send_if_modified(|state| {
            let done = matches!(state, State::Succeeded(_));
            if done {
                *state = State::Closed;
            }
            done
        });
    }
}

fn secret() -> [u8; 32] {
    let mut secret = [0; 32];
    secret[..16].copy_from_slice(Uuid::new_v4().as_bytes());
    secret[16..].copy_from_slice(Uuid::new_v4().as_bytes());
    secret
}

/// Why no result can be given in a state.
pub fn not_succeeded(state: &State) -> Problem {
    let what = match state {
        State::Pending | State::Running => "the statement has not ended",
        State::Failed(_) => "the statement failed",
        State::Canceled => "the statement was cancelled",
        State::Closed | State::Succeeded(_) => "the statement was closed",
    };
    Problem::new(Code::NotFound, format!("{what}, so it has no result"))
}
