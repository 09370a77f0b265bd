"""The OpenAPI document against the server: schemathesis makes requests of each operation's schema, and every answer must
be one that the document declares, in status, media type and body, and none the server's own fault.

Each case is made once, from a fixed seed, and sent three times: by a stranger, by a person with some grants, by an
administrator. Half of the values that examples give are taken as they are, with real objects in their place, so that
requests reach what lies behind the checks; objects that a request removed are made anew.

It runs on SQLite and on PostgreSQL, though the document is the same: what odd values do below the checks (NUL in a text, a
number that is too large, a change that races) differs between the two. Making the cases takes as long as sending them, so
another process makes them meanwhile.
"""

import copy
import itertools
import multiprocessing
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

import hypothesis
import pytest
import requests
import schemathesis
from documented import Api, Objects
from harness import Server
from hypothesis import HealthCheck, Phase
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis import GenerationMode, checks
from schemathesis.core import NotSet
from schemathesis.core.failures import FailureGroup

SEED = 20260728
EXAMPLES = 50
WRONG = 10  # further ones that break the schema
NO_SUCCESS = {
    "LoadDeltaTable",  # clients of the Delta API are sent to the tables API, whatever the table
    "Login",  # the users that are made here have no password; the tests that Rust generates sign one in
}
MAKING = {}  # operations by name, in the process that makes cases of them
PLACES = {"path": "path_parameters", "query": "query", "header": "headers"}
checks.load_all_checks()
HELD = [
    checks.CHECKS.get_one(name)
    for name in (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    )
]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    with Server("--external-locations", str(outside), "--trusted-proxies", "127.0.0.1") as server:
        server.outside = str(outside)
        yield server


@pytest.fixture(scope="module")
def document(running):
    return requests.get(f"{running.url}/api/openapi.json", timeout=30).json()


def operations(document):
    return [one for methods in document["paths"].values() for one in methods.values()]


def resolved(document, one):
    """What is referred to, in its place."""
    for word in one.get("$ref", "").split("/")[1:]:
        document = document[word]
    return document if "$ref" in one else one


def bodies(operation):
    """The schemas of an operation's body."""
    return [one["schema"] for one in operation.get("requestBody", {}).get("content", {}).values() if "schema" in one]


def numbers(schema, path=""):
    """The numbers in a schema that say nothing of themselves."""
    if not isinstance(schema, dict):
        return []
    kinds = schema.get("type", [])
    found = [path] if {"integer", "number"} & {*([kinds] if isinstance(kinds, str) else kinds)} else []
    found = [] if "description" in schema else found
    for name, one in schema.get("properties", {}).items():
        found += numbers(one, f"{path}.{name}")
    for one in [schema.get("items"), *schema.get("anyOf", [])]:
        found += numbers(one, path)
    return found


def test_the_document_is_valid_openapi(document):
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []
    assert document["openapi"].startswith("3.1")


def test_every_operation_says_what_it_takes_and_what_it_gives(document):
    faults = []
    for operation in operations(document):
        name = operation["operationId"]
        if not operation.get("summary"):
            faults.append(f"{name} has no summary")
        for parameter in operation.get("parameters", []):
            if not parameter.get("description") or not {"type", "anyOf", "enum"} & set(parameter["schema"]):
                faults.append(f"{name}: the parameter {parameter['name']} has no type or is not described")
            if "integer" in parameter["schema"].get("type", "") and "minimum" not in parameter["schema"]:
                faults.append(f"{name}: the parameter {parameter['name']} has no least value")
        for schema in bodies(operation):
            for field, one in schema.get("properties", {}).items():
                if not isinstance(one, dict) or not one.get("description"):
                    faults.append(f"{name}: the field {field} is not described")
        answers = {status: resolved(document, one) for status, one in operation["responses"].items()}
        if not any(status < "400" for status in answers) and name != "LoadDeltaTable":
            faults.append(f"{name} never succeeds")
        if missing := {"400", "403", "404", "429", "500", "503"} - set(answers):
            faults.append(f"{name} does not declare {missing}")
        if "security" not in operation and "401" not in answers:
            faults.append(f"{name} does not declare 401")
        for status, answer in answers.items():
            if not answer.get("description"):
                faults.append(f"{name}: {status} is not described")
            for content in answer.get("content", {}).values():
                if not content.get("schema"):
                    faults.append(f"{name}: {status} has no schema")
                faults += [f"{name}: {status}: {one} says no unit" for one in numbers(content.get("schema"))]
    assert faults == []


def test_every_answer_is_declared(running, document):
    values = document["x-examples-are-about"]
    admin, anybody = Api(running.url, running.admin_token), Api(running.url)
    people = {word: running.person(word) for word in ("stranger", "person")}
    apis = {word: Api(running.url, one.token) for word, one in people.items()} | {"admin": admin}
    person = (apis["person"], people["person"].name)
    schema = schemathesis.openapi.from_dict(real_ones_too(document))
    known = {result.ok().definition.raw["operationId"]: result.ok() for result in schema.get_all_operations()}
    # One at another path is the same type.
    known = {name: operation for name, operation in known.items() if not name.rpartition("_")[2].isdigit()}
    examples = {operation["operationId"]: example(operation) for operation in operations(document)}
    counted, faults, addresses, worked = Counter(), {}, itertools.count(1), set()

    def objects():
        return Objects(values, admin, *person, running.warehouse(), running.outside)

    def send(asked, name, from_here):
        """Sends a case as each of the people; gives the statuses."""
        public = "security" in asked.operation.definition.raw
        headers = {"Origin": running.url} | ({"Accept": "text/html, */*"} if public else {})
        request = requests.Request(**asked.as_transport_kwargs(base_url=running.url, headers=headers)).prepare()
        statuses = []
        for word, api in apis.items():
            if not from_here:
                # Each from another address: many wrong secrets from one would be answered with 429 alone.
                number = next(addresses)
                request.headers["X-Forwarded-For"] = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
            session = (anybody if public else api).session
            if not public:
                request.headers["Authorization"] = session.headers["Authorization"]
            session.cookies.clear()
            answer = session.send(request, allow_redirects=False, timeout=60)
            counted[name, word] += 1
            statuses.append(answer.status_code)
            try:
                asked.validate_response(answer, checks=HELD, headers=headers)
            except FailureGroup as group:
                for failure in group.exceptions:
                    key = (name, answer.status_code, failure.title)
                    told = f"{failure.message[:300]}\n{asked.as_curl_command()[:600]}\n{answer.text[:300]}"
                    faults.setdefault(key, f"{key} by {word}: {told}")
        return statuses

    there = objects()
    for name, made in made_meanwhile(known):
        operation, removed = known[name], 0
        for number, parts in enumerate([examples[name], *made]):
            asked = operation.Case(**{part: there.fill(value) for part, value in parts.items()})
            statuses = send(asked, name, number == 0)
            if number == 0 and min(statuses) < 400:
                worked.add(name)
            if statuses[-1] < 300 and operation.method.upper() == "DELETE" and removed < 3:
                there, removed = objects(), removed + 1
        if operation.method.upper() not in ("GET", "HEAD"):
            there = objects()
    few = {key: count for key, count in counted.items() if count < EXAMPLES}
    assert few == {} and len(counted) > 300, few
    assert not faults, f"{len(faults)} kinds of answers are not declared:\n\n" + "\n\n".join(faults.values())
    assert {name for name, _ in counted} - worked == NO_SUCCESS, "examples that nobody was answered well"


def example(operation):
    """An operation's own example, as the parts of a case."""
    parts = {part: {} for part in PLACES.values()}
    for parameter in operation.get("parameters", []):
        if "example" in parameter:
            parts[PLACES[parameter["in"]]][parameter["name"]] = parameter["example"]
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        parts |= {"media_type": media_type, "body": content.get("example", b"1,2\n")}
    return parts


def made_meanwhile(known):
    """The name of each operation with the parts of its cases, which another process makes while earlier ones are sent."""
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(1, fork, initializer=MAKING.update, initargs=(known,)) as maker:
        try:
            yield from zip(known, maker.map(made, known), strict=True)
        finally:
            maker.shutdown(cancel_futures=True)


def made(name):
    """The parts of an operation's cases."""
    return [parts_of(case) for case in cases(MAKING[name])]


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
