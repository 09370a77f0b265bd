"""`crannog import mlflow`: what version 2 and 3 of MLflow write to their own database is the same here, to the same client, with the
same ids."""

import json
import os
import shutil
import sqlite3
import subprocess
from urllib.parse import urlsplit

import mlflow
import pytest
from harness import binary, unique, until
from imported import LEFT_OUT, crannog, plain, registered, tracked
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException

THREE = mlflow.__version__.startswith("3.")
T0 = 1_700_000_000_000


def point(key, value, step=0, time=T0):
    return Metric(key, value, time + step, step)


def fill(client, folder):
    """Experiments, runs, datasets, models and versions, as MLflow writes them."""
    first = client.create_experiment("late flights", artifact_location=str(folder / "files" / "1"), tags={"team": "ops", "größe": "日本"})
    second = client.create_experiment("gone", artifact_location="s3://bucket/gone")
    odd = client.create_run(first, start_time=T0, tags={"mlflow.user": "ana", "mlflow.note.content": "x" * 4000}, run_name="odd numbers").info.run_id
    values = [0.5, -0.0, float("nan"), float("inf"), float("-inf"), 1e-300, 123456789.125]
    client.log_batch(
        odd,
        [point("loss", value, step) for step, value in enumerate(values)]
        + [point("loss", 0.25, 3, T0 + 9), point("loss", 7.0, -2), point("größe/a b", 1.0, 2**40)],
        [Param("depth", "8"), Param("text", "y" * 400)],
        [RunTag("color", "rot, grün")],
    )
    client.set_terminated(odd, "FAILED", T0 + 5)
    dataset = Dataset("flights", "abc123", "delta_table", '{"version": 3}', '{"a": 1}', '{"rows": 9}')
    client.log_inputs(odd, [DatasetInput(dataset, [InputTag("mlflow.data.context", "train"), InputTag("b", "c")])])
    (folder / "notes.txt").write_text("the first try\n")
    client.log_artifact(odd, folder / "notes.txt")
    client.log_artifact(odd, folder / "notes.txt", "deep/er")
    long = client.create_run(first, start_time=T0 + 1).info.run_id
    for at in range(0, 3000, 1000):
        client.log_batch(long, [point("m", n / 7, n) for n in range(at, at + 1000)])
    deleted = client.create_run(first, start_time=T0 + 2).info.run_id
    client.delete_run(deleted)
    elsewhere = client.create_run(second, start_time=T0 + 3).info.run_id
    client.set_terminated(elsewhere)
    client.delete_experiment(second)
    client.create_run("0", start_time=T0 + 4, run_name="of the default")

    client.create_registered_model("late", {"a": "b"}, "was it late?")
    client.create_registered_model("my model.v", {}, "")
    source = f"{client.get_run(odd).info.artifact_uri}/deep"
    one = client.create_model_version("late", source, odd, tags={"n": "1"}, description="the first").version
    two = client.create_model_version("late", "s3://bucket/late").version
    client.create_model_version("late", "s3://bucket/three")
    client.delete_model_version("late", "2")
    client.set_registered_model_alias("late", "champion", one)
    client.set_registered_model_alias("late", "challenger", "3")
    client.transition_model_version_stage("late", one, "Production")
    client.create_model_version("my model.v", "s3://bucket/other")
    assert str(two) == "2"
    if THREE:
        from mlflow.entities import LoggedModelInput, LoggedModelOutput

        made = client.create_logged_model(first, name="tree", source_run_id=odd, tags={"t": "u"}, params={"p": "1"}, model_type="test")
        client.log_model_artifact(made.model_id, str(folder / "notes.txt"))
        client.finalize_logged_model(made.model_id, "READY")
        client.log_batch(odd, [Metric("acc", 0.75, T0, 4, model_id=made.model_id, dataset_name="flights", dataset_digest="abc123")])
        client.log_outputs(odd, [LoggedModelOutput(made.model_id, 4)])
        client.log_inputs(long, models=[LoggedModelInput(made.model_id)])
        client.create_model_version("late", f"models:/{made.model_id}", model_id=made.model_id)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A database that MLflow filled, and its client."""
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder}/mlflow.db"
    client = MlflowClient(uri, uri)
    mlflow.set_tracking_uri(uri)  # the registry looks for logged models there
    fill(client, folder)
    return folder / "mlflow.db", client


def test_everything_is_the_same_here_and_twice_changes_nothing(source, fresh):
    database, theirs = source
    ours = MlflowClient(fresh.url, fresh.url)
    code, report = crannog(fresh, database)
    assert code == 0, report
    assert "experiments: 2 taken over, 1 there already" in report and "runs: 5 taken over" in report
    assert "'my model.v' is called 'main.default.my_model_v'" in report
    expected, models = tracked(theirs), {"late": "late", "my model.v": "other"}
    found = tracked(ours)
    assert set(found) == set(expected)
    for key, seen in expected.items():
        assert found[key] == seen
    here = {"late": "late", "my_model_v": "other"}
    assert registered(ours, here) == registered(theirs, models)

    (odd,) = [r.info.run_id for r in ours.search_runs(["1"], "run_name = 'odd numbers'")]
    assert ours.get_run(odd).info.artifact_uri == f"mlflow-artifacts:/1/{odd}/artifacts"
    with open(ours.download_artifacts(odd, "deep/er/notes.txt")) as file:
        assert file.read() == "the first try\n"
    assert ours.get_model_version_download_uri("late", "1") == f"mlflow-artifacts:/1/{odd}/artifacts/deep"
    assert ours.get_model_version_download_uri("late", "3") == "s3://bucket/three"
    assert str(ours.get_model_version_by_alias("late", "champion").version) == "1"
    if THREE:
        (model,) = [model.model_id for model in ours.search_logged_models(["1"])]
        assert ours.get_model_version_download_uri("late", "4") == f"mlflow-artifacts:/1/models/{model}/artifacts"
        assert [file.path for file in ours.list_logged_model_artifacts(model)] == ["notes.txt"]
    # A number is given once: that of the version that was deleted comes from before the import.
    assert str(ours.create_model_version("my_model_v", "s3://bucket/next").version) == "2"
    ours.delete_model_version("my_model_v", "2")

    code, report = crannog(fresh, database)
    assert code == 0 and "runs: 0 taken over, 5 there already" in report and "files: 0 taken over" in report
    assert (tracked(ours), registered(ours, here)) == (found, registered(theirs, models))
    # What is made next has ids of its own.
    assert int(ours.create_experiment(unique("next"))) > 2


def copied(database, url, folder):
    """Every table of a SQLite file in a new database of PostgreSQL, with the types that MLflow has there; gives its URL."""
    name = unique("mlflow")
    into = urlsplit(url)._replace(path=f"/{name}").geturl()
    subprocess.run(["psql", url, "-qc", f"CREATE DATABASE {name}"], check=True, stdin=subprocess.DEVNULL)
    types = {"FLOAT": "DOUBLE PRECISION", "DATETIME": "TIMESTAMP", "BLOB": "BYTEA", "JSON": "TEXT"}
    script = []
    with sqlite3.connect(database) as read:
        for (table,) in read.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'").fetchall():
            columns = read.execute(f"PRAGMA table_info({table})").fetchall()
            named = ", ".join(f'"{column}" {types.get(kind.split("(")[0], kind)}' for _, column, kind, *_ in columns)
            rows = folder / f"{table}.csv"
            # What is not quoted and empty is NULL.
            shown = (",".join("" if v is None else '"' + str(v).replace('"', '""') + '"' for v in row) for row in read.execute(f"SELECT * FROM {table}"))
            rows.write_text("".join(f"{line}\n" for line in shown))
            script += [f'CREATE TABLE "{table}" ({named});', f"\\copy \"{table}\" FROM '{rows}' CSV"]
    subprocess.run(["psql", into, "-q", "-v", "ON_ERROR_STOP=1"], check=True, input="\n".join(script), text=True)
    return into


POSTGRES = os.environ.get("CRANNOG_TEST_DATABASE_URL")

if POSTGRES:

    def test_from_postgresql_it_is_the_same(source, fresh, tmp_path):
        database, theirs = source
        # As SQLAlchemy is told of it.
        code, report = crannog(fresh, copied(database, POSTGRES, tmp_path).replace("postgresql://", "postgresql+psycopg2://"))
        assert code == 0, report
        found, expected = tracked(MlflowClient(fresh.url, fresh.url)), tracked(theirs)
        assert set(found) == set(expected)
        for key, seen in expected.items():
            assert found[key] == seen
        files, versions = (3, 4) if THREE else (2, 3)
        assert f"files: {files} taken over" in report and f"versions of models: {versions} taken over" in report


def test_ids_in_use_are_reported_and_left(source, fresh):
    database, _ = source
    ours = MlflowClient(fresh.url, fresh.url)
    mine = ours.create_experiment("mine")
    assert mine == "1"
    ours.create_registered_model("late")
    before = tracked(ours)
    code, report = crannog(fresh, database)
    assert code == LEFT_OUT
    assert "the id is in use by the experiment 'mine' (1)" in report
    assert "3 runs: their experiment was left out" in report
    assert "the name is in use by another model" in report
    after = tracked(ours)
    assert after["1"] == before["1"] and ours.search_model_versions("name = 'late'") == []
    assert "runs: 2 taken over" in report

    # A name in use is no reason to leave an experiment out.
    other = ours.create_experiment("a name")
    with sqlite3.connect(database) as read:
        copy = database.with_name("renamed.db")
        with sqlite3.connect(copy) as written:
            read.backup(written)
            written.execute("UPDATE experiments SET experiment_id = 77, name = 'a name' WHERE experiment_id = 2")
            written.execute("DELETE FROM runs WHERE experiment_id = 2")
    crannog(fresh, copy)
    assert ours.get_experiment(other).name == "a name" and ours.get_experiment("77").name == "a name (77)"


def many(database, runs, points):
    """A database with many runs, written as MLflow writes them; the last run has more points than one request takes."""
    with sqlite3.connect(database) as into:
        for n in range(runs):
            run = f"{n:032x}"
            into.execute(
                "INSERT INTO runs (run_uuid, name, source_type, user_id, status, start_time, lifecycle_stage, artifact_uri, experiment_id) "
                "VALUES (?, ?, 'UNKNOWN', 'ana', 'FINISHED', ?, 'active', '', 0)",
                (run, f"r{n}", T0 + n),
            )
            into.executemany(
                "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, ?, 0)",
                (("m", i / 3, T0 + i, run, i) for i in range(points if n < runs - 1 else 120_000)),
            )
            into.execute("INSERT INTO params VALUES ('p', ?, ?)", (str(n), run))
    return runs


def empty(folder):
    """A database of MLflow without anything."""
    uri = f"sqlite:///{folder}/mlflow.db"
    MlflowClient(uri, uri).search_experiments()
    return folder / "mlflow.db"


def test_killed_it_goes_on_and_ends_equal(fresh, tmp_path):
    database = empty(tmp_path)
    runs = many(database, 600, 500)
    ours = MlflowClient(fresh.url, fresh.url)

    def here(number):
        try:
            return ours.get_run(f"{number:032x}")
        except MlflowException:
            return None

    kills = 0
    for number in (20, 220, 420):
        running = crannog(fresh, database, start=True)
        until(lambda: running.poll() is not None or here(number), f"run {number} is here")
        if running.poll() is None:
            running.kill()
            kills += 1
        running.wait()
    assert kills > 0
    code, report = crannog(fresh, database)
    assert code == 0, report
    assert len(ours.search_runs(["0"], max_results=1000)) == runs
    last = f"{runs - 1:032x}"
    history = ours.get_metric_history(last, "m")
    assert plain(history) == sorted((i, T0 + i, repr(i / 3)) for i in range(120_000))
    assert [m.value for m in ours.get_metric_history(f"{5:032x}", "m")] == [i / 3 for i in range(500)]
    assert ours.get_run(last).data.metrics == {"m": 119_999 / 3}
    code, report = crannog(fresh, database)
    assert f"runs: 0 taken over, {runs} there already" in report


def test_files_behind_a_server_and_what_is_left_out(fresh, tmp_path):
    database = empty(tmp_path)
    uri = f"sqlite:///{database}"
    theirs, ours = MlflowClient(uri, uri), MlflowClient(fresh.url, fresh.url)
    mlflow.set_tracking_uri(fresh.url)  # version 2 asks for files there, whatever the client's own is
    run = theirs.create_run("0", start_time=T0).info.run_id
    with sqlite3.connect(database) as into:
        into.execute("UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", (f"mlflow-artifacts:/0/{run}/artifacts", run))
        if THREE:
            into.execute(
                "INSERT INTO webhooks (webhook_id, name, url, status, creation_timestamp, last_updated_timestamp) "
                "VALUES ('w', 'w', 'x', 'ACTIVE', 0, 0)"
            )
    theirs.create_registered_model("nowhere.there.late")
    behind = tmp_path / "behind" / "0" / run / "artifacts"
    (behind / "a b").mkdir(parents=True)
    (behind / "a b" / "größe.bin").write_bytes(bytes(range(256)) * 5000)
    (behind / "secret").symlink_to("/etc/passwd")

    code, report = crannog(fresh, database)
    assert code == LEFT_OUT and "--artifacts names that of MLflow's server" in report
    assert ours.list_artifacts(run) == []
    code, report = crannog(fresh, database, "--artifacts", tmp_path / "behind")
    assert code == LEFT_OUT and "files: 1 taken over" in report and "links" in report
    assert "1 registered models" in report and "nowhere.there.late" in report
    assert ("1 webhooks: nothing here holds them yet" in report) == THREE
    path = ours.download_artifacts(run, "a b/größe.bin")
    with open(path, "rb") as file:
        assert file.read() == bytes(range(256)) * 5000
    assert [file.path for file in ours.list_artifacts(run)] == ["a b"]


def test_only_administrators_import(source, fresh):
    database, _ = source
    someone = fresh.person("ben")
    done = subprocess.run(
        [str(binary()), "import", "mlflow", str(database)], capture_output=True, text=True, check=False,
        env={**os.environ, "CRANNOG_HOST": fresh.url, "CRANNOG_TOKEN": someone.token},
    )  # fmt: skip
    assert done.returncode == 1 and "taken over" not in done.stdout
    assert [e.name for e in MlflowClient(fresh.url).search_experiments()] == ["Default"]
    for what in (shutil.__file__, "mysql://x/y", "/nowhere"):
        done = subprocess.run([str(binary()), "import", "mlflow", what], capture_output=True, text=True, check=False, env={**os.environ, "CRANNOG_HOST": fresh.url})
        assert done.returncode == 1 and done.stderr.startswith("crannog: "), json.dumps(done.stderr)
