"""Purging a run: who may, what is left of it, and where its space goes. On a server of its own: what other tests left free in its
file would hide how much a run takes."""

import os
import subprocess

import pytest
from databricks.sdk.errors import NotFound
from harness import Server, binary, until
from mlflow.exceptions import MlflowException

PURGE = "/api/2.0/crannog/runs/purge"
POINTS, BATCH = 200_000, 1_000
MARGIN = 500_000


@pytest.fixture(scope="module")
def server():
    with Server("--log", "warn") as running:
        yield running


def purge(person, run):
    person.client.api_client.do("POST", PURGE, body={"run_id": run})


def test_a_run_is_gone_and_its_space_is_back_within_a_minute(server, client, run):
    admin, file = server.admin(), server.data / "meta.db"
    before = file.stat().st_size if file.exists() else 0
    for at in range(0, POINTS, BATCH):
        points = [{"key": "loss", "value": n / 7, "timestamp": n, "step": n} for n in range(at, at + BATCH)]
        admin.client.api_client.do("POST", "/api/2.0/mlflow/runs/log-batch", body={"run_id": run, "metrics": points})
    logged = POINTS * 10
    if file.exists():
        assert file.stat().st_size - before > logged * 0.9
    client.delete_run(run)
    purge(admin, run)
    with pytest.raises(MlflowException, match="not found"):
        client.get_run(run)
    with pytest.raises(MlflowException, match="not found"):
        client.restore_run(run)
    assert admin.sql(f"SELECT count(*) FROM system.ml.metrics WHERE run_id = '{run}'") == [["0"]]
    assert admin.sql(f"SELECT count(*) FROM system.ml.runs WHERE run_id = '{run}'") == [["0"]]
    if file.exists():
        until(lambda: file.stat().st_size - before <= logged * 0.1 + MARGIN, "the database has given the space back", 60)
    with pytest.raises(NotFound):
        purge(admin, run)


def test_it_takes_who_manages_the_experiment(server, client, experiment, run):
    admin, ana = server.admin(), server.person("ana")
    with pytest.raises(NotFound):
        purge(ana, run)
    levels = {"access_control_list": [{"user_name": ana.name, "permission_level": "CAN_EDIT"}]}
    admin.client.api_client.do("PATCH", f"/api/2.0/permissions/experiments/{experiment}", body=levels)
    with pytest.raises(Exception, match="CAN_MANAGE"):
        purge(ana, run)
    assert client.get_run(run).info.run_id == run
    levels["access_control_list"][0]["permission_level"] = "CAN_MANAGE"
    admin.client.api_client.do("PATCH", f"/api/2.0/permissions/experiments/{experiment}", body=levels)
    # It need not be deleted before.
    purge(ana, run)
    with pytest.raises(MlflowException, match="not found"):
        client.get_run(run)
    rows = f"SELECT user_identity.email FROM system.access.audit WHERE action_name = 'purgeRun' AND request_params['runId'] = '{run}'"
    assert admin.sql(rows) == [[ana.name]]


def test_the_command_purges_what_was_deleted_and_nothing_else_unless_told(server, client, experiment):
    def crannog(*words):
        env = {**os.environ, "CRANNOG_HOST": server.url, "CRANNOG_TOKEN": server.admin_token}
        done = subprocess.run([str(binary()), "purge", *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, env=env, check=False)
        return done.returncode, done.stdout, done.stderr

    def left():
        return {run.info.run_id for run in client.search_runs([experiment], run_view_type=3)}

    one, two, three, four = (client.create_run(experiment).info.run_id for _ in range(4))
    for run in (one, two, three):
        client.delete_run(run)
    code, out, said = crannog(one, four)
    assert code == 1 and out == "" and f"{four} is not deleted" in said and left() == {one, two, three, four}
    assert crannog(one) == (0, "1 purged\n", "") and left() == {two, three, four}
    assert crannog("--experiment", experiment) == (0, "2 purged\n", "") and left() == {four}
    assert crannog("--experiment", experiment) == (0, "0 purged\n", "")
    assert crannog("--even-active", four) == (0, "1 purged\n", "") and left() == set()
    code, _, said = crannog(one)
    assert code == 1 and one in said

    # A deleted experiment goes itself, with all that is in it, and its name is free.
    name, run = client.get_experiment(experiment).name, client.create_run(experiment).info.run_id
    client.delete_experiment(experiment)
    assert crannog("--experiment", experiment) == (0, "1 purged\n", "")

    def gone():
        found = client.search_experiments(view_type=3, filter_string=f"name = '{name}'")
        return not found

    until(gone, "the experiment is purged", 60)
    with pytest.raises(MlflowException, match="not found"):
        client.get_run(run)
    assert client.search_runs([client.create_experiment(name)], run_view_type=3) == []
    assert crannog()[0] == 2
