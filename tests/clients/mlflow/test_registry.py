"""The plain registry: models, versions, aliases, tags, stages, searches, and loading by name."""

import mlflow
import numpy as np
import pytest
from harness import unique
from mlflow.exceptions import RestException
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

ROWS = np.random.default_rng(1).normal(size=(40, 2))
LATE = (ROWS[:, 0] > 0).astype(int)
NAMED = "name" if mlflow.__version__.startswith("3.") else "artifact_path"


@pytest.fixture
def model(client):
    """The name of a new registered model."""
    name = unique("late")
    client.create_registered_model(name, tags={"team": "maps"}, description="was it late?")
    return name


def versions(client, model, many=2):
    return [client.create_model_version(model, f"s3://bucket/{n}", tags={"n": str(n)}).version for n in range(many)]


def refused(ask):
    with pytest.raises(RestException) as error:
        ask()
    return error.value.error_code


def test_logged_registered_and_loaded_by_alias(client, fluent):
    name, trained = unique("late"), LogisticRegression().fit(ROWS, LATE)
    with mlflow.start_run() as run:
        mlflow.sklearn.log_model(
            trained,
            **{NAMED: "model"},
            signature=infer_signature(ROWS, LATE),
            registered_model_name=name,
            pip_requirements=["scikit-learn"],
        )
    (version,) = client.search_model_versions(f"name = '{name}'")
    assert (str(version.version), version.run_id, version.status) == ("1", run.info.run_id, "READY")
    client.set_registered_model_alias(name, "champion", version.version)
    for uri in (f"models:/{name}/1", f"models:/{name}@champion", f"models:/{name}/latest"):
        assert list(mlflow.pyfunc.load_model(uri).predict(ROWS)) == list(trained.predict(ROWS))


def test_models(client, model):
    got = client.get_registered_model(model)
    assert (got.name, got.description, got.tags) == (model, "was it late?", {"team": "maps"})
    assert refused(lambda: client.create_registered_model(model)) == "RESOURCE_ALREADY_EXISTS"
    client.update_registered_model(model, description="changed 日本")
    client.set_registered_model_tag(model, "a", "b")
    client.delete_registered_model_tag(model, "team")
    got = client.get_registered_model(model)
    assert (got.description, got.tags) == ("changed 日本", {"a": "b"})
    other = unique("renamed")
    client.rename_registered_model(model, other)
    assert refused(lambda: client.get_registered_model(model)) == "RESOURCE_DOES_NOT_EXIST"
    client.delete_registered_model(other)
    assert refused(lambda: client.get_registered_model(other)) == "RESOURCE_DOES_NOT_EXIST"


def test_versions_and_aliases(client, model):
    assert [str(v) for v in versions(client, model)] == ["1", "2"]
    client.update_model_version(model, "1", description="first")
    client.set_model_version_tag(model, "1", "checked", "yes")
    got = client.get_model_version(model, "1")
    assert (got.description, got.source, got.tags) == ("first", "s3://bucket/0", {"n": "0", "checked": "yes"})
    client.set_registered_model_alias(model, "champion", "1")
    client.set_registered_model_alias(model, "challenger", "2")
    assert str(client.get_model_version_by_alias(model, "champion").version) == "1"
    client.set_registered_model_alias(model, "champion", "2")
    assert str(client.get_model_version_by_alias(model, "champion").version) == "2"
    assert sorted(client.get_model_version(model, "2").aliases) == ["challenger", "champion"]
    assert {a: str(v) for a, v in client.get_registered_model(model).aliases.items()} == {"challenger": "2", "champion": "2"}
    client.delete_registered_model_alias(model, "challenger")
    assert refused(lambda: client.get_model_version_by_alias(model, "challenger")) == "INVALID_PARAMETER_VALUE"
    client.delete_model_version(model, "2")
    assert refused(lambda: client.get_model_version(model, "2")) == "RESOURCE_DOES_NOT_EXIST"
    assert refused(lambda: client.get_model_version_by_alias(model, "champion")) == "INVALID_PARAMETER_VALUE"
    assert str(client.create_model_version(model, "s3://bucket/3").version) == "3"


@pytest.mark.parametrize("alias", ["latest", "v1", "a b", ""])
def test_aliases_that_are_none(client, model, alias):
    versions(client, model, 1)
    with pytest.raises(Exception, match="(?i)alias|invalid|missing"):
        client.set_registered_model_alias(model, alias, "1")


def test_stages_of_old_clients(client, model):
    versions(client, model)
    assert client.transition_model_version_stage(model, "1", "Production").current_stage == "Production"
    client.transition_model_version_stage(model, "2", "Production", archive_existing_versions=True)
    assert client.get_model_version(model, "1").current_stage == "Archived"
    assert [str(v.version) for v in client.get_latest_versions(model, ["Production"])] == ["2"]


def test_searches(client, model):
    versions(client, model, 3)
    assert [m.name for m in client.search_registered_models(f"name = '{model}'")] == [model]
    assert model in [m.name for m in client.search_registered_models("tags.team = 'maps'", max_results=1000)]
    found = client.search_model_versions(f"name = '{model}'", order_by=["version_number DESC"])
    assert [str(v.version) for v in found] == ["3", "2", "1"]
    assert [str(v.version) for v in client.search_model_versions(f"name = '{model}' AND tags.n = '1'")] == ["2"]
    seen, token = [], None
    while True:
        page = client.search_registered_models(max_results=2, page_token=token)
        seen, token = seen + [m.name for m in page], page.token
        if not token:
            break
    assert model in seen and len(seen) == len(set(seen))


def test_a_version_needs_a_source_of_its_run(client, model, run):
    with pytest.raises(RestException) as error:
        client.create_model_version(model, "file:///etc", run_id=run)
    assert error.value.error_code == "INVALID_PARAMETER_VALUE"
