"""`crannog import mlflow` of a large database: 100,000 runs with 10 M points, written into the tables that MLflow makes. Then what they
take of the disk, and a statement that reads all of them.

    CRANNOG_IMPORT_RUNS=1000    fewer runs, to try the measure
"""

import os
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path

from figures import Found, megabytes, per_second, seconds, times
from harness import Server, binary
from mlflows import environment, quiet
from running import extra_memory, size_of
from served import admin

RUNS = int(os.environ.get("CRANNOG_IMPORT_RUNS", "100000"))
METRICS, STEPS = 5, 20
MOST_SECONDS = 600
QUESTION = "SELECT metric_name, count(*) AS points, avg(metric_value) FROM system.ml.metrics GROUP BY metric_name ORDER BY metric_name"
MADE = "from mlflow import MlflowClient; import sys; MlflowClient(sys.argv[1], sys.argv[1]).search_experiments()"


def source(folder: Path) -> Path:
    """A database of MLflow's with runs, each with a hundred points, five parameters and three tags."""
    database = folder / "mlflow.db"
    subprocess.run([str(environment()), "-c", MADE, f"sqlite:///{database}"], check=True, env=quiet(), cwd=folder, capture_output=True)
    with sqlite3.connect(database) as into:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -500000"):
            into.execute(f"PRAGMA {pragma}")
        names = [f"{n:032x}" for n in range(RUNS)]
        into.executemany(
            "INSERT INTO runs (run_uuid, name, source_type, user_id, status, start_time, end_time, lifecycle_stage, artifact_uri, experiment_id) "
            "VALUES (?, ?, 'UNKNOWN', 'ana', 'FINISHED', ?, ?, 'active', '', 0)",
            ((name, f"run {n}", 1_700_000_000_000 + n, 1_700_000_060_000 + n) for n, name in enumerate(names)),
        )
        # In the order of the table's key, which is what makes writing them bearable.
        for metric in range(METRICS):
            for step in range(STEPS):
                into.executemany(
                    f"INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES ('m{metric}', ?, {1_700_000_000_000 + step}, ?, {step}, 0)",
                    ((n * 0.7 + step, name) for n, name in enumerate(names)),
                )
        into.executemany("INSERT INTO params VALUES (?, ?, ?)", ((f"p{k}", str(n), name) for n, name in enumerate(names) for k in range(5)))
        into.executemany("INSERT INTO tags VALUES (?, ?, ?)", ((f"t{k}", str(n), name) for n, name in enumerate(names) for k in range(3)))
    into.close()
    return database


def imported(server: Server, database: Path) -> tuple[float, str]:
    began = time.perf_counter()
    done = subprocess.run(
        [str(binary()), "import", "mlflow", str(database)], check=False, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
        env={**os.environ, "CRANNOG_HOST": server.url, "CRANNOG_TOKEN": server.admin_token},
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"the import ended with {done.returncode}: {done.stdout[-500:]}")
    return time.perf_counter() - began, done.stdout


def measure() -> Found:
    found, points = Found(), RUNS * METRICS * STEPS
    with tempfile.TemporaryDirectory(prefix="crannog-import-") as folder, Server("--log", "warn") as server:
        database = source(Path(folder))
        source_bytes, empty = size_of(Path(folder)), size_of(server.data)
        took, said = imported(server, database)
        if f"runs: {RUNS} taken over" not in said or f"points: {points} taken over" not in said:
            raise RuntimeError(f"not all of it was taken over: {said}")
        again, _ = imported(server, database)
        size = size_of(server.data) - empty
        with extra_memory(server.process.pid) as extra:
            began = time.perf_counter()
            answer = admin(server).sql(QUESTION)
            asked = time.perf_counter() - began
        if answer.column("points").to_pylist() != [points // METRICS] * METRICS:
            raise RuntimeError(f"the points are not all there: {answer.to_pylist()}")
    found.add(
        f"Import of {RUNS:,} runs, {points:,} points", f"{seconds(took)}, {per_second(points / took)} points",
        target=f"< {MOST_SECONDS // 60} min", met=took < MOST_SECONDS,
    )  # fmt: skip
    found.add("… once more, which changes nothing", seconds(again))
    found.add(
        "… on the disk, with the runs, their params and tags", megabytes(size), peer=f"MLflow {megabytes(source_bytes)}",
        ratio=times(size, source_bytes),
    )  # fmt: skip
    found.add(f"… count and mean of all {points:,} points by SQL", f"{seconds(asked)}, extra memory {megabytes(extra[0])}")
    return found
