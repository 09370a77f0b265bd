//! What searches are tried over: some runs in a database, and the same in memory, where a slow and plain reading of filters
//! and orders says what is to be found.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::PathBuf;

use crannog_security::{System, Task};
use crannog_store::testing::{Kind, fresh};
use crannog_store::{Db, Tx, params};
use crannog_tracking::model::search::{Compare, Filter, Key, Operator, Order, Value};
use crannog_types::{Micros, SecurableId};

/// Numbers that look random and are the same each time.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % most
    }

    pub(crate) fn of<'a, T: ?Sized>(&mut self, things: &[&'a T]) -> &'a T {
        things[self.below(things.len())]
    }

    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

/// A run as it is remembered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) run_id: String,
    pub(crate) experiment: i64,
    pub(crate) name: String,
    pub(crate) user_id: String,
    pub(crate) status: String,
    pub(crate) start_ms: Option<i64>,
    pub(crate) end_ms: Option<i64>,
    pub(crate) lifecycle: &'static str,
    pub(crate) metrics: BTreeMap<String, f64>,
    pub(crate) params: BTreeMap<String, String>,
    pub(crate) tags: BTreeMap<String, String>,
    /// Name, digest, context.
    pub(crate) datasets: Vec<(String, String, Option<String>)>,
}

pub(crate) const TEXTS: [&str; 14] =
    ["a", "b", "A", "ab", "a%b", "a_b", "a\\b", "Äx", "äx", "", "it''s", "aXb", "a\nb", "0.5"];
pub(crate) const METRICS: [f64; 9] = [-1.5, 0.0, 0.5, 1.0, 1.0, 1e300, f64::MAX, f64::MIN, f64::NAN];

/// A database with people, experiments and runs; gone with this.
pub(crate) struct Searched {
    pub(crate) db: Db,
    pub(crate) runs: Vec<Known>,
    folder: PathBuf,
}

#[expect(clippy::disallowed_methods, reason = "a test sets the ground up by itself")]
pub(crate) fn system() -> System {
    System::task(Task::Bootstrap)
}

impl Searched {
    pub(crate) async fn with(kind: Kind, count: usize, seed: u64) -> Self {
        let folder = std::env::temp_dir().join(format!("crannog-search-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir_all(&folder).unwrap();
        let db = fresh(kind, &folder, || Micros(1)).await.unwrap();
        let mut tx = db.write_unaudited(&system()).await.unwrap();
        people(&mut tx).await;
        for (id, name, location, lifecycle) in [
            (1, "first", None, "active"),
            (2, "Second", Some("s3://bucket/"), "active"),
            (3, "third_x", None, "active"),
            (4, "fourth", None, "deleted"),
        ] {
            experiment(&mut tx, id, name, location, lifecycle).await;
        }
        let mut dice = Dice::new(seed);
        let mut runs = Vec::new();
        for number in 0..count {
            let known = some_run(&mut dice, number);
            put(&mut tx, &known).await;
            runs.push(known);
        }
        tx.commit().await.unwrap();
        Searched { db, runs, folder }
    }

    /// What is to be found, in order.
    pub(crate) fn expected(
        &self,
        experiments: &[i64],
        lifecycles: &[&str],
        filter: &Filter,
        order: &[Order],
    ) -> Vec<String> {
        let mut found: Vec<&Known> = self
            .runs
            .iter()
            .filter(|run| experiments.contains(&run.experiment) && lifecycles.contains(&run.lifecycle))
            .filter(|run| matches(run, filter))
            .collect();
        found.sort_by(|a, b| ordering(a, b, order));
        found.into_iter().map(|run| run.run_id.clone()).collect()
    }
}

impl Drop for Searched {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub(crate) async fn people(tx: &mut Tx) {
    for (id, name) in [(1, "admin"), (2, "ana"), (3, "ben"), (4, "stranger"), (10, "analysts")] {
        let sql =
            "INSERT INTO principal (id, kind, name, folded, created_at, updated_at) VALUES ($1, 'user', $2, $2, 0, 0)";
        tx.run(sql, params![id, name]).await.unwrap();
        tx.run("INSERT INTO closure (member, principal) VALUES ($1, $1)", params![id]).await.unwrap();
    }
    tx.run("INSERT INTO closure (member, principal) VALUES (2, 10)", params![]).await.unwrap();
    securable(tx, SecurableId::METASTORE, "metastore", None, "").await;
}

async fn securable(tx: &mut Tx, id: SecurableId, kind: &str, parent: Option<SecurableId>, name: &str) {
    tx.run(
        "INSERT INTO securable (id, kind, parent, name, folded, path, owner, created_at, created_by, updated_at, updated_by) \
         VALUES ($1, $2, $3, $4, $4, $4, 1, 0, 'admin', 0, 'admin')",
        params![id, kind, parent, name],
    )
    .await
    .unwrap();
}

pub(crate) async fn experiment(
    tx: &mut Tx,
    id: i64,
    name: &str,
    location: Option<&str>,
    lifecycle: &str,
) -> SecurableId {
    let of = SecurableId::new();
    securable(tx, of, "experiment", Some(SecurableId::METASTORE), &id.to_string()).await;
    tx.run(
        "INSERT INTO experiment (securable, id, name, artifact_location, lifecycle, created_ms, updated_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        params![of, id, name, location, lifecycle, 100 + id / 2, 200 - id],
    )
    .await
    .unwrap();
    of
}

/// A run that may lack anything.
fn some_run(dice: &mut Dice, number: usize) -> Known {
    let mut known = Known {
        run_id: format!("{:04x}{number:04}", dice.below(65_536)),
        experiment: 1 + i64::try_from(dice.below(3)).unwrap(),
        name: format!("run{}", dice.of(&TEXTS)),
        user_id: dice.of(&["ana", "Ben", ""]).to_owned(),
        status: dice.of(&["RUNNING", "FINISHED", "FAILED"]).to_owned(),
        lifecycle: dice.of(&["active", "active", "deleted"]),
        ..Known::default()
    };
    known.start_ms = (!dice.once_in(6)).then(|| 1000 + i64::try_from(dice.below(12)).unwrap());
    known.end_ms = (!dice.once_in(3)).then(|| 2000 + i64::try_from(dice.below(5)).unwrap());
    for key in ["m", "a b", "rare"] {
        if !dice.once_in(3) && (key != "rare" || dice.once_in(20)) {
            known.metrics.insert(key.to_owned(), METRICS[dice.below(METRICS.len())]);
        }
    }
    for key in ["p", "q"] {
        if !dice.once_in(4) {
            known.params.insert(key.to_owned(), dice.of(&TEXTS).to_owned());
        }
        if dice.once_in(2) {
            known.tags.insert(key.to_owned(), dice.of(&TEXTS).to_owned());
        }
    }
    for _ in 0..dice.below(3) {
        let context = dice.of(&["train", "eval", ""]);
        let name = dice.of(&["flights", "weather"]).to_owned();
        if known.datasets.iter().all(|(other, ..)| *other != name) {
            known.datasets.push((
                name,
                "d1".to_owned(),
                Some(context.to_owned()).filter(|context| !context.is_empty()),
            ));
        }
    }
    known
}

async fn put(tx: &mut Tx, run: &Known) {
    let made = tx
        .row(
            "INSERT INTO run (run_id, experiment, name, user_id, status, start_ms, end_ms, lifecycle, created_by, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, 0) RETURNING seq",
            params![
                &run.run_id, run.experiment, &run.name, &run.user_id, &run.status, run.start_ms, run.end_ms, run.lifecycle
            ],
        )
        .await
        .unwrap();
    let seq = made.unwrap().int(0).unwrap();
    for (key, value) in &run.metrics {
        let stored = if value.is_nan() { 0.0 } else { *value };
        let sql = "INSERT INTO metric_latest (run, key, experiment, value, nan, step, time_ms) VALUES ($1, $2, $3, $4, $5, 0, 0)";
        tx.run(sql, params![seq, key, run.experiment, stored, value.is_nan()]).await.unwrap();
    }
    for (key, value) in &run.params {
        tx.run("INSERT INTO run_param (run, key, value) VALUES ($1, $2, $3)", params![seq, key, value]).await.unwrap();
    }
    for (key, value) in &run.tags {
        tx.run("INSERT INTO run_tag (run, key, value) VALUES ($1, $2, $3)", params![seq, key, value]).await.unwrap();
    }
    for (name, digest, context) in &run.datasets {
        let sql = "INSERT INTO dataset (experiment, name, digest, source_type, source) VALUES ($1, $2, $3, '', '') \
                   ON CONFLICT (experiment, name, digest) DO UPDATE SET source = '' RETURNING seq";
        let dataset = tx.row(sql, params![run.experiment, name, digest]).await.unwrap().unwrap().int(0).unwrap();
        let sql = "INSERT INTO run_dataset (run, dataset, tags, context) VALUES ($1, $2, '{}', $3)";
        tx.run(sql, params![seq, dataset, context.clone()]).await.unwrap();
    }
}

fn matches(run: &Known, filter: &Filter) -> bool {
    match filter {
        Filter::All(terms) => terms.iter().all(|term| matches(run, term)),
        Filter::Any(terms) => terms.iter().any(|term| matches(run, term)),
        Filter::Compare(Compare { key, operator, value }) => match key {
            Key::Attribute("start_time") => run.start_ms.is_some_and(|start| number(start as f64, *operator, value)),
            Key::Attribute("end_time") => run.end_ms.is_some_and(|end| number(end as f64, *operator, value)),
            Key::Attribute(name) => text(&attribute(run, name), *operator, value),
            Key::Metric(key) => run.metrics.get(key).is_some_and(|metric| number(*metric, *operator, value)),
            Key::Param(key) => logged(run.params.get(key), *operator, value),
            Key::Tag(key) => logged(run.tags.get(key), *operator, value),
            Key::Dataset(what) => run.datasets.iter().any(|(name, digest, context)| match *what {
                "name" => text(name, *operator, value),
                "digest" => text(digest, *operator, value),
                _ => context.as_ref().is_some_and(|context| text(context, *operator, value)),
            }),
        },
    }
}

fn attribute(run: &Known, name: &str) -> String {
    match name {
        "run_id" => run.run_id.clone(),
        "run_name" => run.name.clone(),
        "status" => run.status.clone(),
        "user_id" => run.user_id.clone(),
        "artifact_uri" if run.experiment == 2 => format!("s3://bucket/{}/artifacts", run.run_id),
        "artifact_uri" => format!("mlflow-artifacts:/{}/{}/artifacts", run.experiment, run.run_id),
        other => panic!("{other}"),
    }
}

fn logged(found: Option<&String>, operator: Operator, value: &Value) -> bool {
    match operator {
        Operator::IsNull => found.is_none(),
        Operator::IsNotNull => found.is_some(),
        _ => found.is_some_and(|found| text(found, operator, value)),
    }
}

fn number(left: f64, operator: Operator, right: &Value) -> bool {
    let right = match right {
        Value::Int(number) => *number as f64,
        Value::Real(number) => *number,
        other => panic!("{other:?}"),
    };
    match operator {
        Operator::Equal => left == right,
        Operator::NotEqual => left != right,
        Operator::Less => left < right,
        Operator::LessOrEqual => left <= right,
        Operator::Greater => left > right,
        Operator::GreaterOrEqual => left >= right,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn text(left: &str, operator: Operator, right: &Value) -> bool {
    match (operator, right) {
        (Operator::Equal, Value::Text(right)) => left == right,
        (Operator::NotEqual, Value::Text(right)) => left != right,
        (Operator::Like, Value::Text(pattern)) => like(left, pattern),
        (Operator::ILike, Value::Text(pattern)) => like(&left.to_ascii_lowercase(), &pattern.to_ascii_lowercase()),
        (Operator::In, Value::List(texts)) => texts.iter().any(|text| text == left),
        (Operator::NotIn, Value::List(texts)) => texts.iter().all(|text| text != left),
        other => panic!("{other:?}"),
    }
}

fn like(text: &str, pattern: &str) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('%') => {
            (0..=text.len()).filter(|at| text.is_char_boundary(*at)).any(|at| like(&text[at..], &pattern[1..]))
        }
        Some(wanted) => text.chars().next().is_some_and(|found| {
            (wanted == '_' || wanted == found) && like(&text[found.len_utf8()..], &pattern[wanted.len_utf8()..])
        }),
    }
}

fn ordering(a: &Known, b: &Known, order: &[Order]) -> Ordering {
    for Order { key, ascending } in order {
        let by = |a: Option<Ordering>| if *ascending { a.unwrap() } else { a.unwrap().reverse() };
        let compared = match key {
            Key::Metric(key) => {
                let place = |run: &Known| run.metrics.get(key).map_or(2, |value| i32::from(value.is_nan()));
                match (place(a), place(b)) {
                    (0, 0) => by(a.metrics[key].partial_cmp(&b.metrics[key])),
                    (a, b) => a.cmp(&b),
                }
            }
            key => {
                let value = |run: &Known| match key {
                    Key::Attribute("start_time") => run.start_ms.map(|start| format!("{start:020}")),
                    Key::Attribute("end_time") => run.end_ms.map(|end| format!("{end:020}")),
                    Key::Attribute(name) => Some(attribute(run, name)),
                    Key::Param(key) => run.params.get(key).cloned(),
                    Key::Tag(key) => run.tags.get(key).cloned(),
                    other => panic!("{other:?}"),
                };
                match (value(a), value(b)) {
                    (Some(a), Some(b)) => by(a.partial_cmp(&b)),
                    (a, b) => a.is_none().cmp(&b.is_none()),
                }
            }
        };
        if compared != Ordering::Equal {
            return compared;
        }
    }
    let start = |run: &Known| (run.start_ms.is_none(), std::cmp::Reverse(run.start_ms));
    start(a).cmp(&start(b)).then_with(|| a.run_id.cmp(&b.run_id))
}
