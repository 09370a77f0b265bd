"""OAuth client credentials (M2M): databricks-sdk finds the token endpoint by discovery and signs a service principal in."""

import pytest
from databricks.sdk import WorkspaceClient
from harness import unique


def test_a_service_principal_signs_in_with_its_secret(server, admin):
    robot = admin.client.service_principals.create(display_name=unique("robot"))
    made = admin.client.service_principal_secrets_proxy.create(robot.id)
    client = WorkspaceClient(
        host=server.url, client_id=robot.application_id, client_secret=made.secret, auth_type="oauth-m2m"
    )
    assert client.current_user.me().user_name == robot.application_id
    listed = list(admin.client.service_principal_secrets_proxy.list(robot.id))
    assert [s.id for s in listed] == [made.id]
    assert made.secret not in str(listed)


def test_a_deleted_secret_signs_nobody_in(server, admin):
    robot = admin.client.service_principals.create(display_name=unique("robot"))
    made = admin.client.service_principal_secrets_proxy.create(robot.id)
    admin.client.service_principal_secrets_proxy.delete(robot.id, made.id)
    with pytest.raises(Exception, match="(?i)invalid_client"):
        WorkspaceClient(
            host=server.url, client_id=robot.application_id, client_secret=made.secret, auth_type="oauth-m2m"
        ).current_user.me()
