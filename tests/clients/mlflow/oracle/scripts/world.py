"""A small experiment that searches look through: forty runs with metrics (NaN and infinities among them), params, tags, datasets,
all of it from a fixed seed, with times of their own so that every order is decided."""

import random

from calls import POST

WORDS = ["red", "Red", "RED", "blue", "dark blue", "日本", "🦊", "a'b", 'a"b', "100%", "under_score", "", "x" * 60, "NaN", "1.5"]
STATUSES = ["FINISHED", "FAILED", "KILLED", "RUNNING", "SCHEDULED"]
METRICS = ["loss", "acc", "val/loss", "m with space", "日本", "rare"]
PARAMS = ["lr", "depth", "color", "p with space", "色"]
TAGS = ["team", "color", "mlflow.source.name", "t with space", "語"]
RUNS = 40


def calls():
    dice = random.Random(20240101)
    yield POST("experiments/create", {"name": "world"}, exp_world="experiment_id")
    yield POST("experiments/create", {"name": "world, the other"}, exp_other="experiment_id")
    for number in range(RUNS):
        name = f"w{number:02}"
        yield POST(
            "runs/create",
            {
                "experiment_id": "<exp_other>" if number % 10 == 9 else "<exp_world>",
                "start_time": 1000 + number,  # each its own: what else decides is the id, which servers make up
                "run_name": f"{dice.choice(['run', 'Run', '走る'])} {number}",
                "user_id": dice.choice(["ana", "ben", "Ben"]),
            },
            **{name: "run.info.run_id"},
        )
        metrics = [
            {"key": key, "value": dice.choice([dice.randint(-3, 3), dice.random(), "NaN", "Infinity", "-Infinity", 0]), "timestamp": 1, "step": 0}
            for key in METRICS
            if dice.random() < (0.15 if key == "rare" else 0.7)
        ]
        params = [{"key": key, "value": dice.choice(WORDS) or "empty"} for key in PARAMS if dice.random() < 0.7]
        tags = [{"key": key, "value": dice.choice(WORDS)} for key in TAGS if dice.random() < 0.7]
        yield POST("runs/log-batch", {"run_id": f"<{name}>", "metrics": metrics, "params": params, "tags": tags})
        status = dice.choice(STATUSES)
        ended = {"end_time": 2000 + dice.randint(0, 5)} if status in ("FINISHED", "FAILED", "KILLED") else {}
        yield POST("runs/update", {"run_id": f"<{name}>", "status": status, **ended})
        if number % 4 == 0:
            dataset = {"name": dice.choice(["planes", "Planes", "空港"]), "digest": f"d{number % 3}", "source_type": "local", "source": "{}"}
            context = {"key": "mlflow.data.context", "value": dice.choice(["train", "eval"])}
            yield POST("runs/log-inputs", {"run_id": f"<{name}>", "datasets": [{"dataset": dataset, "tags": [context]}]})
        if number % 13 == 12:
            yield POST("runs/delete", {"run_id": f"<{name}>"})


CALLS = list(calls())
