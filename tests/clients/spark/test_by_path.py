"""Apache Spark 4.2 reads by path what we wrote, row for row: types, partitions, overwrites, checkpoints, loads."""

import io
import json
import urllib.request
from pathlib import Path

import pyarrow as pa
import pytest
from databricks.sdk.service.sql import Disposition, Format
from harness import until
from logs import OLD_WRITERS, old_table

SCALARS = [
    ("TINYINT", ["CAST(-128 AS TINYINT)", "CAST(127 AS TINYINT)"]),
    ("SMALLINT", ["CAST(-32768 AS SMALLINT)", "CAST(32767 AS SMALLINT)"]),
    ("INT", ["-2147483648", "2147483647"]),
    ("BIGINT", ["-9223372036854775808", "9223372036854775807"]),
    ("FLOAT", ["CAST(1.5 AS FLOAT)", "CAST('-Infinity' AS FLOAT)"]),
    ("DOUBLE", ["CAST('NaN' AS DOUBLE)", "-0.0D", "1.7976931348623157E308D"]),
    ("BOOLEAN", ["true", "false"]),
    ("STRING", ["''", "'grüße ✈ עברית'", "'two\\nlines\\t\\'quoted\\''", "repeat('x', 5000)"]),
    ("BINARY", ["X'00FF10'", "X''"]),
    ("DECIMAL(9,2)", ["9999999.99", "-0.01"]),
    ("DECIMAL(18,6)", ["999999999999.999999", "-1.000001"]),
    ("DECIMAL(38,10)", ["9999999999999999999999999999.9999999999", "CAST('-1.0000000001' AS DECIMAL(38,10))"]),
    ("DATE", ["DATE'0001-01-01'", "DATE'1582-10-15'", "DATE'9999-12-31'"]),
    ("TIMESTAMP", ["TIMESTAMP'1969-12-31 23:59:59.999999'", "TIMESTAMP'2013-01-01 10:00:00.123456'"]),
    ("TIMESTAMP_NTZ", ["TIMESTAMP_NTZ'1900-01-01 00:00:00.000001'", "TIMESTAMP_NTZ'2013-03-31 02:30:00'"]),
]
NESTED = [
    ("ARRAY<INT>", ["array(1, NULL, 3)", "CAST(array() AS ARRAY<INT>)"]),
    ("ARRAY<ARRAY<STRING>>", ["array(array('a', NULL), NULL)"]),
    ("MAP<STRING,INT>", ["map('a', 1, 'ü', NULL)", "CAST(map() AS MAP<STRING,INT>)"]),
    ("STRUCT<x:INT,y:STRING>", ["named_struct('x', 1, 'y', CAST(NULL AS STRING))"]),
    (
        "STRUCT<a:ARRAY<STRUCT<d:DECIMAL(10,2),t:TIMESTAMP>>,m:MAP<INT,DATE>>",
        [
            "named_struct('a', array(named_struct('d', CAST(1.25 AS DECIMAL(10,2)), 't', TIMESTAMP'2013-01-01 10:00:00'),"
            " NULL), 'm', map(1, DATE'2013-01-01'))"
        ],
    ),
]
# What Hive's folder names escape, what URLs escape, what looks like something else; not '', which Delta reads as NULL.
HOSTILE = [
    "a/b",
    "..",
    "a b",
    "a%20b",
    "a=b&c?d#e",
    "100%",
    "colon:star*",
    'quote"back\\slash',
    "it''s",
    "{brace}[bracket]",
    "new\nline",
    "grüße ✈",
    "עברית",
    "null",
    "__HIVE_DEFAULT_PARTITION",
    " padded ",
]


def ours(admin, statement: str) -> pa.Table:
    """Crannog's own answer, as Arrow."""
    response = admin.execute(statement, disposition=Disposition.EXTERNAL_LINKS, format=Format.ARROW_STREAM)
    assert response.status.error is None, response.status.error
    tables, part = [], response.result
    while part is not None and part.external_links:  # an answer without rows has none
        link = part.external_links[0]
        request = urllib.request.Request(link.external_link, headers=link.http_headers or {})
        with urllib.request.urlopen(request) as answer:
            tables.append(pa.ipc.open_stream(answer.read()).read_all())
        part = None
        if link.next_chunk_index is not None:
            part = admin.client.statement_execution.get_statement_result_chunk_n(
                response.statement_id, link.next_chunk_index
            )
    return pa.concat_tables(tables) if tables else pa.table({})


def rows(table: pa.Table) -> list[str]:
    """Every row as text, sorted; with the text, NaN equals itself, and -0.0 differs from 0.0."""
    return sorted(repr([_plain(value) for value in row.values()]) for row in table.to_pylist())


def _plain(value):
    """A time zone by its name: Arrow's UTC has several classes."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if hasattr(value, "tzinfo"):
        return (value.replace(tzinfo=None).isoformat(), value.tzinfo is not None)
    return value


def theirs(spark, admin, name: str):
    """Spark's frame of the table's folder; no catalog has a part in it."""
    return spark.read.format("delta").load(admin.client.tables.get(name).storage_location)


def same(spark, admin, name: str) -> int:
    """Holds types and rows of both to each other; returns how many rows there are."""
    from pyspark.sql.types import DataType  # there once the session has added pyspark's folder to the path

    frame = theirs(spark, admin, name)
    described = [(c.name, DataType.fromDDL(c.type_text)) for c in admin.client.tables.get(name).columns]
    assert [(field.name, field.dataType) for field in frame.schema] == described
    wanted = rows(ours(admin, f"SELECT * FROM {name}"))
    assert rows(frame.toArrow()) == wanted
    return len(wanted)


def from_checkpoint(spark, admin, name: str, version: int):
    """Waits for the checkpoint, takes the first commit away and lets Spark forget: no other way is left to it."""
    log = Path(admin.client.tables.get(name).storage_location.removeprefix("file://")) / "_delta_log"
    last = log / "_last_checkpoint"
    until(lambda: last.exists() and json.loads(last.read_text())["version"] >= version, "a checkpoint is written", 60)
    (log / f"{0:020}.json").unlink()
    spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


def test_every_type_with_nulls(spark, admin, catalog):
    name, kinds = f"{catalog}.work.t", SCALARS + NESTED
    admin.sql(
        f"CREATE TABLE {name} (k INT, {', '.join(f'c{n} {kind}' for n, (kind, _) in enumerate(kinds))}) "
        "TBLPROPERTIES ('delta.checkpointInterval' = '4')"
    )
    for n in range(max(len(values) for _, values in kinds)):
        chosen = [values[min(n, len(values) - 1)] for _, values in kinds]
        admin.sql(f"INSERT INTO {name} SELECT {n}, {', '.join(chosen)}")
    admin.sql(f"INSERT INTO {name} (k) VALUES (100)")
    assert same(spark, admin, name) == 5
    from_checkpoint(spark, admin, name, 4)
    assert same(spark, admin, name) == 5


def test_partitions_of_every_type(spark, admin, catalog):
    name, kinds = f"{catalog}.work.t", [kind for kind in SCALARS if kind[0] not in ("BINARY", "STRING")]
    columns = ", ".join(f"p{n} {kind}" for n, (kind, _) in enumerate(kinds))
    admin.sql(
        f"CREATE TABLE {name} (k INT, {columns}) PARTITIONED BY ({', '.join(f'p{n}' for n in range(len(kinds)))}) "
        "TBLPROPERTIES ('delta.checkpointInterval' = '4')"
    )
    for n in range(max(len(values) for _, values in kinds)):
        chosen = [values[min(n, len(values) - 1)] for _, values in kinds]
        admin.sql(f"INSERT INTO {name} SELECT {n}, {', '.join(chosen)}")
    admin.sql(f"INSERT INTO {name} (k) VALUES (100)")
    from_checkpoint(spark, admin, name, 4)
    assert same(spark, admin, name) == 4


def test_hostile_partition_values(spark, admin, catalog):
    name = f"{catalog}.work.t"
    admin.sql(f"CREATE TABLE {name} (k INT, `part of it` STRING, n INT) PARTITIONED BY (`part of it`, n)")
    values = ", ".join(f"({k}, {quoted(text)}, {k % 2})" for k, text in enumerate(HOSTILE))
    admin.sql(f"INSERT INTO {name} VALUES {values}, (100, NULL, NULL)")
    assert same(spark, admin, name) == len(HOSTILE) + 1
    frame = theirs(spark, admin, name)
    for k, text in enumerate(HOSTILE):  # by the values in the log, so Spark prunes to one file
        assert [row.k for row in frame.where(frame["part of it"] == text).select("k").collect()] == [k]
    assert [row.k for row in frame.where(frame["part of it"].isNull()).collect()] == [100]


def test_odd_column_names(spark, admin, catalog):
    name = f"{catalog}.work.t"
    admin.sql(f"CREATE TABLE {name} (`größe` INT, `飛行機` STRING, `UPPER` INT, `a.b` INT, `✈` STRUCT<`ü.x`: INT>)")
    admin.sql(f"INSERT INTO {name} SELECT 1, 'a', 2, 3, named_struct('ü.x', 4)")
    assert same(spark, admin, name) == 1


def test_overwrites_and_tables_from_queries(spark, admin, catalog):
    source, target = f"{catalog}.work.source", f"{catalog}.work.target"
    admin.sql(
        f"CREATE TABLE {source} AS SELECT id, concat('n', id) AS name, CAST(id % 7 AS INT) AS p, "
        "TIMESTAMP'2013-01-01 10:00:00' AS at, array(id, id + 1) AS pair FROM range(5000)"
    )
    assert same(spark, admin, source) == 5000
    admin.sql(f"CREATE TABLE {target} PARTITIONED BY (p) AS SELECT id, p FROM {source}")
    assert same(spark, admin, target) == 5000
    admin.sql(f"INSERT OVERWRITE {target} SELECT id, p FROM {source} WHERE p < 3")
    kept = same(spark, admin, target)
    assert 0 < kept < 5000
    admin.sql(f"INSERT INTO {target} SELECT id + 10000, p FROM {target}")
    assert same(spark, admin, target) == 2 * kept
    admin.sql(f"TRUNCATE TABLE {target}")
    assert same(spark, admin, target) == 0


def test_columns_added_later(spark, admin, catalog):
    name = f"{catalog}.work.t"
    admin.sql(f"CREATE TABLE {name} (k INT)")
    admin.sql(f"INSERT INTO {name} VALUES (1)")
    admin.sql(f"ALTER TABLE {name} ADD COLUMNS (later TIMESTAMP_NTZ, more STRUCT<x: INT>)")
    admin.sql(f"INSERT INTO {name} SELECT 2, TIMESTAMP_NTZ'2013-01-01 10:00:00', named_struct('x', 1)")
    assert same(spark, admin, name) == 2


def test_from_a_checkpoint_and_the_commits_after_it(spark, admin, catalog):
    name = f"{catalog}.work.t"
    admin.sql(f"CREATE TABLE {name} (k INT, t TIMESTAMP, d DECIMAL(20,4), p STRING) PARTITIONED BY (p)")
    for n in range(105):
        admin.sql(
            f"INSERT INTO {name} SELECT {n}, TIMESTAMP'2013-01-01 10:00:00', CAST({n} AS DECIMAL(20,4)), "
            f"{quoted(HOSTILE[n % len(HOSTILE)])}"
        )
    from_checkpoint(spark, admin, name, 100)
    assert same(spark, admin, name) == 105
    location = admin.client.tables.get(name).storage_location
    assert spark.sql(f"DESCRIBE HISTORY delta.`{location}`").first().version == 105


@pytest.mark.parametrize("kind", ["CSV", "JSON"])
def test_loaded_files(spark, admin, catalog, volume, kind):
    name = f"{catalog}.work.t"
    admin.sql(f"CREATE TABLE {name} (k BIGINT, name STRING, at TIMESTAMP, amount DECIMAL(12,2))")
    records = [(k, f"name, {k}", "2013-01-01 10:00:00", f"{k}.25") for k in range(2000)]
    if kind == "CSV":
        text = "k,name,at,amount\n" + "".join(f'{k},"{name_}",{at},{amount}\n' for k, name_, at, amount in records)
        options = "FORMAT_OPTIONS ('header' = 'true')"
    else:
        text = "".join(
            f'{{"k": {k}, "name": "{name_}", "at": "{at}", "amount": {amount}}}\n' for k, name_, at, amount in records
        )
        options = ""
    admin.client.files.upload(f"{volume}/in.{kind.lower()}", io.BytesIO(text.encode()), overwrite=True)
    for _ in range(2):
        admin.sql(f"COPY INTO {name} FROM '{volume}/in.{kind.lower()}' FILEFORMAT = {kind} {options}")
    assert same(spark, admin, name) == 2000


@pytest.mark.parametrize("writer", OLD_WRITERS)
def test_a_checkpoint_of_an_old_writer_version(spark, admin, catalog, writer):
    name = f"{catalog}.work.t"
    folder = old_table(admin, name, writer)
    from_checkpoint(spark, admin, name, 4)
    assert same(spark, admin, name) == 6
    detail = spark.sql(f"DESCRIBE DETAIL delta.`{folder}`").collect()[0]
    assert (detail.minReaderVersion, detail.minWriterVersion) == (2 if writer >= 5 else 1, writer)
