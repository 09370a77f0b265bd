"""Searches of registered models and of their versions, generated from the grammar, one in six broken; over models of their own, with
tags, stages and aliases. Orders and pages are asked for as MLflow's client sends them."""

import random

from calls import GET, POST
from scripts.clauses import clauses
from scripts.world import WORDS

COUNT = 150
NAMES = ["zz-late", "zz-late-two", "zz_other", "zz日本", "zz-Upper", "zz-prompt"]
MINE = "name LIKE 'zz%'"
TAGS = ["team", "t.dotted", "語", "mlflow.prompt.is_prompt"]
NUMBERED = ["=", "!=", ">", ">=", "<", "<="]
LETTERED = ["=", "!=", "LIKE", "ILIKE", "like"]
BREAKS = ["AND", "OR", "=", ">", "'x'", "5", "(", "name", "IN", "LIKE", "things.a", "tags.team"]
SAYABLE = [word for word in WORDS if "'" not in word and '"' not in word]


def tags(dice, prompt=False):
    given = [{"key": key, "value": dice.choice(WORDS)} for key in TAGS[:3] if dice.random() < 0.6]
    return [*given, {"key": TAGS[3], "value": "true"}] if prompt else given


def made():
    dice = random.Random(20240107)
    yield POST("experiments/create", {"name": "registry filters"}, exp_rf="experiment_id")
    for run in ("rf_one", "rf_two"):
        yield POST("runs/create", {"experiment_id": "<exp_rf>", "start_time": 1, "run_name": run, "user_id": "ana"}, **{run: "run.info.run_id"})
    for name in NAMES:
        yield POST("registered-models/create", {"name": name, "description": f"of {name}", "tags": tags(dice, name == "zz-prompt")})
    for number in range(18):
        # A prompt's versions are of another kind.
        name, run = dice.choice(NAMES[:-1]), dice.choice(["rf_one", "rf_two", None])
        asked = {"name": name, "description": f"number {number}", "tags": tags(dice)}
        if run:
            asked |= {"run_id": f"<{run}>", "source": f"mlflow-artifacts:/<exp_rf>/<{run}>/artifacts/m{number % 3}", "run_link": f"https://x/{number}"}
        else:
            asked["source"] = f"s3://bucket/{number % 4}"
        yield POST("model-versions/create", asked)
    for name in NAMES[:3]:
        yield POST("model-versions/transition-stage", {"name": name, "version": "1", "stage": "Production", "archive_existing_versions": False})
        yield POST("registered-models/alias", {"name": name, "alias": "champion", "version": "1"})


def text_clause(dice, keys, words, lists):
    key, how = dice.choice(keys), dice.choice([*LETTERED, "IN", "NOT IN"] if lists else LETTERED)
    word = dice.choice(words)
    if "IN" in how.split():
        return [key, how, f"('{word}', '{dice.choice(words)}')"]
    if "like" in how.lower():
        word = dice.choice([f"%{word[1:]}", f"{word[:3]}%", f"%{word}%", f"_{word[1:]}", word])
    return [key, how, f"'{word}'"]


def tag_clause(dice):
    key = dice.choice(["tags.team", "tag.team", "tags.`t.dotted`", 'tags."語"', "tags.`mlflow.prompt.is_prompt`"])
    return text_clause(dice, [key], ["true", "false"] if "prompt" in key else SAYABLE, False)


def model_clause(dice):
    if dice.random() < 0.5:
        return text_clause(dice, ["name", "attribute.name"], NAMES, True)
    return tag_clause(dice)


def version_clause(dice):
    kind = dice.choice(["name", "number", "run", "source", "tag", "tag"])
    if kind == "number":
        return [dice.choice(["version_number", "attribute.version_number"]), dice.choice(NUMBERED), dice.choice(["0", "1", "2", "3", "-1", "1.5", "'1'"])]
    if kind == "tag":
        return tag_clause(dice)
    keys, words = {
        "name": (["name"], NAMES),
        "run": (["run_id"], ["<rf_one>", "<rf_two>", "x"]),
        "source": (["source_path"], ["s3://bucket/1", "s3://bucket/2", "mlflow-artifacts:/<exp_rf>/<rf_one>/artifacts/m0"]),
    }[kind]
    return text_clause(dice, keys, words, kind != "source")


def searches(path, clause, orders):
    dice = random.Random(20240108)
    for _ in range(COUNT):
        words = clauses(dice, clause, BREAKS)
        asked = {"filter": " ".join([*words, "AND", MINE]), "max_results": dice.choice([2, 5, 100])}
        if dice.random() < 0.6:
            asked["order_by"] = [f"{dice.choice(orders)}{dice.choice(['', ' ASC', ' DESC', ' desc'])}" for _ in range(dice.choice([1, 1, 2]))]
        yield GET(path, asked, page_or_first="next_page_token")
        if asked["max_results"] < 100:
            yield GET(path, {**asked, "page_token": "<page_or_first>"})


CALLS = [
    *made(),
    *searches("registered-models/search", model_clause, ["name", "timestamp", "last_updated_timestamp", "attribute.name", "unknown_key"]),
    *searches("model-versions/search", version_clause, ["name", "version_number", "creation_timestamp", "last_updated_timestamp", "unknown_key"]),
]
