"""Personal access tokens through databricks-sdk: shown once, listed without their value, gone when revoked or expired."""

import os
import subprocess
import time

import pytest
from databricks.sdk.errors import DatabricksError, NotFound, PermissionDenied, Unauthenticated
from databricks.sdk.service.iam import PasswordAccessControlRequest, PasswordPermissionLevel
from databricks.sdk.service.settings import TokenAccessControlRequest, TokenPermissionLevel
from harness import binary, unique, until


def test_a_token_works_until_it_is_revoked(server, person):
    who = person("ana")
    made = who.client.tokens.create(comment="laptop", lifetime_seconds=3600)
    assert made.token_info.comment == "laptop"
    assert 3590_000 <= made.token_info.expiry_time - made.token_info.creation_time <= 3600_000
    other = server.signed_in(who.name, made.token_value)
    assert other.client.current_user.me().user_name == who.name
    listed = {t.token_id: t for t in who.client.tokens.list()}
    assert made.token_info.token_id in listed
    assert made.token_value not in str(listed)
    who.client.tokens.delete(made.token_info.token_id)
    with pytest.raises((Unauthenticated, PermissionDenied)):
        other.client.current_user.me()
    assert made.token_info.token_id not in {t.token_id for t in who.client.tokens.list()}
    with pytest.raises(NotFound):
        who.client.tokens.delete(made.token_info.token_id)


def test_a_token_ends_with_its_lifetime(server, person):
    who = person("ana")
    made = who.client.tokens.create(lifetime_seconds=1)
    other = server.signed_in(who.name, made.token_value)

    def refused():
        try:
            other.client.current_user.me()
        except (Unauthenticated, PermissionDenied):
            return True
        return False

    until(refused, "the token has expired", 30)
    assert time.time() * 1000 >= made.token_info.expiry_time


def test_nobody_deletes_another_ones_token(person):
    ana, ben = person("ana"), person("ben")
    made = ana.client.tokens.create()
    with pytest.raises(DatabricksError) as error:
        ben.client.tokens.delete(made.token_info.token_id)
    assert isinstance(error.value, (NotFound, PermissionDenied))
    assert made.token_info.token_id in {t.token_id for t in ana.client.tokens.list()}


def test_admins_see_and_revoke_all_tokens(server, admin, person):
    ana = person("ana")
    made = ana.client.tokens.create(comment="hers")
    listed = {t.token_id: t for t in admin.client.token_management.list()}
    assert listed[made.token_info.token_id].created_by_username == ana.name
    with pytest.raises(PermissionDenied):
        list(ana.client.token_management.list())
    admin.client.token_management.delete(made.token_info.token_id)
    with pytest.raises((Unauthenticated, PermissionDenied)):
        server.signed_in(ana.name, made.token_value).client.current_user.me()


def test_who_may_use_tokens_and_passwords(new_server):
    server = new_server()
    admin, ana, ben = server.admin().client, server.person("ana"), server.person("ben")
    assert [level.permission_level.value for level in admin.token_management.get_permission_levels().permission_levels] == ["CAN_USE"]
    only_ben = TokenAccessControlRequest(user_name=ben.name, permission_level=TokenPermissionLevel.CAN_USE)
    admin.token_management.set_permissions(access_control_list=[only_ben])
    assert ben.client.current_user.me().user_name == ben.name
    with pytest.raises(Unauthenticated):
        ana.client.current_user.me()
    with pytest.raises(PermissionDenied, match="personal access tokens"):
        admin.token_management.create_obo_token(
            application_id=admin.service_principals.create(display_name=unique("robot")).application_id
        )
    users = TokenAccessControlRequest(group_name="account users", permission_level=TokenPermissionLevel.CAN_USE)
    admin.token_management.update_permissions(access_control_list=[users])
    assert ana.client.current_user.me().user_name == ana.name
    found = admin.token_management.get_permissions()
    assert {acl.group_name or acl.user_name for acl in found.access_control_list} == {"admins", "account users", ben.name}

    assert [level.permission_level.value for level in admin.users.get_permission_levels().permission_levels] == ["CAN_USE"]
    admin.users.set_permissions(access_control_list=[])
    assert [acl.group_name for acl in admin.users.get_permissions().access_control_list] == ["admins"]
    users = PasswordAccessControlRequest(group_name="account users", permission_level=PasswordPermissionLevel.CAN_USE)
    admin.users.update_permissions(access_control_list=[users])
    assert len(admin.users.get_permissions().access_control_list) == 2
    with pytest.raises(PermissionDenied):
        ana.client.users.set_permissions(access_control_list=[])


def test_a_user_is_named_by_an_address(server, admin):
    for name in ["ana", "ana@", "a b@example.com", "a@b@c"]:
        with pytest.raises(DatabricksError, match="is not an e-mail address.*ana@example.com"):
            admin.client.users.create(user_name=name)
    refused = subprocess.run(
        [str(binary()), "user", "create", "ana"],
        capture_output=True,
        text=True,
        env={**os.environ, "CRANNOG_HOST": server.url, "CRANNOG_TOKEN": server.admin_token},
        check=False,
    )
    assert refused.returncode == 1 and "is not an e-mail address" in refused.stderr
