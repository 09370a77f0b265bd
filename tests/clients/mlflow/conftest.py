"""The unmodified `mlflow` client against the server, in two versions.

MLflow's pins exclude those of the other clients, so each version has an environment of its own (`scripts/setup python mlflow`
and `mlflow2`). The files here are plain pytest files that import mlflow; what pytest collects for one of them is one item a
version. The files of a version are run by one pytest in its environment, with one server: importing mlflow and starting one takes longer
than most files.

    CRANNOG_TEST_MLFLOW=3.17.2    only that version
    CRANNOG_TEST_MLFLOW_PEER=1    MLflow's own server instead of Crannog, which tries the tests themselves; those of access fail
"""

import json
import os
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = {"3.17.2": "mlflow", "2.22.5": "mlflow2"}
# On PostgreSQL the newest alone: versions differ in what they send, databases in what is done with it.
NEWEST = next(iter(ENVIRONMENTS))
# Files that start MLflow's server: version 2 is here as a client alone.
WITH_SERVER = {"test_import_in_use.py": "3.17.2"}
REPORT = "CRANNOG_TEST_MLFLOW_REPORT"  # the file that the pytest of an environment tells its outcomes in
TOLD = pytest.StashKey[dict]()


def installed():
    for package in ("mlflow", "mlflow-skinny"):
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    return None


class InEachVersion(pytest.File):
    def collect(self):
        only = {os.environ.get("CRANNOG_TEST_MLFLOW"), WITH_SERVER.get(self.path.name)} - {None}
        if os.environ.get("CRANNOG_TEST_DATABASE_URL"):
            only = only or {NEWEST}
        for number, environment in ENVIRONMENTS.items():
            if {number} | only == {number}:
                yield InAVersion.from_parent(self, name=number, environment=environment)


class InAVersion(pytest.Item):
    def __init__(self, *, environment, **rest):
        super().__init__(**rest)
        self.environment = environment

    def runtest(self):
        """The first of a version runs the files of all that were chosen; each tells what became of its own."""
        told = self.session.stash.setdefault(TOLD, {})
        if self.name not in told:
            told[self.name] = run_files(self.environment, [one.path for one in self.session.items if isinstance(one, InAVersion) and one.name == self.name])
        files, output = told[self.name]
        ran = files.get(self.path.name, {"passed": 0, "wrong": ["no test of it was run"]})
        if ran["wrong"] or not ran["passed"]:
            raise Failed("\n".join([f"{self.path.name} with mlflow {self.name}", *ran["wrong"], output]))

    def repr_failure(self, excinfo):
        return str(excinfo.value) if excinfo.errisinstance(Failed) else super().repr_failure(excinfo)

    def reportinfo(self):
        return self.path, None, f"mlflow {self.name}"


def run_files(name: str, paths: list[Path]) -> tuple[dict, str]:
    """Runs files by pytest in an environment. Gives for each file's name how many tests passed and what went wrong, and the end of
    what pytest said."""
    from mlflows import environment, quiet

    with tempfile.NamedTemporaryFile(mode="r", suffix=".json") as report:
        command = [environment(name), "-B", "-m", "pytest", "-c", HERE.parents[1] / "pytest.ini", "-q", "--disable-warnings", *paths]
        done = subprocess.run(
            [str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=quiet(**{REPORT: report.name}), check=False
        )
        return json.loads(report.read() or "{}"), f"pytest ended with {done.returncode}\n{done.stdout[-5_000:]}{done.stderr[-5_000:]}"


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
    def fresh(monkeypatch):
        """A server that has nothing yet, for what would meet what other files made."""
        from harness import Server

        with Server("--log", "warn") as running:
            monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", running.admin_token)
            yield running

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

    outcomes: dict = {}

    def told(report, passed: bool):
        of = outcomes.setdefault(Path(report.nodeid.partition("::")[0]).name, {"passed": 0, "wrong": []})
        of["passed"] += passed
        if report.failed or report.skipped:
            of["wrong"].append(f"{report.nodeid}\n{report.longreprtext}\n{report.capstdout}{report.capstderr}")

    def pytest_runtest_logreport(report):
        told(report, report.when == "call" and report.passed)

    def pytest_collectreport(report):
        if not report.passed:
            told(report, False)

    def pytest_sessionfinish():
        if REPORT in os.environ:
            Path(os.environ[REPORT]).write_text(json.dumps(outcomes))

    def pytest_report_header():
        return f"mlflow {installed()} on Python {sys.version_info.major}.{sys.version_info.minor}"
