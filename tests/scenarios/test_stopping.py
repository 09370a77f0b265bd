"""SIGTERM under work: what is under way finishes, nobody new is let in, a second signal ends it at once.

HTTP/2's way to say so is tested over frames in crates/kit/tests/it/connections.rs.
"""

import hashlib
import http.client
import json
import os
import signal
import socket
import threading
import urllib.request

import pytest
from harness import Server, until
from ledger import UC, Door

MIB = 1 << 20
CONTENT = bytes(range(256)) * (2 * MIB // 256)
LONG = "SELECT sum(a.id % 7 * b.id) FROM range(3000) AS a CROSS JOIN range(3000) AS b"
# One gives rows without an end, the other none: it never comes to a point at which it would let others go on.
ENDLESS = [
    "SELECT sum(a.id % 7 * b.id) FROM range(4000000) AS a CROSS JOIN range(4000000) AS b",
    "SELECT count(*) FROM range(4000000) AS a JOIN range(4000000) AS b ON a.id + b.id < -1",
]


@pytest.fixture
def server():
    with Server() as server:
        door = Door(server)
        door.json("POST", f"{UC}/catalogs", {"name": "work"})
        door.json("POST", f"{UC}/schemas", {"name": "s", "catalog_name": "work"})
        volume = {"name": "v", "catalog_name": "work", "schema_name": "s", "volume_type": "MANAGED"}
        door.json("POST", f"{UC}/volumes", volume)
        door.connection.close()
        yield server


def half_an_upload(server: Server) -> http.client.HTTPConnection:
    """The server has asked for the body and got half of it."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.putrequest("PUT", "/api/2.0/fs/files/Volumes/work/s/v/upload")
    connection.putheader("Authorization", f"Bearer {server.admin_token}")
    connection.putheader("Content-Length", str(len(CONTENT)))
    connection.endheaders()
    connection.send(CONTENT[: len(CONTENT) // 2])
    return connection


def statements_under_way(server: Server) -> int:
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("crannog_statements "))


def refuses_connections(server: Server) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10):
            return False
    except (ConnectionRefusedError, ConnectionResetError):
        return True


def files_begun(server: Server) -> bool:
    """Whether the upload's temporary file is there: the request was let in."""
    volumes = (server.data / "storage" / "volumes").rglob("*")
    return any(path.is_file() and path.stat().st_size > 0 for path in volumes)


def test_what_is_under_way_finishes(server):
    upload = half_an_upload(server)
    until(lambda: files_begun(server), "the upload is under way")
    idle = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    idle.request("GET", "/livez")
    assert idle.getresponse().read()
    door, answers = Door(server), []
    # Its client looks after it now and then: no request is under way for it.
    asked = {"warehouse_id": door.warehouse, "wait_timeout": "0s"}
    door.json("POST", "/api/2.0/sql/statements", {"statement": "CREATE TABLE work.s.later AS SELECT sum(a.id) AS n FROM range(2000) AS a CROSS JOIN range(1000) AS b", **asked})
    waiting = threading.Thread(target=lambda: answers.append(door.sql(LONG)))
    waiting.start()
    until(lambda: statements_under_way(server) > 0, "the statement is under way")

    server.process.send_signal(signal.SIGTERM)
    until(lambda: refuses_connections(server), "nobody new is let in")
    assert idle.sock.recv(1) == b"", "a connection without a request is ended"
    assert server.process.poll() is None
    upload.send(CONTENT[len(CONTENT) // 2 :])
    assert upload.getresponse().status == 204
    waiting.join(120)
    assert len(answers) == 1 and len(answers[0]) == 1
    assert server.process.wait(60) == 0

    server.start()
    door = Door(server)
    content = door.ask("GET", "/api/2.0/fs/files/Volumes/work/s/v/upload")
    assert hashlib.sha256(content).digest() == hashlib.sha256(CONTENT).digest()
    assert door.sql("SELECT n FROM work.s.later") == [[str(1999 * 2000 // 2 * 1000)]]


def test_heavy_queries_keep_nobody_waiting(server):
    """More of them than there are processors: health, other statements, cancelling and stopping go on."""
    door = Door(server)
    asked = {"warehouse_id": door.warehouse, "wait_timeout": "0s"}
    begun = [
        door.json("POST", "/api/2.0/sql/statements", {"statement": sql, **asked})
        for sql in ENDLESS * os.cpu_count()
    ]
    heavy = [statement["statement_id"] for statement in begun]
    until(lambda: statements_under_way(server) == len(heavy), "all of them run")
    assert json.loads(door.ask("GET", "/livez"))["status"] == "ok"
    assert door.sql("SELECT 1") == [["1"]]
    *cancelled, last = heavy
    for statement in cancelled:
        door.ask("POST", f"/api/2.0/sql/statements/{statement}/cancel")
    until(lambda: statements_under_way(server) == 1, "they are cancelled")
    assert door.json("GET", f"/api/2.0/sql/statements/{last}")["status"]["state"] == "RUNNING"
    server.process.send_signal(signal.SIGTERM)
    until(lambda: refuses_connections(server), "nobody new is let in")
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(60) == 0


def test_a_second_signal_ends_it_at_once(server):
    upload = half_an_upload(server)
    until(lambda: files_begun(server), "the upload is under way")
    server.process.send_signal(signal.SIGTERM)
    until(lambda: refuses_connections(server), "nobody new is let in")
    assert server.process.poll() is None
    server.process.send_signal(signal.SIGTERM)
    # The upload would have kept it for as long as a stopping server waits.
    try:
        assert upload.sock.recv(1) == b"", "the connection ends"
    except ConnectionResetError:
        pass
    assert server.process.wait(60) == 0
    server.start()
    listed = json.loads(Door(server).ask("GET", "/api/2.0/fs/directories/Volumes/work/s/v"))
    assert listed.get("contents", []) == []
