"""Who may: tokens as Bearer and as a Basic password, no token, a stranger, somebody with a grant."""

import mlflow
import pytest
import requests
from harness import unique
from mlflow import MlflowClient
from mlflow.exceptions import RestException


@pytest.fixture
def act_as(monkeypatch, server):
    """A function: from now on the client is that person's."""

    def become(token=None, user=None, password=None):
        for name, value in (("TOKEN", token), ("USERNAME", user), ("PASSWORD", password)):
            name = f"MLFLOW_TRACKING_{name}"
            monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
        return MlflowClient(tracking_uri=server.url)

    return become


def said(ask):
    """Status, code and message of a refusal."""
    with pytest.raises(RestException) as refused:
        ask()
    return refused.value.get_http_status_code(), refused.value.error_code, refused.value.message


def test_a_token_as_bearer_and_as_basic_password(act_as, person, server, experiment):
    admin = server.admin_token
    assert act_as(token=admin).get_experiment(experiment).experiment_id == experiment
    assert act_as(user="token", password=admin).get_experiment(experiment).experiment_id == experiment
    named = server.admin().client.current_user.me().user_name
    assert act_as(user=named, password=admin).get_experiment(experiment).experiment_id == experiment
    ana = person("ana")
    assert said(lambda: act_as(user=ana.name, password=ana.token).get_experiment(experiment))[0] == 404
    # Somebody else's token under one's own name.
    assert said(lambda: act_as(user=ana.name, password=admin).get_experiment(experiment))[:2] == (401, "UNAUTHENTICATED")


def test_without_a_good_token_nothing(act_as, experiment):
    for client in (act_as(), act_as(token="dapi" + "0" * 32), act_as(user="admin", password="password1234")):
        assert said(lambda client=client: client.get_experiment(experiment))[:2] == (401, "UNAUTHENTICATED")
        assert said(lambda client=client: client.search_experiments())[:2] == (401, "UNAUTHENTICATED")


def test_who_made_an_experiment_works_in_it(act_as, person):
    ana = person("ana")
    client = act_as(token=ana.token)
    mine = client.create_experiment(unique("mine"))
    mlflow.set_experiment(experiment_id=mine)
    with mlflow.start_run() as started:
        mlflow.log_metric("m", 1)
    got = client.get_run(started.info.run_id)
    assert got.data.metrics == {"m": 1}


def test_a_stranger_sees_what_one_sees_of_what_is_not_there(act_as, person, server, experiment, run):
    client = act_as(token=server.admin_token)
    name = client.get_experiment(experiment).name
    client.log_text(run, "secret", "secret.txt")
    stranger = act_as(token=person("eve").token)

    def like(real, missing):
        """The same refusal for both, but for the names that were asked for."""
        one, other = said(real[1]), said(missing[1])
        assert one[:2] == other[:2] == (404, "RESOURCE_DOES_NOT_EXIST")
        assert one[2].replace(real[0], "<asked>") == other[2].replace(missing[0], "<asked>")

    nowhere, nobody = "987654321", "0" * 32
    like((experiment, lambda: stranger.get_experiment(experiment)), (nowhere, lambda: stranger.get_experiment(nowhere)))
    like((experiment, lambda: stranger.rename_experiment(experiment, "x")), (nowhere, lambda: stranger.rename_experiment(nowhere, "x")))
    like((experiment, lambda: stranger.delete_experiment(experiment)), (nowhere, lambda: stranger.delete_experiment(nowhere)))
    like((experiment, lambda: stranger.create_run(experiment)), (nowhere, lambda: stranger.create_run(nowhere)))
    like((run, lambda: stranger.get_run(run)), (nobody, lambda: stranger.get_run(nobody)))
    like((run, lambda: stranger.log_metric(run, "m", 1)), (nobody, lambda: stranger.log_metric(nobody, "m", 1)))
    like((run, lambda: stranger.log_param(run, "p", "1")), (nobody, lambda: stranger.log_param(nobody, "p", "1")))
    like((run, lambda: stranger.set_tag(run, "t", "1")), (nobody, lambda: stranger.set_tag(nobody, "t", "1")))
    like((run, lambda: stranger.delete_run(run)), (nobody, lambda: stranger.delete_run(nobody)))
    like((run, lambda: stranger.get_metric_history(run, "m")), (nobody, lambda: stranger.get_metric_history(nobody, "m")))
    # Version 2 asks the store of artifacts, and has no code for what that says.
    with pytest.raises((RestException, requests.HTTPError), match="(?i)not found"):
        stranger.list_artifacts(run)
    assert stranger.get_experiment_by_name(name) is None
    assert name not in [e.name for e in stranger.search_experiments(max_results=1000)]
    assert list(stranger.search_runs([experiment])) == []


def test_a_name_that_a_stranger_took_ends_set_experiment(act_as, person, server, experiment):
    """mlflow takes "already exists" for a race there: `set_experiment` would return nothing, and runs go to `Default`."""
    name = act_as(token=server.admin_token).get_experiment(experiment).name
    assert said(lambda: act_as(token=server.admin_token).create_experiment(name))[:2] == (400, "RESOURCE_ALREADY_EXISTS")
    eve = act_as(token=person("eve").token)
    status, code, message = said(lambda: eve.create_experiment(name))
    assert (status, code) == (403, "PERMISSION_DENIED") and "that you may not see has the name" in message
    # Version 2 goes on after any error, and ends with the one about an experiment `None`.
    with pytest.raises(RestException, match="that you may not see has the name|experiment ID 'None'"):
        mlflow.set_experiment(name)


def test_a_stranger_does_not_reach_artifacts_by_their_paths(act_as, person, server, experiment, run):
    act_as(token=server.admin_token).log_text(run, "secret", "secret.txt")
    path = f"{server.url}/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/secret.txt"
    eve = {"Authorization": f"Bearer {person('eve').token}"}
    for ask in (
        lambda: requests.get(path, headers=eve, timeout=60),
        lambda: requests.put(path, b"mine now", headers=eve, timeout=60),
        lambda: requests.delete(path, headers=eve, timeout=60),
        lambda: requests.get(f"{server.url}/get-artifact", params={"run_id": run, "path": "secret.txt"}, headers=eve, timeout=60),
    ):
        assert ask().status_code == 404
    assert requests.get(path, timeout=60).status_code == 401
    act_as(token=server.admin_token)
    assert mlflow.artifacts.load_text(f"runs:/{run}/secret.txt") == "secret"
