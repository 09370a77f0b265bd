"""How long the first query takes on a table of 10,000 commits that the server has not opened since it started, against
deltalake opening the same table in a program that runs already.

The commits are written by hand, one file each; the server's own commit 9,900 writes the checkpoint, as every hundredth
does, so 99 commits come after it. Each try is a server started anew, which has answered on another table before.
"""

import statistics
import time

from deltalogs import add, append_log
from figures import Found, seconds, times
from harness import Server, until
from running import peer
from served import admin, folder_of

COMMITS = 10_000
CHECKPOINT = 9_900
TRIES = 3


def measure() -> Found:
    found = Found()
    with Server("--log", "warn") as server:
        client = admin(server)
        client.sql("CREATE TABLE main.default.long (id BIGINT, day DATE, name STRING, price DOUBLE)")
        client.sql("CREATE TABLE main.default.other (id BIGINT)")
        folder = folder_of(server, client, "main.default.long")
        for version in range(1, CHECKPOINT):
            append_log(folder, version, [add(version)])
        client.sql("INSERT INTO main.default.long VALUES (1, DATE '2024-01-01', 'a', 0.5)")
        until(lambda: (folder / "_delta_log" / "_last_checkpoint").exists(), "the checkpoint is written", 180)
        if str(CHECKPOINT) not in (folder / "_delta_log" / "_last_checkpoint").read_text():
            raise RuntimeError("the checkpoint is of another version")
        for version in range(CHECKPOINT + 1, COMMITS):
            append_log(folder, version, [add(version)])
        took = []
        for _ in range(TRIES):
            server.signal(15)
            server.start()
            client = admin(server)
            client.sql("EXPLAIN SELECT * FROM main.default.other WHERE id = 5")
            began = time.perf_counter()
            client.sql("EXPLAIN SELECT * FROM main.default.long WHERE id = 5")
            took.append(time.perf_counter() - began)
        with peer("deltalake_plan") as deltalake:
            theirs = [deltalake.ask(folder=str(folder), sql="", looks=0)["open"] for _ in range(TRIES)]
    ours, peers = statistics.median(took), statistics.median(theirs)
    found.add(
        f"Cold open of {COMMITS:,} commits, EXPLAIN through REST", seconds(ours), peer=f"deltalake opens it in {seconds(peers)}",
        ratio=times(ours, peers), target="< 1 s", met=ours < 1,
    )  # fmt: skip
    return found
