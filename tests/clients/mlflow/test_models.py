"""Models that runs log: with a signature and an input example, loaded again, and what is written down of them."""

import json

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

ROWS = pd.DataFrame(np.random.default_rng(1).normal(size=(60, 2)), columns=["delay", "wind 風"])
LATE = (ROWS["delay"] > 0).astype(int)
THREE = mlflow.__version__.startswith("3.")


@pytest.fixture(scope="module")
def trained():
    return LogisticRegression().fit(ROWS, LATE)


def log(trained, name="model", **more):
    """Version 3 has another word for the model's name."""
    named = {"name" if THREE else "artifact_path": name}
    signature = infer_signature(ROWS, trained.predict(ROWS))
    return mlflow.sklearn.log_model(trained, **named, signature=signature, input_example=ROWS.head(2), pip_requirements=["scikit-learn"], **more)


def test_a_model_is_logged_and_loaded_again(client, fluent, trained):
    with mlflow.start_run() as started:
        made = log(trained)
    again = mlflow.pyfunc.load_model(made.model_uri)
    assert list(again.predict(ROWS)) == list(trained.predict(ROWS))
    assert [column.name for column in again.metadata.signature.inputs] == ["delay", "wind 風"]
    assert list(mlflow.sklearn.load_model(f"runs:/{started.info.run_id}/model").predict(ROWS)) == list(trained.predict(ROWS))


def test_what_a_run_says_of_its_model(client, fluent, trained):
    with mlflow.start_run() as started:
        made = log(trained)
    run = client.get_run(started.info.run_id)
    if not THREE:
        (noted,) = json.loads(run.data.tags["mlflow.log-model.history"])
        assert noted["artifact_path"] == "model"
        assert {a.path for a in client.list_artifacts(run.info.run_id, "model")} >= {"model/MLmodel", "model/input_example.json"}
        return
    (output,) = run.outputs.model_outputs
    assert output.model_id == made.model_id
    model = mlflow.get_logged_model(made.model_id)
    assert (model.name, model.status.value, model.source_run_id) == ("model", "READY", run.info.run_id)
    assert [m.model_id for m in mlflow.search_logged_models([fluent], output_format="list")] == [made.model_id]
    mlflow.set_logged_model_tags(made.model_id, {"team": "maps"})
    found = mlflow.search_logged_models([fluent], filter_string="tags.team = 'maps' AND name = 'model'", output_format="list")
    assert [m.model_id for m in found] == [made.model_id]
    with mlflow.start_run(run_id=run.info.run_id):
        mlflow.log_metric("acc", 0.75, model_id=made.model_id)
    assert [(m.key, m.value) for m in mlflow.get_logged_model(made.model_id).metrics] == [("acc", 0.75)]


def test_autolog_logs_the_model_too(client, fluent, trained):
    mlflow.sklearn.autolog(silent=True)
    try:
        LogisticRegression(C=2.0).fit(ROWS, LATE)
    finally:
        mlflow.sklearn.autolog(disable=True)
    (run,) = client.search_runs([fluent])
    again = mlflow.sklearn.load_model(f"runs:/{run.info.run_id}/model")
    assert again.C == 2.0
