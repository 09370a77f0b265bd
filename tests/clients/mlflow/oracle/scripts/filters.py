"""Filters and orders of runs, generated from the grammar with a fixed seed: mostly good ones, one in five broken by a change to its
tokens. They look through `world`, so the rows that they find are compared too."""

import random

from calls import POST
from scripts.world import METRICS, PARAMS, TAGS, WORDS

COUNT = 700
SPELLINGS = {
    "metric": ["metrics", "metric"],
    "param": ["params", "param", "parameter", "parameters"],
    "tag": ["tags", "tag"],
    "attribute": ["attributes", "attribute", "attr", "run"],
    "dataset": ["datasets", "dataset"],
}
TEXTS = ["status", "run_name", "user_id", "artifact_uri", "run_id"]
TIMES = ["start_time", "end_time", "created"]
NUMBERED = ["=", "!=", ">", ">=", "<", "<="]
LETTERED = ["=", "!=", "LIKE", "ILIKE"]
BREAKS = ["AND", "OR", "NOT", "(", ")", "=", ">", "'x'", "5", "metrics.loss", ",", ";", "IS NULL", "'", "`", "--", "LIKE", "*", "NULL", "IN"]


class Dice(random.Random):
    def key(self, kind, name):
        if not name.isascii() or not name.replace("_", "").isalnum() or self.random() < 0.3:
            name = self.choice(["`{}`", '"{}"']).format(name)
        return f"{self.choice(SPELLINGS[kind])}.{name}"

    def text(self, value):
        return f"'{value}'" if "'" not in value or self.random() < 0.1 else f'"{value}"'

    def pattern(self):
        word = self.choice(WORDS)
        return self.choice([word, f"{word[:2]}%", f"%{word[-2:]}", f"%{word[1:3]}%", f"_{word[1:]}", "%"])

    def number(self):
        return self.choice(["0", "1", "-1", "2.5", "0.5", "1e-1", "1000", "-3", ".25"])

    def clause(self):
        kind = self.choices(list(SPELLINGS), [4, 4, 3, 4, 1])[0]
        if kind == "metric":
            return [self.key(kind, self.choice(METRICS)), self.choice(NUMBERED), self.number()]
        if kind in ("param", "tag"):
            key = self.key(kind, self.choice(PARAMS if kind == "param" else TAGS))
            if self.random() < 0.2:
                return [key, self.choice(["IS NULL", "IS NOT NULL", "is null"])]
            how = self.choice(LETTERED)
            return [key, how, self.text(self.pattern() if "LIKE" in how else self.choice(WORDS))]
        if kind == "attribute":
            bare = self.random() < 0.4
            if self.random() < 0.5:
                name = self.choice(TIMES)
                key = name if bare else self.key(kind, name)
                return [key, self.choice(NUMBERED), str(self.choice([999, 1000, 1003, 1010, 1019, 2000, 2003, 5000]))]
            name = self.choice(TEXTS)
            key = name if bare else self.key(kind, name)
            how = self.choice(LETTERED)
            if name == "run_id" and self.random() < 0.5:
                ids = ", ".join(f"'<w{self.randrange(40):02}>'" for _ in range(self.randint(1, 3)))
                return [key, self.choice(["IN", "NOT IN"]), f"({ids})"]
            value = {"status": self.choice(["FINISHED", "FAILED", "F%", "%ED", "RUNNING"]), "run_id": f"<w{self.randrange(40):02}>"}
            value |= {"user_id": self.choice(["ana", "ben", "Ben", "b%"]), "run_name": self.choice(["run 1", "%1%", "走る%", "Run _"])}
            return [key, how, self.text(value.get(name, "%artifacts"))]
        name = self.choice(["name", "digest", "context"])
        how = self.choice([*LETTERED, "IN", "NOT IN"])
        value = self.choice({"name": ["planes", "空港", "Planes"], "digest": ["d0", "d1"], "context": ["train", "eval"]}[name])
        return [self.key(kind, name), how, f"('{value}', 'x')" if "IN" in how.split() else f"'{value}'"]

    def filter(self):
        words = self.clause()
        for _ in range(self.choices([0, 1, 2, 3], [5, 4, 2, 1])[0]):
            words += [self.choice(["AND", "and", "AND"]), *self.clause()]
        if self.random() < 0.2:
            at = self.randrange(len(words))
            how = self.randrange(4)
            if how == 0:
                words.insert(at, self.choice(BREAKS))
            elif how == 1:
                del words[at]
            elif how == 2:
                words[at] = self.choice(BREAKS)
            else:
                words[at] = words[at][: max(1, len(words[at]) - 1)]
        return self.choice([" ", " ", " ", "  ", "\n"]).join(words)

    def order(self):
        kind = self.choice(["metric", "param", "tag", "attribute"])
        name = self.choice({"metric": METRICS, "param": PARAMS, "tag": TAGS, "attribute": ["start_time", "end_time", "status", "run_name"]}[kind])
        return self.key(kind, name) + self.choice(["", " ASC", " DESC", " desc"])


def calls():
    dice = Dice(20240102)
    for _ in range(COUNT):
        asked = {"experiment_ids": ["<exp_world>", "<exp_other>"][: dice.choice([1, 2, 2])], "filter": dice.filter()}
        if dice.random() < 0.4:
            asked["order_by"] = [dice.order() for _ in range(dice.randint(1, 2))]
        if dice.random() < 0.2:
            asked["max_results"] = dice.randint(1, 10)
        if dice.random() < 0.2:
            asked["run_view_type"] = dice.choice(["ALL", "DELETED_ONLY"])
        yield POST("runs/search", asked)


CALLS = list(calls())
