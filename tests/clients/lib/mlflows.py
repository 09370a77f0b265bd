"""MLflow's own server from its environment (`scripts/setup python mlflow`), on SQLite and a folder of its own: the other side of
the differential oracle and of the measures, and what the client tests can be run against to try the tests themselves.

One worker and no job runners: with more, its start takes longer and its order of writes differs from run to run. It sends
nothing home. Starting takes some six seconds, so a run shares one.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

READY_WITHIN_SECONDS = 600
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "GIT_PYTHON_REFRESH": "quiet",
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
}


def environment(name: str = "mlflow") -> Path:
    """The python of an environment that scripts/setup makes when it is not there: `mlflow` or `mlflow2`."""
    setup = Path(__file__).resolve().parents[3] / "scripts" / "setup"
    done = subprocess.run([str(setup), "python", name], stdout=subprocess.PIPE, text=True, check=True)
    return Path(done.stdout.strip())


def quiet(**more: str) -> dict:
    """The environment of a process that uses MLflow, without what the person has set for it."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "DATABRICKS_"))}
    return {**kept, **QUIET, **more}


class MlflowServer:
    """A running `mlflow server`. Use as a context manager, or call `stop`."""

    def __init__(self, python: Path | None = None):
        from harness import free_port, until

        self.folder = Path(tempfile.mkdtemp(prefix="crannog-mlflow-"))
        self.port, self.log = free_port(), self.folder / "server.log"
        command = [
            str(python or environment()), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port), "-w", "1",
            "--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db", "--artifacts-destination", str(self.folder / "artifacts"),
        ]  # fmt: skip
        with open(self.log, "ab") as out:
            # A group of its own: the server starts workers, and all of them have to end.
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=quiet(), cwd=self.folder, start_new_session=True
            )
        try:
            until(lambda: self.process.poll() is not None or self._ready(), f"MLflow is ready ({self.log})", READY_WITHIN_SECONDS)
            if self.process.poll() is not None:
                raise AssertionError(f"MLflow's server ended:\n{self.log.read_text(errors='replace')[-3000:]}")
        except BaseException:
            self.stop()
            raise

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _ready(self) -> bool:
        try:
            return urllib.request.urlopen(f"{self.url}/health", timeout=5).status == 200
        except (urllib.error.URLError, OSError):
            return False

    def stop(self):
        """Ends the server with all that it started, and removes its folder."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(10)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
