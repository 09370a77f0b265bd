"""Volumes through databricks-sdk: made, listed, changed, deleted."""

import pytest
from databricks.sdk.errors import DatabricksError, NotFound, PermissionDenied
from databricks.sdk.service.catalog import VolumeType


def test_a_volume_is_made_listed_renamed_and_deleted(admin, catalog):
    made = admin.client.volumes.create(catalog, "work", "raw", VolumeType.MANAGED, comment="as they came")
    assert (made.full_name, made.volume_type, made.comment) == (
        f"{catalog}.work.raw",
        VolumeType.MANAGED,
        "as they came",
    )
    assert made.volume_id and made.storage_location and made.owner
    assert [v.name for v in admin.client.volumes.list(catalog, "work")] == ["raw"]
    assert admin.client.volumes.read(made.full_name).volume_id == made.volume_id
    with pytest.raises(DatabricksError) as error:
        admin.client.volumes.create(catalog, "work", "raw", VolumeType.MANAGED)
    assert error.value.error_code.endswith("ALREADY_EXISTS")
    assert admin.client.volumes.update(made.full_name, new_name="cooked").full_name == f"{catalog}.work.cooked"
    admin.client.volumes.delete(f"{catalog}.work.cooked")
    with pytest.raises(NotFound):
        admin.client.volumes.read(f"{catalog}.work.cooked")


def test_making_one_needs_the_grant(person, catalog, grant):
    who = person("ana")
    grant(f"USE CATALOG ON CATALOG {catalog}", who)
    grant(f"USE SCHEMA ON SCHEMA {catalog}.work", who)
    with pytest.raises(PermissionDenied):
        who.client.volumes.create(catalog, "work", "hers", VolumeType.MANAGED)
    grant(f"CREATE VOLUME ON SCHEMA {catalog}.work", who)
    assert who.client.volumes.create(catalog, "work", "hers", VolumeType.MANAGED).owner == who.name
