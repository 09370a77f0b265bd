"""Odd JSON, generated: each field of each request in turn left out, null, of another type, a number as text, in camelCase, given
under both names, much too long. Everything else in the request stays good, so that the answer is about that field."""

from calls import GET, PATCH, POST, Call

WORDS = [None, "", 0, -1, 1.5, True, [], {}, ["a"], {"a": 1}, "x", "1", "日本"]
LONG = "y" * 600

SETUP = [
    POST("experiments/create", {"name": "odd"}, exp_odd="experiment_id"),
    POST("runs/create", {"experiment_id": "<exp_odd>", "start_time": 1, "run_name": "odd", "user_id": "ana"}, odd="run.info.run_id"),
    POST("runs/log-metric", {"run_id": "<odd>", "key": "h", "value": 1, "timestamp": 1, "step": 1}),
]

# A good request for each route; `{n}` is a number that no other request has. The fields that are put to the test are those that
# stand here.
GOOD = [
    POST("experiments/create", {"name": "odd {n}", "artifact_location": "s3://b/{n}", "tags": [{"key": "a", "value": "b"}]}),
    GET("experiments/get", {"experiment_id": "<exp_odd>"}),
    GET("experiments/get-by-name", {"experiment_name": "odd"}),
    POST("experiments/update", {"experiment_id": "<exp_odd>", "new_name": "odd"}),
    POST("experiments/set-experiment-tag", {"experiment_id": "<exp_odd>", "key": "k", "value": "v"}),
    POST("experiments/delete-experiment-tag", {"experiment_id": "<exp_odd>", "key": "k{n}"}),
    POST("experiments/search", {"filter": "name = 'odd'", "max_results": 3, "view_type": "ALL", "order_by": ["name"], "page_token": ""}),
    POST("experiments/delete", {"experiment_id": "999{n}"}),
    POST("experiments/restore", {"experiment_id": "999{n}"}),
    POST(
        "runs/create",
        {"experiment_id": "<exp_odd>", "user_id": "ana", "start_time": 5, "run_name": "r{n}", "tags": [{"key": "a", "value": "b"}]},
    ),
    GET("runs/get", {"run_id": "<odd>"}),
    POST("runs/update", {"run_id": "<odd>", "status": "RUNNING", "end_time": 9, "run_name": "odd"}),
    POST("runs/log-metric", {"run_id": "<odd>", "key": "m{n}", "value": 1.5, "timestamp": 7, "step": 2}),
    POST("runs/log-parameter", {"run_id": "<odd>", "key": "p{n}", "value": "v"}),
    POST("runs/set-tag", {"run_id": "<odd>", "key": "t{n}", "value": "v"}),
    POST("runs/delete-tag", {"run_id": "<odd>", "key": "none{n}"}),
    POST(
        "runs/log-batch",
        {
            "run_id": "<odd>",
            "metrics": [{"key": "bm{n}", "value": 1, "timestamp": 1, "step": 1}],
            "params": [{"key": "bp{n}", "value": "v"}],
            "tags": [{"key": "bt{n}", "value": "v"}],
        },
    ),
    POST(
        "runs/log-inputs",
        {
            "run_id": "<odd>",
            "datasets": [
                {
                    "dataset": {"name": "d{n}", "digest": "x", "source_type": "local", "source": "s", "schema": "c", "profile": "p"},
                    "tags": [{"key": "a", "value": "b"}],
                }
            ],
        },
    ),
    POST(
        "runs/search",
        {"experiment_ids": ["<exp_world>"], "filter": "metrics.loss > 0", "run_view_type": "ALL", "max_results": 2, "order_by": ["run_name"]},
    ),
    POST("runs/delete", {"run_id": "0000{n}"}),
    POST("runs/restore", {"run_id": "0000{n}"}),
    GET("metrics/get-history", {"run_id": "<odd>", "metric_key": "h", "max_results": 5, "page_token": ""}),
    GET("metrics/get-history-bulk-interval", {"run_ids": ["<odd>"], "metric_key": "h", "start_step": 0, "end_step": 9, "max_results": 5}),
    GET("artifacts/list", {"run_id": "<odd>", "path": "a", "page_token": ""}),
    POST("logged-models", {"experiment_id": "<exp_odd>", "name": "lm{n}", "model_type": "t", "source_run_id": "<odd>"}),
    POST("logged-models/search", {"experiment_ids": ["<exp_odd>"], "filter": "name = 'x'", "max_results": 3}),
    POST("registered-models/create", {"name": "rm{n}", "description": "d", "tags": [{"key": "a", "value": "b"}]}),
    GET("registered-models/get", {"name": "nobody{n}"}),
    PATCH("registered-models/update", {"name": "nobody{n}", "description": "d"}),
    GET("registered-models/search", {"filter": "name = 'x'", "max_results": 3, "page_token": ""}),
    POST("registered-models/alias", {"name": "nobody{n}", "alias": "a", "version": "1"}),
    POST("model-versions/create", {"name": "nobody{n}", "source": "s3://b/m", "description": "d"}),
]


def numbered(value, number):
    if isinstance(value, str):
        return value.replace("{n}", str(number))
    if isinstance(value, dict):
        return {k: numbered(v, number) for k, v in value.items()}
    return [numbered(v, number) for v in value] if isinstance(value, list) else value


def camel(name):
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


def places(body, above=()):
    """The path of every field of a request, those inside its lists' first items too."""
    for name, value in body.items():
        yield (*above, name)
        inner = value[0] if isinstance(value, list) and value else value
        if isinstance(inner, dict):
            yield from places(inner, (*above, name))


def changed(body, place, how):
    """A copy of the body in which `how` has been done to the object that holds the field."""
    name, *rest = place
    if not rest:
        return how(dict(body), name)
    inner = body[name]
    done = [changed(inner[0], rest, how), *inner[1:]] if isinstance(inner, list) else changed(inner, rest, how)
    return {**body, name: done}


def set_to(value):
    return lambda holder, name: {**holder, name: value}


def without(holder, name):
    del holder[name]
    return holder


def renamed(holder, name):
    return {(camel(k) if k == name else k): v for k, v in holder.items()}


def twice(holder, name):
    return {**holder, camel(name): holder[name]}


def as_text(holder, name):
    return {**holder, name: str(holder[name])}


def calls():
    number = 0
    for good in GOOD:
        in_query = good.method == "GET"
        for place in places(good.body):
            ways = [without, set_to(LONG), *map(set_to, [w for w in WORDS if not in_query or isinstance(w, (str, int))])]
            if "_" in place[-1]:
                ways += [renamed, twice]
            value = good.body.get(place[0])
            if len(place) == 1 and isinstance(value, int):
                ways.append(as_text)
            for way in ways:
                number += 1
                yield Call(good.method, good.path, numbered(changed(good.body, place, way), number))
        number += 1
        if not in_query:
            import json

            once = json.dumps(numbered(good.body, number))
            yield Call(good.method, good.path, json.dumps(once))


CALLS = [*SETUP, *calls()]
