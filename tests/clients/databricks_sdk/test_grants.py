"""Grants through databricks-sdk: given, seen, inherited, taken back; only those who manage an object change them."""

import pytest
from databricks.sdk.errors import BadRequest, DatabricksError, NotFound, PermissionDenied
from databricks.sdk.service.catalog import PermissionsChange, Privilege


@pytest.fixture
def table(admin, catalog):
    admin.sql(f"CREATE TABLE {catalog}.work.t (a INT)")
    return f"{catalog}.work.t"


def given(admin, kind, name, who):
    found = admin.client.grants.get(kind, name).privilege_assignments or []
    return {p for a in found if a.principal == who.name for p in a.privileges}


def test_a_grant_is_given_seen_and_taken_back(admin, person, table):
    who = person("ana")
    admin.client.grants.update(
        "table", table, changes=[PermissionsChange(principal=who.name, add=[Privilege.SELECT, Privilege.MODIFY])]
    )
    assert given(admin, "table", table, who) == {Privilege.SELECT, Privilege.MODIFY}
    admin.client.grants.update(
        "table", table, changes=[PermissionsChange(principal=who.name, remove=[Privilege.MODIFY])]
    )
    assert given(admin, "table", table, who) == {Privilege.SELECT}
    admin.sql(f"REVOKE SELECT ON TABLE {table} FROM `{who.name}`")
    assert given(admin, "table", table, who) == set()


def test_what_sql_grants_rest_shows(admin, person, catalog):
    who = person("ana")
    admin.sql(f"GRANT USE CATALOG, BROWSE ON CATALOG {catalog} TO `{who.name}`")
    assert given(admin, "catalog", catalog, who) == {Privilege.USE_CATALOG, Privilege.BROWSE}


def test_effective_grants_name_where_they_come_from(admin, person, catalog, table):
    who = person("ana")
    admin.sql(f"GRANT SELECT ON CATALOG {catalog} TO `{who.name}`")
    found = admin.client.grants.get_effective("table", table, principal=who.name).privilege_assignments
    select = [p for a in found for p in a.privileges if p.privilege == Privilege.SELECT]
    assert [(p.inherited_from_name, p.inherited_from_type.value) for p in select] == [(catalog, "CATALOG")]


def test_only_those_who_manage_change_grants(admin, person, catalog, table):
    ana, ben = person("ana"), person("ben")
    admin.sql(f"GRANT USE CATALOG ON CATALOG {catalog} TO `{ana.name}`")
    admin.sql(f"GRANT USE SCHEMA, SELECT ON SCHEMA {catalog}.work TO `{ana.name}`")
    change = [PermissionsChange(principal=ben.name, add=[Privilege.SELECT])]
    with pytest.raises(PermissionDenied):
        ana.client.grants.update("table", table, changes=change)
    admin.sql(f"GRANT MANAGE ON TABLE {table} TO `{ana.name}`")
    ana.client.grants.update("table", table, changes=change)
    assert given(admin, "table", table, ben) == {Privilege.SELECT}


def test_the_refusal_carries_the_missing_grant_to_the_client(admin, person, catalog, table):
    who = person("ana")
    admin.sql(f"GRANT BROWSE ON CATALOG {catalog} TO `{who.name}`")
    with pytest.raises(PermissionDenied) as error:
        who.client.tables.delete(table)
    info = error.value.get_error_details().error_info
    assert info is not None and table in str(info.metadata) + str(error.value)


def test_bad_changes_change_nothing(admin, table):
    with pytest.raises(DatabricksError) as error:
        admin.client.grants.update(
            "table", table, changes=[PermissionsChange(principal="nobody@example.com", add=[Privilege.SELECT])]
        )
    assert isinstance(error.value, (NotFound, BadRequest))
    with pytest.raises(BadRequest):
        admin.client.api_client.do(
            "PATCH",
            f"/api/2.1/unity-catalog/permissions/table/{table}",
            body={"changes": [{"principal": "account users", "add": ["FLY"]}]},
        )
    assert not admin.client.grants.get("table", table).privilege_assignments
