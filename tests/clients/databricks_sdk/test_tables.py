"""Tables through databricks-sdk: what SQL made is described exactly, listed, summarised, renamed in owner, deleted."""

import json

import pytest
from databricks.sdk.errors import BadRequest, NotFound, PermissionDenied
from databricks.sdk.service.catalog import ColumnInfo, ColumnTypeName, DataSourceFormat, TableType

COLUMNS = (
    "a BIGINT NOT NULL COMMENT 'the key', b STRING, c DECIMAL(10,2), d TIMESTAMP, e DATE, f DOUBLE, g BOOLEAN, "
    "h BINARY, i STRUCT<x: INT, y: ARRAY<STRING>>, j MAP<STRING, INT>, p INT"
)


@pytest.fixture
def made(admin, catalog):
    admin.sql(f"CREATE TABLE {catalog}.work.t ({COLUMNS}) USING DELTA PARTITIONED BY (p) COMMENT 'all kinds'")
    return f"{catalog}.work.t"


def test_a_table_is_described_exactly(admin, made):
    got = admin.client.tables.get(made)
    assert (got.full_name, got.table_type, got.data_source_format) == (made, TableType.MANAGED, DataSourceFormat.DELTA)
    assert got.comment == "all kinds" and got.owner and got.table_id and got.storage_location
    assert [(c.name, c.type_name, c.nullable, c.position) for c in got.columns][:3] == [
        ("a", ColumnTypeName.LONG, False, 0),
        ("b", ColumnTypeName.STRING, True, 1),
        ("c", ColumnTypeName.DECIMAL, True, 2),
    ]
    by_name = {c.name: c for c in got.columns}
    assert by_name["a"].comment == "the key"
    assert (by_name["c"].type_precision, by_name["c"].type_scale, by_name["c"].type_text) == (10, 2, "decimal(10,2)")
    assert by_name["i"].type_text == "struct<x:int,y:array<string>>"
    assert json.loads(by_name["a"].type_json)["type"] == "long"
    assert by_name["p"].partition_index == 0 and by_name["a"].partition_index is None


def test_tables_are_listed_summarised_and_known_to_exist(admin, made):
    catalog = made.split(".")[0]
    admin.sql(f"CREATE VIEW {catalog}.work.v AS SELECT a FROM {made}")
    listed = {t.name: t for t in admin.client.tables.list(catalog, "work")}
    assert set(listed) == {"t", "v"}
    assert listed["v"].table_type == TableType.VIEW and "SELECT a" in listed["v"].view_definition
    assert {t.name for t in admin.client.tables.list(catalog, "work", max_results=1)} == {"t", "v"}
    assert not any(t.columns for t in admin.client.tables.list(catalog, "work", omit_columns=True))
    assert {s.full_name for s in admin.client.tables.list_summaries(catalog)} == {made, f"{catalog}.work.v"}
    assert admin.client.tables.exists(made).table_exists is True
    assert admin.client.tables.exists(f"{catalog}.work.no").table_exists is False


def test_a_deleted_table_is_gone_for_sql_too(admin, made):
    admin.client.tables.delete(made)
    with pytest.raises(NotFound):
        admin.client.tables.get(made)
    with pytest.raises(Exception, match="(?i)TABLE_OR_VIEW_NOT_FOUND|not found|does not exist"):
        admin.sql(f"SELECT * FROM {made}")


def test_owner_and_visibility(admin, person, made):
    who, catalog = person("ana"), made.split(".")[0]
    with pytest.raises(NotFound):
        who.client.tables.get(made)
    admin.sql(f"GRANT BROWSE ON CATALOG {catalog} TO `{who.name}`")
    assert who.client.tables.get(made).full_name == made
    with pytest.raises(PermissionDenied):
        who.client.tables.delete(made)
    admin.client.tables.update(made, owner=who.name)
    assert admin.client.tables.get(made).owner == who.name


def test_an_external_table_over_files_of_the_server_is_refused(admin, catalog, server):
    with pytest.raises((BadRequest, PermissionDenied)):
        admin.client.tables.create(
            name="leak",
            catalog_name=catalog,
            schema_name="work",
            table_type=TableType.EXTERNAL,
            data_source_format=DataSourceFormat.DELTA,
            storage_location=f"file://{server.data}",
            columns=[
                ColumnInfo(name="a", type_name=ColumnTypeName.INT, type_text="int", type_json='"integer"', position=0)
            ],
        )
