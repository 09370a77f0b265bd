"""Purging a run: who may, what is left of it, and where its space goes. On a server of its own: what other tests left free in its
file would hide how much a run takes."""

import pytest
from databricks.sdk.errors import NotFound
from harness import Server, until
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
