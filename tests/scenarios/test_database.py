"""The metadata database under a working server: stuck, hanging, away, read-only; each told by its code, and over without a
restart.

A stuck writer is tested on SQLite, which has one, the rest on a PostgreSQL server of this file's own. What a SQLite database
meets is the disk: test_disks.py.
"""

import os
import shlex
import signal
import sqlite3
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from disks import codes, failing, fails_in_time, told
from harness import REPOSITORY, Server, unique, until
from ledger import UC, Door, Unanswered


def test_a_stuck_writer_fails_livez_within_ten_seconds(monkeypatch):
    """The one writer is SQLite's; on PostgreSQL there is none."""
    monkeypatch.delenv("CRANNOG_TEST_DATABASE_URL", raising=False)
    with Server() as server:
        assert told(server, "/livez")[0] == 200
        held = hold(server)
        try:
            fails_in_time(server, "database writer")
        finally:
            held()
        until(lambda: told(server, "/livez")[0] == 200, "livez recovers")
        Door(server).json("POST", f"{UC}/catalogs", {"name": "after"})


def hold(server: Server):
    """Keeps the database's writers waiting; gives what lets them go."""
    other = sqlite3.connect(server.data / "meta.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    return other.close


class Cluster:
    """A PostgreSQL server that this test may stop and start; scripts/postgres makes and removes it."""

    def __enter__(self):
        command = 'echo "$CRANNOG_TEST_POSTGRES_URL"; read line'
        script = str(REPOSITORY / "scripts" / "postgres")
        self.script = subprocess.Popen([script, "run", "sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self.script.stdout.readline().strip()
        assert self.url, "PostgreSQL did not start"
        self.data = self.query("SHOW data_directory")
        lines = subprocess.run(["cat", f"{self.data}/postmaster.opts"], check=True, capture_output=True, text=True).stdout
        program, *self.options = shlex.split(lines)
        self.control = str(Path(program).with_name("pg_ctl"))
        return self

    def __exit__(self, *_):
        if self.running():
            self.stop()
        self.script.communicate("\n", timeout=60)

    def query(self, text: str) -> str:
        environment = {**os.environ, "PGOPTIONS": "-c default_transaction_read_only=off"}
        command = ["psql", self.url, "-qAtc", text]
        done = subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment)
        return done.stdout.strip()

    def running(self) -> bool:
        return subprocess.run(["psql", self.url, "-qAtc", "SELECT 1"], capture_output=True, stdin=subprocess.DEVNULL).returncode == 0

    def command(self, *arguments: str):
        owner = os.stat(self.data)
        user = ["setpriv", "--reuid", str(owner.st_uid), "--regid", str(owner.st_gid), "--clear-groups"] if os.geteuid() == 0 else []
        command = [*user, self.control, "--pgdata", self.data, "--wait", "--silent", *arguments]
        subprocess.run(command, check=True, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    @contextmanager
    def hanging(self):
        """All its processes stand still: it takes connections, and says nothing on them."""
        (listener, *_) = Path(self.data, "postmaster.pid").read_text().split()
        held = []
        try:
            # Whoever accepts first, so that nobody is added to those who serve; they are asked for before that.
            serving = self.query("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()").split()
            for process in map(int, (listener, *serving)):
                os.kill(process, signal.SIGSTOP)
                held.append(process)
            yield
        finally:
            for process in held:
                os.kill(process, signal.SIGCONT)

    @contextmanager
    def holding(self, url: str, statement: str):
        """A transaction of somebody else's that ran a statement and goes on."""
        command = ["psql", url, "-qAt"]
        other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            other.stdin.write(f"BEGIN;\n{statement};\nSELECT 'held';\n")
            other.stdin.flush()
            assert any(line == "held\n" for line in other.stdout)
            yield
        finally:
            other.communicate("ROLLBACK;\n", timeout=60)

    def stop(self):
        # Not `immediate`: this cluster never fsyncs, so that would lose what was committed.
        self.command("stop", "--mode", "fast")

    def start(self):
        self.command("start", "--log", f"{self.data}/again.log", "--options", shlex.join(self.options))


@pytest.fixture(scope="module")
def cluster():
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def on_cluster(cluster):
    name = unique("crannog")
    cluster.query(f"CREATE DATABASE {name}")
    url = urlsplit(cluster.url)._replace(path=f"/{name}").geturl()
    with Server(environment={"CRANNOG_DATABASE_URL": url}) as server:
        yield server


def make_something(door: Door):
    door.json("POST", f"{UC}/catalogs", {"name": "work"})
    door.json("POST", f"{UC}/schemas", {"name": "s", "catalog_name": "work"})
    door.sql("CREATE TABLE work.s.t (n BIGINT)")
    door.sql("INSERT INTO work.s.t VALUES (1)")


def test_a_database_that_is_away_is_told_and_waited_for(cluster, on_cluster):
    server = on_cluster
    make_something(Door(server))
    cluster.stop()
    try:
        until(lambda: codes(server) == {"DATABASE_DOWN"}, "it says that the database is down")
        assert told(server, "/readyz")[0] == 503
        # Starting the server again would not help.
        assert told(server, "/livez")[0] == 200
        with pytest.raises(Unanswered, match="TEMPORARILY_UNAVAILABLE"):
            Door(server).json("POST", f"{UC}/schemas", {"name": "refused", "catalog_name": "work"})
        assert server.process.poll() is None
    finally:
        cluster.start()
    until(lambda: not codes(server), "it recovers without a restart")
    door = Door(server)
    door.sql("INSERT INTO work.s.t VALUES (2)")
    assert sorted(door.sql("SELECT n FROM work.s.t")) == [["1"], ["2"]]
    assert "refused" not in {schema["name"] for schema in door.listed("schemas", catalog_name="work")}


def test_a_database_that_hangs_fails_livez_within_ten_seconds(cluster, on_cluster):
    server = on_cluster
    make_something(Door(server))
    assert told(server, "/livez")[0] == 200
    with cluster.hanging():
        fails_in_time(server, "database writer")
        assert told(server, "/readyz")[0] == 503
        # It goes on saying so, though every connection has been used up meanwhile.
        for _ in range(3):
            assert "database writer" in failing(server)
        assert server.process.poll() is None
    until(lambda: not failing(server) and not codes(server), "it recovers without a restart")
    door = Door(server)
    door.sql("INSERT INTO work.s.t VALUES (2)")
    assert sorted(door.sql("SELECT n FROM work.s.t")) == [["1"], ["2"]]


def test_a_stuck_follower_fails_livez_within_ten_seconds(cluster, on_cluster):
    """Who follows tables' logs cannot get on, because somebody holds a row; everybody else can."""
    server = on_cluster
    door = Door(server)
    make_something(door)
    with cluster.holding(server.environment["CRANNOG_DATABASE_URL"], "SELECT 1 FROM table_info FOR UPDATE"):
        door.sql("INSERT INTO work.s.t VALUES (2)")
        fails_in_time(server, "catalog follower")
        assert failing(server) == {"catalog follower"} and told(server, "/readyz")[0] == 200
        door.json("POST", f"{UC}/schemas", {"name": "meanwhile", "catalog_name": "work"})
        assert sorted(door.sql("SELECT n FROM work.s.t")) == [["1"], ["2"]]
    until(lambda: not failing(server), "it recovers without a restart")
    inserts = "SELECT count(*) FROM system.access.audit WHERE action_name = 'modifyTable'"
    until(lambda: door.sql(inserts) == [["2"]], "both changes are in the audit")


def test_a_database_that_takes_no_changes_is_read(cluster, on_cluster):
    server = on_cluster
    make_something(Door(server))
    cluster.query("ALTER SYSTEM SET default_transaction_read_only = on")
    cluster.query("SELECT pg_reload_conf()")
    try:
        until(lambda: codes(server) == {"DATABASE_READ_ONLY"}, "it says that the database is read-only")
        assert told(server, "/readyz")[0] == 503 and told(server, "/livez")[0] == 200
        door = Door(server)
        assert door.sql("SELECT n FROM work.s.t") == [["1"]]
        assert {"s"} <= {schema["name"] for schema in door.listed("schemas", catalog_name="work")}
        with pytest.raises(Unanswered, match="TEMPORARILY_UNAVAILABLE"):
            door.json("POST", f"{UC}/schemas", {"name": "refused", "catalog_name": "work"})
    finally:
        cluster.query("ALTER SYSTEM RESET default_transaction_read_only")
        cluster.query("SELECT pg_reload_conf()")
    until(lambda: not codes(server), "it recovers without a restart")
    door.json("POST", f"{UC}/schemas", {"name": "later", "catalog_name": "work"})
    # What was done meanwhile is in the history all the same.
    rows = door.sql("SELECT count(*) FROM system.query.history WHERE statement_text = 'SELECT n FROM work.s.t'")
    assert rows == [["1"]]
