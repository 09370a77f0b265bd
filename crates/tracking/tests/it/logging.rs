//! What runs log, over both databases: nothing is lost, nothing is doubled, and what is refused costs nobody else anything.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use crannog_kit::{Authority, Recorder, Tasks};
use crannog_security::actions::{experiments, metastore, runs};
use crannog_security::{Caller, Lease, NameOf, Origin, Permit, Who};
use crannog_storage::{ByteStream, External, Storage};
use crannog_store::testing::{Kind, fresh};
use crannog_store::{Db, params};
use crannog_tracking::model::experiments::{Lifecycle, Tag};
use crannog_tracking::model::points::Point;
use crannog_tracking::model::runs::Metric;
use crannog_tracking::service::artifacts::Artifacts;
use crannog_tracking::service::experiments::{NewExperiment, create as create_experiment};
use crannog_tracking::service::logging::Batch;
use crannog_tracking::service::runs::{NewRun, OF_RUN};
use crannog_tracking::service::{Logger, history, runs as run_verbs};
use crannog_types::{Code, FullName, Micros, PrincipalId, Problem};

use super::searched::{people, system};

/// A server without doors, and somebody who made an experiment.
pub(crate) struct Logged {
    pub(crate) db: Db,
    pub(crate) logger: Logger,
    pub(crate) artifacts: Artifacts,
    pub(crate) ana: Caller,
    pub(crate) stranger: Caller,
    pub(crate) experiment: i64,
    pub(crate) clock: Arc<AtomicI64>,
    tasks: Tasks,
    folder: PathBuf,
}

impl Logged {
    pub(crate) async fn new(kind: Kind) -> Self {
        let folder = std::env::temp_dir().join(format!("crannog-logging-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir_all(&folder).unwrap();
        let clock = Arc::new(AtomicI64::new(1));
        let ticks = Arc::clone(&clock);
        let db = fresh(kind, &folder, move || Micros(ticks.load(Ordering::Relaxed))).await.unwrap();
        let mut tx = db.write_unaudited(&system()).await.unwrap();
        people(&mut tx).await;
        tx.commit().await.unwrap();
        let tasks = Tasks::new();
        let authority = Authority::new(db.clone(), Recorder::start(db.clone(), &tasks));
        let caller = |id, name: &str| {
            authority.caller(Who { id: PrincipalId(id), name: name.into() }, Arc::new(Origin::default()))
        };
        let (ana, stranger) = (caller(2, "ana"), caller(4, "stranger"));
        let permit = ana.ask::<metastore::Work>(NameOf::root()).await.unwrap();
        let new = NewExperiment { name: "late".to_owned(), ..NewExperiment::default() };
        let experiment = create_experiment(&db, &permit, &new).await.unwrap();
        let storage = Arc::new(Storage::new(&folder.join("data"), External::Nowhere).unwrap());
        let artifacts = Artifacts::new(db.clone(), storage);
        let logger = Logger::start(db.clone(), &tasks);
        Logged { db, logger, artifacts, ana, stranger, experiment, clock, tasks, folder }
    }

    /// SQLite's file.
    pub(crate) fn database(&self) -> PathBuf {
        self.folder.join("meta.db")
    }

    pub(crate) async fn run(&self) -> String {
        let name = FullName::of([self.experiment.to_string()]);
        let permit = self.ana.ask::<experiments::Edit>(NameOf::named(name)).await.unwrap();
        run_verbs::create(&self.db, &permit, NewRun::default()).await.unwrap().info.run_id
    }

    pub(crate) async fn edit(&self, run: &str) -> Permit<runs::Edit> {
        self.ana.ask(NameOf::found(&OF_RUN, run)).await.unwrap()
    }

    pub(crate) async fn read(&self, run: &str) -> Permit<runs::Read> {
        self.ana.ask(NameOf::found(&OF_RUN, run)).await.unwrap()
    }

    pub(crate) async fn history(&self, run: &str, key: &str) -> Vec<Point> {
        history::points(&self.db, &self.read(run).await, key).await.unwrap()
    }

    async fn put(&self, run: &str, path: &str, body: ByteStream) -> Result<(), Problem> {
        let permit = self.edit(run).await;
        self.artifacts.put(&permit, &Lease::of(&self.ana, &permit), path, body).await
    }

    pub(crate) async fn audited(&self, action: &str) -> i64 {
        let sql = "SELECT cast(count(*) AS bigint) FROM audit_event WHERE action_name = $1";
        self.db.read(&system()).row(sql, params![action]).await.unwrap().unwrap().int(0).unwrap()
    }

    pub(crate) async fn end(self) {
        self.tasks.stop().await;
        self.db.close().await;
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

fn point(key: &str, step: i64, value: f64) -> Metric {
    Metric { key: key.to_owned(), value, time_ms: 1000 + step, step }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_writers_to_one_run_lose_no_point() {
    for kind in Kind::ALL {
        let world = Arc::new(Logged::new(kind).await);
        let run = world.run().await;
        let writers = (0..8).map(|writer| {
            let (world, run) = (Arc::clone(&world), run.clone());
            async move {
                let permit = world.edit(&run).await;
                for at in 0..25 {
                    let step = writer * 25 + at;
                    match at % 5 {
                        // A batch with a parameter takes the other way, in a transaction of its own.
                        0 => {
                            let params = vec![Tag { key: format!("p{step}"), value: step.to_string() }];
                            let metrics = vec![point("loss", step, 0.5), point("auc", step, 0.25)];
                            let batch = Batch { metrics, params, tags: Vec::new() };
                            // As kit runs a request again when another change came first.
                            while let Err(problem) = world.logger.batch(&permit, batch.clone()).await {
                                assert_eq!(problem.vendor_reason(), Some("SERIALIZATION_FAILURE"), "{problem:?}");
                            }
                        }
                        _ => world.logger.metrics(&permit, vec![point("loss", step, 0.5)]).await.unwrap(),
                    }
                }
            }
        });
        futures::future::join_all(writers).await;
        let steps: Vec<i64> = world.history(&run, "loss").await.iter().map(|point| point.step).collect();
        assert_eq!(steps, (0..200).collect::<Vec<_>>(), "{kind:?}");
        let found = run_verbs::get(&world.db, &world.read(&run).await).await.unwrap();
        let latest: Vec<(&str, i64)> = found.metrics.iter().map(|metric| (metric.key.as_str(), metric.step)).collect();
        assert_eq!(latest, [("auc", 195), ("loss", 199)]);
        assert_eq!(found.params.len(), 40);
        Arc::into_inner(world).unwrap().end().await;
    }
}

#[tokio::test]
async fn the_last_point_is_of_the_greatest_step_then_time_then_value() {
    for kind in Kind::ALL {
        let world = Logged::new(kind).await;
        let run = world.run().await;
        let permit = world.edit(&run).await;
        let at = |step, time_ms, value| Metric { key: "m".to_owned(), value, time_ms, step };
        let mut last = Vec::new();
        for point in
            [at(5, 9, 1.0), at(4, 99, 2.0), at(5, 9, 0.5), at(5, 10, f64::NAN), at(5, 10, -1.0), at(5, 10, 3.0)]
        {
            world.logger.metrics(&permit, vec![point]).await.unwrap();
            let found = run_verbs::get(&world.db, &world.read(&run).await).await.unwrap();
            last.push(found.metrics[0].value);
        }
        assert_eq!((last[0], last[1], last[2], last[5]), (1.0, 1.0, 1.0, 3.0), "{kind:?}");
        // NaN counts as 0.
        assert!(last[3].is_nan() && last[4].is_nan());
        // The same point again is one; infinities come back as the largest doubles.
        world.logger.metrics(&permit, vec![at(5, 10, 3.0), at(6, 10, f64::NEG_INFINITY)]).await.unwrap();
        let values: Vec<f64> = world.history(&run, "m").await.iter().map(|point| point.value).collect();
        assert_eq!(values.len(), 7);
        assert!(values.contains(&-f64::MAX));
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_logs_to_a_deleted_run_costs_the_others_nothing() {
    for kind in Kind::ALL {
        let world = Logged::new(kind).await;
        let (alive, deleted) = (world.run().await, world.run().await);
        let (to_alive, to_deleted) = (world.edit(&alive).await, world.edit(&deleted).await);
        run_verbs::move_to(&world.db, &to_deleted, Lifecycle::Deleted).await.unwrap();
        let good = (0..20).map(|step| world.logger.metrics(&to_alive, vec![point("m", step, 1.0)]));
        let bad = (0..20).map(|step| world.logger.metrics(&to_deleted, vec![point("m", step, 1.0)]));
        let (good, bad) = futures::join!(futures::future::join_all(good), futures::future::join_all(bad));
        assert!(good.iter().all(Result::is_ok));
        for refused in bad {
            let refused = refused.unwrap_err();
            let said = format!("The run {deleted} must be in the 'active' state. Current state is deleted.");
            assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, said.as_str()));
        }
        assert_eq!(world.history(&alive, "m").await.len(), 20);
        assert_eq!(world.history(&deleted, "m").await.len(), 0);
        world.end().await;
    }
}

#[tokio::test]
async fn parameters_do_not_change_and_a_refused_batch_leaves_nothing() {
    for kind in Kind::ALL {
        let world = Logged::new(kind).await;
        let run = world.run().await;
        let permit = world.edit(&run).await;
        let param = |key: &str, value: &str| Tag { key: key.to_owned(), value: value.to_owned() };
        world.logger.param(&permit, param("depth", "8")).await.unwrap();
        world.logger.param(&permit, param("depth", "8")).await.unwrap();
        let changed = world.logger.param(&permit, param("depth", "9")).await.unwrap_err();
        assert!(changed.message().contains("was already logged with value='8'"), "{}", changed.message());
        let batch = Batch {
            metrics: vec![point("m", 1, 1.0)],
            params: vec![param("width", "1"), param("depth", "9")],
            tags: vec![param("t", "1")],
        };
        let refused = world.logger.batch(&permit, batch).await.unwrap_err();
        let said = "[{'key': 'depth', 'old_value': '8', 'new_value': '9'}]";
        assert!(refused.message().contains(said), "{}", refused.message());
        let found = run_verbs::get(&world.db, &world.read(&run).await).await.unwrap();
        assert_eq!(found.params, [param("depth", "8")]);
        assert!(found.metrics.is_empty() && !found.tags.iter().any(|tag| tag.key == "t"));
        assert!(world.history(&run, "m").await.is_empty());
        world.end().await;
    }
}

#[tokio::test]
async fn the_audit_has_the_first_of_somebody_to_a_run_in_an_hour() {
    for kind in Kind::ALL {
        let world = Logged::new(kind).await;
        let (one, other) = (world.run().await, world.run().await);
        for run in [&one, &other, &one] {
            let permit = world.edit(run).await;
            for step in 0..5 {
                world.logger.metrics(&permit, vec![point("m", step, 1.0)]).await.unwrap();
                world.logger.tag(&permit, Tag { key: "t".to_owned(), value: step.to_string() }).await.unwrap();
            }
        }
        assert_eq!(world.audited("logToRun").await, 2, "{kind:?}");
        world.clock.fetch_add(3_600_000_000, Ordering::Relaxed);
        world.logger.metrics(&world.edit(&one).await, vec![point("m", 9, 1.0)]).await.unwrap();
        assert_eq!(world.audited("logToRun").await, 3);
        assert_eq!(world.audited("createRun").await, 2);
        // What was refused is not the first: nothing of it is in the audit.
        let third = world.run().await;
        let permit = world.edit(&third).await;
        world.logger.delete_tag(&permit, "missing").await.unwrap_err();
        assert_eq!(world.audited("logToRun").await, 3);
        world.logger.tag(&permit, Tag { key: "t".to_owned(), value: "1".to_owned() }).await.unwrap();
        assert_eq!(world.audited("logToRun").await, 4);
        world.end().await;
    }
}

#[tokio::test]
async fn a_stranger_is_answered_as_about_what_is_not_there() {
    for kind in Kind::ALL {
        let world = Logged::new(kind).await;
        let run = world.run().await;
        let ask = |run: &str| world.stranger.ask::<runs::Read>(NameOf::found(&OF_RUN, run));
        let (hidden, missing) = (ask(&run).await.unwrap_err(), ask("nothing").await.unwrap_err());
        assert_eq!(hidden.code(), missing.code());
        assert_eq!(hidden.message().replace(&run, "nothing"), missing.message());
        assert_eq!(missing.message(), "Run with id=nothing not found");
        world.end().await;
    }
}

#[tokio::test]
async fn equal_files_are_kept_once_and_folders_are_listed() {
    for kind in Kind::ALL {
        let world = Logged::new(kind).await;
        let (one, other) = (world.run().await, world.run().await);
        let body = |text: &'static str| -> ByteStream {
            Box::pin(futures::stream::iter([Ok(Bytes::from_static(text.as_bytes())), Ok(Bytes::from_static(b"!"))]))
        };
        for (run, path, text) in [
            (&one, "model/MLmodel", "same"),
            (&one, "model/data/weights.bin", "other"),
            (&one, "notes.txt", "same"),
            (&one, "model-2", "more"),
            (&other, "notes.txt", "same"),
        ] {
            world.put(run, path, body(text)).await.unwrap();
        }
        for wrong in ["model", "notes.txt/a", "model/MLmodel/a/b"] {
            let refused = world.put(&one, wrong, body("x")).await.unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{wrong}: {}", refused.message());
        }
        let kept = world.folder.join("data/storage/artifacts");
        let kept = std::fs::read_dir(kept.join(crannog_types::SecurableId::METASTORE.to_string())).unwrap();
        // What was refused after it was received (`x!`) stays without a name of its own.
        assert_eq!(kept.count(), 4, "{kind:?}");
        let permit = world.read(&one).await;
        let names = async |path: &str| {
            let found = world.artifacts.list(&permit, path).await.unwrap();
            found.into_iter().map(|file| (file.path, file.size)).collect::<Vec<_>>()
        };
        let file = |path: &str, size| (path.to_owned(), size);
        assert_eq!(names("").await, [file("model", None), file("model-2", Some(5)), file("notes.txt", Some(5))]);
        assert_eq!(names("model").await, [file("model/MLmodel", Some(5)), file("model/data", None)]);
        assert_eq!(names("notes.txt").await, []);
        world.artifacts.delete(&world.edit(&one).await, "model").await.unwrap();
        assert_eq!(names("").await, [file("model-2", Some(5)), file("notes.txt", Some(5))]);
        // Once more is no error, and nothing that happened.
        let told = world.audited("deleteArtifact").await;
        world.artifacts.delete(&world.edit(&one).await, "model").await.unwrap();
        assert_eq!(world.audited("deleteArtifact").await, told);
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn experiments_made_at_once_get_numbers_of_their_own() {
    for kind in Kind::ALL {
        let world = Logged::new(kind).await;
        let made = (0..8).map(|number| {
            let world = &world;
            async move {
                let new = NewExperiment { name: format!("e{number}"), ..NewExperiment::default() };
                loop {
                    let permit = world.ana.ask::<metastore::Work>(NameOf::root()).await.unwrap();
                    match create_experiment(&world.db, &permit, &new).await {
                        Ok(id) => return id,
                        // As kit runs a request again when another change came first.
                        Err(problem) => {
                            assert_eq!(problem.vendor_reason(), Some("SERIALIZATION_FAILURE"), "{problem:?}")
                        }
                    }
                }
            }
        });
        let mut ids = futures::future::join_all(made).await;
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 8, "{kind:?}");
        world.end().await;
    }
}

#[tokio::test]
async fn a_run_that_no_answer_holds_is_refused() {
    for kind in Kind::ALL {
        let world = Logged::new(kind).await;
        let (run, tags) = (world.run().await, world.run().await);
        let large = "x".repeat(1 << 20);
        let mut tx = world.db.write_unaudited(&system()).await.unwrap();
        for at in 0..130 {
            let key = format!("t{at}");
            let tag = "INSERT INTO run_tag (run, key, value) SELECT seq, $1, $2 FROM run WHERE run_id = $3";
            tx.run(tag, params![&*key, &*large, &*tags]).await.unwrap();
            let dataset = "INSERT INTO dataset (experiment, name, digest, source_type, source, schema) \
                           VALUES ($1, $2, 'd', 'local', '{}', $3) RETURNING seq";
            let made = tx.row(dataset, params![world.experiment, &*key, &*large]).await.unwrap().unwrap();
            let used = "INSERT INTO run_dataset (run, dataset, tags) SELECT seq, $1, '{}' FROM run WHERE run_id = $2";
            tx.run(used, params![made.int(0).unwrap(), &*run]).await.unwrap();
        }
        tx.commit().await.unwrap();
        for id in [&run, &tags] {
            let refused = run_verbs::get(&world.db, &world.read(id).await).await.unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{kind:?}");
            assert!(refused.to_string().contains("more than 128 MiB"), "{kind:?}: {refused}");
        }
        let tag = "DELETE FROM run_tag WHERE key IN ('t0', 't1', 't2', 't3')";
        let mut tx = world.db.write_unaudited(&system()).await.unwrap();
        tx.run(tag, params![]).await.unwrap();
        tx.commit().await.unwrap();
        let found = run_verbs::get(&world.db, &world.read(&tags).await).await.unwrap();
        assert_eq!(found.tags.len(), 127, "{kind:?}");
        world.end().await;
    }
}
