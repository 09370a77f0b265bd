"""Metrics: single points, batches, what a number may be, histories."""

import math

import mlflow
import pytest
import requests
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException


def test_the_latest_value_is_that_of_the_highest_step(client, run):
    for step, value in ((0, 1.0), (2, 3.0), (1, 2.0)):
        client.log_metric(run, "loss", value, timestamp=10 + step, step=step)
    assert client.get_run(run).data.metrics == {"loss": 3.0}
    history = client.get_metric_history(run, "loss")
    assert sorted((p.step, p.value, p.timestamp) for p in history) == [(0, 1.0, 10), (1, 2.0, 11), (2, 3.0, 12)]
    client.log_metric(run, "loss", 9.0, timestamp=5, step=2)
    assert client.get_run(run).data.metrics == {"loss": 3.0}
    client.log_metric(run, "loss", 8.0, timestamp=50, step=2)
    assert client.get_run(run).data.metrics == {"loss": 8.0}


def test_numbers_that_are_none(client, run):
    for key, value in (("nan", math.nan), ("inf", math.inf), ("minus", -math.inf), ("tiny", 5e-324), ("neg", -1.5), ("big", 1.7e308)):
        client.log_metric(run, key, value)
    got = client.get_run(run).data.metrics
    assert math.isnan(got["nan"]) and got["tiny"] == 5e-324 and got["neg"] == -1.5 and got["big"] == 1.7e308
    assert got["inf"] >= 1.79e308 and got["minus"] <= -1.79e308
    assert math.isnan(client.get_metric_history(run, "nan")[0].value)


def test_steps_and_keys_of_every_kind(client, run):
    for step in (-3, 0, 2**40):
        client.log_metric(run, "s", step, step=step)
    assert sorted(p.step for p in client.get_metric_history(run, "s")) == [-3, 0, 2**40]
    for key in ("val/loss", "a b", "m.é-_", "日本", "k" * 250):
        client.log_metric(run, key, 1)
        assert [p.value for p in client.get_metric_history(run, key)] == [1.0]
    for key in ("", "../up", "k" * 251):
        with pytest.raises(MlflowException):
            client.log_metric(run, key, 1)


def test_a_batch(client, run):
    client.log_batch(run, metrics=[Metric(f"m{n}", n, 1000 + n, n) for n in range(1000)])
    got = client.get_run(run).data.metrics
    assert len(got) == 1000 and got["m999"] == 999
    # More than one request may carry: the client cuts it by itself.
    client.log_batch(run, metrics=[Metric("m", n, n, n) for n in range(2500)])
    assert len(client.get_metric_history(run, "m")) == 2500


def test_a_point_sent_twice_is_there_once(client, run):
    for _ in range(2):
        client.log_batch(run, metrics=[Metric("m", 1.0, 1000, 1), Metric("m", 1.0, 1000, 1)])
    assert [(p.step, p.value) for p in client.get_metric_history(run, "m")] == [(1, 1.0)]


def test_a_history_longer_than_a_page(client, run):
    """25,000 points a page is what the client asks for."""
    for at in range(0, 26_000, 1000):
        client.log_batch(run, metrics=[Metric("long", float(n), n, n) for n in range(at, at + 1000)])
    history = client.get_metric_history(run, "long")
    assert sorted(p.step for p in history) == list(range(26_000))
    assert all(p.value == p.step == p.timestamp for p in history)


def test_the_fluent_api_logs_many(client, fluent):
    with mlflow.start_run() as run:
        for step in range(50):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
            mlflow.log_metrics({"a": step, "b": -step}, step=step)
    assert [p.value for p in sorted(client.get_metric_history(run.info.run_id, "loss"), key=lambda p: p.step)] == [
        1 / (step + 1) for step in range(50)
    ]
    assert client.get_run(run.info.run_id).data.metrics == {"loss": 1 / 50, "a": 49, "b": -49}


def test_without_waiting_for_answers(client, run):
    """The client's own queue and threads (`synchronous=False`)."""
    for step in range(300):
        client.log_metric(run, "async", step, step=step, synchronous=False)
    waiting = client.log_param(run, "p", "1", synchronous=False)
    waiting.wait()
    mlflow.flush_async_logging()
    assert sorted(p.step for p in client.get_metric_history(run, "async")) == list(range(300))
    assert client.get_run(run).data.params == {"p": "1"}


def test_sampled_histories_of_several_runs(server, client, experiment, run):
    """What MLflow's pages ask for; the client has no verb for it in version 2."""
    other = client.create_run(experiment).info.run_id
    for one in (run, other):
        client.log_batch(one, metrics=[Metric("m", n * 0.5, n, n) for n in range(1000)])
    asked = {"run_ids": [run, other], "metric_key": "m", "max_results": 10, "start_step": 0, "end_step": 999}
    answer = requests.get(
        f"{server.url}/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval",
        params=asked,
        headers={"Authorization": f"Bearer {server.admin_token}"},
        timeout=60,
    )
    points = answer.json()["metrics"]
    steps = {one: [p["step"] for p in points if p["run_id"] == one] for one in (run, other)}
    assert steps[run] == steps[other] and {0, 999} <= set(steps[run]) and 10 <= len(steps[run]) <= 13
    assert all(p["value"] == p["step"] * 0.5 for p in points)
