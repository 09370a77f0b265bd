"""How long a query on a table of 100,000 files takes to plan when the table is warm: EXPLAIN of a query that one file can
answer, through the server, against the same EXPLAIN by deltalake on an open table.

The table's log is written by hand, as another engine would: 10 commits of 10,000 files with statistics. The files
themselves are not there; planning opens none.
"""

import json
import statistics
import time

from deltalogs import add, append_log
from figures import Found, seconds, times
from harness import Server
from running import peer
from served import admin, folder_of

FILES = 100_000
COMMITS = 10
LOOKS = 40
QUERY = "EXPLAIN SELECT sum(price) FROM {table} WHERE id = 123456789"


def measure() -> Found:
    found = Found()
    with Server("--log", "warn") as server:
        client = admin(server)
        client.sql("CREATE TABLE main.default.wide (id BIGINT, day DATE, name STRING, price DOUBLE)")
        client.sql("CREATE TABLE main.default.narrow (id BIGINT, day DATE, name STRING, price DOUBLE)")
        folder = folder_of(server, client, "main.default.wide")
        each = FILES // COMMITS
        for commit in range(COMMITS):
            append_log(folder, commit + 1, [add(commit * each + n) for n in range(each)])
        began = time.perf_counter()
        plan = client.sql(QUERY.format(table="main.default.wide"))
        first = time.perf_counter() - began
        if f"1 of {FILES}" not in json.dumps(plan.to_pylist()).replace(",000", "000"):
            raise RuntimeError(f"the plan does not open 1 file of {FILES}: {plan.to_pylist()}")

        def typical(table: str) -> float:
            took = []
            for _ in range(LOOKS):
                began = time.perf_counter()
                client.sql(QUERY.format(table=table))
                took.append(time.perf_counter() - began)
            return statistics.median(took)

        ours, empty = typical("main.default.wide"), typical("main.default.narrow")
        with peer("deltalake_plan") as deltalake:
            theirs = deltalake.ask(folder=str(folder), sql=QUERY.format(table="wide"), looks=LOOKS)
    found.add(
        f"Planning on a warm table of {FILES:,} files, median of {LOOKS} EXPLAINs through REST", seconds(ours),
        peer=f"deltalake {seconds(theirs['plan'])}", ratio=times(ours, theirs["plan"]), target="≤ 10 ms", met=ours <= 0.010,
    )  # fmt: skip
    found.add("… the same on an empty table (what HTTP, permits and SQL cost)", seconds(empty))
    found.add(
        f"… the first after {COMMITS} commits of {FILES // COMMITS:,} files by another writer", seconds(first),
        peer=f"deltalake opens it in {seconds(theirs['open'])}", ratio=times(first, theirs["open"]),
    )  # fmt: skip
    return found
