"""Calls as MLflow's client makes them and no other script does: in the form that its stores send (bodies without an id that the path
has, queries in paths, no body at all), in the order of its workflows (a model logged in parts, a version promoted from another,
aliases that outlive what they pointed at), and at the limits of its batches."""

from calls import DELETE, GET, PATCH, POST, Call

MODEL = "logged-models/<cl_model>"
METRIC = {"key": "acc", "value": 0.5, "timestamp": 1, "step": 0}


def params(count, start=0, value="v"):
    return [{"key": f"p{number:03}", "value": value} for number in range(start, start + count)]


def version(number, **more):
    return {"name": "client", "version": str(number), **more}


LOGGED = [
    # Of more than 100 parameters the client sends the first with the model, the rest in batches.
    POST("logged-models", {"experiment_id": "<exp_cl>", "name": "parts", "source_run_id": "<cl_run>", "params": params(100)}, cl_model="model.info.model_id"),
    POST(f"{MODEL}/params", {"model_id": "<cl_model>", "params": params(100, 100)}),
    POST(f"{MODEL}/params", {"model_id": "<cl_model>", "params": params(3, 200)}),
    POST(f"{MODEL}/params", {"model_id": "<cl_model>", "params": params(101, 300)}),
    POST(f"{MODEL}/params", {"model_id": "<cl_model>", "params": [{"key": "long", "value": "v" * 6000}]}),
    POST(f"{MODEL}/params", {"model_id": "<cl_model>", "params": [{"key": "too long", "value": "v" * 6001}]}),
    POST(f"{MODEL}/params", {"model_id": "<cl_model>", "params": [{"key": "p000", "value": "v"}]}),
    POST("logged-models/m-" + "0" * 32 + "/params", {"model_id": "m-" + "0" * 32, "params": params(1)}),
    POST(f"{MODEL}/params", {"params": params(1)}),
    POST("logged-models", {"experiment_id": "<exp_cl>", "name": "many", "params": params(101)}),
    POST("logged-models", {"experiment_id": "<exp_cl>", "name": "large", "params": params(100, value="日" * 6000)}),
    PATCH(f"{MODEL}/tags", {"tags": [{"key": "a", "value": "1"}, {"key": "mlflow.user", "value": "ana"}, {"key": "日本", "value": "語"}]}),
    PATCH(f"{MODEL}/tags", {"tags": [{"key": "a", "value": "2"}, {"key": "a", "value": "3"}]}),
    PATCH(f"{MODEL}/tags", {"tags": []}),
    PATCH(f"{MODEL}/tags", {}),
    PATCH(f"{MODEL}/tags", {"tags": [{"key": "long", "value": "v" * 8001}]}),
    PATCH("logged-models/m-" + "0" * 32 + "/tags", {"tags": [{"key": "a", "value": "1"}]}),
    DELETE(f"{MODEL}/tags/mlflow.user"),
    DELETE(f"{MODEL}/tags/%E6%97%A5%E6%9C%AC"),
    DELETE(f"{MODEL}/tags/never"),
    DELETE("logged-models/m-" + "0" * 32 + "/tags/a"),
    GET(MODEL),
    PATCH(MODEL, {"model_id": "<cl_model>", "status": "LOGGED_MODEL_READY"}),
    PATCH(MODEL, {"model_id": "<cl_model>", "status": "LOGGED_MODEL_READY"}),
    PATCH(MODEL, {"model_id": "<cl_model>", "status": "LOGGED_MODEL_PENDING"}),
    PATCH(MODEL, {"model_id": "<cl_model>", "status": "LOGGED_MODEL_STATUS_UNSPECIFIED"}),
    GET(MODEL),
    GET(f"{MODEL}?allow_deleted=true"),
    POST("logged-models", {"experiment_id": "<exp_cl_odd>", "name": "measured as NaN"}, cl_nan="model.info.model_id"),
    # Evaluation of a model: datasets and models go in together, metrics come with both.
    POST(
        "runs/log-inputs",
        {
            "run_id": "<cl_run>",
            "datasets": [{"tags": [], "dataset": {"name": "eval", "digest": "e1", "source_type": "local", "source": "{}"}}],
            "models": [{"model_id": "<cl_model>"}],
        },
    ),
    POST("runs/log-inputs", {"run_id": "<cl_odd>", "models": [{"model_id": "m-" + "0" * 32}]}),
    POST("runs/log-inputs", {"run_id": "<cl_odd>", "models": [{}]}),
    POST("runs/log-inputs", {"run_id": "<cl_run>", "datasets": [], "models": []}),
    POST("runs/outputs", {"run_id": "<cl_run>", "models": [{"model_id": "<cl_model>", "step": "7"}]}),
    POST("runs/outputs", {"run_id": "<cl_run>", "models": [{"model_id": "<cl_model>"}]}),
    POST("runs/outputs", {"run_id": "<cl_odd>", "models": [{"step": 1}]}),
    POST("runs/outputs", {"run_id": "<cl_odd>", "models": [{"model_id": "m-" + "0" * 32, "step": 1}]}),
    POST("runs/log-batch", {"run_id": "<cl_run>", "metrics": [{**METRIC, "model_id": "<cl_model>", "dataset_name": "eval", "dataset_digest": "e1"}], "params": [], "tags": []}),
    POST("runs/log-batch", {"run_id": "<cl_run>", "metrics": [{**METRIC, "key": "f1", "model_id": "<cl_model>"}, {**METRIC, "key": "f1", "step": 1, "model_id": "<cl_model>"}]}),
    POST("runs/log-batch", {"run_id": "<cl_run>", "metrics": [{**METRIC, "model_id": "m-" + "0" * 32}]}),
    POST("runs/log-metric", {"run_id": "<cl_odd>", **METRIC, "value": "NaN", "model_id": "<cl_nan>"}),
    GET("logged-models/<cl_nan>"),
    POST("logged-models/<cl_nan>/params", {"model_id": "<cl_nan>", "params": [{"key": "k" * 251, "value": "v"}]}),
    POST("logged-models/<cl_nan>/params", {"model_id": "<cl_nan>", "params": [{"key": "same", "value": "1"}, {"key": "same", "value": "1"}]}),
    PATCH("logged-models/<cl_nan>/tags", {"tags": [{"key": "k" * 251, "value": "v"}]}),
    GET("runs/get", {"run_id": "<cl_run>"}),
    GET(MODEL),
    POST("runs/search", {"experiment_ids": ["<exp_cl>"], "filter": "", "run_view_type": "ACTIVE_ONLY", "max_results": 1000, "order_by": []}),
    POST("runs/search", {"experiment_ids": ["<exp_cl>"], "filter": "datasets.name = 'eval' AND metrics.acc > 0"}),
]

REGISTRY = [
    POST("registered-models/create", {"name": "client", "tags": [], "description": ""}),
    # Of what is logged: the model's folder, and the model's own address.
    POST("model-versions/create", {"name": "client", "source": "mlflow-artifacts:/<exp_cl>/models/<cl_model>/artifacts", "run_id": "<cl_run>", "model_id": "<cl_model>"}),
    POST("model-versions/create", {"name": "client", "source": "models:/<cl_model>", "model_id": "<cl_model>"}),
    POST("model-versions/create", {"name": "client", "source": "models:/<cl_model>"}),
    POST("model-versions/create", {"name": "client", "source": "models:/m-" + "0" * 32, "model_id": "m-" + "0" * 32}),
    POST("model-versions/create", {"name": "client", "source": "s3://bucket/m", "model_id": "<cl_model>"}),
    POST("model-versions/create", {"name": "client", "source": "s3://bucket/m", "model_id": "m-" + "0" * 32}),
    POST("model-versions/create", {"name": "client", "source": "s3://bucket/m", "run_link": "https://elsewhere/run", "description": "", "tags": []}),
    GET("model-versions/get", version(1)),
    GET("model-versions/get-download-uri", version(1)),
    # copy_model_version.
    POST("registered-models/create", {"name": "client-prod"}),
    POST("model-versions/create", {"name": "client-prod", "source": "models:/client/1"}),
    POST("model-versions/create", {"name": "client-prod", "source": "models:/client/1", "run_id": "<cl_run>", "tags": [{"key": "from", "value": "client"}], "description": "copied"}),
    POST("model-versions/create", {"name": "client-prod", "source": "models:/client/99"}),
    POST("model-versions/create", {"name": "client-prod", "source": "models:/nobody/1"}),
    GET("model-versions/get", {"name": "client-prod", "version": "1"}),
    GET("model-versions/get-download-uri", {"name": "client-prod", "version": "1"}),
    # Aliases: several of one version, one that moves, and what becomes of them when a version goes.
    POST("registered-models/alias", {"name": "client", "alias": "champion", "version": "1"}),
    POST("registered-models/alias", {"name": "client", "alias": "b", "version": "1"}),
    POST("registered-models/alias", {"name": "client", "alias": "champion", "version": "2"}),
    POST("registered-models/alias", {"name": "client", "alias": "champion", "version": 2}),
    POST("registered-models/alias", {"name": "client", "alias": "champion"}),
    POST("registered-models/alias", {"name": "client", "version": "1"}),
    POST("registered-models/alias", {"name": "client", "alias": "c", "version": "x"}),
    GET("model-versions/get", version(1)),
    GET("registered-models/get", {"name": "client"}),
    DELETE("model-versions/delete", version(2)),
    GET("registered-models/alias", {"name": "client", "alias": "champion"}),
    GET("registered-models/get", {"name": "client"}),
    POST("registered-models/alias", {"name": "client", "alias": "champion", "version": "2"}),
    DELETE("registered-models/alias", {"name": "client", "alias": "never"}),
    DELETE("registered-models/alias", {"name": "nobody", "alias": "never"}),
    DELETE("registered-models/alias", {"name": "client"}),
    # Numbers are not given twice.
    POST("model-versions/create", {"name": "client", "source": "s3://bucket/again"}, cl_number="model_version.version"),
    DELETE("model-versions/delete", version("<cl_number>")),
    POST("model-versions/create", {"name": "client", "source": "s3://bucket/again"}),
    # Stages, as clients of before aliases use them.
    POST("model-versions/transition-stage", version(1, stage="Staging", archive_existing_versions=False)),
    POST("model-versions/transition-stage", version(1, stage="Archived", archive_existing_versions=True)),
    POST("model-versions/transition-stage", version(1, stage="None", archive_existing_versions=True)),
    POST("model-versions/transition-stage", version(1)),
    POST("model-versions/transition-stage", {"name": "client", "stage": "Staging"}),
    POST("model-versions/transition-stage", {"name": "nobody", "version": "1", "stage": "Staging", "archive_existing_versions": False}),
    GET("registered-models/get-latest-versions?name=client&stages=None&stages=Staging"),
    POST("registered-models/get-latest-versions", {"name": "client", "stages": []}),
    GET("registered-models/get", {"name": "client"}),
    # Tags of both.
    POST("registered-models/set-tag", {"name": "client", "key": "a", "value": ""}),
    POST("registered-models/set-tag", {"name": "client", "key": "a"}),
    POST("registered-models/set-tag", {"name": "client", "value": "a"}),
    POST("registered-models/set-tag", {"name": "client", "key": "k" * 251, "value": "v"}),
    POST("registered-models/set-tag", {"name": "client", "key": "日本 a/b", "value": "語"}),
    POST("model-versions/set-tag", version(1, key="k" * 251, value="v")),
    POST("model-versions/set-tag", version(1, key="long", value="v" * 100_000)),
    POST("model-versions/set-tag", version(1, key="long", value="v" * 100_001)),
    POST("model-versions/set-tag", version(1, key="a")),
    POST("model-versions/set-tag", {"name": "client", "key": "a", "value": "v"}),
    DELETE("model-versions/delete-tag", version(1, key="long")),
    DELETE("model-versions/delete-tag", version(1)),
    DELETE("model-versions/delete-tag", version(99, key="a")),
    DELETE("registered-models/delete-tag", {"name": "client", "key": "日本 a/b"}),
    DELETE("registered-models/delete-tag", {"name": "client"}),
    DELETE("registered-models/delete-tag", {"name": "nobody", "key": "a"}),
    PATCH("model-versions/update", version(1, description="")),
    PATCH("model-versions/update", version(1)),
    PATCH("model-versions/update", {"name": "client", "description": "x"}),
    PATCH("registered-models/update", {"name": "client"}),
    PATCH("registered-models/update", {"description": "x"}),
    GET("registered-models/get", {"name": "client"}),
    # Renames, with all that belongs to the model.
    POST("registered-models/alias", {"name": "client", "alias": "champion", "version": "1"}),
    POST("registered-models/rename", {"name": "client", "new_name": "client"}),
    POST("registered-models/rename", {"name": "client", "new_name": ""}),
    POST("registered-models/rename", {"name": "client", "new_name": "client-renamed"}),
    GET("registered-models/get", {"name": "client-renamed"}),
    GET("registered-models/alias", {"name": "client-renamed", "alias": "champion"}),
    GET("registered-models/alias", {"name": "client", "alias": "champion"}),
    GET("model-versions/search", {"filter": "name='client-renamed'", "max_results": 10_000}),
    GET("registered-models/search", {"filter": "name ILIKE '%client%'", "max_results": 100, "order_by": ["name ASC"]}),
    DELETE("registered-models/delete", {"name": "client-renamed"}),
    GET("model-versions/search", {"filter": "name='client-renamed'", "max_results": 10_000}),
    GET("registered-models/alias", {"name": "client-renamed", "alias": "champion"}),
    GET("model-versions/get-download-uri", {"name": "client-prod", "version": "1"}),
]

LAST = [
    DELETE(MODEL),
    GET(MODEL),
    GET(f"{MODEL}?allow_deleted=true"),
    GET(f"{MODEL}?allow_deleted=false"),
    GET(f"{MODEL}?allow_deleted=1"),
    PATCH(f"{MODEL}/tags", {"tags": [{"key": "a", "value": "1"}]}),
    POST(f"{MODEL}/params", {"model_id": "<cl_model>", "params": [{"key": "after", "value": "1"}]}),
    PATCH(MODEL, {"model_id": "<cl_model>", "status": "LOGGED_MODEL_READY"}),
    POST("runs/outputs", {"run_id": "<cl_run>", "models": [{"model_id": "<cl_model>", "step": 9}]}),
    POST("logged-models/search", {"experiment_ids": ["<exp_cl>"]}),
    GET("runs/get", {"run_id": "<cl_run>"}),
    # What the client logs beside: a run that began and ended, as `mlflow.start_run` sends it.
    POST(
        "runs/create",
        {
            "experiment_id": "<exp_cl>",
            "user_id": "ana",
            "start_time": 5,
            "tags": [{"key": "mlflow.user", "value": "ana"}, {"key": "mlflow.source.name", "value": "x.py"}, {"key": "mlflow.source.type", "value": "LOCAL"}, {"key": "mlflow.runName", "value": "by the client"}],
            "run_name": "by the client",
        },
        cl_run_2="run.info.run_id",
    ),
    POST("runs/log-batch", {"run_id": "<cl_run_2>", "metrics": [], "params": params(100), "tags": []}),
    POST("runs/log-batch", {"run_id": "<cl_run_2>", "metrics": [], "params": params(100), "tags": []}),
    POST("runs/log-batch", {"run_id": "<cl_run_2>", "metrics": [], "params": params(2, 99, "other"), "tags": []}),
    POST("runs/update", {"run_id": "<cl_run_2>", "status": "FINISHED", "end_time": 9}),
    POST("runs/update", {"run_id": "<cl_run_2>", "status": "RUNNING", "end_time": 0}),
    GET("runs/get", {"run_id": "<cl_run_2>"}),
    GET("experiments/get-by-name", {"experiment_name": "client"}),
    POST("experiments/search", {"filter": "name = 'client'", "max_results": 1000, "view_type": "ACTIVE_ONLY", "order_by": ["creation_time DESC"], "page_token": ""}),
    GET("metrics/get-history-bulk-interval?run_ids=<cl_run>&run_ids=<cl_run_2>&metric_key=acc&max_results=320"),
    Call("GET", "registered-models/get", {"name": "client-prod"}, {}, {"Content-Type": "application/json"}),
]

CALLS = [
    POST("experiments/create", {"name": "client"}, exp_cl="experiment_id"),
    POST("experiments/create", {"name": "client, odd links"}, exp_cl_odd="experiment_id"),
    POST("runs/create", {"experiment_id": "<exp_cl>", "start_time": 1, "run_name": "r", "user_id": "ana"}, cl_run="run.info.run_id"),
    POST("runs/create", {"experiment_id": "<exp_cl_odd>", "start_time": 1, "run_name": "odd", "user_id": "ana"}, cl_odd="run.info.run_id"),
    *LOGGED,
    *REGISTRY,
    *LAST,
]
