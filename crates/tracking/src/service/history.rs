//! Histories of metrics.

use crannog_security::Permit;
use crannog_security::actions::runs;
use crannog_store::{Db, params};
use crannog_types::{Problem, Result};

use super::run_of;
use crate::model::points;
use crate::model::runs::Metric;

/// Every point of a metric of a run, by time, step and value. The same point logged twice is one.
pub async fn points(db: &Db, permit: &Permit<runs::Read>, key: &str) -> Result<Vec<Metric>> {
    let run_id = run_of(permit)?;
    if key.contains('\0') {
        return Ok(Vec::new());
    }
    // Of one moment: points move from the log to the chunks.
    let mut reader = db.snapshot(permit).await?;
    let chunks = reader
        .rows(
            "SELECT c.points FROM metric_chunk c JOIN run r ON r.seq = c.run WHERE r.run_id = $1 AND c.key = $2 \
             ORDER BY c.chunk",
            params![&*run_id, key],
        )
        .await?;
    let log = reader
        .rows(
            "SELECT l.points FROM metric_log l JOIN run r ON r.seq = l.run WHERE r.run_id = $1 ORDER BY l.seq",
            params![&*run_id],
        )
        .await?;
    let mut found = Vec::new();
    for row in chunks.iter().chain(&log) {
        points::decode(&row.blob(0)?, Some(key), &mut found)
            .ok_or_else(|| Problem::internal("points of a metric cannot be read", "other bytes than were written"))?;
    }
    found.sort_by(|a, b| order(a).partial_cmp(&order(b)).unwrap_or(std::cmp::Ordering::Equal));
    found.dedup_by(|a, b| order(a) == order(b));
    Ok(found)
}

/// Time, step, value with NaN as 0, and whether it is NaN.
fn order(point: &Metric) -> (i64, i64, f64, bool) {
    let nan = point.value.is_nan();
    (point.time_ms, point.step, if nan { 0.0 } else { point.value }, nan)
}

/// So many of a metric's points as evenly as they were logged, the first and the last among them; by step, time and value.
pub fn sampled(mut points: Vec<Metric>, most: usize) -> Vec<Metric> {
    let by_step = |point: &Metric| {
        let (time, step, value, nan) = order(point);
        (step, time, value, nan)
    };
    points.sort_by(|a, b| by_step(a).partial_cmp(&by_step(b)).unwrap_or(std::cmp::Ordering::Equal));
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
        let points = |count: i64| {
            (0..count).map(|step| Metric { key: "k".into(), value: 0.0, time_ms: 0, step }).collect::<Vec<_>>()
        };
        let steps = |count, most| sampled(points(count), most).iter().map(|point| point.step).collect::<Vec<_>>();
        assert_eq!(steps(10, 20), (0..10).collect::<Vec<_>>());
        // Buckets 0–3, 4–6, 7–9; the last point stands for the last bucket.
        assert_eq!(steps(10, 3), [0, 4, 9]);
        assert_eq!(steps(10, 1), [9]);
        assert_eq!(steps(0, 5), Vec::<i64>::new());
    }
}
