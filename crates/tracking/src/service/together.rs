//! Small rows of points are put together: a point that was logged alone takes some 50 bytes in a row of its own, 11 among others.
//!
//! The points of several rows go into the last of them, in the transaction that deletes the others. Whoever is reading the run's
//! history row by row finds each point at least once: those behind their place are in a row behind it. The same point twice is one.

use std::collections::HashMap;

use crannog_security::{System, Task};
use crannog_store::{Db, params};
use crannog_types::{Problem, Result};

use crate::model::points;

/// Rows of fewer bytes are small.
const SMALL: i64 = 8192;

/// So many rows are read at a time.
const ROWS: i64 = 2048;

/// A run's rows are put together when it got so many.
const MANY: u32 = 256;

/// How many runs are counted: of the others the next rows are.
const RUNS: usize = 100_000;

/// How many rows of points runs got since theirs were put together.
#[derive(Default)]
pub(super) struct Rowed {
    rows: HashMap<i64, u32>,
    many: Vec<i64>,
}

impl Rowed {
    /// A run got a row.
    pub(super) fn note(&mut self, run: i64) {
        if self.rows.len() >= RUNS {
            self.rows.clear();
        }
        let rows = self.rows.entry(run).or_default();
        *rows += 1;
        if *rows >= MANY {
            self.rows.remove(&run);
            self.many.push(run);
        }
    }

    /// Puts rows together where a run got many.
    pub(super) async fn put_together(&mut self, db: &Db) {
        for run in self.many.drain(..) {
            if let Err(problem) = put_together(db, run).await {
                // They are read as they are, and tried again with the next so many.
                tracing::debug!(cause = problem.chain(), "points of a run were not put together");
            }
        }
    }
}

/// Puts the small rows of a run together, or leaves them as they are.
async fn put_together(db: &Db, run: i64) -> Result<()> {
    #[expect(clippy::disallowed_methods, reason = "what was logged stays the same")]
    let system = System::task(Task::Track);
    let mut tx = db.write_unaudited(&system).await?;
    let small = "SELECT seq, points FROM metric_log WHERE run = $1 AND length(points) < $2 ORDER BY seq LIMIT $3";
    let rows = tx.rows(small, params![run, SMALL, ROWS]).await?;
    let Some(last) = rows.last().filter(|_| rows.len() > 1) else { return Ok(()) };
    let last = last.int(0)?;
    let mut all = Vec::new();
    for row in &rows {
        points::decode_all(&row.blob(1)?, &mut all)
            .ok_or_else(|| Problem::internal("points of a metric cannot be read", "other bytes than were written"))?;
    }
    tx.run("DELETE FROM metric_log WHERE run = $1 AND seq < $2 AND length(points) < $3", params![run, last, SMALL])
        .await?;
    tx.run("UPDATE metric_log SET points = $1 WHERE seq = $2", params![points::encode(&all), last]).await?;
    Ok(tx.commit().await?)
}
