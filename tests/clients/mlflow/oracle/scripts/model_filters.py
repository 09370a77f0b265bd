"""Searches of logged models, generated from the grammar that their search has, one in six broken. They look through a dozen models
of their own whose metrics stand on datasets or on none, with infinities; datasets, orders and pages are asked for as MLflow's
client sends them."""

import random

from calls import PATCH, POST
from scripts.clauses import clauses
from scripts.world import WORDS

COUNT = 220
MODELS = 12
METRICS = ["acc", "loss", "val/f1", "m with space"]
PARAMS = ["C", "depth", "色"]
TAGS = ["team", "t.dotted", "語"]
DATASETS = [None, None, ("planes", "d1"), ("planes", "d2"), ("空港", "d1")]
NAMES = ["late", "Late", "other", "日本", "late two"]
TYPES = ["sklearn", "xgboost", "Agent", ""]
NUMBERED = ["=", "!=", ">", ">=", "<", "<="]
BREAKS = ["AND", "OR", "=", ">", "'x'", "5", "metrics.loss", "(", "name", "IN", "LIKE", "things.a"]


def named(dice, number):
    return f"{dice.choice(NAMES)} {number}" if number % 3 else dice.choice(NAMES)


def made():
    dice = random.Random(20240105)
    yield POST("experiments/create", {"name": "model filters"}, exp_mf="experiment_id")
    yield POST("experiments/create", {"name": "model filters, the other"}, exp_mf_other="experiment_id")
    for where in ("exp_mf", "exp_mf_other"):
        asked = {"experiment_id": f"<{where}>", "start_time": 1, "run_name": "r", "user_id": "ana"}
        yield POST("runs/create", asked, **{f"mf_run_{where}": "run.info.run_id"})
    for number in range(MODELS):
        where = "exp_mf_other" if number % 5 == 4 else "exp_mf"
        model, run = f"mf{number:02}", f"<mf_run_{where}>"
        asked = {
            "experiment_id": f"<{where}>",
            "name": named(dice, number),
            "model_type": dice.choice(TYPES),
            "params": [{"key": key, "value": dice.choice(WORDS) or "empty"} for key in PARAMS if dice.random() < 0.7],
            "tags": [{"key": key, "value": dice.choice(WORDS)} for key in TAGS if dice.random() < 0.7],
        }
        if dice.random() < 0.6:
            asked["source_run_id"] = run
        yield POST("logged-models", asked, **{model: "model.info.model_id"})
        for step, dataset in enumerate(dice.sample(DATASETS, 3)):
            for key in METRICS:
                if dice.random() < 0.6:
                    value = dice.choice([dice.randint(-2, 2), round(dice.random(), 3), "Infinity", "-Infinity"])
                    point = {"run_id": run, "model_id": f"<{model}>", "key": key, "value": value, "timestamp": 1 + step, "step": step}
                    if dataset:
                        point |= {"dataset_name": dataset[0], "dataset_digest": dataset[1]}
                    yield POST("runs/log-metric", point)
        status = dice.choice(["LOGGED_MODEL_READY", "LOGGED_MODEL_UPLOAD_FAILED", None])
        if status:
            yield PATCH(f"logged-models/<{model}>", {"model_id": f"<{model}>", "status": status})


def clause(dice):
    kind = dice.choice(["metric", "metric", "param", "tag", "name", "time", "id"])
    if kind == "metric":
        key = dice.choice(METRICS)
        key = f"`{key}`" if " " in key or "/" in key or dice.random() < 0.2 else key
        return [f"metrics.{key}", dice.choice(NUMBERED), dice.choice(["0", "1", "-1", "0.5", "1e-1"])]
    if kind == "time":
        key = dice.choice(["creation_time", "creation_timestamp", "last_updated_timestamp", "attributes.creation_timestamp_ms"])
        return [key, dice.choice([">", "<", ">=", "!="]), dice.choice(["0", "9999999999999"])]
    how = dice.choice(["=", "!=", "LIKE", "ILIKE", "IN", "NOT IN", "like"])
    if kind == "id":
        key = dice.choice(["model_id", "source_run_id"])
        known = f"<mf{dice.randrange(MODELS):02}>" if key == "model_id" else "<mf_run_exp_mf>"
        return [key, how, f"('{known}', 'x')" if "IN" in how.split() else f"'{known}'"]
    key, words = {
        "param": (f"params.{dice.choice(PARAMS)}", WORDS),
        "tag": (f"tags.`{dice.choice(TAGS)}`", WORDS),
        "name": (dice.choice(["name", "attributes.name", "model_type"]), [*NAMES, *TYPES]),
    }[kind]
    word = dice.choice([word for word in words if "'" not in word and '"' not in word])
    if "IN" in how.split():
        return [key, how, f"('{word}', '{dice.choice(NAMES)}')"]
    if "like" in how.lower():
        word = dice.choice([f"%{word}%", f"{word[:2]}%", f"_{word[1:]}", word])
    return [key, how, f"'{word}'"]


def order(dice):
    field = dice.choice(["name", "model_type", "creation_time", "last_updated_timestamp", *[f"metrics.{key}" for key in METRICS]])
    wanted = {"field_name": field, "ascending": dice.random() < 0.5}
    if field.startswith("metrics.") and dice.random() < 0.6:
        wanted["dataset_name"] = dice.choice(["planes", "空港"])
        if dice.random() < 0.6:
            wanted["dataset_digest"] = dice.choice(["d1", "d2"])
    return wanted


def searches():
    dice = random.Random(20240106)
    for number in range(COUNT):
        words = clauses(dice, clause, BREAKS)
        asked = {"experiment_ids": ["<exp_mf>", "<exp_mf_other>"][: dice.choice([1, 2])]}
        if number % 5:
            asked["filter"] = " ".join(words)
        if dice.random() < 0.3:
            asked["datasets"] = [{"dataset_name": dice.choice(["planes", "空港", "none"])} for _ in range(dice.choice([1, 1, 2]))]
            for dataset in asked["datasets"]:
                if dice.random() < 0.6:
                    dataset["dataset_digest"] = dice.choice(["d1", "d2"])
        if dice.random() < 0.5:
            asked["order_by"] = [order(dice) for _ in range(dice.choice([1, 1, 2]))]
        if dice.random() < 0.3:
            asked["max_results"] = dice.randint(1, 6)
            yield POST("logged-models/search", asked, page_or_first="next_page_token")
            yield POST("logged-models/search", {**asked, "page_token": "<page_or_first>"})
        else:
            yield POST("logged-models/search", asked)


CALLS = [*made(), *searches()]
