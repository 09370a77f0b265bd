"""What databricks-sdk meets before anything else: discovery, who am I, and answers for paths that do not exist."""

import json
import urllib.error
import urllib.request

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound, Unauthenticated


def test_discovery_needs_no_token_and_names_this_server(server):
    answer = urllib.request.urlopen(f"{server.url}/.well-known/databricks-config")
    found = json.load(answer)
    assert found["oidc_endpoint"] == f"{server.url}/oidc"
    assert int(found["workspace_id"]) > 0
    assert answer.headers["X-Databricks-Org-Id"] == found["workspace_id"]


def test_the_admin_is_known(admin):
    me = admin.client.current_user.me()
    assert me.active and me.user_name and me.id
    assert admin.client.get_workspace_id() > 0


def test_a_wrong_token_is_unauthenticated(server):
    stranger = WorkspaceClient(host=server.url, token="dapi00000000000000000000000000000000", auth_type="pat")
    with pytest.raises(Unauthenticated):
        stranger.current_user.me()


def test_an_unknown_path_is_a_json_404(admin):
    with pytest.raises(NotFound) as error:
        admin.client.api_client.do("GET", "/api/2.0/no/such/path")
    assert error.value.error_code == "ENDPOINT_NOT_FOUND"


@pytest.mark.parametrize(
    "path", ["/api/2.0/preview/scim/v2/Me", "/api/2.1/unity-catalog/catalogs", "/api/2.0/sql/warehouses"]
)
def test_no_token_is_401_in_json(server, path):
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"{server.url}{path}")
    assert error.value.code == 401
    assert json.load(error.value)
    assert error.value.headers["X-Databricks-Org-Id"]
