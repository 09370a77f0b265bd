"""Artifacts: what the fluent API writes, folders, listings, downloads, bytes as they were."""

import json
import os

import mlflow
import numpy as np
import pandas as pd
import pytest
import requests
from mlflow.exceptions import MlflowException
from mlflow.tracking import artifact_utils
from PIL import Image


def listed(client, run, path=None):
    return {a.path: (a.is_dir, a.file_size) for a in client.list_artifacts(run, path)}


def test_everything_that_the_fluent_api_writes(client, fluent, tmp_path):
    with mlflow.start_run() as started:
        run = started.info.run_id
        mlflow.log_text("grüße 日本 🦊\n", "notes/hello.txt")
        mlflow.log_dict({"a": [1, 2], "日": "本"}, "config.json")
        mlflow.log_dict({"a": {"b": 1}}, "config.yaml")
        mlflow.log_image(np.zeros((4, 5, 3), dtype=np.uint8), "black.png")
        mlflow.log_table({"q": ["a", "b"], "n": [1, 2]}, "table.json")
        mlflow.log_table(pd.DataFrame({"q": ["c"], "n": [3]}), "table.json")
        (tmp_path / "one.bin").write_bytes(bytes(range(256)))
        mlflow.log_artifact(str(tmp_path / "one.bin"), "raw")
        (tmp_path / "many" / "inner").mkdir(parents=True)
        (tmp_path / "many" / "a.txt").write_text("a")
        (tmp_path / "many" / "inner" / "b.txt").write_text("b")
        mlflow.log_artifacts(str(tmp_path / "many"), "tree")
    top = listed(client, run)
    assert set(top) == {"notes", "config.json", "config.yaml", "black.png", "table.json", "raw", "tree"}
    assert top["tree"][0] and not top["config.json"][0] and top["config.json"][1] > 0
    assert listed(client, run, "tree") == {"tree/a.txt": (False, 1), "tree/inner": (True, None)}
    assert listed(client, run, "tree/inner") == {"tree/inner/b.txt": (False, 1)}
    assert listed(client, run, "nothing here") == {}
    assert mlflow.artifacts.load_text(f"runs:/{run}/notes/hello.txt") == "grüße 日本 🦊\n"
    assert mlflow.artifacts.load_dict(f"runs:/{run}/config.json") == {"a": [1, 2], "日": "本"}
    assert mlflow.artifacts.load_text(f"runs:/{run}/config.yaml") == "a:\n  b: 1\n"
    assert isinstance(mlflow.artifacts.load_image(f"runs:/{run}/black.png"), Image.Image)
    assert list(mlflow.load_table("table.json", run_ids=[run])["n"]) == [1, 2, 3]
    with open(client.download_artifacts(run, "raw/one.bin", str(tmp_path)), "rb") as file:
        assert file.read() == bytes(range(256))


def test_a_folder_is_downloaded_as_it_was(client, run, tmp_path):
    source = tmp_path / "source"
    for name in ("a.txt", "deep/er/b.txt", "deep/c.txt", "with space/日本 🦊.txt", "deep/percent% +plus.txt", "deep/empty"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("" if name.endswith("empty") else name)
    client.log_artifacts(run, str(source), "all")
    (tmp_path / "target").mkdir()
    target = client.download_artifacts(run, "all", str(tmp_path / "target"))

    def files(root):
        return {os.path.relpath(os.path.join(at, f), root): open(os.path.join(at, f)).read() for at, _, fs in os.walk(root) for f in fs}

    assert files(target) == files(source)
    (tmp_path / "whole").mkdir()
    assert files(client.download_artifacts(run, "", str(tmp_path / "whole")))["all/a.txt"] == "a.txt"


def test_a_file_is_replaced(client, run):
    client.log_text(run, "first, and longer", "a.txt")
    client.log_text(run, "second", "a.txt")
    assert mlflow.artifacts.load_text(f"runs:/{run}/a.txt") == "second"
    assert listed(client, run) == {"a.txt": (False, 6)}


def test_a_file_of_many_megabytes(client, run, tmp_path):
    block = os.urandom(1 << 20)
    with open(tmp_path / "big", "wb") as file:
        for _ in range(64):
            file.write(block)
    client.log_artifact(run, str(tmp_path / "big"))
    assert listed(client, run) == {"big": (False, 64 << 20)}
    (tmp_path / "back").mkdir()
    with open(client.download_artifacts(run, "big", str(tmp_path / "back")), "rb") as file:
        assert all(file.read(1 << 20) == block for _ in range(64)) and not file.read(1)


def test_what_is_not_there(client, run, tmp_path):
    with pytest.raises(Exception, match="(?i)404|not found|no such artifact|ensure that the path is correct"):
        client.download_artifacts(run, "nothing.txt", str(tmp_path))
    with pytest.raises(MlflowException):
        client.log_text(run, "x", "../out.txt")
    with pytest.raises((MlflowException, requests.HTTPError)):
        client.list_artifacts(run, "../..")


def test_deleting(client, run):
    for name in ("a.txt", "d/b.txt", "d/c.txt"):
        client.log_text(run, name, name)
    repository = artifact_utils.get_artifact_repository(client.get_run(run).info.artifact_uri)
    repository.delete_artifacts("d/b.txt")
    assert set(listed(client, run, "d")) == {"d/c.txt"}
    repository.delete_artifacts("d")
    assert set(listed(client, run)) == {"a.txt"}


def test_an_experiments_own_place(client, tmp_path, server):
    """A location below the server's root that the client chose."""
    from harness import unique

    name = unique("place")
    made = client.create_experiment(name, artifact_location=f"mlflow-artifacts:/{name}")
    run = client.create_run(made).info
    assert run.artifact_uri == f"mlflow-artifacts:/{name}/{run.run_id}/artifacts"
    client.log_dict(run.run_id, {"a": 1}, "a.json")
    assert json.loads(mlflow.artifacts.load_text(f"runs:/{run.run_id}/a.json")) == {"a": 1}


def test_downloads_are_in_the_audit(client, run, server, tmp_path):
    client.log_text(run, "twelve bytes", "d/notes.txt")
    for _ in range(2):
        client.download_artifacts(run, "d/notes.txt", str(tmp_path))
    rows = f"""SELECT request_params['artifactPath'], request_params['contentLength'] FROM system.access.audit
               WHERE action_name = 'readArtifact' AND request_params['runId'] = '{run}'"""
    # Both are one download.
    assert server.admin().sql(rows) == [["d/notes.txt", "12"]]
