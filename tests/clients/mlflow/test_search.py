"""Searching runs: filters, orders, pages, and the table that the fluent API makes of it."""

import math

import mlflow
import pytest
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException, RestException


@pytest.fixture(scope="module")
def world(server):
    """Twelve runs: (experiment, ids by number)."""
    from harness import unique
    from mlflow import MlflowClient

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_TOKEN", server.admin_token)
        client = MlflowClient(tracking_uri=server.url)
        experiment = client.create_experiment(unique("search"))
        runs = []
        for n in range(12):
            run = client.create_run(experiment, start_time=1000 + n, run_name=f"run {n} 走").info.run_id
            metrics = [Metric("loss", math.nan if n == 5 else n / 2, 1, 0), *([Metric("rare/é", n, 1, 0)] if n % 4 == 0 else [])]
            params = [Param("color", ["red", "Red", "blue"][n % 3]), *([Param("with space", "x")] if n % 2 else [])]
            client.log_batch(run, metrics, params, [RunTag("team", "ana's" if n < 6 else "ben"), *([RunTag("語", "🦊")] if n == 3 else [])])
            if n % 2:
                client.set_terminated(run, "FINISHED" if n < 9 else "FAILED", end_time=2000 + n)
            runs.append(run)
        return experiment, runs


FOUND = [
    ("", range(12)),
    ("metrics.loss > 4", [9, 10, 11]),
    ("metrics.loss >= 4 and metrics.loss < 5", [8, 9]),
    ("metrics.loss = 0", [0]),
    ("metric.`rare/é` != 4", [0, 8]),
    ("params.color = 'red'", [0, 3, 6, 9]),
    ("params.color != 'red'", [1, 2, 4, 5, 7, 8, 10, 11]),
    ("params.color LIKE 'r%'", [0, 3, 6, 9]),
    ("params.color ILIKE 'R%'", [0, 1, 3, 4, 6, 7, 9, 10]),
    ("params.`with space` = 'x' AND metrics.loss < 2", [1, 3]),
    ("tags.team = \"ana's\"", range(6)),
    ("tags.語 = '🦊'", [3]),
    ("tags.`語` != '🦊'", []),
    ("attributes.status = 'FAILED'", [9, 11]),
    ("status = 'RUNNING' AND start_time > 1006", [8, 10]),
    ("attributes.end_time >= 2009", [9, 11]),
    ("run_name LIKE 'run 1%'", [1, 10, 11]),
    ("attributes.run_name = 'run 3 走'", [3]),
]


def numbers(world, found):
    return [world[1].index(run.info.run_id) for run in found]


@pytest.mark.parametrize("text,wanted", FOUND, ids=[text or "nothing" for text, _ in FOUND])
def test_filters(client, world, text, wanted):
    assert numbers(world, client.search_runs([world[0]], text, order_by=["start_time"])) == list(wanted)


def test_ids_in_a_list(client, world):
    experiment, runs = world
    text = f"attributes.run_id IN ('{runs[2]}', '{runs[7]}')"
    assert numbers(world, client.search_runs([experiment], text)) == [7, 2]


def test_orders(client, world):
    def by(*order):
        return numbers(world, client.search_runs([world[0]], order_by=list(order)))

    assert by() == list(range(11, -1, -1))
    # A number that is none comes after the others, and what has no such metric after that, whichever way.
    assert by("metrics.loss ASC") == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 5]
    assert by("metrics.loss DESC") == [11, 10, 9, 8, 7, 6, 4, 3, 2, 1, 0, 5]
    assert by("metrics.`rare/é` DESC")[:3] == [8, 4, 0]
    assert by("metrics.`rare/é` DESC")[3:] == [11, 10, 9, 7, 6, 5, 3, 2, 1]
    assert by("params.color ASC", "start_time ASC") == [1, 4, 7, 10, 2, 5, 8, 11, 0, 3, 6, 9]
    assert by("tags.team DESC", "metrics.loss DESC")[0] == 11
    assert by("attributes.start_time") == list(range(12))
    assert by("status DESC", "start_time")[:6] == [0, 2, 4, 6, 8, 10]


def test_pages(client, world):
    seen, token, pages = [], None, 0
    while True:
        page = client.search_runs([world[0]], order_by=["metrics.loss DESC"], max_results=5, page_token=token)
        seen, token, pages = seen + numbers(world, page), page.token, pages + 1
        if not token:
            break
    assert (seen, pages) == ([11, 10, 9, 8, 7, 6, 4, 3, 2, 1, 0, 5], 3)
    with pytest.raises(MlflowException):
        client.search_runs([world[0]], page_token="not a token")


def test_the_table_of_the_fluent_api(world):
    experiment, runs = world
    table = mlflow.search_runs([experiment], filter_string="params.color = 'red'", order_by=["metrics.loss DESC"])
    assert list(table["run_id"]) == [runs[n] for n in (9, 6, 3, 0)]
    assert list(table["metrics.loss"]) == [4.5, 3.0, 1.5, 0.0] and list(table["params.color"]) == ["red"] * 4
    assert list(table["tags.語"].dropna()) == ["🦊"]
    assert len(mlflow.search_runs([experiment], max_results=7, output_format="list")) == 7


WRONG = ["metrics.loss > 'x'", "params.color = red", "nothing.a = 'x'", "attributes.nothing = 'x'", "metrics.loss LIKE '1'", "params.color ="]


@pytest.mark.parametrize("text", WRONG)
def test_filters_that_are_wrong_are_refused(client, world, text):
    with pytest.raises(RestException) as refused:
        client.search_runs([world[0]], text)
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"


def test_an_experiment_that_is_not_there_has_no_runs(client):
    assert list(client.search_runs(["987654321"])) == []
