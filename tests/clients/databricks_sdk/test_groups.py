"""Groups through databricks-sdk: members, nesting, and rights that come and go with them."""

import pytest
from databricks.sdk.errors import BadRequest, NotFound, PermissionDenied, ResourceConflict
from databricks.sdk.service import iam
from harness import StatementFailed, unique

PATCH = [iam.PatchSchema.URN_IETF_PARAMS_SCIM_API_MESSAGES_2_0_PATCH_OP]


def members(admin, group):
    return {m.value for m in admin.client.groups.get(group).members or []}


def test_a_group_is_made_found_changed_and_deleted(admin, person):
    one, two = (person(n).client.current_user.me().id for n in ("eva", "tom"))
    name = unique("team")
    made = admin.client.groups.create(display_name=name, members=[iam.ComplexValue(value=one)])
    assert members(admin, made.id) == {one}
    assert [g.id for g in admin.client.groups.list(filter=f'displayName eq "{name}"')] == [made.id]
    admin.client.groups.patch(
        made.id, schemas=PATCH, operations=[iam.Patch(op=iam.PatchOp.ADD, path="members", value=[{"value": two}])]
    )
    assert members(admin, made.id) == {one, two}
    admin.client.groups.patch(
        made.id, schemas=PATCH, operations=[iam.Patch(op=iam.PatchOp.REMOVE, path=f'members[value eq "{one}"]')]
    )
    assert members(admin, made.id) == {two}
    with pytest.raises(ResourceConflict):
        admin.client.groups.create(display_name=name)
    admin.client.groups.delete(made.id)
    with pytest.raises(NotFound):
        admin.client.groups.get(made.id)


def test_a_group_cannot_hold_itself(admin):
    outer = admin.client.groups.create(display_name=unique("outer"))
    inner = admin.client.groups.create(display_name=unique("inner"), members=[iam.ComplexValue(value=outer.id)])
    with pytest.raises((BadRequest, ResourceConflict)):
        admin.client.groups.patch(
            outer.id,
            schemas=PATCH,
            operations=[iam.Patch(op=iam.PatchOp.ADD, path="members", value=[{"value": inner.id}])],
        )


def test_rights_follow_nested_membership_at_once(admin, person, catalog):
    who = person("ulla")
    me = who.client.current_user.me().id
    inner = admin.client.groups.create(display_name=unique("inner"), members=[iam.ComplexValue(value=me)])
    outer = admin.client.groups.create(display_name=unique("outer"), members=[iam.ComplexValue(value=inner.id)])
    admin.sql(f"CREATE TABLE {catalog}.work.t (a INT)")
    admin.sql(f"INSERT INTO {catalog}.work.t VALUES (1)")
    for what in (
        f"USE CATALOG ON CATALOG {catalog}",
        f"USE SCHEMA ON SCHEMA {catalog}.work",
        f"SELECT ON TABLE {catalog}.work.t",
    ):
        admin.sql(f"GRANT {what} TO `{outer.display_name}`")
    assert who.sql(f"SELECT a FROM {catalog}.work.t") == [["1"]]
    admin.client.groups.patch(
        inner.id, schemas=PATCH, operations=[iam.Patch(op=iam.PatchOp.REMOVE, path=f'members[value eq "{me}"]')]
    )
    with pytest.raises(StatementFailed):
        who.sql(f"SELECT a FROM {catalog}.work.t")


def test_me_lists_my_groups(admin, person):
    who = person("rosa")
    group = admin.client.groups.create(
        display_name=unique("team"), members=[iam.ComplexValue(value=who.client.current_user.me().id)]
    )
    assert group.display_name in {g.display for g in who.client.current_user.me().groups}


def test_a_plain_person_cannot_change_groups(admin, person):
    who = person("paul")
    with pytest.raises(PermissionDenied):
        who.client.groups.create(display_name=unique("team"))
