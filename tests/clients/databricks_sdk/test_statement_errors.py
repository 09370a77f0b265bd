"""Statements that fail, through databricks-sdk: FAILED with a code and a message that helps, and nothing half done."""

import pytest
from databricks.sdk.service.sql import ServiceErrorCode, StatementState
from harness import StatementFailed


@pytest.mark.parametrize(
    ("statement", "word"),
    [
        ("SELEC 1", "PARSE_SYNTAX_ERROR"),
        ("SELECT * FROM main.default.no_such", "TABLE_OR_VIEW_NOT_FOUND"),
        ("SELECT no_such FROM range(1)", "UNRESOLVED_COLUMN"),
        ("SELECT 1 / 0", "DIVIDE_BY_ZERO"),
        ("SELECT CAST('x' AS INT)", "CAST_INVALID_INPUT"),
        ("SELECT 2147483647 + 1", "ARITHMETIC_OVERFLOW"),
        ("", "PARSE"),
    ],
)
def test_the_error_names_sparks_condition(admin, statement, word):
    with pytest.raises(Exception) as error:
        admin.sql(statement)
    assert word in str(error.value)


def test_a_failed_statement_stays_failed(admin):
    failed = admin.execute("SELECT 1 / 0")
    again = admin.client.statement_execution.get_statement(failed.statement_id)
    assert (failed.status.state, again.status.state) == (StatementState.FAILED, StatementState.FAILED)
    assert again.status.error.message == failed.status.error.message
    assert again.status.error.error_code == ServiceErrorCode.BAD_REQUEST


def test_a_failed_insert_leaves_nothing(admin, catalog):
    admin.sql(f"CREATE TABLE {catalog}.work.t (a INT)")
    with pytest.raises(StatementFailed):
        admin.sql(f"INSERT INTO {catalog}.work.t SELECT CAST(IF(id = 99, 'x', '1') AS INT) FROM range(100)")
    assert admin.sql(f"SELECT count(*) FROM {catalog}.work.t") == [["0"]]


def test_two_statements_in_one_are_refused(admin):
    with pytest.raises(Exception):
        admin.sql("SELECT 1; SELECT 2")
