"""Service principals through databricks-sdk: made by an admin, signed in by a token on their behalf, granted like people."""

import pytest
from databricks.sdk.errors import NotFound, PermissionDenied
from harness import unique


def test_a_service_principal_is_made_found_and_deleted(admin):
    name = unique("robot")
    made = admin.client.service_principals.create(display_name=name, active=True)
    assert made.application_id and made.display_name == name
    assert admin.client.service_principals.get(made.id).application_id == made.application_id
    found = admin.client.service_principals.list(filter=f'applicationId eq "{made.application_id}"')
    assert [s.id for s in found] == [made.id]
    admin.client.service_principals.delete(made.id)
    with pytest.raises(NotFound):
        admin.client.service_principals.get(made.id)


def test_an_admin_makes_a_token_on_its_behalf(server, admin, catalog):
    robot = admin.client.service_principals.create(display_name=unique("robot"))
    made = admin.client.token_management.create_obo_token(
        application_id=robot.application_id, comment="ci", lifetime_seconds=600
    )
    signed_in = server.signed_in(robot.application_id, made.token_value)
    assert signed_in.client.current_user.me().user_name == robot.application_id
    assert catalog not in {c.name for c in signed_in.client.catalogs.list()}
    admin.sql(f"GRANT USE CATALOG ON CATALOG {catalog} TO `{robot.application_id}`")
    assert catalog in {c.name for c in signed_in.client.catalogs.list()}


def test_a_plain_person_cannot_make_one(person):
    with pytest.raises(PermissionDenied):
        person("otto").client.service_principals.create(display_name=unique("robot"))
