"""`crannog import mlflow` of databases as older versions of MLflow made them: MLflow's own migrations, ended at the version's last, and
rows in what there was then."""

import os
import sqlite3
import subprocess
from pathlib import Path

import mlflow
import pytest
from alembic import command
from alembic.config import Config
from harness import Server, binary
from imported import crannog
from mlflow import MlflowClient
from mlflow.store.tracking.dbmodels.initial_models import Base
from sqlalchemy import create_engine

T0 = 1_500_000_000_000

# The last migration of a version of MLflow, and what came with the later ones.
VERSIONS = {
    "1.0": ("451aebb31d03", set()),
    "1.2": ("df50e92ffc5e", {"experiment tags"}),
    "1.4": ("2b4d017a5e9b", {"experiment tags", "models"}),
    "1.12": ("27a6a02d2cf1", {"experiment tags", "models", "tags of models"}),
    "2.0": ("97727af70f4d", {"experiment tags", "models", "tags of models", "times of experiments"}),
    "2.9": ("acf3f17fdcc7", {"experiment tags", "models", "tags of models", "times of experiments", "aliases", "datasets"}),
}


@pytest.fixture(scope="module")
def alone():
    """A server whose ids nobody else uses."""
    with Server("--log", "warn") as running:
        yield running


@pytest.fixture
def fresh(alone, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", alone.admin_token)
    return alone


def names(version):
    """The ids of a version's experiment and run, and the name of its model: one server takes them all."""
    number = 7 + list(VERSIONS).index(version)
    return str(number), f"{number:032x}", f"late{number}"


def made(database, revision):
    """A database of MLflow after one of its migrations; without one, before the first."""
    engine = create_engine(f"sqlite:///{database}")
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        scripts = Path(mlflow.__file__).parent / "store" / "db_migrations"
        config = Config(str(scripts / "alembic.ini"))
        config.set_main_option("script_location", str(scripts))
        config.set_main_option("sqlalchemy.url", f"sqlite:///{database}")
        config.attributes["connection"] = connection
        command.upgrade(config, revision) if revision else command.stamp(config, "451aebb31d03")
    engine.dispose()
    return database


def insert(into, table, **values):
    into.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})", list(values.values()))


def fill(database, has, experiment, run, model):
    with sqlite3.connect(database) as into:
        times = {"creation_time": T0, "last_update_time": T0 + 1} if "times of experiments" in has else {}
        insert(into, "experiments", experiment_id=0, name="Default", artifact_location="s3://bucket/0", lifecycle_stage="active", **times)
        insert(into, "experiments", experiment_id=experiment, name=f"old {experiment}", artifact_location="s3://bucket/7", lifecycle_stage="active", **times)
        insert(
            into, "runs", run_uuid=run, name="first", source_type="LOCAL", user_id="ana", status="FINISHED", start_time=T0, end_time=T0 + 5,
            lifecycle_stage="active", artifact_uri="s3://bucket/7/files", experiment_id=experiment,
        )  # fmt: skip
        for step in range(3):
            insert(into, "metrics", key="loss", value=0.5 * step, timestamp=T0 + step, run_uuid=run, step=step)
        insert(into, "params", key="depth", value="8", run_uuid=run)
        insert(into, "tags", key="color", value="grün", run_uuid=run)
        if "experiment tags" in has:
            insert(into, "experiment_tags", key="team", value="ops", experiment_id=experiment)
        if "models" in has:
            insert(into, "registered_models", name=model, creation_time=T0, last_updated_time=T0 + 1, description="was it late?")
            insert(
                into, "model_versions", name=model, version=3, creation_time=T0, last_updated_time=T0 + 2, current_stage="Production",
                source="s3://bucket/model", run_id=run, status="READY", description="the third", user_id="ana",
            )  # fmt: skip
        if "tags of models" in has:
            insert(into, "registered_model_tags", key="a", value="b", name=model)
            insert(into, "model_version_tags", key="c", value="d", name=model, version=3)
        if "aliases" in has:
            insert(into, "registered_model_aliases", alias="champion", version=3, name=model)
        if "datasets" in has:
            insert(
                into, "datasets", dataset_uuid="d1", experiment_id=experiment, name="flights", digest="abc", dataset_source_type="local",
                dataset_source="{}",
            )  # fmt: skip
            insert(into, "inputs", input_uuid="i1", source_type="DATASET", source_id="d1", destination_type="RUN", destination_id=run)
            insert(into, "input_tags", input_uuid="i1", name="mlflow.data.context", value="train")


@pytest.mark.parametrize("version", VERSIONS)
def test_what_an_older_version_kept_is_here(fresh, tmp_path, version):
    (revision, has), (experiment_id, run_id, name) = VERSIONS[version], names(version)
    database = made(tmp_path / "old.db", revision)
    fill(database, has, experiment_id, run_id, name)
    code, report = crannog(fresh, database)
    assert code == 0 and "experiments: 1 taken over, 1 there already" in report and "runs: 1 taken over" in report, report
    ours = MlflowClient(fresh.url, fresh.url)
    experiment, run = ours.get_experiment(experiment_id), ours.get_run(run_id)
    assert experiment.name == f"old {experiment_id}" and experiment.tags == ({"team": "ops"} if "experiment tags" in has else {})
    assert (experiment.creation_time == T0) == ("times of experiments" in has)
    assert (run.info.run_name, run.info.user_id, run.info.status) == ("first", "ana", "FINISHED")
    assert (run.info.start_time, run.info.end_time) == (T0, T0 + 5)
    assert run.data.params == {"depth": "8"} and run.data.tags["color"] == "grün"
    assert [(m.value, m.timestamp, m.step) for m in ours.get_metric_history(run_id, "loss")] == [(0.5 * s, T0 + s, s) for s in range(3)]
    datasets = [(i.dataset.name, i.dataset.digest, [(t.key, t.value) for t in i.tags]) for i in run.inputs.dataset_inputs]
    assert datasets == ([("flights", "abc", [("mlflow.data.context", "train")])] if "datasets" in has else [])
    if "models" not in has:
        assert ours.search_registered_models(f"name = '{name}'") == []
        return
    model, one = ours.get_registered_model(name), ours.get_model_version(name, "3")
    assert (model.description, model.tags) == ("was it late?", {"a": "b"} if "tags of models" in has else {})
    assert (one.source, one.run_id, one.current_stage, one.description) == ("s3://bucket/model", run_id, "Production", "the third")
    assert one.tags == ({"c": "d"} if "tags of models" in has else {})
    assert {k: int(v) for k, v in model.aliases.items()} == ({"champion": 3} if "aliases" in has else {})


def test_one_that_lacks_what_is_needed_is_refused_with_what_to_do(fresh, tmp_path):
    before = made(tmp_path / "older.db", None)
    cut = made(tmp_path / "cut.db", "2b4d017a5e9b")
    with sqlite3.connect(cut) as into:
        into.execute("DROP TABLE params")
    for database, lacks in ((before, "metrics.step"), (cut, "params.run_uuid")):
        done = subprocess.run(
            [str(binary()), "import", "mlflow", str(database)], capture_output=True, text=True, check=False,
            env={**os.environ, "CRANNOG_HOST": fresh.url, "CRANNOG_TOKEN": fresh.admin_token},
        )  # fmt: skip
        assert done.returncode == 1 and done.stdout == ""
        assert done.stderr.startswith(f"crannog: the source has no column {lacks},") and "`mlflow db upgrade`" in done.stderr
