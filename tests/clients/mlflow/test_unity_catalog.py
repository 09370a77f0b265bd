"""The registry in Unity Catalog (`databricks-uc`) beside our tracking: names of three parts, aliases, loading, who may."""

import mlflow
import numpy as np
import pytest
from harness import unique
from mlflow import MlflowClient
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

ROWS = np.random.default_rng(1).normal(size=(40, 2))
LATE = (ROWS[:, 0] > 0).astype(int)
NAMED = "name" if mlflow.__version__.startswith("3.") else "artifact_path"


@pytest.fixture
def registry(server, monkeypatch):
    """A function: from now on the registry is Unity Catalog's, and the client somebody's; gives the client."""

    def become(token):
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", token)
        monkeypatch.setenv("DATABRICKS_HOST", server.url)
        monkeypatch.setenv("DATABRICKS_TOKEN", token)
        mlflow.set_registry_uri("databricks-uc")
        return MlflowClient(tracking_uri=server.url, registry_uri="databricks-uc")

    return become


def log(name):
    trained = LogisticRegression().fit(ROWS, LATE)
    with mlflow.start_run() as run:
        mlflow.sklearn.log_model(
            trained,
            **{NAMED: "model"},
            signature=infer_signature(ROWS, LATE),
            input_example=ROWS[:2],
            registered_model_name=name,
            pip_requirements=["scikit-learn"],
        )
    return trained, run.info.run_id


@pytest.mark.parametrize("by", ["files", "addresses"])
def test_round_trip(server, registry, catalog, fluent, monkeypatch, by):
    # Which way the bytes go is the client's setting.
    monkeypatch.setenv("MLFLOW_USE_DATABRICKS_SDK_MODEL_ARTIFACTS_REPO_FOR_UC", str(by == "files").lower())
    client, name = registry(server.admin_token), f"{catalog}.work.{unique('späť')}"
    trained, run = log(name)
    version = client.get_model_version(name, "1")
    assert (version.status, version.run_id) == ("READY", run)
    client.set_registered_model_alias(name, "Champion", "1")
    assert str(client.get_model_version_by_alias(name, "Champion").version) == "1"
    for uri in (f"models:/{name}@Champion", f"models:/{name}/1"):
        assert list(mlflow.pyfunc.load_model(uri).predict(ROWS)) == list(trained.predict(ROWS))
    log(name)
    assert sorted(str(v.version) for v in client.search_model_versions(f"name = '{name}'")) == ["1", "2"]
    assert name in [m.name for m in client.search_registered_models(max_results=1000)]
    client.delete_registered_model_alias(name, "Champion")
    client.delete_model_version(name, "1")
    client.delete_registered_model(name)
    with pytest.raises(Exception, match="(?i)does not exist|not found|RESOURCE_DOES_NOT_EXIST"):
        client.get_registered_model(name)


def test_a_version_is_copied_and_described(server, registry, catalog, fluent):
    client, name = registry(server.admin_token), f"{catalog}.work.{unique('late')}"
    trained, _ = log(name)
    client.update_registered_model(name, description="was it late? 日本")
    client.set_registered_model_tag(name, "team", "maps")
    client.set_model_version_tag(name, "1", "checked", "yes")
    client.update_model_version(name, "1", description="the first")
    got = client.get_registered_model(name)
    assert (got.description, got.tags) == ("was it late? 日本", {"team": "maps"})
    got = client.get_model_version(name, "1")
    assert (got.description, got.tags) == ("the first", {"checked": "yes"})
    client.delete_model_version_tag(name, "1", "checked")
    client.delete_registered_model_tag(name, "team")
    other = f"{catalog}.work.{unique('copy')}"
    copied = client.copy_model_version(f"models:/{name}/1", other)
    assert (copied.name, str(copied.version)) == (other, "1")
    assert list(mlflow.pyfunc.load_model(f"models:/{other}/1").predict(ROWS)) == list(trained.predict(ROWS))
    client.rename_registered_model(name, f"{name}2")
    assert str(client.get_model_version(f"{name}2", "1").version) == "1"
    with pytest.raises(Exception, match="all three levels"):
        client.create_registered_model("late")


def test_both_doors_lead_to_the_same_model(server, registry, catalog, fluent):
    name = f"{catalog}.work.{unique('late')}"
    registry(server.admin_token).create_registered_model(name)
    plain = MlflowClient(tracking_uri=server.url, registry_uri=server.url)
    assert plain.get_registered_model(name).name == name
    trained, run = log(name)
    version = plain.get_model_version(name, "1")
    assert (version.status, version.run_id) == ("READY", run)
    plain.set_registered_model_alias(name, "champion", "1")
    assert list(mlflow.pyfunc.load_model(f"models:/{name}@champion").predict(ROWS)) == list(trained.predict(ROWS))


def test_a_stranger_sees_no_model_and_execute_is_what_loading_needs(server, registry, admin, person, catalog, grant, fluent):
    name, eve = f"{catalog}.work.{unique('late')}", person("eve")
    registry(server.admin_token)
    trained, _ = log(name)
    stranger = registry(eve.token)
    with pytest.raises(Exception, match="(?i)does not exist|not found|RESOURCE_DOES_NOT_EXIST"):
        stranger.get_model_version(name, "1")
    for what in (f"USE CATALOG ON CATALOG {catalog}", f"USE SCHEMA ON SCHEMA {catalog}.work", f"EXECUTE ON MODEL {name}"):
        grant(what, eve)
    assert list(mlflow.pyfunc.load_model(f"models:/{name}/1").predict(ROWS)) == list(trained.predict(ROWS))
    with pytest.raises(Exception, match="(?i)permission|privilege|denied|owner"):
        stranger.set_registered_model_alias(name, "champion", "1")
