"""Registered models through databricks-sdk: made, listed, changed, aliases, versions, grants as REGISTERED_MODEL and FUNCTION."""

import io
import time

import pytest
from databricks.sdk.errors import DatabricksError, NotFound, PermissionDenied
from databricks.sdk.service.catalog import PermissionsChange, Privilege


@pytest.fixture
def model(admin, catalog):
    """The full name of a new model."""
    return admin.client.registered_models.create(catalog_name=catalog, schema_name="work", name="späť").full_name


def version(admin, model, text=b"flavors: {}\n"):
    """Makes a version as MLflow's client does; gives its number."""
    made = admin.client.api_client.do(
        "POST", "/api/2.0/mlflow/unity-catalog/model-versions/create", body={"name": model, "source": "here"}
    )
    number = made["model_version"]["version"]
    path = f"/Models/{model.replace('.', '/')}/{number}"
    admin.client.files.upload(f"{path}/MLmodel", io.BytesIO(text))
    admin.client.files.upload(f"{path}/data/größe 1.bin", io.BytesIO(bytes(1000)))
    admin.client.api_client.do(
        "POST", "/api/2.0/mlflow/unity-catalog/model-versions/finalize", body={"name": model, "version": number}
    )
    return int(number)


def test_a_model_is_made_listed_renamed_and_deleted(admin, catalog, model):
    models = admin.client.registered_models
    assert model == f"{catalog}.work.späť"
    assert [m.full_name for m in models.list(catalog_name=catalog, schema_name="work")] == [model]
    assert model in [m.full_name for m in models.list(max_results=1)]
    with pytest.raises(DatabricksError) as error:
        models.create(catalog_name=catalog, schema_name="work", name="SPÄŤ")
    assert error.value.error_code.endswith("ALREADY_EXISTS")
    changed = models.update(model, comment="was it late?", new_name="late")
    assert (changed.full_name, changed.comment) == (f"{catalog}.work.late", "was it late?")
    models.delete(changed.full_name)
    with pytest.raises(NotFound):
        models.get(changed.full_name)


def test_versions_and_their_files(admin, model):
    assert [version(admin, model), version(admin, model)] == [1, 2]
    versions = admin.client.model_versions
    assert [(v.version, v.status.value) for v in versions.list(model, max_results=1)] == [(1, "READY"), (2, "READY")]
    path = f"/Models/{model.replace('.', '/')}/1"
    assert admin.client.files.download(f"{path}/MLmodel").contents.read() == b"flavors: {}\n"
    assert len(admin.client.files.download(f"{path}/data/größe 1.bin").contents.read()) == 1000
    listed = [(e.name, e.is_directory) for e in admin.client.files.list_directory_contents(path)]
    assert listed == [("MLmodel", False), ("data", True)]
    with pytest.raises(DatabricksError, match="READY"):
        admin.client.files.upload(f"{path}/MLmodel", io.BytesIO(b"other"), overwrite=True)
    assert versions.update(model, 1, comment="the first").comment == "the first"
    versions.delete(model, 1)
    with pytest.raises(NotFound):
        versions.get(model, 1)
    assert version(admin, model) == 3


def test_aliases_move_and_are_remembered(admin, model):
    version(admin, model), version(admin, model)
    models, versions = admin.client.registered_models, admin.client.model_versions
    assert models.set_alias(model, "champion", 1).version_num == 1
    assert versions.get_by_alias(model, "champion").version == 1
    then = int(time.time() * 1000)
    alias = f"/api/2.1/unity-catalog/models/{model}/aliases/champion"
    moved = {"version_num": 2, "expected_version": 1, "reason": "0.91 over 0.88"}
    admin.client.api_client.do("PUT", alias, body=moved)
    with pytest.raises(DatabricksError) as error:
        admin.client.api_client.do("PUT", alias, body=moved)
    assert error.value.error_code == "ABORTED"
    assert admin.client.api_client.do("GET", alias)["version"] == 2
    assert admin.client.api_client.do("GET", alias, query={"as_of": then})["version"] == 1
    assert [(a.alias_name, a.version_num) for a in models.get(model, include_aliases=True).aliases] == [("champion", 2)]
    models.delete_alias(model, "champion")
    with pytest.raises(NotFound):
        versions.get_by_alias(model, "champion")
    history = admin.client.api_client.do("GET", f"/api/2.0/crannog/models/{model}/alias-moves")["moves"]
    assert [(m["previous_version"], m["version"], m["reason"]) for m in history] == [
        (2, None, None),
        (1, 2, "0.91 over 0.88"),
        (None, 1, None),
    ]
    assert {m["moved_by"] for m in history} == {admin.client.current_user.me().user_name}


def test_grants(admin, person, model, catalog, grant):
    version(admin, model)
    ana, ben = person("ana"), person("ben")
    for who in (ana, ben):
        grant(f"USE CATALOG ON CATALOG {catalog}", who)
        grant(f"USE SCHEMA ON SCHEMA {catalog}.work", who)
        with pytest.raises(NotFound):
            who.client.registered_models.get(model)
    change = [PermissionsChange(principal=ana.name, add=[Privilege.EXECUTE])]
    for word in ("REGISTERED_MODEL", "FUNCTION"):
        admin.client.grants.update(word, model, changes=change)
        assigned = admin.client.grants.get(word, model).privilege_assignments
        assert [(a.principal, a.privileges) for a in assigned] == [(ana.name, [Privilege.EXECUTE])]
    path = f"/Models/{model.replace('.', '/')}/1/MLmodel"
    assert ana.client.files.download(path).contents.read() == b"flavors: {}\n"
    with pytest.raises(PermissionDenied, match="MANAGE"):
        ana.client.registered_models.set_alias(model, "champion", 1)
    with pytest.raises(PermissionDenied, match="CREATE MODEL VERSION"):
        ana.client.files.upload(path, io.BytesIO(b"x"))
    with pytest.raises(PermissionDenied, match="CREATE MODEL"):
        ana.client.registered_models.create(catalog_name=catalog, schema_name="work", name="hers")
    with pytest.raises(NotFound):
        ben.client.files.download(path)
    admin.client.registered_models.update(model, owner=ben.name)
    assert ben.client.registered_models.set_alias(model, "champion", 1).alias_name == "champion"
    admin.sql(f"REVOKE EXECUTE ON MODEL {catalog}.work.`späť` FROM `{ana.name}`")
    with pytest.raises(NotFound):
        ana.client.files.download(path)
