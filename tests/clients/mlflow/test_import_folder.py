"""`crannog import mlflow` of a folder `mlruns`: what version 2 and 3 of MLflow write there is the same here, to the same client."""

import mlflow
import pytest

from imported import LEFT_OUT, crannog, registered, tracked
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

THREE = mlflow.__version__.startswith("3.")
T0 = 1_700_000_000_000
LONG = "a long name: with 'quotes', \"more\" and # signs, which is longer than a line of YAML is in a file, größer als das"


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A folder that MLflow filled, and its client."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    folder = tmp_path / "mlruns"
    mlflow.set_tracking_uri(folder.as_uri())
    client = MlflowClient(folder.as_uri(), folder.as_uri())
    first = client.create_experiment("late flights", tags={"team": "ops"})
    run = client.create_run(first, start_time=T0, run_name=LONG, tags={"mlflow.user": "ana"}).info.run_id
    points = [Metric("val/loss", value, T0 + step, step) for step, value in enumerate([0.5, float("nan"), 1e-300, -0.0, 7.25])]
    client.log_batch(run, [*points, Metric("acc", 0.75, T0, -3)], [Param("depth", "8"), Param("text", "a\nb: c")], [RunTag("note", "two\nlines")])
    schema = '{"mlflow_colspec": [{"type": "long", "name": "delay", "required": true}, {"type": "long", "name": "wind", "required": true}]}'
    dataset = Dataset("flights", "abc123", "local", '{"uri": "x"}', schema, '{"rows": 9}')
    client.log_inputs(run, [DatasetInput(dataset, [InputTag("mlflow.data.context", "train")])])
    (tmp_path / "notes.txt").write_text("the first try\n")
    client.log_artifact(run, tmp_path / "notes.txt", "model")
    client.set_terminated(run, "FAILED", T0 + 9)
    client.delete_run(client.create_run(first, start_time=T0 + 1).info.run_id)
    client.delete_experiment(client.create_experiment("gone"))
    client.create_registered_model("late", {"a": "b"}, "was it late?\nyes")
    version = client.create_model_version("late", f"{client.get_run(run).info.artifact_uri}/model", run, tags={"n": "1"}, description="it's: fine")
    client.create_model_version("late", "s3://bucket/late")
    client.set_registered_model_alias("late", "champion", version.version)
    client.transition_model_version_stage("late", version.version, "Staging")
    if THREE:
        from mlflow.entities import LoggedModelOutput

        made = client.create_logged_model(first, name="tree", source_run_id=run, tags={"t": "u"}, params={"p": "1"}, model_type="test")
        client.log_model_artifact(made.model_id, str(tmp_path / "notes.txt"))
        client.log_batch(run, [Metric("auc", 0.5, T0, 0, model_id=made.model_id, dataset_name="flights", dataset_digest="abc123")])
        client.finalize_logged_model(made.model_id, "READY")
        client.log_outputs(run, [LoggedModelOutput(made.model_id, 4)])
    return folder, client, run


def test_a_folder_is_the_same_here_and_twice_changes_nothing(source, fresh):
    folder, theirs, run = source
    ours = MlflowClient(fresh.url, fresh.url)
    code, report = crannog(fresh, folder)
    assert code == 0, report
    found, expected = tracked(ours), tracked(theirs)
    assert set(found) == set(expected)
    for key, seen in expected.items():
        assert found[key] == seen
    names = {"late": "late"}
    here, there = (registered(client, names)["late"] for client in (ours, theirs))
    assert here[:4] == there[:4]
    for number, version in there[4].items():
        assert here[4][number] == version
    assert ours.get_run(run).info.run_name == LONG
    with open(ours.download_artifacts(run, "model/notes.txt")) as file:
        assert file.read() == "the first try\n"
    experiment = ours.get_run(run).info.experiment_id
    assert ours.get_model_version_download_uri("late", "1") == f"mlflow-artifacts:/{experiment}/{run}/artifacts/model"
    code, report = crannog(fresh, folder)
    assert code == 0 and "runs: 0 taken over, 2 there already" in report and "files: 0 taken over" in report
    assert tracked(ours) == found


def test_a_file_that_cannot_be_read_is_reported_and_the_rest_goes_on(source, fresh):
    folder, theirs, run = source
    broken = theirs.create_run("0", start_time=T0).info.run_id
    (folder / "0" / broken / "meta.yaml").write_text("name: 'never ends")
    code, report = crannog(fresh, folder)
    assert code == LEFT_OUT and broken in report
    assert MlflowClient(fresh.url).get_run(run).info.status == "FAILED"
