//! What was deleted gives its space back, over both databases: all of it, nothing else, and never under somebody's hands.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use crannog_kit::Steps;
use crannog_security::actions::{experiments, logged_models};
use crannog_security::{Lease, NameOf, Permit};
use crannog_storage::ByteStream;
use crannog_store::params;
use crannog_store::testing::Kind;
use crannog_tracking::model::experiments::{Lifecycle, Tag};
use crannog_tracking::model::runs::Metric;
use crannog_tracking::service::logged_models::{self as models, NewModel, OF_MODEL};
use crannog_tracking::service::logging::Batch;
use crannog_tracking::service::runs::{self as run_verbs, EXPERIMENT_OF_RUN};
use crannog_tracking::service::{Keeper, Purged, experiments as experiment_verbs};
use crannog_types::{Code, FullName};

use super::logging::Logged;
use super::searched::system;

const DAY: i64 = 86_400_000_000;

impl Logged {
    fn keeper(&self, days: u64) -> Keeper {
        let kept = Duration::from_secs(days * 86_400);
        Keeper::new(self.db.clone(), self.artifacts.clone(), Some(kept))
    }

    /// The clock, from now on after the files of this test were written.
    fn days_later(&self, days: i64) {
        let now = self.clock.load(Ordering::Relaxed).max(crannog_kit::clock::now().0);
        self.clock.store(now + days * DAY, Ordering::Relaxed);
    }

    async fn manages(&self, run: &str) -> Permit<experiments::Manage> {
        self.ana.ask(NameOf::found(&EXPERIMENT_OF_RUN, run)).await.unwrap()
    }

    async fn delete_run(&self, run: &str) {
        run_verbs::move_to(&self.db, &self.edit(run).await, Lifecycle::Deleted).await.unwrap();
    }

    async fn file(&self, run: &str, path: &str, content: &'static str) {
        let body: ByteStream = Box::pin(futures::stream::iter([Ok(Bytes::from_static(content.as_bytes()))]));
        let permit = self.edit(run).await;
        self.artifacts.put(&permit, &Lease::of(&self.ana, &permit), path, body).await.unwrap();
    }

    /// Whether a file can be read, where its row says so.
    async fn readable(&self, run: &str, path: &str) -> bool {
        let (folder, name, _) = self.artifacts.find(&self.read(run).await, path).await.unwrap();
        folder.head(&name).await.unwrap().is_some()
    }

    async fn number(&self, sql: &'static str) -> i64 {
        self.db.read(&system()).row(sql, params![]).await.unwrap().unwrap().int(0).unwrap()
    }

    /// What the database takes, in bytes.
    async fn size(&self, kind: Kind) -> i64 {
        self.number(match kind {
            Kind::Sqlite => "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
            Kind::Postgres => "SELECT pg_total_relation_size('metric_log')",
        })
        .await
    }

    /// The size once it is small enough. What PostgreSQL itself reads at the moment of a purge comes back with a later round.
    async fn shrunk(&self, kind: Kind, keeper: &Keeper, most: i64) -> i64 {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let size = self.size(kind).await;
            if size <= most || Instant::now() > until {
                return size;
            }
            keeper.reclaim().await.unwrap();
        }
    }

    async fn log(&self, run: &str, points: std::ops::Range<i64>) {
        let point = |step: i64| Metric { key: "loss".to_owned(), value: (step as f64).sqrt(), time_ms: step, step };
        self.logger.metrics(&self.edit(run).await, points.map(point).collect()).await.unwrap();
    }
}

#[tokio::test]
async fn what_was_deleted_long_ago_goes_with_everything_of_its_own() {
    for kind in Kind::ALL {
        let world = Logged::new(kind).await;
        world.days_later(0);
        let (gone, kept) = (world.run().await, world.run().await);
        for run in [&gone, &kept] {
            world.log(run, 0..3).await;
            let param = Tag { key: "depth".to_owned(), value: "8".to_owned() };
            let batch = Batch { params: vec![param.clone()], tags: vec![param], ..Batch::default() };
            world.logger.batch(&world.edit(run).await, batch).await.unwrap();
            world.file(run, "shared.txt", "of both").await;
        }
        world.file(&gone, "own.txt", "of one").await;
        let before = world.edit(&gone).await;
        world.delete_run(&gone).await;
        let keeper = world.keeper(30);
        world.days_later(29);
        assert_eq!(keeper.purge().await.unwrap().runs, 0, "{kind:?}");
        run_verbs::move_to(&world.db, &before, Lifecycle::Active).await.unwrap();
        world.delete_run(&gone).await;
        world.days_later(29);
        assert_eq!(keeper.purge().await.unwrap().runs, 0, "{kind:?}: counted from the last time that it was deleted");
        world.days_later(2);
        assert_eq!(keeper.purge().await.unwrap().runs, 1, "{kind:?}");

        let counts = [
            ("SELECT count(*) FROM run", 1),
            ("SELECT count(*) FROM metric_log", 1),
            ("SELECT count(*) FROM metric_latest", 1),
            ("SELECT count(*) FROM run_param", 1),
            ("SELECT count(*) FROM artifact", 1),
        ];
        for (sql, count) in counts {
            assert_eq!(world.number(sql).await, count, "{kind:?}: {sql}");
        }
        let restored = run_verbs::move_to(&world.db, &before, Lifecycle::Active).await.unwrap_err();
        assert_eq!(restored.code(), Code::NotFound, "{kind:?}");
        let refused =
            world.logger.metrics(&before, vec![Metric { key: "a".into(), value: 0.0, time_ms: 0, step: 0 }]).await;
        assert_eq!(refused.unwrap_err().code(), Code::NotFound, "{kind:?}");
        assert_eq!(world.audited("purgeRun").await, 1, "{kind:?}");

        assert_eq!(keeper.collect().await.unwrap(), 6, "{kind:?}: the content of its own file");
        assert!(world.readable(&kept, "shared.txt").await, "{kind:?}");
        world.artifacts.delete(&world.edit(&kept).await, "").await.unwrap();
        assert_eq!(keeper.collect().await.unwrap(), 7, "{kind:?}");
        assert_eq!(keeper.collect().await.unwrap(), 0, "{kind:?}");
        world.end().await;
    }
}

#[tokio::test]
async fn models_and_experiments_go_too_and_free_their_names() {
    for kind in Kind::ALL {
        let world = Logged::new(kind).await;
        world.days_later(0);
        let name = FullName::of([world.experiment.to_string()]);
        let edit: Permit<experiments::Edit> = world.ana.ask(NameOf::named(name.clone())).await.unwrap();
        let mut ids = Vec::new();
        for _ in 0..2 {
            ids.push(models::create(&world.db, &edit, NewModel::default()).await.unwrap().info.model_id);
        }
        let delete: Permit<logged_models::Edit> = world.ana.ask(NameOf::found(&OF_MODEL, &*ids[0])).await.unwrap();
        models::delete(&world.db, &delete).await.unwrap();
        world.run().await;
        let keeper = world.keeper(1);
        world.days_later(2);
        let purged = keeper.purge().await.unwrap();
        assert_eq!((purged.runs, purged.models, purged.experiments), (0, 1, 0), "{kind:?}");
        let manage: Permit<experiments::Manage> = world.ana.ask(NameOf::named(name)).await.unwrap();
        experiment_verbs::move_to(&world.db, &manage, Lifecycle::Deleted).await.unwrap();
        world.days_later(2);
        let purged = keeper.purge().await.unwrap();
        assert_eq!((purged.runs, purged.models, purged.experiments), (1, 1, 1), "{kind:?}");
        assert_eq!(world.number("SELECT count(*) FROM experiment WHERE name = 'late'").await, 0, "{kind:?}");
        assert_eq!(world.audited("purgeMlflowExperiment").await, 1, "{kind:?}");
        world.end().await;
    }
}

#[tokio::test]
async fn who_manages_a_deleted_experiment_purges_it_with_all_of_its_own() {
    for kind in Kind::ALL {
        let world = Logged::new(kind).await;
        world.days_later(0);
        let name = FullName::of([world.experiment.to_string()]);
        let edit: Permit<experiments::Edit> = world.ana.ask(NameOf::named(name.clone())).await.unwrap();
        models::create(&world.db, &edit, NewModel::default()).await.unwrap();
        let (run, earlier) = (world.run().await, world.run().await);
        world.log(&run, 0..3).await;
        world.delete_run(&earlier).await;
        // Nothing is purged by time here.
        let keeper = Keeper::new(world.db.clone(), world.artifacts.clone(), None);
        let manage: Permit<experiments::Manage> = world.ana.ask(NameOf::named(name.clone())).await.unwrap();
        let refused = keeper.purge_experiment(&manage).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{kind:?}: it is not deleted");
        assert_eq!(keeper.purge().await.unwrap(), Purged::default(), "{kind:?}");

        // Restored before its turn, it stays.
        experiment_verbs::move_to(&world.db, &manage, Lifecycle::Deleted).await.unwrap();
        keeper.purge_experiment(&manage).await.unwrap();
        experiment_verbs::move_to(&world.db, &manage, Lifecycle::Active).await.unwrap();
        assert_eq!(keeper.purge().await.unwrap(), Purged::default(), "{kind:?}");
        assert_eq!(world.history(&run, "loss").await.len(), 3, "{kind:?}");

        // Whoever has a version in the registry keeps its run, and all of the experiment.
        experiment_verbs::move_to(&world.db, &manage, Lifecycle::Deleted).await.unwrap();
        let version = "INSERT INTO model_version (model, version, status, stage, source, run_id, created_at, created_by, updated_at, \
                       updated_by) SELECT id, 1, 'READY', 'None', '', $1, 0, 'ana', 0, 'ana' FROM registered_model";
        world.catalog().await;
        world.register("flights", "late").await;
        let mut tx = world.db.write_unaudited(&system()).await.unwrap();
        tx.run(version, params![&*run]).await.unwrap();
        tx.commit().await.unwrap();
        let refused = keeper.purge_experiment(&manage).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{kind:?}: a version comes from it");
        assert_eq!(keeper.purge().await.unwrap(), Purged::default(), "{kind:?}");

        let mut tx = world.db.write_unaudited(&system()).await.unwrap();
        tx.run("DELETE FROM model_version", params![]).await.unwrap();
        tx.commit().await.unwrap();
        keeper.purge_experiment(&manage).await.unwrap();
        assert_eq!(keeper.purge().await.unwrap(), Purged { runs: 2, models: 1, experiments: 1 }, "{kind:?}");
        assert_eq!(world.number("SELECT count(*) FROM experiment WHERE name = 'late'").await, 0, "{kind:?}");
        let gone: Result<Permit<experiments::Manage>, _> = world.ana.ask(NameOf::named(name)).await;
        assert_eq!(gone.unwrap_err().code(), Code::NotFound, "{kind:?}");
        assert_eq!(world.audited("beginPurgeMlflowExperiment").await, 2, "{kind:?}");
        world.end().await;
    }
}

#[tokio::test]
async fn a_key_that_is_given_out_again_is_no_door_to_another_run() {
    for kind in Kind::ALL {
        let world = Logged::new(kind).await;
        world.days_later(0);
        let gone = world.run().await;
        world.log(&gone, 0..1).await;
        let before = world.edit(&gone).await;
        world.delete_run(&gone).await;
        world.days_later(2);
        assert_eq!(world.keeper(1).purge().await.unwrap().runs, 1, "{kind:?}");
        // On SQLite it has the key that the purged run had.
        let next = world.run().await;
        let refused =
            world.logger.metrics(&before, vec![Metric { key: "a".into(), value: 0.0, time_ms: 0, step: 0 }]).await;
        assert_eq!(refused.unwrap_err().code(), Code::NotFound, "{kind:?}");
        assert!(world.history(&next, "a").await.is_empty(), "{kind:?}");
        world.end().await;
    }
}

#[tokio::test]
async fn a_content_that_is_uploaded_again_is_never_taken_away() {
    for kind in Kind::ALL {
        let world = Logged::new(kind).await;
        let run = world.run().await;
        // Every content is old enough: nothing but the order of things protects it.
        world.days_later(1000);
        let collect = async {
            let steps = Steps::default();
            for _ in 0..60 {
                world.artifacts.collect(&steps).await.unwrap();
            }
        };
        let upload = async {
            for _ in 0..30 {
                world.file(&run, "again.txt", "the same").await;
                assert!(world.readable(&run, "again.txt").await, "{kind:?}");
                world.artifacts.delete(&world.edit(&run).await, "again.txt").await.unwrap();
            }
        };
        tokio::join!(collect, upload);
        world.end().await;
    }
}

#[tokio::test]
async fn the_database_shrinks_when_a_run_goes() {
    for kind in Kind::ALL {
        let world = Logged::new(kind).await;
        world.days_later(0);
        let empty = world.size(kind).await;
        let run = world.run().await;
        for part in 0..200 {
            world.log(&run, part * 1000..(part + 1) * 1000).await;
        }
        let full = world.size(kind).await;
        assert!(full - empty > 2_000_000, "{kind:?}: {empty} to {full}");
        assert!(full - empty < 200_000 * 15, "{kind:?}: a point takes {} bytes", (full - empty) / 200_000);
        world.delete_run(&run).await;
        world.days_later(2);
        let keeper = world.keeper(1);
        assert_eq!(keeper.purge().await.unwrap().runs, 1, "{kind:?}");
        let after = world.shrunk(kind, &keeper, empty + (full - empty) / 10).await;
        assert!((after - empty) * 10 <= full - empty, "{kind:?}: {empty} to {full}, then {after}");
        world.end().await;
    }
}

#[tokio::test]
async fn a_million_points_give_their_space_back_when_their_run_is_purged() {
    for kind in Kind::ALL {
        let world = Logged::new(kind).await;
        world.days_later(0);
        let kept = world.run().await;
        world.log(&kept, 0..1000).await;
        let empty = world.size(kind).await;
        let run = world.run().await;
        for part in 0..50 {
            world.log(&run, part * 20_000..(part + 1) * 20_000).await;
        }
        let full = world.size(kind).await;
        assert!(full - empty > 8_000_000, "{kind:?}: {empty} to {full}");
        // Nothing is purged by time here.
        let keeper = Keeper::new(world.db.clone(), world.artifacts.clone(), None);
        world.delete_run(&run).await;
        assert_eq!(keeper.purge().await.unwrap().runs, 0, "{kind:?}");
        let manage = world.manages(&run).await;
        keeper.purge_run(&manage, &run).await.unwrap();
        assert_eq!(keeper.purge().await.unwrap().runs, 1, "{kind:?}");
        let after = world.shrunk(kind, &keeper, empty + (full - empty) / 10).await;
        assert!((after - empty) * 10 <= full - empty, "{kind:?}: {empty} to {full}, then {after}");
        if kind == Kind::Sqlite {
            let file = i64::try_from(std::fs::metadata(world.database()).unwrap().len()).unwrap();
            assert!((file - empty) * 10 <= full - empty, "{empty} to {full}, then {file} on the disk");
        }
        assert_eq!(world.history(&kept, "loss").await.len(), 1000, "{kind:?}");
        world.end().await;
    }
}

#[tokio::test]
async fn who_manages_an_experiment_purges_its_runs_at_once() {
    for kind in Kind::ALL {
        let world = Logged::new(kind).await;
        world.days_later(0);
        let (run, other) = (world.run().await, world.run().await);
        let before = world.edit(&run).await;
        let keeper = Keeper::new(world.db.clone(), world.artifacts.clone(), None);
        let named: NameOf<experiments::Manage> = NameOf::found(&EXPERIMENT_OF_RUN, &*run);
        assert_eq!(world.stranger.ask(named).await.unwrap_err().code(), Code::NotFound, "{kind:?}");
        // It need not be deleted before.
        keeper.purge_run(&world.manages(&run).await, &run).await.unwrap();
        let point = vec![Metric { key: "a".into(), value: 0.0, time_ms: 0, step: 0 }];
        let refused = world.logger.metrics(&before, point).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound, "{kind:?}");
        let restored = run_verbs::move_to(&world.db, &before, Lifecycle::Active).await.unwrap_err();
        assert_eq!(restored.code(), Code::NotFound, "{kind:?}");
        let again = keeper.purge_run(&world.manages(&other).await, &run).await.unwrap_err();
        assert_eq!(again.code(), Code::NotFound, "{kind:?}");
        assert_eq!(world.audited("purgeRun").await, 1, "{kind:?}");
        assert_eq!(keeper.purge().await.unwrap().runs, 1, "{kind:?}");
        assert_eq!(world.number("SELECT count(*) FROM run").await, 1, "{kind:?}");

        let version = "INSERT INTO model_version (model, version, status, stage, source, run_id, created_at, created_by, updated_at, \
                       updated_by) SELECT id, 1, 'READY', 'None', '', $1, 0, 'ana', 0, 'ana' FROM registered_model";
        world.catalog().await;
        world.register("flights", "late").await;
        let mut tx = world.db.write_unaudited(&system()).await.unwrap();
        tx.run(version, params![&*other]).await.unwrap();
        tx.commit().await.unwrap();
        let refused = keeper.purge_run(&world.manages(&other).await, &other).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{kind:?}");
        assert_eq!(world.audited("purgeRun").await, 1, "{kind:?}");
        world.end().await;
    }
}

#[tokio::test]
async fn points_that_were_logged_alone_are_put_together() {
    for kind in Kind::ALL {
        let world = Logged::new(kind).await;
        let (run, other) = (world.run().await, world.run().await);
        for step in 0..1100 {
            world.log(&run, step..step + 1).await;
            if step % 100 == 0 {
                world.log(&other, step..step + 1).await;
                let steps: Vec<i64> = world.history(&run, "loss").await.iter().map(|point| point.step).collect();
                assert_eq!(steps, (0..=step).collect::<Vec<_>>(), "{kind:?}");
            }
        }
        let steps: Vec<i64> = world.history(&run, "loss").await.iter().map(|point| point.step).collect();
        assert_eq!(steps, (0..1100).collect::<Vec<_>>(), "{kind:?}");
        assert_eq!(world.history(&other, "loss").await.len(), 11, "{kind:?}");
        let rows = world.number("SELECT count(*) FROM metric_log").await;
        assert!(rows < 300, "{kind:?}: {rows} rows");
        world.end().await;
    }
}
