"""Many writers to one run: eight, in two processes with four threads each, lose no point, no param and no tag."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

PROCESSES, THREADS, STEPS = 2, 4, 40

WRITER = """
import sys
from concurrent.futures import ThreadPoolExecutor
from mlflow import MlflowClient
from mlflow.entities import Metric

uri, run, me, threads, steps = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
client = MlflowClient(tracking_uri=uri)

def write(thread):
    for step in range(steps):
        client.log_metric(run, "shared", me, timestamp=me * 1000 + thread, step=step)
        client.log_batch(run, [Metric(f"own-{me}-{thread}", step, step, step), Metric("batched", thread, me * 1000 + thread, step)])
    client.log_param(run, f"param-{me}-{thread}", "1")
    client.set_tag(run, f"tag-{me}-{thread}", "1")
    client.set_tag(run, "everybody", f"{me}-{thread}")

with ThreadPoolExecutor(threads) as pool:
    list(pool.map(write, range(threads)))
"""


def test_processes_and_threads_lose_nothing(server, client, run):
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, server.url, run, str(me), str(THREADS), str(STEPS)],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=dict(os.environ),
            text=True,
        )
        for me in range(PROCESSES)
    ]
    failures = [(one.communicate()[1], one.returncode) for one in writers]
    assert [f for f in failures if f[1]] == []
    everybody = {(me, thread, step) for me in range(PROCESSES) for thread in range(THREADS) for step in range(STEPS)}
    shared = client.get_metric_history(run, "shared")
    assert {(int(p.value), p.timestamp % 1000, p.step) for p in shared} == everybody and len(shared) == len(everybody)
    batched = client.get_metric_history(run, "batched")
    assert {(p.timestamp // 1000, int(p.value), p.step) for p in batched} == everybody and len(batched) == len(everybody)
    got = client.get_run(run).data
    names = {f"{me}-{thread}" for me in range(PROCESSES) for thread in range(THREADS)}
    assert {k.removeprefix("own-") for k in got.metrics if k.startswith("own-")} == names
    assert all(got.metrics[f"own-{name}"] == STEPS - 1 for name in names)
    assert {k.removeprefix("param-") for k in got.params} == names
    assert {k.removeprefix("tag-") for k in got.tags if k.startswith("tag-")} == names
    assert got.tags["everybody"] in names
    # The latest is that of the last step, and among its points the one with the latest time.
    assert got.metrics["shared"] == PROCESSES - 1


def test_one_name_for_one_of_many(server, client):
    """Eight that make an experiment of the same name at once: one gets it, the others hear that it is taken."""
    from harness import unique
    from mlflow.exceptions import RestException

    name = unique("race")

    def make(_):
        try:
            return client.create_experiment(name)
        except RestException as refused:
            return refused.error_code

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(make, range(8)))
    assert sorted(a for a in answers if not a.isdigit()) == ["RESOURCE_ALREADY_EXISTS"] * 7
    assert client.get_experiment_by_name(name).experiment_id in answers


def test_a_param_is_one_of_the_values(client, run):
    """Eight that log a param with different values: one is kept, and the others are refused."""
    from mlflow.exceptions import MlflowException

    def log(value):
        try:
            client.log_param(run, "p", value)
            return value
        except MlflowException:
            return None

    with ThreadPoolExecutor(8) as pool:
        kept = [value for value in pool.map(log, range(8)) if value is not None]
    assert [str(value) for value in kept] == [client.get_run(run).data.params["p"]]
