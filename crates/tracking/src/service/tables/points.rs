//! Every point of every metric, unpacked while it is read.
//!
//! The same point logged twice is one, as in MLflow: so the points of a metric of a run are in memory together. Those of small
//! runs are read together. Of a large run as many metrics are read at once as fit, and the run's rows once more for the next ones.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use arrow_array::builder::{Float64Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;
use crannog_lake::ports::{RowStream, Wanted};
use crannog_lake::service::statements::answer::schema_of;
use crannog_store::query::{Expr, ExprTrait, IntoTableRef, Order, Query};
use crannog_types::{Problem, Result};
use futures::stream;

use super::reads::{Groups, Reads, RunKey, of_experiments};
use super::{Table, moment};
use crate::model::points::{Point, Sink, read};
use crate::service::history::distinct;

/// Packed bytes of runs that are read together: 400,000 points.
const GROUP: i64 = 4 << 20;

/// Points of a large run that are in memory together, unless one metric has more.
const POINTS: u64 = 500_000;

/// Rows of a large run that are read at a time; a row has the points of one request.
const ROWS: u64 = 64;

/// Points of a batch.
const BATCH: usize = 8192;

/// What points of a run weigh.
const WEIGHT: &str =
    "cast(coalesce((SELECT sum(length(d.points)) FROM metric_log d WHERE d.run = r.seq), 0) AS bigint)";

/// The rows.
pub(super) fn points(reads: Reads, table: &'static Table, wanted: Wanted) -> RowStream {
    let only = ["run_id", "experiment_id"].map(|column| table.texts(&wanted, column));
    let reading = Reading {
        groups: Groups::new(reads.clone(), only, WEIGHT, GROUP),
        reads,
        names: table.texts(&wanted, "metric_name").map(|names| names.iter().cloned().collect()),
        schema: schema_of(&table.chosen(&wanted)),
        columns: wanted.columns,
        large: None,
        series: VecDeque::new(),
    };
    Box::pin(stream::try_unfold(reading, |mut reading| async move {
        let batch = reading.batch().await?;
        Ok(batch.map(|batch| (batch, reading)))
    }))
}

/// Where the reading of all points has got to.
struct Reading {
    groups: Groups,
    reads: Reads,
    /// The metrics that are wanted; `None`: all.
    names: Option<HashSet<String>>,
    schema: SchemaRef,
    /// The columns that are wanted.
    columns: Vec<usize>,
    /// A large run, and which metrics of it are still to be read, those together that fit.
    large: Option<(RunKey, VecDeque<HashSet<String>>)>,
    /// What was read and is to be given.
    series: VecDeque<Series>,
}

/// Points of one metric of one run.
struct Series {
    /// The experiment's id and the run's.
    of: Arc<(String, String)>,
    name: String,
    points: std::vec::IntoIter<Point>,
}

impl Reading {
    /// The next batch; `None` at the end.
    async fn batch(&mut self) -> Result<Option<RecordBatch>> {
        while self.series.is_empty() {
            let more = match &mut self.large {
                Some((run, waiting)) => match waiting.pop_front() {
                    Some(names) => {
                        let run = run.clone();
                        self.some_of_large(&run, &names).await?;
                        true
                    }
                    None => {
                        self.large = None;
                        true
                    }
                },
                None => self.group().await?,
            };
            if !more {
                return Ok(None);
            }
        }
        self.built().map(Some)
    }

    /// Reads the next group of runs; says whether there was one.
    async fn group(&mut self) -> Result<bool> {
        let group = self.groups.next().await?;
        if group.is_empty() {
            return Ok(false);
        }
        if let Some(run) = self.groups.heavy(&group) {
            let mut counts = Counts { names: self.names.as_ref(), of: BTreeMap::new() };
            self.each_row(run, &mut counts).await?;
            self.large = Some((run.clone(), together(counts.of)));
            return Ok(true);
        }
        let names = self.names.as_ref();
        let mut unpacked = Unpacked::new(names);
        let mut reading: Option<&RunKey> = None;
        let mut runs = group.iter();
        for (seq, _, packed) in self.rows(&group, None).await? {
            if reading.is_none_or(|run| run.seq != seq) {
                if let Some(run) = reading {
                    self.series.extend(std::mem::replace(&mut unpacked, Unpacked::new(names)).series(run));
                }
                // Both are in the order of their keys.
                reading = runs.find(|run| run.seq == seq);
            }
            read(&packed, &mut unpacked).ok_or_else(unreadable)?;
        }
        if let Some(run) = reading {
            self.series.extend(unpacked.series(run));
        }
        Ok(true)
    }

    /// Reads some metrics of a large run.
    async fn some_of_large(&mut self, run: &RunKey, names: &HashSet<String>) -> Result<()> {
        let mut unpacked = Unpacked::new(Some(names));
        self.each_row(run, &mut unpacked).await?;
        self.series.extend(unpacked.series(run));
        Ok(())
    }

    /// Reads all rows of a run.
    async fn each_row(&self, run: &RunKey, sink: &mut impl Sink) -> Result<()> {
        let mut behind = i64::MIN;
        loop {
            let rows = self.rows(std::slice::from_ref(run), Some(behind)).await?;
            let whole = (rows.len() as u64) < ROWS;
            for (_, seq, packed) in rows {
                behind = seq;
                read(&packed, sink).ok_or_else(unreadable)?;
            }
            if whole {
                return Ok(());
            }
        }
    }

    /// Rows of runs, all of them or a page: the run's key, their own, what is packed in them.
    async fn rows(&self, runs: &[RunKey], behind: Option<i64>) -> Result<Vec<(i64, i64, Vec<u8>)>> {
        let mut query = Query::select();
        query.columns([("l", "run"), ("l", "seq"), ("l", "points")]);
        query.from_as("metric_log", "l").cross_join("run".into_table_ref().alias("r"));
        query.and_where(Expr::cust("r.seq = l.run"));
        of_experiments(&mut query);
        query.and_where(Expr::col(("l", "run")).is_in(runs.iter().map(|run| run.seq)));
        query.order_by(("l", "run"), Order::Asc).order_by(("l", "seq"), Order::Asc);
        if let Some(behind) = behind {
            query.and_where(Expr::col(("l", "seq")).gt(behind)).limit(ROWS);
        }
        let rows = self.reads.seen(query).await?;
        rows.iter().map(|row| Ok((row.int(0)?, row.int(1)?, row.blob(2)?))).collect()
    }

    /// A batch of what was read.
    fn built(&mut self) -> Result<RecordBatch> {
        let (mut experiments, mut runs, mut names) = (StringBuilder::new(), StringBuilder::new(), StringBuilder::new());
        let (mut values, mut steps) = (Float64Builder::new(), Int64Builder::new());
        let mut times = TimestampMicrosecondBuilder::new().with_timezone("UTC");
        let mut rows = 0;
        while let Some(series) = self.series.front_mut() {
            for Point { time_ms, step, value } in series.points.by_ref().take(BATCH - rows) {
                rows += 1;
                for column in &self.columns {
                    match column {
                        0 => experiments.append_value(&series.of.0),
                        1 => runs.append_value(&series.of.1),
                        2 => names.append_value(&series.name),
                        3 => values.append_value(value),
                        4 => steps.append_value(step),
                        _ => times.append_value(moment(time_ms).0),
                    }
                }
            }
            if rows == BATCH {
                break;
            }
            self.series.pop_front();
        }
        let column = |column: &usize| -> ArrayRef {
            match column {
                0 => Arc::new(experiments.finish()),
                1 => Arc::new(runs.finish()),
                2 => Arc::new(names.finish()),
                3 => Arc::new(values.finish()),
                4 => Arc::new(steps.finish()),
                _ => Arc::new(times.finish()),
            }
        };
        let columns = self.columns.iter().map(column).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| Problem::internal("points were put together wrongly", error))
    }
}

fn unreadable() -> Problem {
    Problem::internal("points of a metric cannot be read", "other bytes than were written")
}

/// Metrics in parts that fit into memory.
fn together(counts: BTreeMap<String, u64>) -> VecDeque<HashSet<String>> {
    let mut parts: VecDeque<HashSet<String>> = VecDeque::new();
    let mut points = u64::MAX;
    for (name, count) in counts {
        points = points.saturating_add(count);
        match parts.back_mut().filter(|_| points <= POINTS) {
            Some(part) => _ = part.insert(name),
            None => {
                points = count;
                parts.push_back(HashSet::from([name]));
            }
        }
    }
    parts
}

/// How many points metrics have.
struct Counts<'a> {
    names: Option<&'a HashSet<String>>,
    of: BTreeMap<String, u64>,
}

impl Sink for Counts<'_> {
    fn metric(&mut self, key: &str, count: u64) -> bool {
        if self.names.is_none_or(|names| names.contains(key)) {
            match self.of.get_mut(key) {
                Some(known) => *known += count,
                None => _ = self.of.insert(key.to_owned(), count),
            }
        }
        false
    }

    fn point(&mut self, _: Point) {}
}

/// Points of metrics of one run.
struct Unpacked<'a> {
    names: Option<&'a HashSet<String>>,
    places: BTreeMap<String, usize>,
    points: Vec<Vec<Point>>,
    at: usize,
}

impl<'a> Unpacked<'a> {
    fn new(names: Option<&'a HashSet<String>>) -> Self {
        Unpacked { names, places: BTreeMap::new(), points: Vec::new(), at: 0 }
    }

    fn series(mut self, run: &RunKey) -> Vec<Series> {
        let of = Arc::new((run.experiment.to_string(), run.run_id.clone()));
        let places = std::mem::take(&mut self.places);
        let series = places.into_iter().map(|(name, place)| {
            let mut points = std::mem::take(&mut self.points[place]);
            distinct(&mut points);
            Series { of: Arc::clone(&of), name, points: points.into_iter() }
        });
        series.collect()
    }
}

impl Sink for Unpacked<'_> {
    fn metric(&mut self, key: &str, _: u64) -> bool {
        if self.names.is_some_and(|names| !names.contains(key)) {
            return false;
        }
        self.at = match self.places.get(key) {
            Some(place) => *place,
            None => {
                self.places.insert(key.to_owned(), self.points.len());
                self.points.push(Vec::new());
                self.points.len() - 1
            }
        };
        true
    }

    fn point(&mut self, point: Point) {
        if let Some(points) = self.points.get_mut(self.at) {
            points.push(point);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_read_together_as_far_as_they_fit() {
        let counts = [("a", 10), ("b", POINTS - 10), ("c", 1), ("d", 2 * POINTS), ("e", 1), ("f", 1)];
        let parts = together(counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect());
        let parts: Vec<Vec<String>> = parts
            .into_iter()
            .map(|part| {
                let mut names: Vec<String> = part.into_iter().collect();
                names.sort();
                names
            })
            .collect();
        assert_eq!(parts, [vec!["a", "b"], vec!["c"], vec!["d"], vec!["e", "f"]]);
        assert!(together(BTreeMap::new()).is_empty());
    }
}
