"""`system.ml.*`: what mlflow's client logs, asked for in SQL by databricks-sdk's."""

import math

import mlflow
import pytest
from harness import StatementFailed, unique

TABLES = [
    "experiments", "latest_metrics", "logged_models", "metrics", "model_aliases", "model_versions", "params", "registered_models",
    "runs", "tags",
]  # fmt: skip


@pytest.fixture(scope="module")
def admin(server):
    return server.admin()


@pytest.fixture
def runs(fluent):
    """Eight runs with a metric of three points each: their ids."""
    ids = []
    for n in range(8):
        with mlflow.start_run(run_name=f"run {n} 走") as run:
            mlflow.log_params({"depth": n % 4, "über": "é"})
            mlflow.set_tag("team", "ops" if n % 2 else "flights")
            for step in range(3):
                mlflow.log_metric("auc", (n * 5 % 8) / 10 + step / 100, step=step)
            ids.append(run.info.run_id)
    return ids


def test_they_are_listed_and_described(admin):
    assert [row[1] for row in admin.sql("SHOW TABLES IN system.ml")] == TABLES
    assert ["ml"] in admin.sql("SHOW SCHEMAS IN system")
    described = dict(row[:2] for row in admin.sql("DESCRIBE TABLE system.ml.metrics"))
    assert described == {
        "experiment_id": "string", "run_id": "string", "metric_name": "string", "metric_value": "double", "metric_step": "bigint",
        "metric_time": "timestamp",
    }  # fmt: skip
    for table in TABLES:
        count = int(admin.sql(f"SELECT count(*) FROM system.ml.{table}")[0][0])
        assert len(admin.sql(f"SELECT * FROM system.ml.{table}")) == count, table
    with pytest.raises(StatementFailed, match="does not exist"):
        admin.sql("SELECT * FROM system.ml.nothing")
    with pytest.raises(StatementFailed):
        admin.sql("INSERT INTO system.ml.params VALUES ('1', '2', '3', '4')")


def test_the_best_run_is_the_one_that_the_client_finds(admin, fluent, runs):
    found = mlflow.search_runs([fluent], order_by=["metrics.auc DESC"])
    best = f"""SELECT r.run_id, r.run_name, m.metric_value, p.value FROM system.ml.runs r
               JOIN system.ml.latest_metrics m ON m.run_id = r.run_id AND m.metric_name = 'auc'
               JOIN system.ml.params p ON p.run_id = r.run_id AND p.key = 'depth'
               WHERE r.experiment_id = '{fluent}' AND r.status = 'FINISHED' ORDER BY m.metric_value DESC"""
    rows = [[run_id, name, float(value), depth] for run_id, name, value, depth in admin.sql(best)]
    assert rows == found[["run_id", "tags.mlflow.runName", "metrics.auc", "params.depth"]].values.tolist()
    assert {row[0] for row in rows} == set(runs)
    by_depth = f"""SELECT p.value, max(m.metric_value) FROM system.ml.metrics m JOIN system.ml.params p USING (run_id)
                   WHERE m.experiment_id = '{fluent}' AND m.metric_name = 'auc' AND p.key = 'depth' GROUP BY p.value ORDER BY 1"""
    expected = found.groupby("params.depth")["metrics.auc"].max()
    assert [[depth, float(value)] for depth, value in admin.sql(by_depth)] == [[depth, value] for depth, value in expected.items()]
    teams = f"SELECT value, count(*) FROM system.ml.tags WHERE experiment_id = '{fluent}' AND key = 'team' GROUP BY 1 ORDER BY 1"
    assert admin.sql(teams) == [["flights", "4"], ["ops", "4"]]


def test_a_point_is_there_for_the_next_query(admin, client, run):
    values = [0.5, math.nan, math.inf, -math.inf, -0.0]
    for step, value in enumerate(values):
        client.log_metric(run, "loss/é", value, timestamp=1_700_000_000_123 + step, step=step)
        history = client.get_metric_history(run, "loss/é")
        asked = f"""SELECT metric_value, metric_step, unix_millis(metric_time) FROM system.ml.metrics
                    WHERE run_id = '{run}' AND metric_name = 'loss/é' ORDER BY metric_step"""
        rows = [(repr(float(value)), int(step), int(time)) for value, step, time in admin.sql(asked)]
        assert rows == [(repr(point.value), point.step, point.timestamp) for point in history] and len(rows) == step + 1


def test_what_is_deleted_comes_back_when_it_is_restored(admin, client, fluent, runs):
    def counted():
        tables = ("metrics", "latest_metrics", "params", "tags")
        return [int(admin.sql(f"SELECT count(DISTINCT run_id) FROM system.ml.{table} WHERE experiment_id = '{fluent}'")[0][0]) for table in tables]

    client.delete_run(runs[0])
    assert counted() == [7, 7, 7, 7]
    deleted = f"SELECT run_id, delete_time IS NOT NULL FROM system.ml.runs WHERE experiment_id = '{fluent}' AND lifecycle_stage = 'deleted'"
    assert admin.sql(deleted) == [[runs[0], "true"]]
    client.restore_run(runs[0])
    assert counted() == [8, 8, 8, 8]
    client.delete_experiment(fluent)
    gone = f"SELECT lifecycle_stage FROM system.ml.experiments WHERE experiment_id = '{fluent}'"
    assert counted() == [0, 0, 0, 0] and admin.sql(gone) == [["deleted"]]


def test_two_people_see_their_own(server, admin, client, fluent, runs):
    ana = server.person("ana")
    mine = f"SELECT count(*) FROM system.ml.metrics WHERE experiment_id = '{fluent}'"
    assert (admin.sql(mine), ana.sql(mine)) == ([["24"]], [["0"]])
    everything = "SELECT count(*) FROM system.ml.{} WHERE experiment_id <> '0'"
    assert [ana.sql(everything.format(table)) for table in ("experiments", "runs", "params", "tags", "logged_models")] == [[["0"]]] * 5
    # A view reads as whoever asks it.
    view = f"main.default.{unique('best')}"
    admin.sql(f"CREATE VIEW {view} AS SELECT * FROM system.ml.latest_metrics")
    admin.sql(f"GRANT SELECT ON VIEW {view} TO `{ana.name}`")
    admin.sql(f"GRANT USE CATALOG ON CATALOG main TO `{ana.name}`")
    admin.sql(f"GRANT USE SCHEMA ON SCHEMA main.default TO `{ana.name}`")
    of_view = f"SELECT count(*) FROM {view} WHERE experiment_id = '{fluent}'"
    assert (admin.sql(of_view), ana.sql(of_view)) == ([["8"]], [["0"]])
    levels = {"access_control_list": [{"user_name": ana.name, "permission_level": "CAN_READ"}]}
    admin.client.api_client.do("PATCH", f"/api/2.0/permissions/experiments/{fluent}", body=levels)
    assert (ana.sql(mine), ana.sql(of_view)) == ([["24"]], [["8"]])
    assert ana.sql(everything.format("runs")) == [["8"]]


def test_a_copy_is_a_table_for_every_reader_of_delta(admin, fluent, runs):
    copy = f"main.default.{unique('points')}"
    admin.sql(f"CREATE TABLE {copy} AS SELECT * FROM system.ml.metrics WHERE experiment_id = '{fluent}'")
    sums = "SELECT count(*), count(DISTINCT run_id), sum(metric_step), round(sum(metric_value), 6) FROM {} WHERE experiment_id = '{}'"
    assert admin.sql(sums.format(copy, fluent)) == admin.sql(sums.format("system.ml.metrics", fluent))
    assert admin.sql(sums.format(copy, fluent))[0][:3] == ["24", "8", "24"]
