"""The differential oracle: every call of `scripts` goes to MLflow's own server and to Crannog, both new and empty, and status and
JSON have to be the same after normalising (`calls.py`). What may differ stands in differences.toml, each with its reason.

The run fails on a difference that is not listed, and on a listed one that is no longer found as often as its `count` says:
then the count is lowered, or the entry goes. `UPDATE_GOLDEN=1` writes the counts anew. To read all of them,
`CRANNOG_ORACLE_REPORT=FILE` writes every difference there, listed or not.
"""

import fnmatch
import importlib
import os
import re
import sys
import threading
import tomllib
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from harness import Server
from mlflows import MlflowServer

HERE = Path(__file__).resolve().parent
LIST = HERE / "differences.toml"
# In this order: those below `search` and `filters` look through `world`.
SCRIPTS = [
    "server", "experiments", "runs", "metrics", "inputs", "artifacts", "models", "registry",
    "world", "search", "filters", "experiment_filters", "model_filters", "registry_filters", "client", "odd",
]  # fmt: skip
FEWEST_CALLS = 5021
MOST_DIFFERENCES = 53  # entries of differences.toml; may only be lowered


@dataclass(frozen=True)
class Difference:
    key: str
    body: str
    where: str
    theirs: str
    ours: str

    def __str__(self):
        return f"{self.key} {self.body}\n    {self.where}\n      mlflow   {self.theirs}\n      crannog  {self.ours}"


class Entry:
    """One table of differences.toml: where it applies, how often, why."""

    def __init__(self, listed: dict):
        self.reason, self.count = listed["reason"], listed["count"]
        self.calls, self.where = listed["calls"], listed["where"]
        self.patterns = [(name, re.compile(listed[name], re.DOTALL)) for name in ("body", "mlflow", "crannog") if name in listed]
        assert set(listed) <= {"reason", "count", "calls", "where", "body", "mlflow", "crannog"}, f"unknown word in {listed}"
        assert self.reason.strip(), f"a difference without a reason: {listed}"

    def covers(self, found: Difference) -> bool:
        seen = {"body": found.body, "mlflow": found.theirs, "crannog": found.ours}
        return (
            fnmatch.fnmatchcase(found.key, self.calls)
            and fnmatch.fnmatchcase(found.where.replace("[]", ""), self.where)
            and all(pattern.search(seen[name]) for name, pattern in self.patterns)
        )


def script(name: str):
    sys.path.insert(0, str(HERE))
    try:
        return [replace(call, script=name) for call in importlib.import_module(f"scripts.{name}").CALLS]
    finally:
        sys.path.remove(str(HERE))


def calls():
    only = os.environ.get("CRANNOG_ORACLE_SCRIPTS", "").split() or SCRIPTS
    return [call for name in only for call in script(name)]


def other():
    """What is compared with MLflow: Crannog. `CRANNOG_ORACLE_OURS=mlflow` takes a second MLflow, which tries the oracle itself."""
    return MlflowServer() if os.environ.get("CRANNOG_ORACLE_OURS") == "mlflow" else Server("--log", "warn")


def replayed(asked) -> list[Difference]:
    sys.path.insert(0, str(HERE))
    from calls import Side, differences

    answers = {}
    with MlflowServer() as theirs, other() as ours:

        def run(name, side):
            answers[name] = side.run(asked)

        sides = {"theirs": Side(theirs.port), "ours": Side(ours.port, getattr(ours, "admin_token", ""))}
        threads = [threading.Thread(target=run, args=pair) for pair in sides.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return [
        Difference(call.key, call.text, *found)
        for call, theirs, ours in zip(asked, answers["theirs"], answers["ours"], strict=True)
        for found in differences(theirs, ours)
    ]


@pytest.fixture(scope="module")
def found():
    seen = replayed(calls())
    if report := os.environ.get("CRANNOG_ORACLE_REPORT"):
        Path(report).write_text("\n".join(map(str, seen)) + "\n", encoding="utf-8", errors="backslashreplace")
    return seen


def entries():
    return [Entry(listed) for listed in tomllib.loads(LIST.read_text()).get("difference", [])]


def test_there_are_as_many_calls_as_there_were():
    assert len(calls()) >= FEWEST_CALLS
    assert len(entries()) <= MOST_DIFFERENCES


def test_mlflow_and_crannog_answer_the_same_but_for_what_is_listed(found):
    listed = entries()
    seen, new = Counter(), []
    for one in found:
        covering = next((entry for entry in listed if entry.covers(one)), None)
        if covering is None:
            new.append(one)
        else:
            seen[covering] += 1
    if os.environ.get("UPDATE_GOLDEN"):
        counts = iter(seen[entry] for entry in listed)
        LIST.write_text(re.sub(r"^count = \d+$", lambda _: f"count = {next(counts)}", LIST.read_text(), flags=re.MULTILINE))
        return
    wrong = [f"{len(new)} new differences, the first of them:", *map(str, new[:40])] if new else []
    for entry in listed:
        if seen[entry] != entry.count or not entry.count:
            wrong.append(f"listed {entry.count} times, found {seen[entry]} times: {entry.calls}, {entry.where}: {entry.reason}")
    assert not wrong, "\n" + "\n".join(wrong)
