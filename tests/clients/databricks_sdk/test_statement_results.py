"""Results of statements through databricks-sdk: JSON text of every type, Arrow by links, large answers in chunks."""

import urllib.request

import pyarrow as pa
import pytest
from databricks.sdk.service.sql import Disposition, Format


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("1Y", "1"),
        ("1S", "1"),
        ("1L", "1"),
        ("1.5D", "1.5"),
        ("CAST(1.1 AS DECIMAL(5,2))", "1.10"),
        ("true", "true"),
        ("DATE'2013-01-01'", "2013-01-01"),
        ("TIMESTAMP'2013-01-01 10:00:00'", "2013-01-01T10:00:00.000Z"),
        ("'grüße ✈'", "grüße ✈"),
        ("CAST('nan' AS DOUBLE)", "NaN"),
        ("CAST('abc' AS BINARY)", "YWJj"),
        ("array(1, 2)", '[1,2]'),
        ("map('a', 1)", '{"a":1}'),
        ("named_struct('x', 1, 'y', 'z')", '{"x":1,"y":"z"}'),
        ("CAST(NULL AS INT)", None),
    ],
)
def test_values_as_text(admin, expression, text):
    assert admin.sql(f"SELECT {expression} AS v") == [[text]]


def arrow_rows(admin, response):
    tables, part = [], response.result
    while part is not None:
        link = part.external_links[0]
        with urllib.request.urlopen(
            urllib.request.Request(link.external_link, headers=link.http_headers or {})
        ) as answer:
            tables.append(pa.ipc.open_stream(answer.read()).read_all())
        part = (
            admin.client.statement_execution.get_statement_result_chunk_n(response.statement_id, link.next_chunk_index)
            if link.next_chunk_index is not None
            else None
        )
    return pa.concat_tables(tables)


def test_arrow_by_links(admin):
    got = admin.execute(
        "SELECT id, CAST(id AS STRING) AS s, TIMESTAMP'2013-01-01 10:00:00' AS t FROM range(1000)",
        disposition=Disposition.EXTERNAL_LINKS,
        format=Format.ARROW_STREAM,
    )
    table = arrow_rows(admin, got)
    assert table.num_rows == 1000 == got.manifest.total_row_count
    assert table.column("id").to_pylist() == list(range(1000))
    assert table.schema.field("id").type == pa.int64()
    assert str(table.schema.field("t").type) == "timestamp[us, tz=Etc/UTC]" or table.schema.field("t").type.tz == "UTC"


def test_a_link_is_of_no_use_without_its_signature(admin):
    got = admin.execute("SELECT 1", disposition=Disposition.EXTERNAL_LINKS, format=Format.ARROW_STREAM)
    link = got.result.external_links[0].external_link
    with pytest.raises(urllib.request.HTTPError):
        urllib.request.urlopen(link.partition("?")[0] if "?" in link else link[:-4] + "xxxx")


def test_a_large_answer_comes_in_chunks_and_in_order(admin):
    rows = admin.sql("SELECT id FROM range(300000) ORDER BY id")
    assert len(rows) == 300_000
    assert [rows[0], rows[123_456], rows[-1]] == [["0"], ["123456"], ["299999"]]


def test_an_empty_answer_still_has_its_columns(admin):
    got = admin.execute("SELECT id, 'x' AS x FROM range(10) WHERE id > 100")
    assert [c.name for c in got.manifest.schema.columns] == ["id", "x"]
    assert not got.result.data_array and got.manifest.total_row_count == 0
