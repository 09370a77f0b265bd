"""Temporary credentials through databricks-sdk: for whom the grants allow it, 403 for everybody else, nothing for strangers."""

import pytest
from databricks.sdk.errors import BadRequest, NotFound, PermissionDenied
from databricks.sdk.service.catalog import PathOperation, TableOperation, VolumeOperation


@pytest.fixture
def table(admin, catalog):
    admin.sql(f"CREATE TABLE {catalog}.work.t (a INT)")
    return admin.client.tables.get(f"{catalog}.work.t")


def test_select_gives_reading_and_modify_gives_writing(person, table, grant):
    who, catalog = person("ana"), table.catalog_name
    ask = who.client.temporary_table_credentials.generate_temporary_table_credentials
    with pytest.raises((NotFound, PermissionDenied)):
        ask(table_id=table.table_id, operation=TableOperation.READ)
    grant(f"BROWSE, USE CATALOG ON CATALOG {catalog}", who)
    grant(f"USE SCHEMA ON SCHEMA {catalog}.work", who)
    with pytest.raises(PermissionDenied, match=f"SELECT on {table.full_name}"):
        ask(table_id=table.table_id, operation=TableOperation.READ)
    grant(f"SELECT ON TABLE {table.full_name}", who)
    given = ask(table_id=table.table_id, operation=TableOperation.READ)
    assert given.url == table.storage_location and given.expiration_time
    with pytest.raises(PermissionDenied):
        ask(table_id=table.table_id, operation=TableOperation.READ_WRITE)


def test_volumes(admin, person, catalog, volume, grant):
    who = person("ana")
    made = admin.client.volumes.read(f"{catalog}.work.files")
    ask = who.client.temporary_volume_credentials.generate_temporary_volume_credentials
    grant(f"USE CATALOG, BROWSE ON CATALOG {catalog}", who)
    grant(f"USE SCHEMA ON SCHEMA {catalog}.work", who)
    with pytest.raises(PermissionDenied):
        ask(volume_id=made.volume_id, operation=VolumeOperation.READ_VOLUME)
    grant(f"READ VOLUME ON VOLUME {catalog}.work.files", who)
    assert ask(volume_id=made.volume_id, operation=VolumeOperation.READ_VOLUME).url == made.storage_location


@pytest.mark.parametrize("path", ["file:///etc", "file:///", "/etc/passwd", "s3://elsewhere/x"])
def test_paths_that_no_one_was_given_are_refused(person, path):
    with pytest.raises((NotFound, PermissionDenied, BadRequest)):
        person("ana").client.temporary_path_credentials.generate_temporary_path_credentials(
            url=path, operation=PathOperation.PATH_READ
        )
