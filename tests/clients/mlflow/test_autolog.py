"""Training with autolog of scikit-learn and XGBoost."""

import mlflow
import numpy as np
import pytest

ROWS = np.random.default_rng(1).normal(size=(80, 3))
LATE = (ROWS[:, 0] + ROWS[:, 1] > 0).astype(int)


@pytest.fixture
def autologged():
    yield
    mlflow.sklearn.autolog(disable=True)
    mlflow.xgboost.autolog(disable=True)


def only_run(client, experiment):
    (run,) = client.search_runs([experiment])
    return run


def test_scikit_learn(client, fluent, autologged):
    from sklearn.linear_model import LogisticRegression

    mlflow.sklearn.autolog(log_models=False, silent=True)
    LogisticRegression(C=0.5, max_iter=50).fit(ROWS, LATE)
    run = only_run(client, fluent)
    assert run.info.status == "FINISHED"
    assert run.data.params["C"] == "0.5" and run.data.params["max_iter"] == "50"
    assert run.data.metrics["training_accuracy_score"] > 0.8
    assert run.data.tags["estimator_name"] == "LogisticRegression"
    assert run.inputs.dataset_inputs


def test_a_search_of_scikit_learn_makes_a_run_for_each_try(client, fluent, autologged):
    from sklearn.model_selection import GridSearchCV
    from sklearn.tree import DecisionTreeClassifier

    mlflow.sklearn.autolog(log_models=False, silent=True, max_tuning_runs=4)
    GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [1, 2, 3, 4]}, cv=2).fit(ROWS, LATE)
    runs = client.search_runs([fluent])
    parents = [r for r in runs if "mlflow.parentRunId" not in r.data.tags]
    children = [r for r in runs if r.data.tags.get("mlflow.parentRunId") == parents[0].info.run_id]
    assert (len(parents), len(children)) == (1, 4)
    assert {r.data.params["max_depth"] for r in children} == {"1", "2", "3", "4"}
    assert "cv_results.csv" in {a.path for a in client.list_artifacts(parents[0].info.run_id)}


def test_xgboost(client, fluent, autologged):
    import xgboost

    mlflow.xgboost.autolog(log_models=False, silent=True)
    table = xgboost.DMatrix(ROWS, LATE, feature_names=["a", "b", "日"])
    xgboost.train({"max_depth": 2, "objective": "binary:logistic"}, table, num_boost_round=7, evals=[(table, "train")], verbose_eval=False)
    run = only_run(client, fluent)
    assert run.data.params["max_depth"] == "2" and run.data.params["num_boost_round"] == "7"
    history = client.get_metric_history(run.info.run_id, "train-logloss")
    assert len({p.step for p in history}) == 7
    assert run.data.metrics["train-logloss"] < 0.7
    assert "feature_importance_weight.json" in {a.path for a in client.list_artifacts(run.info.run_id)}
