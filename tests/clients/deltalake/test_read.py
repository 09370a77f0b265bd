"""deltalake (delta-rs) 1.6 reads by path what we wrote: every type, every partitioning, after many commits."""

import datetime
import decimal
from pathlib import Path

import pytest
from deltalake import DeltaTable
from harness import until
from logs import OLD_WRITERS, old_table

TYPES = [
    ("TINYINT", "CAST(1 AS TINYINT)", 1),
    ("SMALLINT", "CAST(2 AS SMALLINT)", 2),
    ("INT", "3", 3),
    ("BIGINT", "4L", 4),
    ("FLOAT", "CAST(1.5 AS FLOAT)", 1.5),
    ("DOUBLE", "2.5D", 2.5),
    ("BOOLEAN", "true", True),
    ("STRING", "'grüße ✈'", "grüße ✈"),
    ("BINARY", "CAST('abc' AS BINARY)", b"abc"),
    ("DECIMAL(10,2)", "CAST(1.25 AS DECIMAL(10,2))", decimal.Decimal("1.25")),
    ("DECIMAL(38,10)", "CAST(1.25 AS DECIMAL(38,10))", decimal.Decimal("1.2500000000")),
    ("DATE", "DATE'2013-01-01'", datetime.date(2013, 1, 1)),
    ("TIMESTAMP", "TIMESTAMP'2013-01-01 10:00:00'", datetime.datetime(2013, 1, 1, 10, tzinfo=datetime.timezone.utc)),
    ("ARRAY<INT>", "array(1, NULL, 3)", [1, None, 3]),
    ("MAP<STRING, INT>", "map('a', 1)", [("a", 1)]),
    ("STRUCT<x: INT, y: STRING>", "named_struct('x', 1, 'y', 'z')", {"x": 1, "y": "z"}),
]
PARTITIONABLE = [t for t in TYPES if not t[0].startswith(("ARRAY", "MAP", "STRUCT", "BINARY"))]


def read(admin, name):
    location = admin.client.tables.get(name).storage_location.removeprefix("file://")
    return DeltaTable(location).to_pyarrow_table()


@pytest.mark.parametrize(("kind", "literal", "value"), TYPES, ids=[t[0] for t in TYPES])
def test_every_type(admin, catalog, kind, literal, value):
    name = f"{catalog}.work.t"
    admin.sql(f"CREATE TABLE {name} (k INT, v {kind})")
    admin.sql(f"INSERT INTO {name} SELECT 1, {literal}")
    admin.sql(f"INSERT INTO {name} VALUES (2, NULL)")
    got = {row["k"]: row["v"] for row in read(admin, name).to_pylist()}
    assert got == {1: value, 2: None}


@pytest.mark.parametrize(("kind", "literal", "value"), PARTITIONABLE, ids=[t[0] for t in PARTITIONABLE])
def test_every_partitioning(admin, catalog, kind, literal, value):
    name = f"{catalog}.work.t"
    admin.sql(f"CREATE TABLE {name} (k INT, v {kind}) PARTITIONED BY (v)")
    admin.sql(f"INSERT INTO {name} SELECT 1, {literal}")
    admin.sql(f"INSERT INTO {name} VALUES (2, NULL)")
    got = {row["k"]: row["v"] for row in read(admin, name).to_pylist()}
    assert got == {1: value, 2: None}


def test_after_a_checkpoint(admin, catalog):
    name = f"{catalog}.work.t"
    admin.sql(f"CREATE TABLE {name} (k INT)")
    for n in range(105):
        admin.sql(f"INSERT INTO {name} VALUES ({n})")
    location = admin.client.tables.get(name).storage_location.removeprefix("file://")
    table = DeltaTable(location)
    assert table.version() == 105
    assert sorted(table.to_pyarrow_table()["k"].to_pylist()) == list(range(105))
    assert len(table.history()) >= 100


def test_columns_with_odd_names(admin, catalog):
    name = f"{catalog}.work.t"
    admin.sql(f"CREATE TABLE {name} (`größe` INT, `飛行機` STRING, `UPPER` INT)")
    admin.sql(f"INSERT INTO {name} VALUES (1, 'a', 2)")
    assert read(admin, name).to_pylist() == [{"größe": 1, "飛行機": "a", "UPPER": 2}]


@pytest.mark.parametrize("writer", OLD_WRITERS)
def test_a_checkpoint_of_an_old_writer_version(admin, catalog, writer):
    name = f"{catalog}.work.t"
    log = Path(old_table(admin, name, writer)) / "_delta_log"
    until((log / "_last_checkpoint").exists, "a checkpoint is written", 60)
    for version in range(5):  # no other way than the checkpoint is left
        (log / f"{version:020}.json").unlink()
    table = DeltaTable(str(log.parent))
    assert (table.version(), table.protocol().min_writer_version) == (6, writer)
    theirs = sorted((row["k"], row["s"], row["p"]) for row in table.to_pyarrow_table().to_pylist())
    assert theirs == [(0, "before", 0), (1, None, None), *((n, "after ü", n % 2) for n in range(2, 6))]
    assert [[k, s, p] for k, s, p in admin.sql(f"SELECT * FROM {name} ORDER BY k")] == [
        [str(k), s, None if p is None else str(p)] for k, s, p in theirs
    ]
