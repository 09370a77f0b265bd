"""Secrets through databricks-sdk: scopes, values, and who may read them."""

import base64

import pytest
from databricks.sdk.errors import DatabricksError, NotFound, PermissionDenied, ResourceDoesNotExist
from databricks.sdk.service.workspace import AclPermission
from harness import unique


def test_a_secret_is_kept_listed_without_value_and_deleted(admin):
    scope = unique("scope")
    admin.client.secrets.create_scope(scope)
    assert scope in {s.name for s in admin.client.secrets.list_scopes()}
    admin.client.secrets.put_secret(scope, "pw", string_value="grüße ✈")
    admin.client.secrets.put_secret(scope, "raw", bytes_value=base64.b64encode(b"\x00\xff").decode())
    assert base64.b64decode(admin.client.secrets.get_secret(scope, "pw").value).decode() == "grüße ✈"
    assert base64.b64decode(admin.client.secrets.get_secret(scope, "raw").value) == b"\x00\xff"
    assert {s.key for s in admin.client.secrets.list_secrets(scope)} == {"pw", "raw"}
    admin.client.secrets.delete_secret(scope, "pw")
    with pytest.raises((NotFound, ResourceDoesNotExist)):
        admin.client.secrets.get_secret(scope, "pw")
    with pytest.raises(DatabricksError) as error:
        admin.client.secrets.create_scope(scope)
    assert error.value.error_code == "RESOURCE_ALREADY_EXISTS"
    admin.client.secrets.delete_scope(scope)
    assert scope not in {s.name for s in admin.client.secrets.list_scopes()}


def test_only_those_on_the_list_read_a_secret(admin, person):
    ana, ben, scope = person("ana"), person("ben"), unique("scope")
    admin.client.secrets.create_scope(scope)
    admin.client.secrets.put_secret(scope, "pw", string_value="s3cret")
    admin.client.secrets.put_acl(scope, ana.name, AclPermission.READ)
    assert base64.b64decode(ana.client.secrets.get_secret(scope, "pw").value) == b"s3cret"
    with pytest.raises(PermissionDenied):
        ana.client.secrets.put_secret(scope, "pw", string_value="other")
    with pytest.raises((PermissionDenied, NotFound, ResourceDoesNotExist)):
        ben.client.secrets.get_secret(scope, "pw")
    admin.client.secrets.delete_acl(scope, ana.name)
    with pytest.raises((PermissionDenied, NotFound, ResourceDoesNotExist)):
        ana.client.secrets.get_secret(scope, "pw")
