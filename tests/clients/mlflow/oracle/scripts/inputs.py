"""Datasets as inputs of runs."""

from calls import GET, POST


def dataset(**changes):
    made = {"name": "planes", "digest": "d1", "source_type": "local", "source": '{"uri": "/x"}', "schema": '{"a": 1}', "profile": '{"rows": 3}', **changes}
    return {k: v for k, v in made.items() if v is not ...}


def given(*inputs, run="<inputs_run>"):
    return POST("runs/log-inputs", {"run_id": run, "datasets": list(inputs)})


CONTEXT = [{"key": "mlflow.data.context", "value": "train"}]
READ = GET("runs/get", {"run_id": "<inputs_run>"})

CALLS = [
    POST("experiments/create", {"name": "inputs"}, exp_inputs="experiment_id"),
    POST("runs/create", {"experiment_id": "<exp_inputs>", "start_time": 1, "run_name": "i", "user_id": "ana"}, inputs_run="run.info.run_id"),
    given({"dataset": dataset(), "tags": CONTEXT}),
    READ,
    given({"dataset": dataset(), "tags": CONTEXT}),
    given({"dataset": dataset(), "tags": [{"key": "mlflow.data.context", "value": "eval"}]}),
    given({"dataset": dataset(digest="d2")}),
    given({"dataset": dataset(name="日本", profile=..., schema=...), "tags": [{"key": "a", "value": "b"}, {"key": "c", "value": "🦊"}]}),
    READ,
    given(),
    POST("runs/log-inputs", {"run_id": "<inputs_run>"}),
    POST("runs/log-inputs", {"datasets": []}),
    given({"dataset": dataset()}, run="0" * 32),
    given({"tags": CONTEXT}),
    *[given({"dataset": dataset(**{name: value})}) for name in ("name", "digest", "source_type", "source") for value in (..., "", None, 5)],
    given({"dataset": dataset(name="n" * 501)}),
    given({"dataset": dataset(name="n" * 500)}),
    given({"dataset": dataset(digest="d" * 37)}),
    given({"dataset": dataset(digest="d" * 36)}),
    given({"dataset": dataset(source="s" * 70_000, digest="long source")}),
    given({"dataset": dataset(schema="s" * 1_048_577, digest="long schema")}),
    given({"dataset": dataset(digest="tags"), "tags": [{"key": "k" * 256, "value": "v"}]}),
    given({"dataset": dataset(digest="tags2"), "tags": [{"key": "k", "value": "v" * 501}]}),
    given({"dataset": dataset(digest="tags3"), "tags": [{"key": "k"}]}),
    given({"dataset": dataset(digest="tags4"), "tags": [{"value": "k"}]}),
    READ,
    POST("runs/create", {"experiment_id": "<exp_inputs>", "start_time": 2, "run_name": "wide", "user_id": "ana"}, wide_run="run.info.run_id"),
    given({"dataset": dataset(digest="wide", schema="s" * 1_048_575, profile="p" * 2_000_000)}, run="<wide_run>"),
    POST("/ajax-api/2.0/mlflow/experiments/search-datasets", {"experiment_ids": ["<exp_inputs>"]}),
    POST("runs/search", {"experiment_ids": ["<exp_inputs>"], "filter": "datasets.name = 'planes' AND datasets.context = 'eval'"}),
]
