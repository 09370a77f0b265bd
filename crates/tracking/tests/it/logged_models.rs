//! Logged models over both databases: what is said of them is read back, is found, and is nobody else's.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use crannog_security::actions::{experiments, logged_models, runs};
use crannog_security::{Action, Lease, NameOf, Permit, ScopeOf, kinds};
use crannog_storage::ByteStream;
use crannog_store::testing::Kind;
use crannog_tracking::model::experiments::{Lifecycle, Tag};
use crannog_tracking::model::logged_models::{DatasetFilter, LoggedModel, ModelMetric, ModelsAsked, OrderBy, Status};
use crannog_tracking::model::runs::Metric;
use crannog_tracking::service::experiments::move_to;
use crannog_tracking::service::logged_models::{self as verbs, NewModel, OF_MODEL};
use crannog_tracking::service::logging::Batch;
use crannog_tracking::service::{inputs, runs as run_verbs};
use crannog_types::{Code, FullName, Result};

use super::logging::Logged;

fn tag(key: &str, value: &str) -> Tag {
    Tag { key: key.to_owned(), value: value.to_owned() }
}

impl Logged {
    async fn model(&self, new: NewModel) -> LoggedModel {
        let permit: Permit<experiments::Edit> = self.ana.ask(self.named()).await.unwrap();
        self.clock.fetch_add(1000, Ordering::Relaxed);
        verbs::create(&self.db, &permit, new).await.unwrap()
    }

    async fn called(&self, name: &str) -> String {
        self.model(NewModel { name: name.to_owned(), ..NewModel::default() }).await.info.model_id
    }

    fn named<A: Action>(&self) -> NameOf<A> {
        NameOf::named(FullName::of([self.experiment.to_string()]))
    }

    async fn on<A: Action<On = kinds::LoggedModel>>(&self, model: &str) -> Permit<A> {
        self.ana.ask(NameOf::found(&OF_MODEL, model)).await.unwrap()
    }

    async fn got(&self, model: &str) -> Result<LoggedModel> {
        verbs::get(&self.db, &self.on(model).await, false).await
    }

    /// Logs a point about a model.
    async fn measure(&self, run: &str, model: &str, point: Metric, dataset: (&str, &str)) {
        let (name, digest) = (dataset.0.to_owned(), dataset.1.to_owned());
        let about = ModelMetric { metric: point.clone(), dataset_name: name, dataset_digest: digest };
        let batch = Batch { metrics: vec![point], ..Batch::default() };
        let models = [(self.on(model).await, vec![about])];
        self.logger.batch_about(&self.edit(run).await, batch, &models).await.unwrap();
    }

    async fn found(&self, asked: &ModelsAsked) -> (Vec<String>, Option<String>) {
        let visible = self.ana.visible::<experiments::Read>(ScopeOf::root()).await.unwrap();
        let (models, token) = verbs::search(&self.db, &visible, asked).await.unwrap();
        (models.into_iter().map(|model| model.info.name).collect(), token)
    }

    fn asked(&self, filter: &str) -> ModelsAsked {
        let experiment_ids = vec![self.experiment.to_string()];
        ModelsAsked { experiment_ids, filter: filter.to_owned(), max_results: 100, ..ModelsAsked::default() }
    }

    async fn names(&self, filter: &str) -> Vec<String> {
        self.found(&self.asked(filter)).await.0
    }
}

fn point(key: &str, time_ms: i64, value: f64) -> Metric {
    Metric { key: key.to_owned(), value, time_ms, step: 0 }
}

#[tokio::test]
async fn a_model_is_made_finalized_tagged_and_deleted() {
    for kind in Kind::ALL {
        let world = Logged::new(kind).await;
        let new = NewModel {
            name: "late".to_owned(),
            model_type: "sklearn".to_owned(),
            source_run_id: "r".to_owned(),
            params: vec![tag("C", "1"), tag("C", "1"), tag("A", "日本")],
            tags: vec![tag("color", "blue"), tag("color", "red")],
        };
        let made = world.model(new).await;
        let id = made.info.model_id.as_str();
        assert!(id.len() == 34 && id.starts_with("m-"), "{id}");
        assert_eq!((made.info.status, made.info.lifecycle), (Status::Pending, Lifecycle::Active), "{kind:?}");
        assert_eq!(made.info.artifact_uri, format!("mlflow-artifacts:/{}/models/{id}/artifacts", world.experiment));
        assert_eq!(made.params, [tag("A", "日本"), tag("C", "1")]);
        assert_eq!(made.tags, [tag("color", "red")]);
        let edit = world.on::<logged_models::Edit>(id).await;
        world.clock.fetch_add(5000, Ordering::Relaxed);
        let ready = verbs::finalize(&world.db, &edit, Status::Ready).await.unwrap();
        assert_eq!((ready.info.status, ready.info.updated_ms), (Status::Ready, made.info.created_ms + 5));
        verbs::log_params(&world.db, &edit, &[tag("C", "1"), tag("depth", "3")]).await.unwrap();
        let refused = verbs::log_params(&world.db, &edit, &[tag("width", "1"), tag("C", "2")]).await.unwrap_err();
        assert_eq!((refused.code(), refused.vendor_reason()), (Code::InvalidArgument, Some("BAD_REQUEST")));
        verbs::set_tags(&world.db, &edit, &[tag("team", "a"), tag("team", "b"), tag("color", "")]).await.unwrap();
        verbs::delete_tag(&world.db, &edit, "color").await.unwrap();
        let gone = verbs::delete_tag(&world.db, &edit, "color").await.unwrap_err();
        assert_eq!(gone.message(), format!("No tag with key 'color' found for model with ID '{id}'."));
        let found = world.got(id).await.unwrap();
        assert_eq!(found.params, [tag("A", "日本"), tag("C", "1"), tag("depth", "3")]);
        assert_eq!(found.tags, [tag("team", "b")]);
        verbs::delete(&world.db, &edit).await.unwrap();
        verbs::delete(&world.db, &edit).await.unwrap();
        let gone = world.got(id).await.unwrap_err();
        assert_eq!(gone.message(), format!("Logged model with ID '{id}' not found."));
        let deleted = verbs::get(&world.db, &world.on(id).await, true).await.unwrap();
        assert_eq!(deleted.info.lifecycle, Lifecycle::Deleted);
        assert_eq!(world.names("").await, Vec::<String>::new());
        world.end().await;
    }
}

#[tokio::test]
async fn what_cannot_be_made_is_refused() {
    for kind in Kind::ALL {
        let world = Logged::new(kind).await;
        let permit: Permit<experiments::Edit> = world.ana.ask(world.named()).await.unwrap();
        let make = |new: NewModel| verbs::create(&world.db, &permit, new);
        let named = |name: &str| NewModel { name: name.to_owned(), ..NewModel::default() };
        for name in ["a/b", "a:b", "a.b", "a%b", "a\"b", "a'b"] {
            let refused = make(named(name)).await.unwrap_err();
            assert!(refused.message().starts_with("Invalid model name ("), "{}", refused.message());
        }
        assert!(make(named(&"n".repeat(501))).await.is_err());
        make(named(&"n".repeat(500))).await.unwrap();
        let twice = NewModel { params: vec![tag("a", "1"), tag("a", "2")], ..named("twice") };
        assert_eq!(make(twice).await.unwrap_err().vendor_reason(), Some("BAD_REQUEST"));
        assert_eq!(world.names("name = 'twice'").await, Vec::<String>::new());
        let manage: Permit<experiments::Manage> = world.ana.ask(world.named()).await.unwrap();
        move_to(&world.db, &manage, Lifecycle::Deleted).await.unwrap();
        let refused = make(named("late")).await.unwrap_err();
        assert!(refused.message().contains("must be in the 'active' state"), "{kind:?}: {}", refused.message());
        world.end().await;
    }
}

#[tokio::test]
async fn a_stranger_is_answered_as_about_a_model_that_is_not_there() {
    for kind in Kind::ALL {
        let world = Logged::new(kind).await;
        let model = world.called("late").await;
        let ask = |model: &str| world.stranger.ask::<logged_models::Read>(NameOf::found(&OF_MODEL, model));
        let (hidden, missing) = (ask(&model).await.unwrap_err(), ask("m-0").await.unwrap_err());
        assert_eq!(hidden.code(), missing.code());
        assert_eq!(hidden.message().replace(&model, "m-0"), missing.message());
        assert_eq!(missing.message(), "Logged model with ID 'm-0' not found.");
        // A run's id is no model's, nor the other way round.
        let run = world.run().await;
        assert!(world.ana.ask::<logged_models::Read>(NameOf::found(&OF_MODEL, run)).await.is_err());
        let visible = world.stranger.visible::<experiments::Read>(ScopeOf::root()).await.unwrap();
        let (found, token) = verbs::search(&world.db, &visible, &world.asked("")).await.unwrap();
        assert!(found.is_empty() && token.is_none(), "{kind:?}");
        world.end().await;
    }
}

#[tokio::test]
async fn runs_say_which_models_they_used_and_made() {
    for kind in Kind::ALL {
        let world = Logged::new(kind).await;
        let (run, other) = (world.run().await, world.run().await);
        let (one, two) = (world.called("one").await, world.called("two").await);
        let permit = world.edit(&run).await;
        for step in [3, 4] {
            let made = [(world.on(&two).await, step), (world.on(&one).await, 0)];
            inputs::log_outputs(&world.db, &permit, &made).await.unwrap();
            inputs::log(&world.db, &permit, &[], &[], &[world.on(&one).await]).await.unwrap();
        }
        let found = run_verbs::get(&world.db, &world.read(&run).await).await.unwrap();
        // In the order in which the models came; a second time changes nothing.
        assert_eq!(found.models_out, [(one.clone(), 0), (two.clone(), 3)], "{kind:?}");
        assert_eq!(found.models_in, std::slice::from_ref(&one));
        let unlinked = run_verbs::get(&world.db, &world.read(&other).await).await.unwrap();
        assert!(unlinked.models_in.is_empty() && unlinked.models_out.is_empty());
        run_verbs::move_to(&world.db, &permit, Lifecycle::Deleted).await.unwrap();
        let refused = inputs::log_outputs(&world.db, &permit, &[(world.on(&one).await, 1)]).await.unwrap_err();
        assert!(refused.message().contains("Current state is deleted"), "{}", refused.message());
        world.end().await;
    }
}

#[tokio::test]
async fn points_about_models_are_the_runs_too() {
    for kind in Kind::ALL {
        let world = Logged::new(kind).await;
        let run = world.run().await;
        let model = world.called("late").await;
        world.measure(&run, &model, point("auc", 1, 0.5), ("", "")).await;
        world.measure(&run, &model, point("auc", 1, 0.5), ("", "")).await;
        world.measure(&run, &model, point("auc", 1, 0.75), ("planes", "d1")).await;
        world.measure(&run, &model, point("auc", 0, f64::NAN), ("", "")).await;
        world.measure(&run, &model, point("big", 0, f64::INFINITY), ("", "")).await;
        let found = world.got(&model).await.unwrap().metrics;
        let seen: Vec<(&str, i64, &str, &str)> = found
            .iter()
            .map(|(point, _)| {
                let ModelMetric { metric, dataset_name, dataset_digest } = point;
                (metric.key.as_str(), metric.time_ms, dataset_name.as_str(), dataset_digest.as_str())
            })
            .collect();
        let expected = [("auc", 0, "", ""), ("auc", 1, "", ""), ("auc", 1, "planes", "d1"), ("big", 0, "", "")];
        assert_eq!(seen, expected, "{kind:?}");
        assert!(found[0].0.metric.value.is_nan());
        assert_eq!((found[1].0.metric.value, found[2].0.metric.value), (0.5, 0.75));
        assert_eq!(found[3].0.metric.value, f64::MAX);
        assert!(found.iter().all(|(_, by)| *by == run));
        let logged = run_verbs::get(&world.db, &world.read(&run).await).await.unwrap().metrics;
        let latest: Vec<(&str, f64)> = logged.iter().map(|point| (point.key.as_str(), point.value)).collect();
        assert_eq!(latest, [("auc", 0.75), ("big", f64::MAX)]);
        // Refused for the run, it is not there for the model.
        let permit: Permit<runs::Edit> = world.edit(&run).await;
        run_verbs::move_to(&world.db, &permit, Lifecycle::Deleted).await.unwrap();
        let about =
            ModelMetric { metric: point("new", 0, 1.0), dataset_name: String::new(), dataset_digest: String::new() };
        let batch = Batch { metrics: vec![point("new", 0, 1.0)], ..Batch::default() };
        let models = [(world.on(&model).await, vec![about])];
        world.logger.batch_about(&permit, batch, &models).await.unwrap_err();
        assert_eq!(world.got(&model).await.unwrap().metrics.len(), 4);
        world.end().await;
    }
}

#[tokio::test]
async fn models_are_found_by_what_is_said_of_them() {
    for kind in Kind::ALL {
        let world = Logged::new(kind).await;
        let run = world.run().await;
        let a = world.model(NewModel {
            name: "a".to_owned(),
            model_type: "sklearn".to_owned(),
            params: vec![tag("C", "1")],
            ..NewModel::default()
        });
        let a = a.await.info;
        let b = world.model(NewModel {
            name: "B".to_owned(),
            source_run_id: run.clone(),
            tags: vec![tag("team", "maps")],
            ..NewModel::default()
        });
        let b = b.await.info.model_id;
        let c = world.called("c").await;
        verbs::finalize(&world.db, &world.on(&c).await, Status::Ready).await.unwrap();
        world.measure(&run, &a.model_id, point("auc", 1, 0.9), ("planes", "d1")).await;
        world.measure(&run, &a.model_id, point("auc", 2, 0.4), ("planes", "d2")).await;
        world.measure(&run, &b, point("auc", 1, f64::NAN), ("", "")).await;
        let later = format!("creation_time > {}", a.created_ms);
        let one = format!("model_id = '{}' AND params.C = '1'", a.model_id);
        let sourced = format!("source_run_id = '{run}'");
        for (filter, found) in [
            ("", vec!["c", "B", "a"]),
            ("name = 'a'", vec!["a"]),
            ("name ILIKE 'b%'", vec!["B"]),
            ("name LIKE 'b%'", vec![]),
            ("name IN ('a', 'c')", vec!["c", "a"]),
            ("name = 'a' OR tags.team = 'maps'", vec!["B", "a"]),
            ("model_type = 'sklearn'", vec!["a"]),
            ("status = 'READY'", vec!["c"]),
            ("tags.team != 'other'", vec!["B"]),
            ("params.C LIKE '_'", vec!["a"]),
            (one.as_str(), vec!["a"]),
            (sourced.as_str(), vec!["B"]),
            (later.as_str(), vec!["c", "B"]),
            // Any point of the model, not the last alone; what is no number differs from every number.
            ("metrics.auc > 0.8", vec!["a"]),
            ("metrics.auc > 0.8 AND metrics.auc < 0.5", vec!["a"]),
            ("metrics.auc != 0.9", vec!["B", "a"]),
            ("metrics.auc < 9", vec!["a"]),
        ] {
            assert_eq!(world.names(filter).await, found, "{kind:?}: {filter}");
        }
        let on = |filter: &str, name: &str, digest: Option<&str>| ModelsAsked {
            datasets: vec![DatasetFilter { name: name.to_owned(), digest: digest.map(str::to_owned) }],
            ..world.asked(filter)
        };
        assert_eq!(world.found(&on("", "planes", None)).await.0, ["a"]);
        assert_eq!(world.found(&on("", "ships", None)).await.0, Vec::<String>::new());
        assert_eq!(world.found(&on("metrics.auc > 0.5", "planes", Some("d1"))).await.0, ["a"]);
        assert_eq!(world.found(&on("metrics.auc > 0.5", "planes", Some("d2"))).await.0, Vec::<String>::new());
        assert_eq!(
            world.found(&ModelsAsked { experiment_ids: vec!["99".to_owned()], ..world.asked("") }).await.0.len(),
            0
        );
        let visible = world.ana.visible::<experiments::Read>(ScopeOf::root()).await.unwrap();
        let unnamed = verbs::search(&world.db, &visible, &on("", "", None)).await.unwrap_err();
        assert_eq!(unnamed.message(), "`dataset_name` in the `datasets` clause must be specified.");
        world.end().await;
    }
}

#[tokio::test]
async fn pages_of_an_order_are_the_whole_order() {
    for kind in Kind::ALL {
        let world = Logged::new(kind).await;
        let run = world.run().await;
        for (name, points) in [
            ("low", vec![(1, 0.9, "d1"), (2, 0.1, "d2")]),
            ("high", vec![(1, 0.8, "d2")]),
            ("same", vec![(1, 0.8, "d1")]),
            ("nan", vec![(1, 0.7, "d1"), (2, f64::NAN, "d2")]),
            ("none", vec![]),
            ("also none", vec![]),
        ] {
            let model = world.called(name).await;
            for (time, value, digest) in points {
                world.measure(&run, &model, point("auc", time, value), ("planes", digest)).await;
            }
        }
        let by = |field: &str, ascending, digest: Option<&str>| OrderBy {
            field_name: field.to_owned(),
            ascending,
            dataset_name: digest.map(|_| "planes".to_owned()),
            dataset_digest: digest.map(str::to_owned),
        };
        let auc = "metrics.auc";
        for (order_by, expected) in [
            (vec![], ["also none", "none", "nan", "same", "high", "low"]),
            (vec![by(auc, true, None)], ["low", "same", "high", "nan", "also none", "none"]),
            (vec![by(auc, false, None)], ["same", "high", "low", "nan", "also none", "none"]),
            (vec![by(auc, false, Some("d1"))], ["low", "same", "nan", "also none", "none", "high"]),
            (vec![by("name", true, None)], ["also none", "high", "low", "nan", "none", "same"]),
            (vec![by("creation_time", true, None)], ["low", "high", "same", "nan", "none", "also none"]),
            (
                vec![by("model_type", true, None), by(auc, true, None), by("name", false, None)],
                ["low", "same", "high", "nan", "none", "also none"],
            ),
        ] {
            for most in [1, 2, 4, 6] {
                let mut asked = ModelsAsked { order_by: order_by.clone(), max_results: most, ..world.asked("") };
                let mut all = Vec::new();
                loop {
                    let (names, token) = world.found(&asked).await;
                    all.extend(names);
                    match token {
                        Some(token) => asked.page_token = token,
                        None => break,
                    }
                }
                assert_eq!(all, expected, "{kind:?}: {order_by:?} by {most}");
            }
        }
        world.end().await;
    }
}

#[tokio::test]
async fn files_of_a_model_are_its_own() {
    for kind in Kind::ALL {
        let world = Logged::new(kind).await;
        let (run, model) = (world.run().await, world.called("late").await);
        let body = || -> ByteStream { Box::pin(futures::stream::iter([Ok(Bytes::from_static(b"flavors"))])) };
        let edit = world.on::<logged_models::Edit>(&model).await;
        let read = world.on::<logged_models::Read>(&model).await;
        let lease = Lease::of(&world.ana, &edit);
        world.artifacts.put(&edit, &lease, "MLmodel", body()).await.unwrap();
        world.artifacts.put(&edit, &lease, "data/model.pkl", body()).await.unwrap();
        let top = world.artifacts.list(&read, "").await.unwrap();
        let top: Vec<(&str, Option<i64>)> = top.iter().map(|file| (file.path.as_str(), file.size)).collect();
        assert_eq!(top, [("MLmodel", Some(7)), ("data", None)], "{kind:?}");
        assert!(world.artifacts.find(&read, "MLmodel").await.is_ok());
        assert!(world.artifacts.list(&world.read(&run).await, "").await.unwrap().is_empty());
        world.artifacts.delete(&edit, "data").await.unwrap();
        assert_eq!(world.artifacts.list(&read, "").await.unwrap().len(), 1);
        verbs::delete(&world.db, &edit).await.unwrap();
        let refused = world.artifacts.put(&edit, &lease, "more", body()).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound);
        world.end().await;
    }
}
