"""Starts the built `crannog` binary for tests and hands out unmodified clients that are signed in to it.

Each server gets a new data folder and ports of its own, so any number run side by side. Readiness is polled with a deadline;
nothing here waits a fixed time. Only processes started here are ever signalled.

`CRANNOG_BIN` names the binary (default: the dev build in the target folder). `CRANNOG_TEST_DATABASE_URL`, when set, is a
PostgreSQL server's URL: each server gets a new database on it and is started with `database.url`.
"""

import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from databricks.sdk import WorkspaceClient
from databricks.sdk.service.sql import (
    ExecuteStatementRequestOnWaitTimeout,
    StatementParameterListItem,
    StatementResponse,
    StatementState,
)

REPOSITORY = Path(__file__).resolve().parents[3]
READY_WITHIN_SECONDS = 60
DONE_WITHIN_SECONDS = 300
GREETED = re.compile(rb"^  (https?) +https?://127\.0\.0\.1:(\d+)$", re.MULTILINE)
_numbers = itertools.count(1)


def unique(word: str) -> str:
    """A name no other test of this run or another uses; a plain identifier, so SQL needs no backticks around it."""
    return f"{word}_{next(_numbers)}_{uuid.uuid4().hex[:6]}"


def binary() -> Path:
    named = os.environ.get("CRANNOG_BIN")
    if named:
        return Path(named)
    target = subprocess.run([REPOSITORY / "scripts" / "target"], capture_output=True, text=True, check=True).stdout.strip()
    return Path(target) / "debug" / "crannog"


def until(condition, what: str, within: float = DONE_WITHIN_SECONDS):
    """Polls until the condition holds and returns its value; fails with `what` at the deadline."""
    deadline = time.monotonic() + within
    pause = 0.01
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:.0f} s: {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Person:
    """One who is signed in: by name, with a token, and with databricks-sdk's client for it."""

    name: str
    token: str
    client: WorkspaceClient
    server: "Server"

    def sql(self, statement: str, **options) -> list[list]:
        """Runs a statement by databricks-sdk to its end and returns the rows as JSON_ARRAY has them (text and None).
        Raises `StatementFailed` when it does not succeed; options as for `execute`."""
        response = self.execute(statement, **options)
        if response.status.state != StatementState.SUCCEEDED:
            raise StatementFailed(response)
        rows, part = [], response.result
        while part is not None:
            rows.extend(part.data_array or [])
            if part.next_chunk_index is None:
                break
            part = self.client.statement_execution.get_statement_result_chunk_n(
                response.statement_id, part.next_chunk_index
            )
        return rows

    def execute(self, statement: str, parameters: dict | None = None, **options) -> StatementResponse:
        """execute_statement, then get_statement until the state is final. `parameters`: name to (value, type)."""
        api = self.client.statement_execution
        named = [StatementParameterListItem(name=n, value=v, type=t) for n, (v, t) in (parameters or {}).items()]
        options.setdefault("wait_timeout", "30s")
        options.setdefault("on_wait_timeout", ExecuteStatementRequestOnWaitTimeout.CONTINUE)
        response = api.execute_statement(
            statement=statement, warehouse_id=self.server.warehouse(), parameters=named or None, **options
        )
        return self.finished(response)

    def finished(self, response: StatementResponse) -> StatementResponse:
        """The response once its state is final."""
        seen = [response]

        def final():
            if seen[-1].status.state in (StatementState.PENDING, StatementState.RUNNING):
                seen.append(self.client.statement_execution.get_statement(response.statement_id))
                return None
            return seen[-1]

        return until(final, f"statement {response.statement_id} ends")


class StatementFailed(Exception):
    def __init__(self, response: StatementResponse):
        error = response.status.error
        self.response = response
        self.code = error.error_code.value if error and error.error_code else None
        super().__init__(f"{response.status.state.value} {self.code}: {error.message if error else ''}")


class Server:
    """A running `crannog up`. Use as a context manager, or call `stop`."""

    def __init__(self, *arguments: str, environment: dict | None = None):
        self.folder = Path(tempfile.mkdtemp(prefix="crannog-test-"))
        self.data = self.folder / "data"
        self.cut = False  # its disk is gone: what it answers from now on tells nothing
        self.log = self.folder / "server.log"
        self.arguments = list(arguments)
        self.environment = {**os.environ, **(environment or {})}
        self.process, self.database = None, None
        self._warehouse = None
        database = os.environ.get("CRANNOG_TEST_DATABASE_URL")
        if database:
            config = self.folder / "crannog.toml"
            self.database = new_database(database)
            config.write_text(f'[database]\nurl = "{self.database}"\n')
            self.arguments += ["--config", str(config)]
        try:
            self.start()
        except BaseException:
            self.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        """Starts (or starts again, on the same folder), on ports that the system chooses: nobody can be quicker to take them."""
        told = self.log.stat().st_size if self.log.exists() else 0
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(
                [
                    *self.before(),
                    str(binary()),
                    "up",
                    "--data",
                    str(self.where()),
                    "--listen",
                    "127.0.0.1:0",
                    "--listen-tls",
                    "127.0.0.1:0",
                    *self.arguments,
                ],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=self.environment,
            )

        def ready() -> bool:
            if self.process.poll() is not None:
                raise AssertionError(
                    f"the server ended with {self.process.returncode}:\n{self.log.read_text(errors='replace')[-3000:]}"
                )
            with open(self.log, "rb") as log:
                log.seek(told)
                ports = dict(GREETED.findall(log.read()))
            if len(ports) < 2:
                return False
            self.port, self.tls_port = int(ports[b"http"]), int(ports[b"https"])
            return self.ready()

        until(ready, f"the server is ready ({self.log})", READY_WITHIN_SECONDS)

    def before(self) -> list[str]:
        """What the command that starts the server begins with; it ends in an exec, so that the process is the server."""
        return []

    def where(self) -> Path:
        """The data folder, as the server sees it."""
        return self.data

    def ready(self) -> bool:
        try:
            return urllib.request.urlopen(f"{self.url}/readyz", timeout=5).status == 200
        except (urllib.error.URLError, OSError):
            return False

    def stop(self):
        """Ends the server and removes its folder."""
        self.signal(signal.SIGTERM)
        shutil.rmtree(self.folder, ignore_errors=True)

    def signal(self, number: int, within: float = 60):
        """Sends a signal and waits for the end; KILL follows when that takes too long."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(number)
        try:
            self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the server did not end within {within:.0f} s of signal {number}") from None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def admin_token(self) -> str:
        return (self.data / "admin.token").read_text().strip()

    def signed_in(self, name: str, token: str) -> Person:
        return Person(name, token, WorkspaceClient(host=self.url, token=token, auth_type="pat"), self)

    def admin(self) -> Person:
        return self.signed_in("admin", self.admin_token)

    def person(self, word: str) -> Person:
        """A new user, signed in with a new token. The name is unique: `ana` gives ana_7_3fa9c1@example.com."""
        name = f"{unique(word)}@example.com"
        self.admin().client.users.create(user_name=name, display_name=word.title())
        return self.signed_in(name, self.cli("token", "create", "--user", name).strip())

    def cli(self, *arguments: str, stdin: str | None = None) -> str:
        """Runs the binary's client commands as the admin; returns its standard output."""
        done = subprocess.run(
            [str(binary()), *arguments],
            capture_output=True,
            text=True,
            input=stdin or "",
            env={**os.environ, "CRANNOG_HOST": self.url, "CRANNOG_TOKEN": self.admin_token},
            check=False,
        )
        assert done.returncode == 0, f"crannog {' '.join(arguments)}: {done.returncode}\n{done.stderr}"
        return done.stdout

    def warehouse(self) -> str:
        if self._warehouse is None:
            self._warehouse = next(w.id for w in self.admin().client.warehouses.list() if w.name == "default")
        return self._warehouse


def new_database(url: str) -> str:
    """The URL of a new database on a PostgreSQL server."""
    name = unique("crannog")
    subprocess.run(["psql", url, "-qc", f"CREATE DATABASE {name}"], check=True, stdin=subprocess.DEVNULL)
    return urlsplit(url)._replace(path=f"/{name}").geturl()
