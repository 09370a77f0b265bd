"""One-row appends a second at 1, 16 and 64 writers: at the arbiter's port, through the Statement Execution API, and by
deltalake (Python threads, each with a table of its own by path, as its writers are in practice).

Every append is durable when it is counted. Ours must not fail one; deltalake's failures are its own answer to conflicts.
"""

import tempfile
from pathlib import Path

from figures import Found, per_second, times
from harness import Server
from running import generate, peer
from served import admin

WRITERS = (1, 16, 64)
SECONDS = 5
TARGET = 1_000


def failures(done: dict) -> str:
    return f", {done['failed']} failed" if done["failed"] else ""


def speed(done: dict) -> float:
    return done["done"] / done["seconds"]


def measure() -> Found:
    found, notes = Found(), []
    with tempfile.TemporaryDirectory(prefix="crannog-bench-") as scratch, Server("--log", "warn") as server:
        client = admin(server)
        with peer("deltalake_appends") as deltalake:
            for writers in WRITERS:
                theirs = deltalake.ask(folder=str(Path(scratch) / f"peer-{writers}"), writers=writers, seconds=SECONDS)
                at_port = generate("appends", Path(scratch) / f"port-{writers}", writers, SECONDS)
                if at_port["rows"] != at_port["done"]:
                    raise RuntimeError(f"{at_port['done']} appends at the port gave {at_port['rows']} rows")
                table = f"main.default.appends_{writers}"
                client.sql(f"CREATE TABLE {table} (n BIGINT)")
                body = (
                    f'{{"statement":"INSERT INTO {table} VALUES ({{n}})","warehouse_id":"{server.warehouse()}",'
                    '"wait_timeout":"50s","on_wait_timeout":"CONTINUE"}'
                )
                rest = generate(
                    "http", address=f"127.0.0.1:{server.port}", method="POST", path="/api/2.0/sql/statements",
                    token=server.admin_token, body=body, expect='"SUCCEEDED"', clients=writers, seconds=SECONDS,
                )  # fmt: skip
                rows = client.sql(f"SELECT count(*), count(DISTINCT n) FROM {table}").to_pylist()[0]
                if list(rows.values()) != [rest["done"]] * 2:
                    raise RuntimeError(f"{rest['done']} inserts gave {list(rows.values())} rows and values")
                for where, ours in (("at the port", at_port), ("through REST", rest)):
                    target = {"target": f"≥ {TARGET:,}/s, none failed", "met": speed(ours) >= TARGET and not ours["failed"]}
                    if writers < max(WRITERS):
                        target = {"target": "none failed", "met": not ours["failed"]}
                    found.add(
                        f"One-row appends {where}, {writers} writer{'s' * (writers > 1)}",
                        f"{per_second(speed(ours))}{failures(ours)}, p50 {ours['p50_ms']:.3g} ms, p99 {ours['p99_ms']:.3g} ms",
                        peer=f"deltalake {per_second(speed(theirs))}{failures(theirs)}",
                        ratio=times(speed(ours), speed(theirs)), **target,
                    )  # fmt: skip
                notes += [f"- {name}, {writers} writers: {side['first_failure']}" for name, side in (("REST", rest), ("port", at_port)) if side["failed"]]
    found.details = "\n".join(["First failures:", "", *notes]) if notes else ""
    return found
