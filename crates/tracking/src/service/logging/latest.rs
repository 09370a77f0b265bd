//! The last point of each metric of a run, which everything but a history reads.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crannog_store::{Tx, params};
use crannog_types::Result;

use crate::model::runs::Metric;
use crate::sql::Rows;

/// The last points of metrics, of several requests.
#[derive(Default)]
pub(crate) struct Latest<'a>(BTreeMap<(i64, &'a str), (i64, &'a Metric)>);

impl<'a> Latest<'a> {
    pub(crate) fn add(&mut self, seq: i64, experiment: i64, points: &'a [Metric]) {
        for point in points {
            match self.0.entry((seq, point.key.as_str())) {
                Entry::Vacant(place) => _ = place.insert((experiment, point)),
                Entry::Occupied(mut place) => {
                    if later(point) > later(place.get().1) {
                        place.get_mut().1 = point;
                    }
                }
            }
        }
    }

    pub(crate) async fn put(self, tx: &mut Tx) -> Result<()> {
        static PUT: Rows = Rows::new(
            "INSERT INTO metric_latest (run, key, experiment, value, nan, step, time_ms)",
            7,
            "ON CONFLICT (run, key) DO UPDATE SET value = excluded.value, nan = excluded.nan, step = excluded.step, \
             time_ms = excluded.time_ms WHERE (excluded.step, excluded.time_ms, excluded.value) > \
             (metric_latest.step, metric_latest.time_ms, metric_latest.value)",
        );
        let values = |((seq, key), (experiment, point)): ((i64, &str), (i64, &Metric))| {
            let (nan, value) = (point.value.is_nan(), later(point).2);
            params![seq, key, experiment, value, nan, point.step, point.time_ms]
        };
        PUT.run(tx, self.0, values).await?;
        Ok(())
    }
}

/// What makes a point the last one: its step, then its time, then its value, with NaN as 0.
fn later(point: &Metric) -> (i64, i64, f64) {
    (point.step, point.time_ms, if point.value.is_nan() { 0.0 } else { point.value })
}
