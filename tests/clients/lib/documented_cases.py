"""Requests of each operation of an OpenAPI document, as schemathesis makes them.

Making them takes as long as sending them. So another process makes them meanwhile, and they are kept in the cache folder: those
of an operation are made once for all runs, and anew when its part of the document, this file or a library changes.
"""

import copy
import fcntl
import hashlib
import itertools
import json
import multiprocessing
import os
import pickle
import time
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path

import hypothesis
from hypothesis import HealthCheck, Phase
from schemathesis import GenerationMode
from schemathesis.core import NotSet

SEED = 20260728
EXAMPLES = 50
WRONG = 10  # further ones that break the schema
PLACES = {"path": "path_parameters", "query": "query", "header": "headers"}
KEPT_SECONDS = 30 * 24 * 3600  # cases that no run used for so long are deleted
MAKING = {}  # operations by name, in the process that makes cases of them


def operations(document):
    return [one for methods in document["paths"].values() for one in methods.values()]


def real_ones_too(document):
    """The document, where each value that an example gives is one that its schema gives half of the time."""
    document = copy.deepcopy(document)
    for operation in operations(document):
        for parameter in operation.get("parameters", []):
            if "example" in parameter:
                parameter["schema"] = {"anyOf": [{"const": parameter.pop("example")}, parameter["schema"]]}
        for content in operation.get("requestBody", {}).get("content", {}).values():
            example = content.pop("example", {})
            fields = content["schema"].get("properties", {})
            for name in example.keys() & fields.keys():
                fields[name] = {"anyOf": [{"const": example[name]}, fields[name]]}
            # Unknown fields are let through, and more of them would teach nothing.
            content["schema"]["additionalProperties"] = False
    return document


def made_meanwhile(known, components):
    """The name of each operation with the parts of its cases, which another process makes while earlier ones are sent.
    `components` are those of the document, which operations may refer to."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crannog" / "schemathesis"
    folder.mkdir(parents=True, exist_ok=True)
    for kept in folder.iterdir():
        if kept.stat().st_mtime < time.time() - KEPT_SECONDS:
            kept.unlink(missing_ok=True)
    common = [components, Path(__file__).read_text(), *map(version, ("schemathesis", "hypothesis"))]
    files = {}
    for name, operation in known.items():
        made_of = json.dumps([operation.method, operation.path, operation.definition.raw, common], sort_keys=True)
        files[name] = folder / hashlib.sha256(made_of.encode()).hexdigest()
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(1, fork, initializer=MAKING.update, initargs=(known,)) as maker:
        try:
            yield from zip(known, maker.map(made, known, files.values()), strict=True)
        finally:
            maker.shutdown(cancel_futures=True)


def made(name, kept):
    """The parts of an operation's cases, which a file keeps. Whoever comes while another run makes them waits for it."""
    with kept.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        written = file.read()
        if written[-1:] == pickle.STOP:  # otherwise whoever wrote it was ended
            os.utime(kept)
            return pickle.loads(written)
        parts = [parts_of(case) for case in cases(MAKING[name])]
        file.truncate(0)
        file.write(pickle.dumps(parts))
        return parts


def parts_of(case):
    """What a case is made of, without its operation."""
    parts = {part: getattr(case, part) for part in ("method", "media_type", "cookies", "body", *PLACES.values())}
    return {part: value for part, value in parts.items() if not isinstance(value, NotSet)}


def cases(operation):
    """At least `EXAMPLES` requests that fit an operation's schema, and some that do not, the same in each run. Where the
    schema has fewer different ones, they come again."""
    fit, found = [], []

    def collect(mode, count, into):
        @hypothesis.seed(SEED)
        @hypothesis.settings(
            max_examples=count, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
        )
        @hypothesis.given(operation.as_strategy(generation_mode=mode))
        def each(case):
            into.append(case)

        each()

    collect(GenerationMode.POSITIVE, EXAMPLES, fit)
    try:
        collect(GenerationMode.NEGATIVE, WRONG, found)
    except hypothesis.errors.Unsatisfiable:
        found = []  # nothing can be wrong about it
    return list(itertools.islice(itertools.cycle(fit), max(EXAMPLES, len(fit)))) + found
