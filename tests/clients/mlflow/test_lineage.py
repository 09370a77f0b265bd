"""Lineage: which version of which table a model was trained on, by which run; what statements read and wrote; two people see
different rows. By the unmodified `mlflow` and `databricks-sdk`."""

import base64
import json

import mlflow
import numpy as np
import pandas as pd
import pytest
import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.service.sql import StatementState
from harness import unique
from mlflow import MlflowClient
from mlflow.data.delta_dataset_source import DeltaDatasetSource
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

FRAME = pd.DataFrame(np.random.default_rng(1).normal(size=(40, 2)), columns=["a", "b"])
LATE = (FRAME["a"] > 0).astype(int)
NAMED = "name" if mlflow.__version__.startswith("3.") else "artifact_path"


def sql(server, token, statement):
    workspace = WorkspaceClient(host=server.url, token=token, auth_type="pat")
    warehouse = next(iter(workspace.warehouses.list())).id
    done = workspace.statement_execution.execute_statement(statement, warehouse, wait_timeout="50s")
    assert done.status.state == StatementState.SUCCEEDED, done.status.error
    return (done.result and done.result.data_array) or []


@pytest.fixture
def as_admin(server, monkeypatch):
    monkeypatch.setenv("DATABRICKS_HOST", server.url)
    monkeypatch.setenv("DATABRICKS_TOKEN", server.admin_token)
    mlflow.set_registry_uri("databricks-uc")


@pytest.fixture
def schema(server, catalog):
    """A schema with two tables and a view, the flights at version 2."""
    name = f"{catalog}.{unique('lineage')}"
    for statement in (
        f"CREATE SCHEMA {name}",
        f"CREATE TABLE {name}.flights (a DOUBLE, b DOUBLE)",
        f"INSERT INTO {name}.flights VALUES (1, 2)",
        f"INSERT INTO {name}.flights VALUES (3, 4)",
        f"CREATE TABLE {name}.copy AS SELECT * FROM {name}.flights",
        f"CREATE VIEW {name}.seen AS SELECT a FROM {name}.copy",
    ):
        sql(server, server.admin_token, statement)
    return name


def train(name, table, version):
    source = DeltaDatasetSource(delta_table_name=table, delta_table_version=version)
    with mlflow.start_run() as run:
        mlflow.log_input(mlflow.data.from_pandas(FRAME, source=source), context="training")
        mlflow.sklearn.log_model(
            LogisticRegression().fit(FRAME, LATE),
            **{NAMED: "model"},
            signature=infer_signature(FRAME, LATE),
            registered_model_name=name,
            pip_requirements=["scikit-learn"],
        )
    return run.info


MODEL = (
    "SELECT model_version, run_id, experiment_id, source_table_full_name, source_version, context "
    "FROM system.access.model_lineage WHERE model_full_name = '{}' AND array_contains(aliases, '{}')"
)
TABLE = (
    "SELECT source_type, source_table_full_name, target_type, target_table_full_name, entity_type, entity_id, entity_run_id "
    "FROM system.access.table_lineage WHERE source_table_schema = '{0}' OR target_table_schema = '{0}' "
    "ORDER BY source_table_name NULLS FIRST, target_table_name NULLS FIRST, entity_type"
)


def test_from_champion_to_the_version_of_its_table(server, as_admin, schema, fluent):
    name, table = f"{schema}.late", f"{schema}.flights"
    first, second = train(name, table, 1), train(name, table, 2)
    client = MlflowClient(tracking_uri=server.url, registry_uri="databricks-uc")
    client.set_registered_model_alias(name, "champion", "1")
    client.set_registered_model_alias(name, "challenger", "2")
    for alias, number, run in (("champion", "1", first), ("challenger", "2", second)):
        expected = [[number, run.run_id, run.experiment_id, table, number, "training"]]
        assert sql(server, server.admin_token, MODEL.format(name, alias)) == expected
    client.set_registered_model_alias(name, "champion", "2")
    assert [row[1] for row in sql(server, server.admin_token, MODEL.format(name, "champion"))] == [second.run_id]
    # What statements did, and what the runs read.
    copy, seen, nothing = f"{schema}.copy", f"{schema}.seen", [None, None]
    runs = sorted(["MLFLOW_RUN", run.experiment_id, run.run_id] for run in (first, second))
    found = sql(server, server.admin_token, TABLE.format(schema.split(".")[1]))
    by_statements = [row for row in found if row[4] is None]
    assert by_statements == [
        [*nothing, "TABLE", table, None, None, None],
        ["TABLE", copy, "VIEW", seen, None, None, None],
        ["TABLE", table, "TABLE", copy, None, None, None],
    ]
    assert sorted(row[4:] for row in found if row[4]) == runs
    assert all(row[:4] == ["TABLE", table, *nothing] for row in found if row[4])
    client.delete_model_version(name, "1")
    assert sql(server, server.admin_token, MODEL.format(name, "challenger"))[0][1] == second.run_id


def test_two_people_see_different_rows(server, as_admin, person, schema, fluent):
    ana = person("ana")
    name, table = f"{schema}.late", f"{schema}.flights"
    run = train(name, table, 2)
    client = MlflowClient(tracking_uri=server.url, registry_uri="databricks-uc")
    client.set_registered_model_alias(name, "champion", "1")

    def grant(privileges, kind, of):
        sql(server, server.admin_token, f"GRANT {privileges} ON {kind} {of} TO `{ana.name}`")

    def sees():
        models = [row[3] for row in sql(server, ana.token, MODEL.format(name, "champion"))]
        return models, [row[1::2][:2] for row in sql(server, ana.token, TABLE.format(schema.split(".")[1]))]

    assert sees() == ([], [])
    grant("USE CATALOG", "CATALOG", schema.split(".")[0])
    grant("USE SCHEMA", "SCHEMA", schema)
    grant("SELECT", "TABLE", f"{schema}.copy")
    grant("EXECUTE", "MODEL", name)
    # Each row names the flights, the view or the experiment as well.
    assert sees() == ([], [])
    grant("SELECT", "TABLE", table)
    assert sees() == ([], [[None, table], [table, f"{schema}.copy"]])
    levels = [{"user_name": ana.name, "permission_level": "CAN_READ"}]
    answer = requests.patch(
        f"{server.url}/api/2.0/permissions/experiments/{run.experiment_id}",
        json={"access_control_list": levels},
        headers={"Authorization": f"Bearer {server.admin_token}"},
        timeout=30,
    )
    assert answer.status_code == 200, answer.text
    assert sees() == ([table], [[None, table], [table, None], [table, f"{schema}.copy"]])
    sql(server, server.admin_token, f"REVOKE SELECT ON TABLE {table} FROM `{ana.name}`")
    # That the run made the version names no table.
    assert sees() == ([None], [])


def test_what_one_may_not_read_is_not_recorded(server, as_admin, person, schema, fluent, monkeypatch):
    """Ana names a table that she may not read, as a dataset and in the header of a job: she makes no facts of it."""
    ana = person("ana")
    for privileges, kind, of in (
        ("USE CATALOG", "CATALOG", schema.split(".")[0]),
        ("USE SCHEMA, CREATE MODEL", "SCHEMA", schema),
        ("SELECT", "TABLE", f"{schema}.copy"),
    ):
        sql(server, server.admin_token, f"GRANT {privileges} ON {kind} {of} TO `{ana.name}`")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", ana.token)
    monkeypatch.setenv("DATABRICKS_TOKEN", ana.token)
    mlflow.set_experiment(unique("hers"))
    name = f"{schema}.hers"
    run = train(name, f"{schema}.flights", 2)
    listed = [f"{schema}.flights", f"{schema}.copy"]
    told = {"lineages": [{"source_securables": [{"table": {"name": table}} for table in listed]}]}
    answer = requests.post(
        f"{server.url}/api/2.0/mlflow/unity-catalog/model-versions/create",
        json={"name": name, "source": "here"},
        headers={
            "Authorization": f"Bearer {ana.token}",
            "X-Databricks-Lineage-Identifier": base64.b64encode(json.dumps(told).encode()).decode(),
        },
        timeout=30,
    )
    assert answer.status_code == 200, answer.text
    lineage = (
        "SELECT model_version, run_id, source_table_full_name FROM system.access.model_lineage "
        f"WHERE model_full_name = '{name}' ORDER BY model_version"
    )
    expected = [["1", run.run_id, None], ["2", None, f"{schema}.copy"]]
    assert sql(server, ana.token, lineage) == expected
    assert sql(server, server.admin_token, lineage) == expected
