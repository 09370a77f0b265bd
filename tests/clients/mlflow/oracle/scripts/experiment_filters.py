"""Filters of experiments, generated like those of runs: mostly good ones, one in five broken. They look through a dozen experiments
of their own, so that what they find is compared too."""

import random

from calls import POST
from scripts.filters import BREAKS
from scripts.world import WORDS

COUNT = 150
MINE = "tags.of = 'filters'"


def made():
    dice = random.Random(20240103)
    for number in range(12):
        tags = [{"key": "of", "value": "filters"}, {"key": "n", "value": str(number)}]
        if number % 3:
            tags.append({"key": "color", "value": dice.choice(WORDS)})
        name = f"filtered {dice.choice(WORDS)[:8]} {number}"
        yield POST("experiments/create", {"name": name, "tags": tags}, **{f"exp_filtered_{number}": "experiment_id"})
    yield POST("experiments/delete", {"experiment_id": "<exp_filtered_3>"})
    yield POST("experiments/delete", {"experiment_id": "<exp_filtered_4>"})


def clause(dice):
    key = dice.choice(["name", "attribute.name", "attributes.name", "tags.color", "tag.color", "tags.`color`", 'tags."n"', "tags.n"])
    if "tag" in key and dice.random() < 0.2:
        return [key, dice.choice(["IS NULL", "IS NOT NULL"])]
    if dice.random() < 0.15:
        return [dice.choice(["creation_time", "attribute.last_update_time"]), dice.choice([">", "<", ">=", "="]), dice.choice(["0", "9999999999999"])]
    word = dice.choice([*WORDS, "filtered", "1", "5"])
    how = dice.choice(["=", "!=", "LIKE", "ILIKE"])
    if "LIKE" in how:
        word = dice.choice([f"%{word}%", f"{word}%", f"%{word}", word])
    return [key, how, f"'{word}'" if "'" not in word else f'"{word}"']


def calls():
    dice = random.Random(20240104)
    for _ in range(COUNT):
        words = clause(dice)
        for _ in range(dice.choice([0, 0, 1, 2])):
            words += ["AND", *clause(dice)]
        if dice.random() < 0.2:
            at = dice.randrange(len(words))
            words[at : at + dice.randint(0, 1)] = [dice.choice(BREAKS)]
        asked = {"max_results": dice.choice([3, 50]), "filter": " ".join([*words, "AND", MINE])}
        if dice.random() < 0.5:
            asked["order_by"] = [dice.choice(["name", "name DESC", "attribute.name ASC"])]
        if dice.random() < 0.3:
            asked["view_type"] = dice.choice(["ALL", "DELETED_ONLY"])
        yield POST("experiments/search", asked)


CALLS = [*made(), *calls()]
