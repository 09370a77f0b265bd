//! Histories of metrics.

use std::cmp::Ordering;

use crannog_security::Permit;
use crannog_security::actions::runs;
use crannog_store::{Db, params};
use crannog_types::{Problem, Result};

use super::run_of;
use crate::model::points::{self, Point};

/// How many rows are in memory at a time: a row has the points of one request, some kilobytes.
const ROWS: i64 = 500;

/// Every point of a metric of a run, by time, step and value. The same point logged twice is one.
pub async fn points(db: &Db, permit: &Permit<runs::Read>, key: &str) -> Result<Vec<Point>> {
    const PART: &str = "SELECT l.seq, l.points FROM metric_log l JOIN run r ON r.seq = l.run \
         WHERE r.run_id = $1 AND l.seq > $2 ORDER BY l.seq LIMIT $3";
    let run_id = run_of(permit)?;
    if key.contains('\0') {
        return Ok(Vec::new());
    }
    // Rows are only added, so reading goes on behind the last one; the connection is everybody's in between.
    let (mut found, mut last) = (Vec::new(), 0);
    loop {
        let rows = db.read(permit).rows(PART, params![&*run_id, last, ROWS]).await?;
        for row in &rows {
            last = row.int(0)?;
            points::decode(&row.blob(1)?, key, &mut found).ok_or_else(|| {
                Problem::internal("points of a metric cannot be read", "other bytes than were written")
            })?;
        }
        if i64::try_from(rows.len()).unwrap_or(i64::MAX) < ROWS {
            break;
        }
    }
    // A million points take a while to sort: not on a thread that answers others.
    let sorted = tokio::task::spawn_blocking(move || {
        distinct(&mut found);
        found
    });
    sorted.await.map_err(|ended| Problem::internal("points could not be sorted", ended))
}

/// Orders points by time, step and value; the same point twice is one.
pub(super) fn distinct(points: &mut Vec<Point>) {
    // As they are logged, mostly.
    if points.is_sorted_by(|a, b| order(a) < order(b)) {
        return;
    }
    points.sort_by(|a, b| order(a).partial_cmp(&order(b)).unwrap_or(Ordering::Equal));
    points.dedup_by(|a, b| order(a) == order(b));
}

/// Time, step, value with NaN as 0, and whether it is NaN.
fn order(point: &Point) -> (i64, i64, f64, bool) {
    let nan = point.value.is_nan();
    (point.time_ms, point.step, if nan { 0.0 } else { point.value }, nan)
}

/// So many of a metric's points as evenly as they were logged, the first and the last among them; by step, time and value.
pub fn sampled(mut points: Vec<Point>, most: usize) -> Vec<Point> {
    let by_step = |point: &Point| {
        let (time, step, value, nan) = order(point);
        (step, time, value, nan)
    };
    points.sort_by(|a, b| by_step(a).partial_cmp(&by_step(b)).unwrap_or(Ordering::Equal));
    let (count, most) = (points.len(), most.max(1));
    if count <= most {
        return points;
    }
    // The first of each of `most` buckets of nearly the same size, the larger ones first.
    let (size, larger) = (count / most, count % most);
    let firsts = (0..most).map(|bucket| bucket * size + bucket.min(larger));
    let mut kept: Vec<usize> = firsts.collect();
    if let Some(last) = kept.last_mut() {
        *last = count - 1;
    }
    let mut kept = kept.into_iter().peekable();
    let mut at = 0;
    points.retain(|_| {
        let keep = kept.next_if_eq(&at).is_some();
        at += 1;
        keep
    });
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_keep_both_ends() {
        let points = |count: i64| (0..count).map(|step| Point { value: 0.0, time_ms: 0, step }).collect::<Vec<_>>();
        let steps = |count, most| sampled(points(count), most).iter().map(|point| point.step).collect::<Vec<_>>();
        assert_eq!(steps(10, 20), (0..10).collect::<Vec<_>>());
        // Buckets 0–3, 4–6, 7–9; the last point stands for the last bucket.
        assert_eq!(steps(10, 3), [0, 4, 9]);
        assert_eq!(steps(10, 1), [9]);
        assert_eq!(steps(0, 5), Vec::<i64>::new());
    }
}
