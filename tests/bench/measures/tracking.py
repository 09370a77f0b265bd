"""Tracking against MLflow's own server: making runs, logging, searching 100,000 runs, a long history, an alias.

Both run on this machine, one after the other, with the same requests from the same generator. Ours has authorization on and is
durable when it answers; MLflow 3.17.2 has one worker, no job runners, no authorization, and SQLite as it sets it up.
"""

import http.client
import json
import statistics
import tempfile
import time
from pathlib import Path
from urllib.parse import urlencode

from figures import Found, per_second, seconds, times
from harness import Server
from mlflows import MlflowServer
from running import generate, size_of
from tracked import fill_ours, fill_theirs

API = "/api/2.0/mlflow"
SECONDS = 5
RUNS = 100_000
POINTS = 100_000
BATCH = 1_000
PAGE = 100
# How far into the runs pages are followed.
DEEP = 20_000
TRIES = 11
# MLflow has no answer to some searches in any time; this is as long as one is waited for.
PATIENCE = 60


class Side:
    """One server: its port, the token that it wants, and a connection."""

    def __init__(self, port: int, token: str):
        self.port, self.token = port, token
        self.address = f"127.0.0.1:{port}"
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)

    def call(self, method: str, path: str, body: dict | None = None) -> dict:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        path = f"{API}/{path}"
        if method == "GET" and body:
            path, body = f"{path}?{urlencode(body, doseq=True)}", None
        for again in (True, False):
            try:
                self.connection.request(method, path, json.dumps(body) if body is not None else None, headers)
                response = self.connection.getresponse()
                break
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self.connection.close()  # it had been kept for too long
                if not again:
                    raise
        text = response.read()
        if response.status != 200:
            raise RuntimeError(f"{method} {path}: {response.status} {text[:300].decode(errors='replace')}")
        return json.loads(text) if text else {}

    def load(self, path: str, body: dict | str, clients: int) -> dict:
        body = body if isinstance(body, str) else json.dumps(body)
        done = generate(
            "http", address=self.address, method="POST", path=f"{API}/{path}", token=self.token, body=body, clients=clients, seconds=SECONDS
        )
        if done["failed"]:
            raise RuntimeError(f"{done['failed']} of {path} failed: {done['first_failure']}")
        return {**done, "speed": done["done"] / done["seconds"]}

    def timed(self, *asked) -> float:
        """The median of some answers, in seconds."""
        took = []
        for _ in range(TRIES):
            began = time.perf_counter()
            self.call(*asked)
            took.append(time.perf_counter() - began)
        return statistics.median(took)


def written(side: Side, folder: Path) -> dict:
    """What the generator got done: create_run, log_metric, log_batch, by connections; and the disk that a point of a batch took. The
    runs that were made before are no points: the folder is looked at between them."""
    experiment = side.call("POST", "experiments/create", {"name": "load"})["experiment_id"]
    run = side.call("POST", "runs/create", {"experiment_id": experiment})["run"]["info"]["run_id"]
    create = {"experiment_id": experiment, "start_time": 1, "run_name": "r{n}", "tags": [{"key": "mlflow.user", "value": "ana"}]}
    metric = f'{{"run_id":"{run}","key":"loss","value":0.5,"timestamp":{{n}},"step":{{n}}}}'
    # `{n}` is another number for each request; with a 1 before and the point's own digits behind it, it is another for each point.
    points = ",".join(f'{{"key":"k{at % 10}","value":0.5,"timestamp":{{n}},"step":1{{n}}{at:03}}}' for at in range(BATCH))
    batch = f'{{"run_id":"{run}","metrics":[{points}]}}'
    done = {
        "create_run": {clients: side.load("runs/create", create, clients) for clients in (1, 8)},
        "log_metric": {clients: side.load("runs/log-metric", metric, clients) for clients in (1, 8)},
    }
    before = size_of(folder)
    done["log_batch"] = {8: side.load("runs/log-batch", batch, 8)}
    return {"written": done, "bytes": (size_of(folder) - before) / (done["log_batch"][8]["done"] * BATCH)}


def history(side: Side) -> float:
    """Reading all points of a metric, page by page as the client does."""
    experiment = side.call("POST", "experiments/create", {"name": "history"})["experiment_id"]
    run = side.call("POST", "runs/create", {"experiment_id": experiment})["run"]["info"]["run_id"]
    for at in range(0, POINTS, BATCH):
        points = [{"key": "loss", "value": n / 7, "timestamp": n, "step": n} for n in range(at, at + BATCH)]
        side.call("POST", "runs/log-batch", {"run_id": run, "metrics": points})
    took = []
    for _ in range(3):
        began, found, token = time.perf_counter(), 0, {}
        while True:
            asked = {"run_id": run, "metric_key": "loss", "max_results": 25_000, **token}
            page = side.call("GET", "metrics/get-history", asked)
            found += len(page["metrics"])
            if not page.get("next_page_token"):
                break
            token = {"page_token": page["next_page_token"]}
        took.append(time.perf_counter() - began)
        if found != POINTS:
            raise RuntimeError(f"{found} points were read of {POINTS}")
    return statistics.median(took)


def searched(side: Side, experiment: str) -> dict:
    """Times of searches through many runs, in seconds; infinity for what was not answered."""
    here = {"experiment_ids": [experiment]}
    found = {"first 100": side.timed("POST", "runs/search", {**here, "max_results": 100})}
    filtered = {**here, "max_results": 100, "filter": "metrics.m0 > 0.9 AND params.p1 = '77'"}
    found["filtered"] = side.timed("POST", "runs/search", filtered)
    took, token = [], {}
    for _ in range(DEEP // PAGE):
        began = time.perf_counter()
        page = side.call("POST", "runs/search", {**here, "max_results": PAGE, **token})
        took.append(time.perf_counter() - began)
        token = {"page_token": page["next_page_token"]}
    found["page"] = statistics.median(took[-TRIES:])
    # The last, as it may go on after the client has left.
    try:
        ordered = {**here, "max_results": 100, "order_by": ["metrics.m1 DESC"]}
        answer = side.call("POST", "runs/search", ordered)
        first = [next(m["value"] for m in run["data"]["metrics"] if m["key"] == "m1") for run in answer["runs"]]
        if first != sorted(first, reverse=True) or len(first) != 100:
            raise RuntimeError("the runs are not in the order of the metric")
        found["ordered"] = side.timed("POST", "runs/search", ordered)
    except TimeoutError:
        found["ordered"] = float("inf")
    return found


def alias(side: Side) -> float:
    side.call("POST", "registered-models/create", {"name": "late"})
    side.call("POST", "model-versions/create", {"name": "late", "source": "s3://bucket/model"})
    side.call("POST", "registered-models/alias", {"name": "late", "alias": "champion", "version": "1"})
    return side.timed("GET", "registered-models/alias", {"name": "late", "alias": "champion"})


def measured(side: Side, folder: Path, fill) -> dict:
    done = written(side, folder)
    done["history"], done["alias"] = history(side), alias(side)
    experiment = side.call("POST", "experiments/create", {"name": "many"})["experiment_id"]
    fill(experiment)
    return {**done, **searched(side, experiment)}


def measure() -> Found:
    with Server("--log", "warn") as server:
        side = Side(server.port, server.admin_token)
        ours = measured(side, server.data, lambda experiment: fill_ours(side.port, side.token, experiment, RUNS))
    with MlflowServer() as server:
        database = server.folder / "mlflow.db"
        theirs = measured(Side(server.port, "none"), server.folder, lambda experiment: fill_theirs(database, experiment, RUNS))
    found = Found()
    targets = {("create_run", 1): 1_500, ("create_run", 8): 6_000, ("log_metric", 1): 1_500, ("log_metric", 8): 6_000}
    for (what, clients), least in targets.items():
        mine, peer = ours["written"][what][clients], theirs["written"][what][clients]
        met = mine["speed"] >= least and (clients == 1 or mine["p99_ms"] < 20)
        found.add(
            f"{what}, {clients} connection{'s' * (clients > 1)}", f"{per_second(mine['speed'])}, p99 {mine['p99_ms']:.3g} ms",
            peer=f"MLflow {per_second(peer['speed'])}, p99 {peer['p99_ms']:.3g} ms", ratio=times(mine["speed"], peer["speed"]),
            target=f"≥ {least:,}/s" + (", p99 < 20 ms" if clients > 1 else ""), met=met,
        )  # fmt: skip
    mine, peer = (side["written"]["log_batch"][8] for side in (ours, theirs))
    found.add(
        "log_batch of 1,000 points, 8 connections", f"{per_second(mine['speed'] * BATCH)}, p99 {mine['p99_ms']:.3g} ms",
        peer=f"MLflow {per_second(peer['speed'] * BATCH)}, p99 {peer['p99_ms']:.3g} ms", ratio=times(mine["speed"], peer["speed"]),
        target="≥ 150,000 points/s", met=mine["speed"] * BATCH >= 150_000,
    )  # fmt: skip
    found.add(
        "Disk for a point, just after", f"{ours['bytes']:.3g} bytes", peer=f"MLflow {theirs['bytes']:.3g} bytes",
        ratio=times(ours["bytes"], theirs["bytes"]), target="≤ 30 bytes", met=ours["bytes"] <= 30,
    )  # fmt: skip
    for name, label, most in (
        ("first 100", f"Search of {RUNS:,} runs, first 100", 10e-3),
        ("filtered", "… by a metric and a param", None),
        ("ordered", "… the first 100 by a metric", 30e-3),
        ("page", f"… a page of {PAGE}, {DEEP:,} runs deep", 30e-3),
        ("history", f"History of {POINTS:,} points", 150e-3),
        ("alias", "Version by alias", 1e-3),
    ):
        peer = f"no answer in {PATIENCE} s" if theirs[name] == float("inf") else seconds(theirs[name])
        found.add(
            label, seconds(ours[name]), peer=f"MLflow {peer}", ratio=times(ours[name], theirs[name]) if theirs[name] < PATIENCE else "",
            target=f"< {seconds(most)}" if most else "", met=ours[name] < most if most else None,
        )  # fmt: skip
    return found
