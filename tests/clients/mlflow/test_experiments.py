"""Experiments, by MlflowClient and the fluent API."""

import mlflow
import pytest
from harness import unique
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException, RestException


def names(experiments):
    return [e.name for e in experiments]


def test_an_experiment_is_made_found_and_renamed(client):
    name = unique("late flights 日本")
    made = client.create_experiment(name, tags={"team": "maps", "empty": ""})
    assert isinstance(made, str)
    got = client.get_experiment(made)
    assert (got.name, got.lifecycle_stage, got.experiment_id) == (name, "active", made)
    assert got.tags["team"] == "maps"
    assert got.creation_time > 1_600_000_000_000 and got.last_update_time >= got.creation_time
    assert got.artifact_location.startswith("mlflow-artifacts:/")
    assert client.get_experiment_by_name(name).experiment_id == made
    client.rename_experiment(made, f"{name} 2")
    assert client.get_experiment(made).name == f"{name} 2"
    assert client.get_experiment_by_name(name) is None


def test_a_name_is_taken_once(client):
    name = unique("exp")
    client.create_experiment(name)
    with pytest.raises(RestException) as refused:
        client.create_experiment(name)
    assert refused.value.error_code == "RESOURCE_ALREADY_EXISTS"
    assert refused.value.get_http_status_code() == 400


def test_a_missing_experiment(client):
    with pytest.raises(RestException) as refused:
        client.get_experiment("987654321")
    assert refused.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    assert "987654321" in refused.value.message
    assert client.get_experiment_by_name(unique("nobody")) is None


def test_deleted_and_restored(client):
    name = unique("exp")
    made = client.create_experiment(name)
    run = client.create_run(made).info.run_id
    client.delete_experiment(made)
    assert client.get_experiment(made).lifecycle_stage == "deleted"
    assert client.get_run(run).info.lifecycle_stage == "deleted"
    assert name not in names(client.search_experiments())
    assert name in names(client.search_experiments(view_type=ViewType.DELETED_ONLY))
    with pytest.raises(MlflowException):
        client.create_run(made)
    with pytest.raises(MlflowException):
        client.create_experiment(name)
    client.restore_experiment(made)
    assert client.get_experiment(made).lifecycle_stage == "active"
    assert client.get_run(run).info.lifecycle_stage == "active"
    assert name in names(client.search_experiments(max_results=1000))


def test_tags(client, experiment):
    client.set_experiment_tag(experiment, "team", "maps")
    client.set_experiment_tag(experiment, "team", "ops")
    client.set_experiment_tag(experiment, "mlflow.note.content", "# über\n🦊")
    assert client.get_experiment(experiment).tags == {"team": "ops", "mlflow.note.content": "# über\n🦊"}
    with pytest.raises(MlflowException):
        client.set_experiment_tag(experiment, "", "x")


def test_searching_with_filters_orders_and_pages(client):
    word = unique("page")
    made = [client.create_experiment(f"{word} {n}", tags={"n": str(n), "word": word}) for n in range(7)]
    mine = f"tags.word = '{word}'"
    assert [e.experiment_id for e in client.search_experiments(filter_string=mine)] == made[::-1]
    assert names(client.search_experiments(filter_string=mine, order_by=["name ASC"])) == [f"{word} {n}" for n in range(7)]
    assert names(client.search_experiments(filter_string=f"name LIKE '{word} %' AND tags.n = '3'")) == [f"{word} 3"]
    assert names(client.search_experiments(filter_string=f"name ILIKE '{word.upper()} 4'")) == [f"{word} 4"]
    seen, token = [], None
    while True:
        page = client.search_experiments(filter_string=mine, max_results=3, order_by=["name DESC"], page_token=token)
        seen += names(page)
        token = page.token
        if not token:
            break
    assert seen == [f"{word} {n}" for n in range(6, -1, -1)]
    with pytest.raises(MlflowException, match="(?i)invalid"):
        client.search_experiments(filter_string="name ~ 'x'")


def test_set_experiment_makes_one_once(client):
    name = unique("fluent")
    first, again = mlflow.set_experiment(name), mlflow.set_experiment(name)
    assert first.experiment_id == again.experiment_id
    mlflow.set_experiment_tags({"a": "1", "b": "2"})
    assert client.get_experiment(first.experiment_id).tags == {"a": "1", "b": "2"}
    assert name in names(mlflow.search_experiments(filter_string=f"name = '{name}'"))


def test_the_default_experiment_is_there(client):
    assert client.get_experiment("0").name == "Default"
