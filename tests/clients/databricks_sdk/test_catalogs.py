"""Catalogs and schemas through databricks-sdk: made, listed by page, changed, renamed, deleted; seen only by grant."""

import pytest
from databricks.sdk.errors import BadRequest, DatabricksError, NotFound, PermissionDenied
from harness import unique


def test_main_and_its_default_schema_are_there_from_the_start(admin):
    assert "main" in {c.name for c in admin.client.catalogs.list()}
    assert admin.client.schemas.get("main.default").full_name == "main.default"


def test_a_catalog_is_made_changed_renamed_and_deleted(admin):
    name, later = unique("cat"), unique("cat")
    made = admin.client.catalogs.create(name, comment="first", properties={"team": "a"})
    assert (made.name, made.comment, made.properties) == (name, "first", {"team": "a"})
    assert made.owner and made.created_at and made.created_by
    with pytest.raises(DatabricksError) as error:
        admin.client.catalogs.create(name)
    assert error.value.error_code.endswith("ALREADY_EXISTS")
    assert admin.client.catalogs.update(name, comment="second").comment == "second"
    admin.client.schemas.create("grüße", name)
    admin.client.secrets.create_scope(f"{name}.prod")
    assert admin.client.catalogs.update(name, new_name=later).name == later
    with pytest.raises(NotFound):
        admin.client.catalogs.get(name)
    assert admin.client.schemas.get(f"{later}.grüße").catalog_name == later
    # A secret scope whose name begins like the catalog's is not in it.
    assert list(admin.client.secrets.list_secrets(f"{name}.prod")) == []
    admin.client.secrets.delete_scope(f"{name}.prod")
    admin.client.catalogs.delete(later, force=True)
    with pytest.raises(NotFound):
        admin.client.catalogs.get(later)


def test_a_catalog_that_holds_something_is_deleted_only_by_force(admin):
    name = unique("cat")
    admin.client.catalogs.create(name)
    admin.client.schemas.create("s", name)
    with pytest.raises(DatabricksError):
        admin.client.catalogs.delete(name)
    assert admin.client.catalogs.get(name).name == name
    admin.client.catalogs.delete(name, force=True)
    with pytest.raises(NotFound):
        admin.client.schemas.get(f"{name}.s")


def test_the_owner_of_a_catalog_can_change(admin, person, catalog):
    who = person("ana")
    assert admin.client.catalogs.update(catalog, owner=who.name).owner == who.name
    assert who.client.catalogs.update(catalog, comment="mine").comment == "mine"
    assert admin.client.catalogs.update(catalog, owner=admin.client.current_user.me().user_name).owner != who.name


def test_schemas_are_made_listed_changed_and_deleted(admin, catalog):
    names = {f"s{n}" for n in range(5)}
    for name in names:
        admin.client.schemas.create(name, catalog, comment=name)
    assert names <= {s.name for s in admin.client.schemas.list(catalog)}
    assert names <= {s.name for s in admin.client.schemas.list(catalog, max_results=2)}
    assert admin.client.schemas.update(f"{catalog}.s0", comment="new").comment == "new"
    assert admin.client.schemas.update(f"{catalog}.s1", new_name="s9").full_name == f"{catalog}.s9"
    admin.client.schemas.delete(f"{catalog}.s0")
    with pytest.raises(NotFound):
        admin.client.schemas.get(f"{catalog}.s0")


@pytest.mark.parametrize("bad", ["", "a.b", "a/b", "a b", "x" * 256, "a\u0000b"])
def test_a_name_that_cannot_be_is_refused(admin, bad):
    with pytest.raises(BadRequest):
        admin.client.catalogs.create(bad)


def test_names_in_all_scripts(admin, catalog):
    for name in ("schätze", "飛行機", "рейсы", "طيران", "fly✈️", "back`tick"):
        made = admin.client.schemas.create(name, catalog)
        assert admin.client.schemas.get(f"{catalog}.{name}").name == made.name == name


def test_what_is_not_granted_is_not_there(admin, person, catalog):
    who = person("ana")
    assert catalog not in {c.name for c in who.client.catalogs.list()}
    with pytest.raises(NotFound) as hidden:
        who.client.catalogs.get(catalog)
    with pytest.raises(NotFound) as missing:
        who.client.catalogs.get("no_such_catalog")
    assert str(hidden.value).replace(catalog, "X") == str(missing.value).replace("no_such_catalog", "X")
    admin.sql(f"GRANT BROWSE ON CATALOG {catalog} TO `{who.name}`")
    assert who.client.catalogs.get(catalog).browse_only is True
    with pytest.raises(PermissionDenied):
        who.client.schemas.create("mine", catalog)
    admin.sql(f"GRANT USE CATALOG, CREATE SCHEMA ON CATALOG {catalog} TO `{who.name}`")
    assert who.client.schemas.create("mine", catalog).owner == who.name
