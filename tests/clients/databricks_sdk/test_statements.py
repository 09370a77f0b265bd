"""Statements through databricks-sdk: states, waiting, parameters, row limits, defaults of catalog and schema."""

import pytest
from databricks.sdk.errors import BadRequest, NotFound
from databricks.sdk.service.sql import ExecuteStatementRequestOnWaitTimeout, StatementState
from harness import StatementFailed


def test_a_statement_succeeds_with_manifest_and_rows(admin):
    got = admin.execute("SELECT 1 AS one, 'zwei' AS two, CAST(NULL AS DOUBLE) AS three")
    assert got.status.state == StatementState.SUCCEEDED
    assert [(c.name, c.type_text, c.type_name.value, c.position) for c in got.manifest.schema.columns] == [
        ("one", "INT", "INT", 0),
        ("two", "STRING", "STRING", 1),
        ("three", "DOUBLE", "DOUBLE", 2),
    ]
    assert got.result.data_array == [["1", "zwei", None]]
    assert (got.manifest.total_row_count, got.manifest.total_chunk_count, got.manifest.truncated) == (1, 1, False)


def test_what_does_not_wait_is_fetched_later(admin, server):
    first = admin.client.statement_execution.execute_statement(
        statement="SELECT sum(id) AS s FROM range(1000)", warehouse_id=server.warehouse(), wait_timeout="0s"
    )
    assert first.status.state in (StatementState.PENDING, StatementState.RUNNING, StatementState.SUCCEEDED)
    assert admin.finished(first).result.data_array == [["499500"]]
    assert admin.client.statement_execution.get_statement(first.statement_id).result.data_array == [["499500"]]


@pytest.mark.parametrize("bad", ["3s", "51s", "-1s", "soon"])
def test_a_waiting_time_out_of_bounds_is_refused(admin, server, bad):
    with pytest.raises(BadRequest):
        admin.client.statement_execution.execute_statement(
            statement="SELECT 1", warehouse_id=server.warehouse(), wait_timeout=bad
        )


def test_a_slow_statement_is_cancelled_when_asked_to_at_the_timeout(admin, server):
    got = admin.client.statement_execution.execute_statement(
        statement="SELECT count(*) FROM range(100000) a CROSS JOIN range(100000) b CROSS JOIN range(1000) c WHERE a.id * b.id % 7 = c.id",
        warehouse_id=server.warehouse(),
        wait_timeout="5s",
        on_wait_timeout=ExecuteStatementRequestOnWaitTimeout.CANCEL,
    )
    assert got.status.state == StatementState.CANCELED


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        ("1", "INT", "1"),
        ("12345678901", "BIGINT", "12345678901"),
        ("1.5", "DOUBLE", "1.5"),
        ("a'b\"c; DROP", "STRING", "a'b\"c; DROP"),
        ("2013-01-01", "DATE", "2013-01-01"),
        ("true", "BOOLEAN", "true"),
        ("1.10", "DECIMAL(5,2)", "1.10"),
        (None, "INT", None),
        ("2013-01-01T10:00:00Z", "TIMESTAMP", "2013-01-01 10:00:00"),
    ],
)
def test_named_parameters(admin, value, kind, text):
    assert admin.sql("SELECT CAST(:p AS STRING)", parameters={"p": (value, kind)}) == [[text]]


def test_a_parameter_that_is_missing_is_an_error(admin):
    with pytest.raises((StatementFailed, BadRequest), match="(?i)parameter"):
        admin.sql("SELECT :nobody")


def test_a_row_limit_cuts_and_says_so(admin):
    got = admin.execute("SELECT id FROM range(100)", row_limit=10)
    assert len(got.result.data_array) == 10 and got.manifest.truncated is True
    assert admin.execute("SELECT id FROM range(10)", row_limit=10).manifest.truncated is False


def test_catalog_and_schema_are_defaults_for_names(admin, catalog):
    admin.sql("CREATE TABLE t (a INT)", catalog=catalog, schema="work")
    admin.sql("INSERT INTO t VALUES (7)", catalog=catalog, schema="work")
    assert admin.sql(f"SELECT a FROM {catalog}.work.t") == [["7"]]
    assert admin.sql("SELECT current_catalog(), current_schema()", catalog=catalog, schema="work") == [
        [catalog, "work"]
    ]


def test_another_person_cannot_see_the_statement(admin, person):
    mine = admin.execute("SELECT 42")
    who = person("ana")
    with pytest.raises(NotFound):
        who.client.statement_execution.get_statement(mine.statement_id)
    with pytest.raises(NotFound):
        admin.client.statement_execution.get_statement("01ef0000-0000-0000-0000-000000000000")


def test_an_unknown_warehouse_is_refused(admin):
    with pytest.raises((NotFound, BadRequest)):
        admin.client.statement_execution.execute_statement(
            statement="SELECT 1", warehouse_id="no-such", wait_timeout="30s"
        )


def test_a_table_without_rows_is_aggregated_like_any_other(admin, catalog):
    table = f"{catalog}.work.nothing"
    admin.sql(f"CREATE TABLE {table} (n BIGINT, word STRING)")
    assert admin.sql(f"SELECT count(*), count(n), sum(n), max(word), count(DISTINCT word) FROM {table}") == [
        ["0", "0", None, None, "0"]
    ]
    assert admin.sql(f"SELECT word, count(n) FROM {table} GROUP BY word") == []
