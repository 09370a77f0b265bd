"""`kill -9` while clients log: every point, parameter, tag, file, run and model that was acknowledged is there, a batch is there
wholly or not at all, and the last points are those of the histories.

As test_killed.py, with the requests of MLflow's clients. Eight threads log points to one run, so that groups of them are
written together when the server ends. CRANNOG_KILLS is how often (20), CRANNOG_SEED chooses the moments (1).
"""

import hashlib
import itertools
import os
import random
import signal

from harness import Server, unique
from ledger import Door, Ledger, work_until

KILLS = int(os.environ.get("CRANNOG_KILLS", "20"))
SEED = int(os.environ.get("CRANNOG_SEED", "1"))
KILLS_AN_EXPERIMENT = 5  # then a new one is worked on, so that looking does not take longer and longer
LOGGERS = 8
API = "/api/2.0/mlflow"


class Work:
    """An experiment, a run that everybody logs to, and what was said of them."""

    def __init__(self, server: Server):
        door = Door(server)
        self.ledger, self.numbers = Ledger(), itertools.count(1)
        self.experiment = door.json("POST", f"{API}/experiments/create", {"name": unique("killed")})["experiment_id"]
        self.run = door.json("POST", f"{API}/runs/create", {"experiment_id": self.experiment, "run_name": "shared"})["run"]["info"]["run_id"]
        self.ledger.states["run", "shared"] = "RUNNING"

    def threads(self):
        return [self.points] * LOGGERS + [self.batches, self.batches, self.files, self.runs, self.models]

    def points(self, door: Door, _):
        while True:
            number = next(self.numbers)
            point = {"run_id": self.run, "key": "loss", "value": number, "timestamp": number, "step": number}
            self.ledger.change(lambda: door.json("POST", f"{API}/runs/log-metric", point), {("point", number): True})  # noqa: B023

    def batches(self, door: Door, own: random.Random):
        while True:
            numbers = [next(self.numbers) for _ in range(own.randint(1, 20))]
            batch = {
                "run_id": self.run,
                "metrics": [{"key": "batched", "value": n, "timestamp": n, "step": n} for n in numbers],
                "params": [{"key": f"p{numbers[0]}", "value": str(numbers[0])}],
                "tags": [{"key": f"t{numbers[0]}", "value": str(numbers[0])}],
            }
            changes = {("batched", n): True for n in numbers}
            changes |= {("param", f"p{numbers[0]}"): str(numbers[0]), ("tag", f"t{numbers[0]}"): str(numbers[0])}
            self.ledger.change(lambda: door.json("POST", f"{API}/runs/log-batch", batch), changes)  # noqa: B023

    def files(self, door: Door, own: random.Random):
        """Few different contents under few names: what one file no longer is, another still may be."""
        while True:
            name = f"f{own.randrange(8)}.bin"
            path = self.path(name)
            if self.ledger.state(("file", name)) is not None and own.random() < 0.3:
                self.ledger.change(lambda: door.ask("DELETE", path), {("file", name): None})  # noqa: B023
                continue
            content = bytes([own.randrange(4)]) * own.choice((0, 1, 100_000))
            changes = {("file", name): hashlib.sha256(content).hexdigest()}
            self.ledger.change(lambda: door.ask("PUT", path, content), changes)  # noqa: B023

    def path(self, name: str) -> str:
        return f"/api/2.0/mlflow-artifacts/artifacts/{self.experiment}/{self.run}/artifacts/{name}"

    def runs(self, door: Door, _):
        while True:
            name = f"r{next(self.numbers)}"
            new = {"experiment_id": self.experiment, "run_name": name, "start_time": 1}
            made = self.ledger.change(lambda: door.json("POST", f"{API}/runs/create", new), {("run", name): "RUNNING"})  # noqa: B023
            run_id = made["run"]["info"]["run_id"]
            ended = {"run_id": run_id, "status": "FINISHED", "end_time": 2}
            self.ledger.change(lambda: door.json("POST", f"{API}/runs/update", ended), {("run", name): "FINISHED"})  # noqa: B023
            self.ledger.change(lambda: door.json("POST", f"{API}/runs/delete", {"run_id": run_id}), {("run", name): "deleted"})  # noqa: B023

    def models(self, door: Door, _):
        while True:
            name = f"m{next(self.numbers)}"
            new = {"experiment_id": self.experiment, "name": name, "source_run_id": self.run}
            made = self.ledger.change(lambda: door.json("POST", f"{API}/logged-models", new), {("model", name): "LOGGED_MODEL_PENDING"})  # noqa: B023
            path = f"{API}/logged-models/{made['model']['info']['model_id']}"
            ready = {"status": "LOGGED_MODEL_READY"}
            self.ledger.change(lambda: door.json("PATCH", path, ready), {("model", name): "LOGGED_MODEL_READY"})  # noqa: B023


def everything(door: Door, path: str, asked: dict, what: str) -> list[dict]:
    found, token = [], None
    while True:
        answer = door.json("POST", path, asked | ({"page_token": token} if token else {}))
        found += answer.get(what, [])
        token = answer.get("next_page_token")
        if not token:
            return found


def look(server: Server, work: Work) -> list[str]:
    """Holds the restarted server against the ledger."""
    door, ledger, wrong = Door(server), work.ledger, []
    logged = door.json("GET", f"{API}/runs/get?run_id={work.run}")["run"]["data"]
    latest = {one["key"]: one["value"] for one in logged.get("metrics", [])}
    for kind, key in (("point", "loss"), ("batched", "batched")):
        points = door.json("GET", f"{API}/metrics/get-history?run_id={work.run}&metric_key={key}").get("metrics", [])
        steps = [int(point["step"]) for point in points]
        wrong += ledger.settle(kind, {(step,): True for step in steps})
        wrong += [f"{key}: a point that was never logged: {p}" for p in points if not p["value"] == p["timestamp"] == p["step"]]
        if len(set(steps)) != len(steps):
            wrong.append(f"{key}: points are there twice")
        if latest.get(key) != max(steps, default=None):
            wrong.append(f"{key}: the last point is {latest.get(key)}, the history ends with {max(steps, default=None)}")
    wrong += ledger.settle("param", {(p["key"],): p["value"] for p in logged.get("params", [])})
    wrong += ledger.settle("tag", {(t["key"],): t["value"] for t in logged.get("tags", []) if not t["key"].startswith("mlflow.")})

    listed = door.json("GET", f"{API}/artifacts/list?run_id={work.run}").get("files", [])
    wrong += ledger.settle("file", {(f["path"],): hashlib.sha256(door.ask("GET", work.path(f["path"]))).hexdigest() for f in listed})

    asked = {"experiment_ids": [work.experiment], "max_results": 1000}
    infos = [run["info"] for run in everything(door, f"{API}/runs/search", asked | {"run_view_type": "ALL"}, "runs")]
    state = {(i["run_name"],): "deleted" if i["lifecycle_stage"] == "deleted" else i["status"] for i in infos}
    wrong += ledger.settle("run", state)
    models = everything(door, f"{API}/logged-models/search", asked, "models")
    wrong += ledger.settle("model", {(m["info"]["name"],): m["info"]["status"] for m in models})
    ((audits,),) = door.sql(
        "SELECT count(*) FROM system.access.audit WHERE action_name = 'createRun' AND response.status_code = 200 "
        f"AND request_params['experimentId'] = '{work.experiment}'"
    )
    if int(audits) != len(infos):
        wrong.append(f"{audits} rows of the audit for {len(infos)} runs")
    return wrong


def test_what_clients_logged_outlives_every_kill():
    chance, works = random.Random(SEED), []
    with Server() as server:
        for kill in range(1, KILLS + 1):
            if kill % KILLS_AN_EXPERIMENT == 1:
                works.append(Work(server))
            work = works[-1]
            before = work.ledger.acknowledged
            wrong = work_until(lambda: server.signal(signal.SIGKILL), server, work, chance)
            cut = len(work.ledger.pending)
            server.start()
            wrong += look(server, work)
            print(f"kill {kill}: {work.ledger.acknowledged - before} acknowledged, {cut} things in flight", flush=True)
            assert not wrong, f"kill {kill} of seed {SEED}:\n" + "\n".join(wrong)
        wrong = [problem for work in works for problem in look(server, work)]
        assert not wrong, f"at the end of seed {SEED}:\n" + "\n".join(wrong)
    assert sum(work.ledger.acknowledged for work in works) >= KILLS, "hardly anything was acknowledged"
