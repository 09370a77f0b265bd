"""Personal access tokens through databricks-sdk: shown once, listed without their value, gone when revoked or expired."""

import time

import pytest
from databricks.sdk.errors import DatabricksError, NotFound, PermissionDenied, Unauthenticated
from harness import until


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
