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


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("GRANT SELECT ON TABLE main.default.t TO ana@example.com", "between backticks: `ana@example.com`"),
        ("UPDATE main.default.t SET a = 1", "UPDATE is not available"),
        ("SELECT cont(*) FROM range(1)", "cannot resolve routine `cont`"),
        ("SHOW GRANTS TO `ana@example.com`", "SHOW GRANTS `ana@example.com` ON CATALOG main"),
        ("SET TIME ZONE 'Nowhere'", "Nowhere"),
        ("CREATE TEMPORARY VIEW v AS SELECT 1", "each statement is a session of its own"),
        ("SELECT * FROM csv.`/Volumes/main/default/none/f.csv`", "does not exist"),
        ("LIST '/Volumes/main/default/none'", "/api/2.0/fs/directories/Volumes"),
    ],
)
def test_what_newcomers_write_is_answered_with_the_next_step(admin, statement, told):
    with pytest.raises(StatementFailed) as error:
        admin.sql(statement)
    assert told in str(error.value)


def test_a_hint_is_told_once(admin):
    message = admin.execute("SELEC 1").status.error.message
    assert message.count("statements begin with SELECT") == 1, message
