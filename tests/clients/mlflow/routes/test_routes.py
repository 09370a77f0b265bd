"""MLflow's routes, as the wheel declares them, and what Crannog does with each: served, refused or missing (routes.txt).

`UPDATE_GOLDEN=1` writes the list anew from the wheel and from the server. What is not served and belongs to a group of
`REFUSED` is refused for good, in MLflow's own shape of error; the rest is missing, and what is missing may only become less.
"""

import json
import os
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from mlflows import environment, quiet

HERE = Path(__file__).resolve().parent
LIST = HERE / "routes.txt"
MOST_MISSING = 8  # may only be lowered

# Groups of routes, by a part of their path, that are not served, and why.
REFUSED = {
    "mlflow/traces": "traces of language models come later",
    "v1/traces": "traces of language models come later",
    "mlflow/unified-traces": "traces of language models come later",
    "mlflow/get-online-trace-details": "traces of language models come later",
    "mlflow/scorers": "evaluation of language models comes later",
    "mlflow/datasets": "evaluation of language models comes later",
    "mlflow/label-schemas": "evaluation of language models comes later",
    "mlflow/review-queues": "evaluation of language models comes later",
    "mlflow/issues": "evaluation of language models comes later",
    "mlflow/prompt-optimization": "prompts come later",
    "mlflow/gateway": "no gateway to models of others",
    "mlflow/workspaces": "there is one workspace",
    "mlflow/webhooks": "webhooks come later",
}
HEAD = """# MLflow 3.17.2's routes, as its wheel declares them, and what is done with each: served, refused for a reason, or missing.
# Each of /api/ is served under /ajax-api/ too. Written by UPDATE_GOLDEN=1 and held to wheel and server by test_routes.py.
"""


def normal(path: str) -> str:
    """Parameters have other names here and there."""
    return "/".join("{}" if part.startswith(("{", "<")) else part for part in path.split("/"))


@pytest.fixture(scope="module")
def declared():
    done = subprocess.run(
        [str(environment()), "-B", str(HERE / "descriptors.py")], stdout=subprocess.PIPE, text=True, env=quiet(), check=True
    )
    return [tuple(line.split()) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def ours(server):
    with urllib.request.urlopen(f"{server.url}/api/openapi.json", timeout=60) as answer:
        paths = json.load(answer)["paths"]
    return {(method.upper(), normal(path)) for path, methods in paths.items() for method in methods}


def lines(declared, ours):
    for method, path, name in declared:
        reason = next((why for part, why in REFUSED.items() if f"/{part}" in path), None)
        word = "served" if (method, normal(path)) in ours else "refused" if reason else "missing"
        yield f"{word:<8}{method:<7}{path}  {name}{f'  # {reason}' if word == 'refused' else ''}"


def listed(word):
    return [tuple(line.split()[1:3]) for line in LIST.read_text().splitlines() if line.startswith(word)]


def test_the_list_is_what_wheel_and_server_say(declared, ours):
    wanted = HEAD + "".join(f"{line}\n" for line in lines(declared, ours))
    if os.environ.get("UPDATE_GOLDEN"):
        LIST.write_text(wanted)
    assert LIST.read_text() == wanted, "written anew with UPDATE_GOLDEN=1"


def test_less_and_less_is_missing():
    assert len(listed("missing")) <= MOST_MISSING


def test_what_is_served_is_served_to_the_pages_too(ours):
    twice = [(method, path) for method, path in listed("served") if path.startswith("/api/") and "/unity-catalog/" not in path]
    assert [pair for pair in twice if (pair[0], normal(pair[1].replace("/api/", "/ajax-api/", 1))) not in ours] == []


def test_what_is_refused_is_refused_in_mlflows_words(server):
    for method, path in listed("refused"):
        address = server.url + path.replace("{", "").replace("}", "")
        headers = {"Authorization": f"Bearer {server.admin_token}", "Content-Type": "application/json"}
        request = urllib.request.Request(address, b"{}" if method != "GET" else None, headers, method=method)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=60)
        body = json.loads(refused.value.read())
        assert refused.value.code in (404, 501) and body["error_code"] and body["message"], f"{method} {path}: {body}"
