"""Datasets as inputs of runs."""

import mlflow
import mlflow.data
import numpy as np
import pandas as pd
import pytest
from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.exceptions import MlflowException


def test_what_the_fluent_api_logs(client, fluent):
    planes = mlflow.data.from_pandas(pd.DataFrame({"a": [1, 2], "日": ["x", "y"]}), name="planes 日本", targets="a")
    with mlflow.start_run() as started:
        mlflow.log_input(planes, context="training", tags={"release": "1"})
        mlflow.log_input(mlflow.data.from_numpy(np.arange(6).reshape(2, 3), name="grid"), context="eval")
    found = {i.dataset.name: i for i in client.get_run(started.info.run_id).inputs.dataset_inputs}
    assert set(found) == {"planes 日本", "grid"}
    one = found["planes 日本"]
    assert one.dataset.digest == planes.digest and one.dataset.source_type == planes.source._get_source_type()
    assert {t.key: t.value for t in one.tags} == {"mlflow.data.context": "training", "release": "1"}
    assert '"日"' in one.dataset.schema or "日" in one.dataset.schema.encode().decode("unicode_escape")
    assert "num_rows" in one.dataset.profile


def test_a_dataset_of_a_delta_table(client, run):
    """What the demo's trainings log: the name and version of a governed table."""
    source = '{"path": null, "delta_table_name": "main.flights.flights", "delta_table_version": 3, "is_databricks_uc_table": true}'
    table = Dataset("flights", "d1", "delta_table", source)
    client.log_inputs(run, [DatasetInput(table, [InputTag("mlflow.data.context", "train")])])
    (got,) = client.get_run(run).inputs.dataset_inputs
    assert (got.dataset.source_type, got.dataset.source) == ("delta_table", source)


def test_the_same_again_is_one(client, experiment, run):
    table = Dataset("planes", "d1", "local", "{}")
    for _ in range(2):
        client.log_inputs(run, [DatasetInput(table, [InputTag("mlflow.data.context", "train")])])
    assert len(client.get_run(run).inputs.dataset_inputs) == 1
    other = client.create_run(experiment).info.run_id
    client.log_inputs(other, [DatasetInput(table, [InputTag("mlflow.data.context", "eval")])])
    found = client.search_runs([experiment], "datasets.name = 'planes' AND datasets.context = 'eval'")
    assert [r.info.run_id for r in found] == [other]
    assert {r.info.run_id for r in client.search_runs([experiment], "dataset.digest IN ('d1', 'd2')")} == {run, other}


def test_a_run_that_is_not_there(client):
    with pytest.raises(MlflowException):
        client.log_inputs("0" * 32, [DatasetInput(Dataset("a", "b", "local", "{}"))])
