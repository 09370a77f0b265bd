"""The unmodified `mlflow` client against the server, in two versions.

MLflow's pins exclude those of the other clients, so each version has an environment of its own (`scripts/setup python mlflow`
and `mlflow2`). The files here are plain pytest files that import mlflow; what pytest collects for one of them is one item a
version, which runs the file by pytest in that environment, with a server of its own.

    CRANNOG_TEST_MLFLOW=3.17.2    only that version
    CRANNOG_TEST_MLFLOW_PEER=1    MLflow's own server instead of Crannog, which tries the tests themselves; those of access fail
"""

import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = {"3.17.2": "mlflow", "2.22.5": "mlflow2"}
# Files that need what MLflow's server needs, such as its database: version 2 is here as a client alone.
WITH_SERVER = {"test_import.py": "3.17.2"}


def installed():
    for package in ("mlflow", "mlflow-skinny"):
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    return None


class InEachVersion(pytest.File):
    def collect(self):
        for number, environment in ENVIRONMENTS.items():
            if number == os.environ.get("CRANNOG_TEST_MLFLOW", number) == WITH_SERVER.get(self.path.name, number):
                yield InAVersion.from_parent(self, name=number, environment=environment)


class InAVersion(pytest.Item):
    def __init__(self, *, environment, **rest):
        super().__init__(**rest)
        self.environment = environment

    def runtest(self):
        from mlflows import environment, quiet

        command = [environment(self.environment), "-B", "-m", "pytest", "-c", HERE.parents[1] / "pytest.ini", "-q", "--disable-warnings", self.path]
        done = subprocess.run(
            [str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=quiet(), check=False
        )
        if done.returncode != 0:
            raise Failed(f"{self.path.name} with mlflow {self.name}\n{done.stdout[-20_000:]}{done.stderr[-5_000:]}")

    def repr_failure(self, excinfo):
        return str(excinfo.value) if excinfo.errisinstance(Failed) else super().repr_failure(excinfo)

    def reportinfo(self):
        return self.path, None, f"mlflow {self.name}"


class Failed(Exception):
    """What pytest said in the environment of a version."""


if installed() is None:

    def pytest_pycollect_makemodule(module_path, parent):
        return InEachVersion.from_parent(parent, path=module_path) if module_path.parent == HERE else None

else:
    # Inside the environment of a version.

    import logging

    import mlflow
    from harness import unique
    from mlflow import MlflowClient

    logging.getLogger("mlflow").setLevel(logging.ERROR)

    class Peer:
        """MLflow's server where the tests want ours."""

        def __init__(self):
            from mlflows import MlflowServer

            self.running = MlflowServer()
            self.url, self.admin_token = self.running.url, "none"

    @pytest.fixture(scope="session")
    def server(request):
        if os.environ.get("CRANNOG_TEST_MLFLOW_PEER"):
            peer = Peer()
            yield peer
            peer.running.stop()
        else:
            from harness import Server

            with Server("--log", "warn") as running:
                yield running

    @pytest.fixture(autouse=True)
    def signed_in(server, monkeypatch):
        """The client's own environment: the administrator, by token."""
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", server.admin_token)
        mlflow.set_tracking_uri(server.url)
        mlflow.set_registry_uri(server.url)
        yield
        while mlflow.active_run():
            mlflow.end_run()

    @pytest.fixture
    def client(server):
        return MlflowClient(tracking_uri=server.url)

    @pytest.fixture
    def experiment(client):
        """The id of a new experiment."""
        return client.create_experiment(unique("exp"))

    @pytest.fixture
    def fluent(experiment):
        """The id of a new experiment that the fluent API logs to."""
        mlflow.set_experiment(experiment_id=experiment)
        return experiment

    @pytest.fixture
    def run(client, experiment):
        """The id of a new run in it."""
        return client.create_run(experiment).info.run_id

    def pytest_report_header():
        return f"mlflow {installed()} on Python {sys.version_info.major}.{sys.version_info.minor}"
