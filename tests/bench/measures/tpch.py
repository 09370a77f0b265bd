"""TPC-H over our governed Delta tables through the server, against bare DataFusion, DuckDB and Polars on the Parquet files.

Every query runs in turns, ours and then each peer, ROUNDS times after one round that warms all of them; a query's time is
its best. Ours is everything a client waits for: HTTP, permits, planning, the answer as Arrow. The answers of ours and of
every peer are compared with DuckDB's, numbers within a millionth.
"""

import datetime
import decimal
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

import pyarrow as pa
from figures import Found, seconds, times
from harness import Server
from running import BENCH, Answerer, generator, peer, processor_seconds
from served import Client, admin

SCALE = os.environ.get("CRANNOG_BENCH_TPCH_SCALE", "1")
ROUNDS = int(os.environ.get("CRANNOG_BENCH_TPCH_ROUNDS", "3"))
SAME = "DataFusion, same build"
REFERENCE = "DuckDB"


def queries() -> dict[str, str]:
    parts = re.split(r"^-- (q\d+)$", (BENCH / "tpch.sql").read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {name: text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def generated(folder: Path) -> dict[str, Path]:
    """TPC-H's tables as one Parquet file each."""
    tool = Path(os.sys.executable).parent / "tpchgen-cli"
    subprocess.run([tool, "parquet", "-s", SCALE, "--output-dir", folder], check=True, capture_output=True)
    return {path.stem: path for path in sorted(folder.glob("*.parquet"))}


def load(client: Client, tables: dict[str, Path]) -> float:
    """Uploads the files and makes a Delta table of each; the seconds that making the tables took."""
    client.sql("CREATE SCHEMA main.tpch")
    client.sql("CREATE VOLUME main.tpch.raw")
    took = 0.0
    for name, path in tables.items():
        with path.open("rb") as file:
            client.put(f"/Volumes/main/tpch/raw/{path.name}", file)
        began = time.perf_counter()
        client.sql(
            f"CREATE TABLE main.tpch.{name} AS SELECT * FROM read_files('/Volumes/main/tpch/raw/{path.name}', format => 'parquet')"
        )
        took += time.perf_counter() - began
    return took


class Ours:
    """Our server, asked like the others."""

    def __init__(self, server: Server, client: Client):
        self.client, self.pid = client, server.process.pid

    def ask(self, sql: str, out: str) -> dict:
        try:
            began = time.perf_counter()
            rows = self.client.sql(sql, schema="tpch")
            wall = time.perf_counter() - began
            with pa.OSFile(out, "wb") as file, pa.ipc.new_stream(file, rows.schema) as writer:
                writer.write_table(rows)
            return {"wall": wall}
        except Exception as error:  # noqa: BLE001 a query that is refused is what is to be reported
            return {"error": f"{type(error).__name__}: {error}".splitlines()[0][:300]}


def rows_of(path: Path) -> list[tuple]:
    """The rows, numbers as floats, in an order that does not depend on how ties were broken."""
    with pa.OSFile(str(path)) as file:
        table = pa.ipc.open_stream(file).read_all()

    def plain(value):
        if isinstance(value, bool) or value is None or isinstance(value, (datetime.date, datetime.datetime)):
            return str(value)
        if isinstance(value, (int, float, decimal.Decimal)):
            return float(value)
        return str(value)

    columns = [[plain(value) for value in column.to_pylist()] for column in table.columns]
    rows = list(zip(*columns, strict=True))
    return sorted(rows, key=lambda row: [(isinstance(v, float), v if isinstance(v, str) else round(v, 3)) for v in row])


def equal(one: list[tuple], other: list[tuple]) -> bool:
    def same(a, b):
        if isinstance(a, float) and isinstance(b, float):
            return abs(a - b) <= 1e-6 * max(abs(a), abs(b), 1)
        return a == b

    return len(one) == len(other) and all(len(a) == len(b) and all(map(same, a, b)) for a, b in zip(one, other, strict=True))


def measure() -> Found:
    found = Found()
    with tempfile.TemporaryDirectory(prefix="crannog-bench-") as scratch, Server("--log", "warn") as server:
        data = Path(scratch) / "tpch"
        tables = generated(data)
        loading = load(admin(server), tables)
        asked = queries()
        best: dict[str, dict[str, tuple[float, float]]] = {}
        failed: dict[str, dict[str, str]] = {}
        answers: dict[str, dict[str, list]] = {}
        with (
            Answerer(generator(), "bare", data) as same,
            peer("tpch", "datafusion", data) as wheel,
            peer("tpch", "duckdb", data) as duckdb,
            peer("tpch", "polars", data) as polars,
        ):
            sides = {"Crannog": Ours(server, admin(server)), SAME: same, "DataFusion 55.0 (PyPI)": wheel, REFERENCE: duckdb, "Polars": polars}
            for turn in range(ROUNDS + 1):
                for query, sql in asked.items():
                    for name, side in sides.items():
                        if query in failed.get(name, {}):
                            continue
                        out = Path(scratch) / f"{query}.arrow"
                        before = processor_seconds(side.pid)
                        said = side.ask(sql=sql, out=str(out))
                        used = processor_seconds(side.pid) - before
                        if "error" in said:
                            failed.setdefault(name, {})[query] = said["error"]
                        elif turn == 0:
                            answers.setdefault(name, {})[query] = rows_of(out)
                        else:
                            wall, cpu = best.setdefault(name, {}).get(query, (said["wall"], used))
                            best[name][query] = min(wall, said["wall"]), min(cpu, used)
    right = {
        name: [query for query in asked if equal(answers.get(name, {}).get(query, []), answers.get(REFERENCE, {}).get(query, [()]))]
        for name in sides
    }
    ours = best.get("Crannog", {})
    found.add(
        f"TPC-H SF{SCALE}: answers equal to {REFERENCE}'s", f"{len(right['Crannog'])} of {len(asked)}",
        peer=", ".join(f"{name} {len(right[name])}" for name in sides if name not in ("Crannog", REFERENCE)),
        target=f"{len(asked)} of {len(asked)}", met=len(right["Crannog"]) == len(asked),
    )  # fmt: skip
    for at, what in enumerate(("wall", "CPU")):
        for name in sides:
            common = [query for query in asked if query in ours and query in best.get(name, {})]
            if name == "Crannog" or not common:
                continue
            mine, theirs = (sum(best[side][query][at] for query in common) for side in ("Crannog", name))
            target = {"target": "ratio ≤ 1.10", "met": mine <= 1.1 * theirs and len(common) == len(asked)} if name == SAME else {}
            label = f"TPC-H SF{SCALE}, {what} of {len(common)} queries, against {name}"
            found.add(label, seconds(mine), peer=seconds(theirs), ratio=times(mine, theirs), **target)
    found.add(f"TPC-H SF{SCALE}, making the 8 tables from Parquet", seconds(loading))
    found.details = details(asked, sides, best, failed, right)
    return found


def details(asked, sides, best, failed, right) -> str:
    """Each query on each side."""
    lines = [
        f"Wall and CPU time of each query in ms, the best of {ROUNDS} after one that warms up, all sides in turns; `≠` marks an answer",
        f"that differs from {REFERENCE}'s, `–` a query that is refused.",
        "",
        "| Query | " + " | ".join(f"{name}, wall | CPU" for name in sides) + " |",
        "|---|" + "---|---|" * len(sides),
    ]
    for query in asked:
        cells = []
        for name in sides:
            wall, cpu = best.get(name, {}).get(query, (None, None))
            if wall is None:
                cells += ["–", "–"]
            else:
                cells += [f"{wall * 1e3:.0f}{'' if query in right[name] else ' ≠'}", f"{cpu * 1e3:.0f}"]
        lines.append(f"| {query} | " + " | ".join(cells) + " |")
    refused = [f"- {name}, {query}: {why}" for name, all_of_it in failed.items() for query, why in all_of_it.items()]
    return "\n".join(lines + ([""] + refused if refused else []))
