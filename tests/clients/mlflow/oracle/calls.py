"""What the oracle replays and how two answers are compared: calls, the run of a list of them on one server, normalising.

A call is (method, path, body). Paths without a leading slash are below `/api/2.0/mlflow/`; the body of a GET is its query. `keep`
gives names to parts of the answer (`keep={"run": "run.info.run_id"}`), and `<run>` in a later path or body is what the server
at hand gave for it; `page_or_first` is a page's token, or that of the first page after the last one. A body that is text goes out as it is, for JSON that no client would write; so do bytes.

Normalising takes out of an answer only what must differ between two servers: ids that they made, the times of their clocks, run
names that they invented, page tokens. Everything else is compared, down to the messages.
"""

import http.client
import json
import re
import time
from dataclasses import dataclass, field
from urllib.parse import urlencode

PREFIX = "/api/2.0/mlflow/"
# What scripts give as times of their own is far below this; what is above is a server's clock.
CLOCK = 1_600_000_000_000
TIMES = re.compile(r"(_time|_timestamp|^timestamp)(_ms)?$")
HEX = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
INVENTED = re.compile(r"^[a-z]+-[a-z]+-\d+$")
# Python prints its sets in an order that each process makes up.
SET = re.compile(r"\{('[^'{}]*'(?:, '[^'{}]*')*)\}")
# What SQLAlchemy says of a statement.
STATEMENT = re.compile(r"\(sqlite3\..*", re.DOTALL)
PLACE = re.compile(r"<([a-z][a-z0-9_]*)>")
# Lists that both servers give in an order of their own.
UNORDERED = {"tags", "params", "metrics", "aliases"}


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    body: object = None
    keep: dict = field(default_factory=dict)
    headers: dict = field(default_factory=dict)
    script: str = ""

    @property
    def key(self) -> str:
        """What a listed difference names it by."""
        return f"{self.script} {self.method} {self.path}"

    @property
    def text(self) -> str:
        """The body as a person reads it, cut."""
        if self.body is None:
            return ""
        shown = repr(self.body) if isinstance(self.body, (bytes, str)) else json.dumps(self.body, ensure_ascii=False)
        return shown if len(shown) <= 400 else f"{shown[:300]}… ({len(shown)} characters)"


def GET(path, body=None, **keep):
    return Call("GET", path, body, keep)


def POST(path, body=None, **keep):
    return Call("POST", path, {} if body is None else body, keep)


def PATCH(path, body=None, **keep):
    return Call("PATCH", path, {} if body is None else body, keep)


def PUT(path, body=None, **keep):
    return Call("PUT", path, body, keep)


def DELETE(path, body=None, **keep):
    return Call("DELETE", path, body, keep)


@dataclass
class Answer:
    status: int
    body: object  # JSON, or text when it is none
    json: bool


class Side:
    """One of the two servers, over one kept connection. Knows the names that its answers were given."""

    def __init__(self, port: int, token: str = ""):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.names = {}

    def run(self, calls: list[Call]) -> list[Answer]:
        answers = []
        for call in calls:
            answers.append(self.normal(self.send(call)))
            if call.method != "GET" and "search" not in call.path:
                _next_millisecond()
        return answers

    def send(self, call: Call) -> Answer:
        path = self._fill(call.path if call.path.startswith("/") else PREFIX + call.path)
        body, headers = self._fill(call.body), dict(self.headers)
        if call.method == "GET" and isinstance(body, (dict, list)):
            path, body = f"{path}?{urlencode(body, doseq=True)}", None
        elif isinstance(body, bytes):
            headers["Content-Type"] = "application/octet-stream"
        elif body is not None:
            headers["Content-Type"] = "application/json"
            # What no JSON can say (a lone surrogate) goes out as it would from Python's own json.
            body = (body if isinstance(body, str) else json.dumps(body)).encode("utf-8", "surrogatepass")
        headers.update(call.headers)
        try:
            response, raw = self._ask(call.method, path, body, headers)
        except (http.client.HTTPException, OSError) as error:
            return Answer(0, f"{type(error).__name__}", False)
        text = raw.decode("utf-8", "replace")
        try:
            answer = Answer(response.status, json.loads(text, parse_constant=lambda word: f"(no JSON: {word})"), True)
        except ValueError:
            answer = Answer(response.status, text, False)
        for name, where in call.keep.items():
            self.names[name] = _at(answer.body, where) or ("" if name == "page_or_first" else f"nothing-was-kept-as-{name}")
        return answer

    def _ask(self, *request):
        """Servers close a connection that was idle for some seconds, which happens to this one on a busy machine: then once more,
        over a new one. A server that breaks on the request does so again."""
        for last in (False, True):
            try:
                self.connection.request(*request)
                response = self.connection.getresponse()
                return response, response.read()
            except (http.client.RemoteDisconnected, ConnectionError):
                self.connection.close()
                if last:
                    raise
            except (http.client.HTTPException, OSError):
                self.connection.close()
                raise

    def _fill(self, value):
        if isinstance(value, str):
            whole = PLACE.fullmatch(value)
            if whole and whole[1] in self.names:
                return self.names[whole[1]]
            return PLACE.sub(lambda m: str(self.names.get(m[1], m[0])), value)
        if isinstance(value, dict):
            return {k: self._fill(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self._fill(v) for v in value]
        return value

    def normal(self, answer: Answer) -> Answer:
        known = sorted(((str(v), k) for k, v in self.names.items() if len(str(v)) >= 32), key=lambda pair: -len(pair[0]))
        experiments = {str(v): k for k, v in self.names.items() if k.startswith("exp")}

        def text(value: str, key: str) -> str:
            if key.endswith("_token"):
                return "<token>" if value else value
            for made, name in known:
                value = value.replace(made, f"<{name}>")
            value = HEX.sub("<id>", value)
            if key in ("experiment_id", "experimentId") and value in experiments:
                return f"<{experiments[value]}>"
            if key == "experiment_id" and value.isdecimal() and value != "0":
                return "<another>"  # one that no call gave a name
            for made, name in experiments.items():
                value = re.sub(rf"(mlflow-artifacts:/|id=|with id |'){made}(?![0-9])", rf"\1<{name}>", value)
            value = re.sub(r"(mlflow-artifacts:/)[1-9]\d*", r"\1<another>", value)
            if key == "message":
                value = STATEMENT.sub("<the database's own words>", value)
                value = SET.sub(lambda m: "{" + ", ".join(sorted(m[1].split(", "))) + "}", value)
            if key in ("run_name", "name") and INVENTED.match(value):
                return "<invented>"
            # A message that tells a server's clock.
            return re.sub(r"\b1[6-9]\d{11}\b", "<time>", value)

        def walk(value, key=""):
            if isinstance(value, dict):
                if value.get("key") == "mlflow.runName" and INVENTED.match(str(value.get("value"))):
                    value = {**value, "value": "<invented>"}
                return {k: walk(v, k) for k, v in value.items()}
            if isinstance(value, list):
                items = [walk(v, key) for v in value]
                if key in UNORDERED and all(isinstance(v, dict) for v in items):
                    items.sort(key=lambda v: str(v.get("key", v.get("alias", ""))))
                return items
            if isinstance(value, bool):
                return value
            if isinstance(value, (int, float)) and value > CLOCK and TIMES.search(key):
                return "<time>"
            return text(value, key) if isinstance(value, str) else value

        return Answer(answer.status, walk(answer.body), answer.json)


def _next_millisecond():
    """Servers order by the times of making and changing, in milliseconds; what is done one after the other must not get the same."""
    now = time.time_ns() // 1_000_000
    while time.time_ns() // 1_000_000 == now:
        pass


def _at(body, where: str):
    for word in where.split("."):
        try:
            body = body[int(word)] if isinstance(body, list) else body[word]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
    return body


def differences(theirs: Answer, ours: Answer) -> list[tuple[str, str, str]]:
    """(where, theirs, ours), as short as says it: a difference of status or of an error's code is one, with both errors in it."""
    if theirs.status != ours.status or theirs.json != ours.json or _code(theirs) != _code(ours):
        return [("status", _brief(theirs), _brief(ours))]
    return list(_differ("body", theirs.body, ours.body))


def _code(answer: Answer):
    return answer.body.get("error_code") if isinstance(answer.body, dict) else None


def _brief(answer: Answer) -> str:
    body = answer.body
    if isinstance(body, dict) and "error_code" in body:
        return f"{answer.status} {body['error_code']}: {json.dumps(body.get('message'), ensure_ascii=False)}"[:1500]
    shown = json.dumps(body, ensure_ascii=False, sort_keys=True) if answer.json else f"text {body!r}"
    return f"{answer.status} {shown}"[:1500]


def _differ(where: str, theirs, ours):
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in sorted({*theirs, *ours}):
            if key not in theirs or key not in ours:
                yield f"{where}.{key}", _shown(theirs.get(key, ABSENT)), _shown(ours.get(key, ABSENT))
            else:
                yield from _differ(f"{where}.{key}", theirs[key], ours[key])
    elif (keyed := _by_key(theirs)) is not None and (others := _by_key(ours)) is not None:
        for key in [*keyed, *(key for key in others if key not in keyed)]:
            if key not in keyed or key not in others:
                yield f"{where}[]", _shown(keyed.get(key, ABSENT)), _shown(others.get(key, ABSENT))
            else:
                yield from _differ(f"{where}[]", keyed[key], others[key])
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for one, other in zip(theirs, ours, strict=True):
            yield from _differ(f"{where}[]", one, other)
    elif theirs != ours or type(theirs) is not type(ours):
        yield where, _shown(theirs), _shown(ours)


def _by_key(items) -> dict | None:
    """Tags, params and latest values by their keys; None for what is no list of such."""
    if not isinstance(items, list) or not items or not all(isinstance(item, dict) and "key" in item for item in items):
        return None
    found = {item["key"]: item for item in items}
    return found if len(found) == len(items) else None


ABSENT = object()


def _shown(value) -> str:
    if value is ABSENT:
        return "absent"
    shown = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return shown if len(shown) <= 1500 else f"{shown[:1500]}… ({len(shown)} characters)"
