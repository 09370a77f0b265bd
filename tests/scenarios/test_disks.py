"""Disks that get low, full and read-only under a working server: reading goes on, changes are refused with 503 and the code
that says why, nothing acknowledged is lost, and the server recovers by itself.

The disk is one in memory that only this server sees; tests/clients/lib/disks.py says how.
"""

import hashlib
import http.client
import json
import threading
import warnings

import pytest
from disks import (
    ROOT,
    OnADiskThatCanLosePower,
    OnADiskThatHangs,
    OnASmallDisk,
    codes,
    failing,
    fails_in_time,
    told,
)
from harness import until
from ledger import UC, Door

MIB = 1 << 20
GIB = 1 << 30




def refusal(door: Door, method: str, path: str, body: bytes | dict) -> dict:
    """The 503 that a change is answered with."""
    content = json.dumps(body).encode() if isinstance(body, dict) else body
    door.connection.request(method, path, content, {"Authorization": f"Bearer {door.token}"})
    answer = door.connection.getresponse()
    found = json.loads(answer.read())
    assert answer.status == 503, (method, path, answer.status, found)
    assert int(answer.headers["Retry-After"]) > 0
    return found


class Work:
    """A catalog with a table and a volume, and what was acknowledged of changes to them."""

    def __init__(self, door: Door):
        self.door, self.rows, self.files, self.number = door, [], {}, 0
        door.json("POST", f"{UC}/catalogs", {"name": "work"})
        door.json("POST", f"{UC}/schemas", {"name": "s", "catalog_name": "work"})
        volume = {"name": "v", "catalog_name": "work", "schema_name": "s", "volume_type": "MANAGED"}
        door.json("POST", f"{UC}/volumes", volume)
        door.sql("CREATE TABLE work.s.t (n BIGINT)")

    def change(self, door: Door | None = None):
        """A row, a file, and a schema that comes and goes; AssertionError or Unanswered when one of them is refused."""
        door, n = door or self.door, self.number
        self.number += 1
        door.sql(f"INSERT INTO work.s.t VALUES ({n})")
        self.rows.append(n)
        content = str(n).encode() * 10_000
        door.upload(f"/Volumes/work/s/v/{n}", content)
        self.files[n] = hashlib.sha256(content).hexdigest()
        door.json("POST", f"{UC}/schemas", {"name": f"s{n}", "catalog_name": "work"})
        door.ask("DELETE", f"{UC}/schemas/work.s{n}")

    def look(self, tolerated: int = 0):
        """Everything acknowledged is there once. `tolerated`: changes that may have happened though they were refused."""
        found = sorted(int(n) for (n,) in self.door.sql("SELECT n FROM work.s.t"))
        assert len(found) == len(set(found)) and set(self.rows) <= set(found), (self.rows, found)
        assert len(found) <= len(self.rows) + tolerated, (self.rows, found)
        for n, digest in self.files.items():
            content = self.door.ask("GET", f"/api/2.0/fs/files/Volumes/work/s/v/{n}")
            assert hashlib.sha256(content).hexdigest() == digest, n
        listed = self.door.json("GET", "/api/2.0/fs/directories/Volumes/work/s/v")["contents"]
        assert {int(entry["name"]) for entry in listed} >= set(self.files)


def refused_everywhere(server, work: Work, code: str):
    """Each kind of change says the same; the answer carries the reason."""
    for method, path, body in (
        ("PUT", "/api/2.0/fs/files/Volumes/work/s/v/refused", b"x" * 10_000),
        ("POST", f"{UC}/schemas", {"name": "refused", "catalog_name": "work"}),
    ):
        found = refusal(Door(server), method, path, body)
        assert found["error_code"] == code, found
    door = Door(server)
    asked = {"statement": "INSERT INTO work.s.t VALUES (-1)", "warehouse_id": door.warehouse, "wait_timeout": "50s"}
    assert refusal(door, "POST", "/api/2.0/sql/statements", asked)["error_code"] == code
    work.look()


def test_low_then_full_then_room_again():
    with OnASmallDisk() as server:
        server.free(3 * GIB)
        work = Work(Door(server))
        work.change()
        until(lambda: told(server, "/readyz") == (200, told(server, "/readyz")[1]) and not codes(server), "all is well")
        server.free(900 * MIB)
        until(lambda: codes(server) == {"DISK_LOW"}, "less than 1 GiB is a warning")
        assert told(server, "/readyz")[0] == 200
        work.change()

        # The disk gets full while people work, and while somebody uploads.
        slow = begin_upload(server, "slow")
        wrong: list[Exception] = []

        def go_on():
            door = Door(server)
            try:
                while True:
                    work.change(door)
            except Exception as error:
                wrong.append(error)

        worker = threading.Thread(target=go_on, daemon=True)
        worker.start()
        until(lambda: len(work.rows) > 5 or wrong, "somebody works")
        server.free(190 * MIB)
        worker.join(60)
        assert "DISK_FULL" in str(wrong[0]), wrong
        until(lambda: codes(server) == {"DISK_FULL"}, "less than 200 MiB is full")
        assert told(server, "/readyz")[0] == 503 and told(server, "/livez")[0] == 200
        (check,) = [check for check in told(server, "/readyz")[1]["checks"] if check["status"] != "ok"]
        assert check["message"] and check["next_step"]
        refused_everywhere(server, work, "DISK_FULL")
        assert end_upload(slow) == 503
        # Freeing goes on.
        Door(server).ask("DELETE", "/api/2.0/fs/files/Volumes/work/s/v/0")
        del work.files[0]

        server.free(3 * GIB)
        until(lambda: not codes(server), "it recovers without a restart")
        work.change()
        work.look()
        names = {entry["name"] for entry in work.door.json("GET", "/api/2.0/fs/directories/Volumes/work/s/v")["contents"]}
        assert "slow" not in names and "refused" not in names


def begin_upload(server, name: str):
    """An upload whose body comes to half."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.putrequest("PUT", f"/api/2.0/fs/files/Volumes/work/s/v/{name}")
    connection.putheader("Authorization", f"Bearer {server.admin_token}")
    connection.putheader("Content-Length", str(2 * MIB))
    connection.endheaders()
    connection.send(b"x" * MIB)
    return connection


def end_upload(connection) -> int:
    """Sends the other half; the status."""
    connection.send(b"x" * MIB)
    answer = connection.getresponse()
    answer.read()
    return answer.status


def test_not_one_byte_left():
    """Without the reserve that `disk.refuse_below` keeps, every write meets ENOSPC at any point; nothing is lost by that."""
    with OnASmallDisk("--disk-warn-below", "0", "--disk-refuse-below", "0") as server:
        work = Work(Door(server))
        work.change()
        for left in (0, 4096, 65_536, 262_144):
            server.free(left)
            failed = 0
            while not failed:
                try:
                    work.change(Door(server))
                except Exception as error:
                    assert "503" in str(error) or "DISK_FULL" in str(error) or "UNAVAILABLE" in str(error), error
                    failed += 1
            expected = {"STORAGE_FULL", "DATABASE_FULL"}
            if left == 0:
                until(lambda: codes(server) & expected, "it says that there is no room")
                assert told(server, "/readyz")[0] == 503
            assert told(server, "/livez")[0] == 200
            work.look(tolerated=4)
            server.free(GIB)
            until(lambda: not codes(server), "it recovers without a restart")
            work.change(Door(server))
            work.look(tolerated=4)


def test_a_database_whose_file_cannot_be_written():
    """SQLite's own file, made immutable under the server: what a failing disk is to it. Only root can do that."""
    if not ROOT:
        warnings.warn("this is not root, so no file was made immutable: nothing was tested here", stacklevel=1)
        return
    with OnADiskThatCanLosePower("--disk-warn-below", "0", "--disk-refuse-below", "0", "--database-url", "") as server:
        work = Work(Door(server))
        work.change()
        files = [str(server.where() / name) for name in ("meta.db", "meta.db-wal")]
        server.inside("chattr", "+i", *files)
        until(lambda: codes(server) == {"DATABASE_IO_ERROR"}, "it says that the file is the matter")
        assert told(server, "/readyz")[0] == 503 and told(server, "/livez")[0] == 200
        found = refusal(Door(server), "POST", f"{UC}/schemas", {"name": "refused", "catalog_name": "work"})
        assert found["error_code"] == "TEMPORARILY_UNAVAILABLE", found
        work.look()
        server.inside("chattr", "-i", *files)
        until(lambda: not codes(server), "it recovers without a restart")
        work.change()
        work.look()


def test_files_on_a_disk_that_hangs():
    """Tables on a disk of their own that takes no write and refuses none: a commit hangs, and the arbiter of commits says so.
    Only root can freeze a disk."""
    if not ROOT:
        warnings.warn("this is not root, so no disk was frozen: nothing was tested here", stacklevel=1)
        return
    with OnADiskThatHangs("storage") as server:
        work = Work(Door(server))
        work.change()
        assert told(server, "/livez")[0] == 200
        door = Door(server)
        server.freeze()
        try:
            asked = {"statement": "INSERT INTO work.s.t VALUES (1)", "warehouse_id": door.warehouse, "wait_timeout": "0s"}
            statement = door.json("POST", "/api/2.0/sql/statements", asked)["statement_id"]
            until(lambda: codes(server, "/livez") == {"COMMIT_STUCK"}, "livez fails", within=30)
            assert told(server, "/livez")[0] == 503 and told(server, "/readyz")[0] == 503
            # What needs no write to that disk goes on.
            door.json("POST", f"{UC}/schemas", {"name": "meanwhile", "catalog_name": "work"})
            assert door.sql("SELECT n FROM work.s.t") == [["0"]]
        finally:
            server.thaw()
        until(lambda: not codes(server, "/livez") and not codes(server), "it recovers without a restart")
        until(lambda: door.json("GET", f"/api/2.0/sql/statements/{statement}")["status"]["state"] == "SUCCEEDED", "the commit ends")
        work.rows.append(1)
        work.look()


def test_a_database_on_a_disk_that_hangs():
    """SQLite's file on a disk that takes no write and refuses none, and many who change something: whoever runs a statement there
    hangs, and takes a thread along; health tells of it all the same."""
    if not ROOT:
        warnings.warn("this is not root, so no disk was frozen: nothing was tested here", stacklevel=1)
        return
    with OnADiskThatHangs("", "--disk-warn-below", "0", "--disk-refuse-below", "0", "--database-url", "") as server:
        work = Work(Door(server))
        work.change()
        assert told(server, "/livez")[0] == 200
        # As when nothing happens for a while: one thread of the server waits for all connections.
        doors = [Door(server) for _ in range(40)]
        server.freeze()
        try:
            for number, door in enumerate(doors):
                body = json.dumps({"name": f"hung{number}", "catalog_name": "work"})
                door.connection.request("POST", f"{UC}/schemas", body, {"Authorization": f"Bearer {door.token}"})
            fails_in_time(server, "database writer")
            # It goes on saying so.
            for _ in range(3):
                assert "database writer" in failing(server)
            assert told(server, "/readyz")[0] == 503
        finally:
            server.thaw()
        answers = [door.connection.getresponse() for door in doors]
        made = {f"hung{number}" for number, answer in enumerate(answers) if answer.status == 200}
        until(lambda: not failing(server) and not codes(server), "it recovers without a restart")
        assert made <= {schema["name"] for schema in work.door.listed("schemas", catalog_name="work")}
        work.change()
        work.look()


def test_files_on_a_disk_that_becomes_read_only():
    """Tables and volumes on a disk of their own, as when `storage` is a mount."""
    with OnASmallDisk() as server:
        inner = server.where() / "storage"
        server.inside("mount", "-t", "tmpfs", "-o", "size=2g,mode=750", "crannog-test", str(inner))
        work = Work(Door(server))
        work.change()
        server.inside("mount", "-o", "remount,ro", str(inner))
        until(lambda: codes(server) == {"STORAGE_READ_ONLY"}, "it says that files cannot be made")
        assert told(server, "/readyz")[0] == 503 and told(server, "/livez")[0] == 200
        found = refusal(Door(server), "PUT", "/api/2.0/fs/files/Volumes/work/s/v/refused", b"x")
        assert found["error_code"] == "DISK_READ_ONLY", found
        for sql in (
            "INSERT INTO work.s.t VALUES (-1)",
            "INSERT INTO work.s.t SELECT id FROM range(100000)",
            "CREATE TABLE work.s.refused (n BIGINT)",
            "CREATE TABLE work.s.refused AS SELECT 1 AS n",
        ):
            with pytest.raises(Exception, match=r"TEMPORARILY_UNAVAILABLE.*DISK_READ_ONLY.*mount the disk"):
                Door(server).sql(sql)
        work.look()
        server.inside("mount", "-o", "remount,rw", str(inner))
        until(lambda: not codes(server), "it recovers without a restart")
        work.change()
        work.look()
