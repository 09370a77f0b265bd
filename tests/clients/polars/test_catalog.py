"""polars' `pl.Catalog` (2.1): lists, describes and reads governed tables with a person's token, over plain HTTP."""

import polars as pl
import pytest


@pytest.fixture
def table(admin, catalog):
    admin.sql(f"CREATE TABLE {catalog}.work.t (id BIGINT, name STRING, at TIMESTAMP, p INT) PARTITIONED BY (p)")
    admin.sql(
        f"INSERT INTO {catalog}.work.t SELECT id, concat('n', id), TIMESTAMP'2013-01-01 10:00:00', CAST(id % 3 AS INT) FROM range(100)"
    )
    return f"{catalog}.work.t"


def catalog_of(server, who):
    return pl.Catalog(server.url, bearer_token=who.token, require_https=False)


def test_lists_and_describes(server, admin, table):
    unity, catalog = catalog_of(server, admin), table.split(".")[0]
    assert catalog in {c.name for c in unity.list_catalogs()}
    assert "work" in {s.name for s in unity.list_namespaces(catalog)}
    assert [t.name for t in unity.list_tables(catalog, "work")] == ["t"]
    info = unity.get_table_info(catalog, "work", "t")
    assert [c.name for c in info.columns] == ["id", "name", "at", "p"]
    assert (info.table_type, info.data_source_format) == ("MANAGED", "DELTA")


def test_reads_a_governed_table(server, admin, table):
    got = catalog_of(server, admin).scan_table(*table.split(".")).sort("id").collect()
    assert got.shape == (100, 4)
    assert got["id"].to_list() == list(range(100)) and got["name"][7] == "n7" and got["p"][5] == 2
    assert got["at"].dtype == pl.Datetime("us", "UTC")


def test_reads_by_path(admin, table):
    location = admin.client.tables.get(table).storage_location
    assert pl.scan_delta(location.removeprefix("file://")).select(pl.len()).collect().item() == 100


def test_one_without_the_grant_reads_nothing(server, admin, person, table, grant):
    who, catalog = person("ana"), table.split(".")[0]
    assert catalog not in {c.name for c in catalog_of(server, who).list_catalogs()}
    grant(f"USE CATALOG, BROWSE ON CATALOG {catalog}", who)
    grant(f"USE SCHEMA ON SCHEMA {catalog}.work", who)
    # polars goes on without credentials when they are refused, so it must not be told where the files are.
    assert admin.client.tables.get(table).storage_location and not who.client.tables.get(table).storage_location
    with pytest.raises(ValueError, match="storage_location"):
        catalog_of(server, who).scan_table(*table.split(".")).collect()
    grant(f"SELECT ON TABLE {table}", who)
    assert catalog_of(server, who).scan_table(*table.split(".")).select(pl.len()).collect().item() == 100
