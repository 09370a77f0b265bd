"""The OpenAPI document against the server: schemathesis makes requests of each operation's schema, and every answer must
be one that the document declares, in status, media type and body, and none the server's own fault.

Each case is made once, from a fixed seed, and sent three times: by a stranger, by a person with some grants, by an
administrator. Half of the values that examples give are taken as they are, with real objects in their place, so that
requests reach what lies behind the checks; objects that a request removed are made anew.

It runs on SQLite and on PostgreSQL, though the document is the same: what odd values do below the checks (NUL in a text, a
number that is too large, a change that races) differs between the two.
"""

import itertools
from collections import Counter

import pytest
import requests
import schemathesis
from documented import Api, Objects
from documented_cases import EXAMPLES, PLACES, made_meanwhile, operations, real_ones_too
from harness import Server
from schemathesis import checks
from schemathesis.core.failures import FailureGroup

NO_SUCCESS = {
    "LoadDeltaTable",  # clients of the Delta API are sent to the tables API, whatever the table
    "Login",  # the users that are made here have no password; the tests that Rust generates sign one in
}
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
        # Pages that somebody has added, as the examples have them.
        pages = server.data / "ui" / "mlflow"
        (pages / "0" / "static" / "js").mkdir(parents=True)
        for name in ("index.html", "static/js/main.js"):
            (pages / "0" / name).write_text("page")
        (pages / "current").write_text("0")
        yield server


@pytest.fixture(scope="module")
def document(running):
    return requests.get(f"{running.url}/api/openapi.json", timeout=30).json()


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

    def objects(name):
        found = Objects(values, admin, *person, running.warehouse(), running.outside)
        found.fill(examples[name])  # now, while nothing of them is removed
        return found

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

    for name, made in made_meanwhile(known, document["components"]):
        operation, there, removed = known[name], objects(name), 0
        for number, parts in enumerate([examples[name], *made]):
            asked = operation.Case(**{part: there.fill(value) for part, value in parts.items()})
            statuses = send(asked, name, number == 0)
            if number == 0 and min(statuses) < 400:
                worked.add(name)
            if statuses[-1] < 300 and operation.method.upper() == "DELETE" and removed < 3:
                there, removed = objects(name), removed + 1
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
