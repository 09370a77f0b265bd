"""Many runs in two tracking servers, the same in both, for the measures of searching: five metrics, five params and three tags each.

Into ours they go by REST from several processes; into MLflow's they are written into its database, since by REST that takes it a
quarter of an hour. It sees them as its own: they are the rows that it writes itself.
"""

import json
import multiprocessing
import random
import socket
import sqlite3

PROCESSES = 8
METRICS = [f"m{n}" for n in range(5)]
PARAMS = [f"p{n}" for n in range(5)]
TAGS = [f"t{n}" for n in range(3)]


def content(number: int) -> tuple[dict, dict, dict]:
    """Metrics, params and tags of a run; the same for the same number."""
    dice = random.Random(number)
    return (
        {key: dice.random() for key in METRICS},
        {key: str(dice.randrange(1000)) for key in PARAMS},
        {key: f"v{dice.randrange(10)}" for key in TAGS},
    )


class Wire:
    """One kept connection that sends a request and waits for its answer."""

    def __init__(self, port: int, token: str):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.head = f"host: 127.0.0.1:{port}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n"

    def post(self, path: str, body: dict) -> dict:
        text = json.dumps(body).encode()
        self.socket.sendall(f"POST /api/2.0/mlflow/{path} HTTP/1.1\r\n{self.head}content-length: {len(text)}\r\n\r\n".encode() + text)
        answer = b""
        while (end := answer.find(b"\r\n\r\n")) < 0:
            answer += self._more()
        head = answer[:end].lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        while len(answer) < end + 4 + length:
            answer += self._more()
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(f"{path}: {answer[:400].decode(errors='replace')}")
        return json.loads(answer[end + 4 :])

    def _more(self) -> bytes:
        part = self.socket.recv(1 << 16)
        if not part:
            raise RuntimeError("the server closed the connection")
        return part


def _post_runs(port, token, experiment, numbers):
    wire = Wire(port, token)
    for number in numbers:
        metrics, params, tags = content(number)
        made = wire.post("runs/create", {"experiment_id": experiment, "start_time": number + 1, "run_name": f"run {number}"})
        batch = {
            "run_id": made["run"]["info"]["run_id"],
            "metrics": [{"key": k, "value": v, "timestamp": number, "step": 0} for k, v in metrics.items()],
            "params": [{"key": k, "value": v} for k, v in params.items()],
            "tags": [{"key": k, "value": v} for k, v in tags.items()],
        }
        wire.post("runs/log-batch", batch)


def fill_ours(port: int, token: str, experiment: str, count: int):
    """Raises when a process of it failed."""
    parts = [
        multiprocessing.Process(target=_post_runs, args=(port, token, experiment, range(at, count, PROCESSES))) for at in range(PROCESSES)
    ]
    for part in parts:
        part.start()
    for part in parts:
        part.join()
    if any(part.exitcode for part in parts):
        raise RuntimeError("the runs could not be written")


def fill_theirs(database, experiment: str, count: int):
    runs, metrics, params, tags = [], [], [], []
    for number in range(count):
        name, (measured, given, tagged) = f"{number:032x}", content(number)
        place = f"mlflow-artifacts:/{experiment}/{name}/artifacts"
        runs.append((name, f"run {number}", "UNKNOWN", "", "", "ana", "RUNNING", number + 1, None, "", "active", place, experiment, None))
        metrics += [(key, value, number, 0, False, name) for key, value in measured.items()]
        params += [(key, value, name) for key, value in given.items()]
        tags += [(key, value, name) for key, value in {**tagged, "mlflow.runName": f"run {number}"}.items()]
    with sqlite3.connect(database, timeout=60) as db:
        db.executemany(f"INSERT INTO runs VALUES ({', '.join('?' * 14)})", runs)
        db.executemany("INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, ?, ?, ?, ?)", metrics)
        db.executemany("INSERT INTO metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, ?, ?, ?, ?)", metrics)
        db.executemany("INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)", params)
        db.executemany("INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)", tags)
    db.close()
