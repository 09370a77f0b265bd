"""Users through databricks-sdk (SCIM): made, found, changed, deactivated, deleted."""

import pytest
from databricks.sdk.errors import (
    BadRequest,
    DatabricksError,
    NotFound,
    PermissionDenied,
    ResourceConflict,
    Unauthenticated,
)
from databricks.sdk.service import iam
from harness import unique


def test_a_user_is_made_found_and_deleted(admin):
    name = f"{unique('mia')}@example.com"
    made = admin.client.users.create(
        user_name=name, display_name="Mia", external_id="e-1", name=iam.Name(given_name="Mia", family_name="Berg")
    )
    assert (made.user_name, made.display_name, made.active) == (name, "Mia", True)
    got = admin.client.users.get(made.id)
    assert (got.id, got.user_name, got.external_id) == (made.id, name, "e-1")
    assert (got.name.given_name, got.name.family_name) == ("Mia", "Berg")
    assert [e.value for e in got.emails if e.primary] == [name]
    assert [u.id for u in admin.client.users.list(filter=f'userName eq "{name}"')] == [made.id]
    assert made.id in {u.id for u in admin.client.users.list(attributes="id,userName")}
    admin.client.users.delete(made.id)
    with pytest.raises(NotFound):
        admin.client.users.get(made.id)
    assert list(admin.client.users.list(filter=f'userName eq "{name}"')) == []


def test_names_are_compared_without_case_and_taken_once(admin):
    name = f"{unique('Kim')}@example.com"
    made = admin.client.users.create(user_name=name)
    with pytest.raises(ResourceConflict):
        admin.client.users.create(user_name=name.upper())
    assert [u.id for u in admin.client.users.list(filter=f'userName eq "{name.lower()}"')] == [made.id]


@pytest.mark.parametrize("bad", ["", " ", "a\nb@example.com"])
def test_a_name_that_cannot_be_is_refused(admin, bad):
    with pytest.raises(BadRequest):
        admin.client.users.create(user_name=bad)


def test_a_deactivated_user_is_out_at_the_next_request(admin, person):
    who = person("leo")
    user = who.client.current_user.me()
    patch = [iam.PatchSchema.URN_IETF_PARAMS_SCIM_API_MESSAGES_2_0_PATCH_OP]
    admin.client.users.patch(
        user.id, schemas=patch, operations=[iam.Patch(op=iam.PatchOp.REPLACE, path="active", value="false")]
    )
    with pytest.raises((Unauthenticated, PermissionDenied)):
        who.client.current_user.me()
    assert admin.client.users.get(user.id).active is False
    admin.client.users.patch(
        user.id, schemas=patch, operations=[iam.Patch(op=iam.PatchOp.REPLACE, path="active", value="true")]
    )
    assert who.client.current_user.me().user_name == who.name


def test_put_replaces_what_it_names(admin):
    made = admin.client.users.create(user_name=f"{unique('ida')}@example.com", display_name="Ida")
    admin.client.users.update(made.id, user_name=made.user_name, display_name="Ida B.", active=True)
    assert admin.client.users.get(made.id).display_name == "Ida B."


def test_a_plain_person_cannot_make_or_change_users(person):
    who, other = person("nina"), person("olaf")
    with pytest.raises(PermissionDenied):
        who.client.users.create(user_name=f"{unique('x')}@example.com")
    with pytest.raises(DatabricksError) as error:
        who.client.users.delete(other.client.current_user.me().id)
    assert isinstance(error.value, (PermissionDenied, NotFound))
    assert other.client.current_user.me().active


def test_many_users_are_listed_page_by_page(admin):
    word = unique("crowd")
    made = {admin.client.users.create(user_name=f"{word}-{n}@example.com").id for n in range(7)}
    assert {u.id for u in admin.client.users.list(filter=f'userName sw "{word}"')} == made
    assert made <= {u.id for u in admin.client.users.list(count=2)}
