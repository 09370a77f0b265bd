"""What is asked of the server itself, and how it answers what it does not have."""

from calls import DELETE, GET, PATCH, POST, PUT, Call

JSON = '{"name": "x"}'


def typed(kind, body=JSON, path="experiments/create"):
    return Call("POST", path, body, {}, {"Content-Type": kind} if kind else {})


QUERY = """
  query MlflowGetExperimentQuery($input: MlflowGetExperimentInput!) @component(name: "MLflow.ExperimentRunTracking") {
    mlflowGetExperiment(input: $input) {
      __typename
      apiError { code message }
      experiment { __typename experimentId lifecycleStage name tags { __typename key value } }
    }
  }
"""

CALLS = [
    GET("/health"),
    GET("/version"),
    GET("/api/3.0/mlflow/server-info"),
    GET("/ajax-api/3.0/mlflow/server-info"),
    GET("nothing/here"),
    POST("nothing/here"),
    GET("experiments"),
    GET("/api/2.0/mlflow"),
    GET("/api/9.0/mlflow/experiments/get", {"experiment_id": "0"}),
    GET("/api/3.0/mlflow/experiments/get", {"experiment_id": "0"}),
    PUT("experiments/get", "{}"),
    DELETE("runs/get"),
    PATCH("runs/get"),
    GET("experiments/get/", {"experiment_id": "0"}),
    GET("EXPERIMENTS/get", {"experiment_id": "0"}),
    typed("text/plain"),
    typed("application/x-www-form-urlencoded"),
    typed("application/json; charset=utf-8", '{"name": "charset"}'),
    typed("APPLICATION/JSON", '{"name": "upper"}'),
    typed("application/json", ""),
    typed("application/json", "{"),
    typed("application/json", "[]"),
    typed("application/json", "[1]"),
    typed("application/json", "null"),
    typed("application/json", "5"),
    typed("application/json", "true"),
    typed("application/json", '"x"'),
    typed("application/json", '""'),
    typed("application/json", '"{\\"name\\": \\"encoded twice\\"}"'),
    typed("application/json", '"\\"{}\\""'),
    typed("application/json", '{"name": "a", "name": "last of two"}'),
    typed("application/json", '{"name": "unknown field", "nothing": {"a": [1]}}'),
    typed("application/json", '\ufeff{"run_id": "byte order mark"}', "runs/delete"),
    typed("application/json", "{'name': 'single quotes'}"),
    typed("application/json", '{"name": "trailing comma",}'),
    typed("application/json", '{"name": "lone \\ud800 surrogate"}'),
    typed("application/json", '{"name": "two \\ud83e\\udd8a halves"}'),
    typed("application/json", '{"run_id": "nul \\u0000"}', "runs/delete"),
    typed("application/json", '{"name": "long tail"}   \n'),
    typed("application/json", '{"name": "two"} {"name": "objects"}'),
    typed("application/json", '{"run_id": "x", "key": "a", "value": NaN, "timestamp": 1}', "runs/log-metric"),
    typed("application/json", '{"max_results": 1e1}', "experiments/search"),
    typed("application/json", '{"max_results": 10.0}', "experiments/search"),
    typed("application/json", '{"max_results": 1' + "0" * 30 + "}", "experiments/search"),
    typed("application/json", "[" * 2000 + "]" * 2000),
    GET("experiments/get?experiment_id=0&experiment_id=1"),
    GET("experiments/get?experiment_id=0&nothing=1"),
    GET("experiments/get?experiment_id=%30"),
    GET("experiments/get?experiment_id=%FF"),
    GET("experiments/get-by-name?experiment_name=a+b"),
    GET("experiments/get-by-name?experiment_name=a%2Bb"),
    GET("traces/search"),
    POST("/api/3.0/mlflow/traces/search", {}),
    POST("/graphql", {"query": QUERY, "variables": {"input": {"experimentId": "0"}}}),
]
