"""Runs, their tags and params, by MlflowClient and the fluent API."""

import mlflow
import pytest
from mlflow.entities import Param, RunTag, ViewType
from mlflow.exceptions import MlflowException, RestException


def test_a_run_is_made_read_and_ended(client, experiment):
    run = client.create_run(experiment, start_time=1234, tags={"a": "1"}, run_name="première 走る")
    info = client.get_run(run.info.run_id).info
    assert (info.run_name, info.status, info.start_time, info.end_time) == ("première 走る", "RUNNING", 1234, None)
    assert (info.experiment_id, info.lifecycle_stage) == (experiment, "active")
    assert info.artifact_uri.endswith(f"/{run.info.run_id}/artifacts")
    client.set_terminated(run.info.run_id, "FAILED", end_time=2345)
    info = client.get_run(run.info.run_id).info
    assert (info.status, info.end_time) == ("FAILED", 2345)
    client.update_run(run.info.run_id, status="FINISHED", name="renamed")
    got = client.get_run(run.info.run_id)
    assert (got.info.status, got.info.run_name, got.data.tags["mlflow.runName"]) == ("FINISHED", "renamed", "renamed")


def test_a_run_without_a_name_is_given_one(client, experiment):
    run = client.create_run(experiment)
    assert run.info.run_name and run.data.tags["mlflow.runName"] == run.info.run_name


def test_a_session_of_the_fluent_api(client, fluent):
    with mlflow.start_run(run_name="outer", description="was it late?", tags={"release": "1"}) as outer:
        mlflow.log_param("lr", 0.1)
        mlflow.log_params({"depth": 3, "色": "赤"})
        mlflow.log_metric("loss", 1.5, step=0)
        mlflow.log_metrics({"loss": 0.5, "acc": 0.9}, step=1)
        mlflow.set_tag("team", "maps")
        mlflow.set_tags({"a": 1, "b": None})
        with mlflow.start_run(nested=True, run_name="inner") as inner:
            mlflow.log_param("lr", 0.2)
    got = client.get_run(outer.info.run_id)
    assert got.info.status == "FINISHED" and got.info.end_time >= got.info.start_time
    assert got.data.params == {"lr": "0.1", "depth": "3", "色": "赤"}
    assert got.data.metrics == {"loss": 0.5, "acc": 0.9}
    assert got.data.tags["team"] == "maps" and got.data.tags["mlflow.note.content"] == "was it late?"
    assert got.data.tags["release"] == "1" and got.data.tags["b"] == "None"
    child = client.get_run(inner.info.run_id)
    assert child.data.tags["mlflow.parentRunId"] == outer.info.run_id
    assert client.get_parent_run(inner.info.run_id).info.run_id == outer.info.run_id


def test_a_run_that_raises_has_failed(client, fluent):
    with pytest.raises(ZeroDivisionError), mlflow.start_run() as run:
        raise ZeroDivisionError
    assert client.get_run(run.info.run_id).info.status == "FAILED"


def test_a_run_is_taken_up_again(client, fluent):
    with mlflow.start_run() as run:
        mlflow.log_metric("m", 1, step=0)
    with mlflow.start_run(run_id=run.info.run_id):
        mlflow.log_metric("m", 2, step=1)
    assert [p.value for p in client.get_metric_history(run.info.run_id, "m")] == [1, 2]


def test_params_do_not_change(client, run):
    client.log_param(run, "lr", "0.1")
    client.log_param(run, "lr", "0.1")
    with pytest.raises(MlflowException, match="Changing param values is not allowed"):
        client.log_param(run, "lr", "0.2")
    with pytest.raises(MlflowException, match="Changing param values is not allowed"):
        client.log_batch(run, params=[Param("new", "1"), Param("lr", "0.3")])
    assert client.get_run(run).data.params["lr"] == "0.1"


def test_tags_are_set_changed_and_deleted(client, run):
    client.set_tag(run, "a", "1")
    client.set_tag(run, "a", "2")
    client.set_tag(run, "語", "🦊 'quoted\" `back` \\ %_")
    assert client.get_run(run).data.tags["a"] == "2"
    assert client.get_run(run).data.tags["語"] == "🦊 'quoted\" `back` \\ %_"
    client.delete_tag(run, "a")
    assert "a" not in client.get_run(run).data.tags
    with pytest.raises(RestException) as refused:
        client.delete_tag(run, "a")
    assert refused.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_deleted_and_restored(client, experiment, run):
    client.delete_run(run)
    assert client.get_run(run).info.lifecycle_stage == "deleted"
    assert [r.info.run_id for r in client.search_runs([experiment])] == []
    assert [r.info.run_id for r in client.search_runs([experiment], run_view_type=ViewType.DELETED_ONLY)] == [run]
    with pytest.raises(MlflowException, match="must be in the 'active' state"):
        client.log_metric(run, "m", 1)
    client.restore_run(run)
    assert [r.info.run_id for r in client.search_runs([experiment])] == [run]


def test_a_batch_has_limits(client, fluent):
    run = client.create_run(fluent).info.run_id
    client.log_batch(run, params=[Param(f"p{n}", str(n)) for n in range(100)], tags=[RunTag(f"t{n}", str(n)) for n in range(100)])
    got = client.get_run(run).data
    assert len(got.params) == 100 and got.tags["t99"] == "99"
    # The client cuts what the fluent API logs into batches by itself.
    with mlflow.start_run(run_id=run):
        mlflow.log_params({f"q{n}": n for n in range(250)})
        mlflow.set_tags({f"u{n}": n for n in range(250)})
    got = client.get_run(run).data
    assert len(got.params) == 350 and got.tags["u249"] == "249"


def test_values_as_long_as_may_be(client, run):
    client.log_param(run, "long", "日" * 6000)
    client.set_tag(run, "long", "日" * 8000)
    client.log_param(run, "k" * 250, "v")
    got = client.get_run(run).data
    assert got.params["long"] == "日" * 6000 and got.tags["long"] == "日" * 8000 and got.params["k" * 250] == "v"
    with pytest.raises(MlflowException):
        client.log_param(run, "k" * 251, "v")


def test_a_missing_run(client):
    for ask in (lambda: client.get_run("0" * 32), lambda: client.log_metric("0" * 32, "m", 1), lambda: client.delete_run("0" * 32)):
        with pytest.raises(RestException) as refused:
            ask()
        assert refused.value.error_code == "RESOURCE_DOES_NOT_EXIST"
        assert refused.value.get_http_status_code() == 404
