"""Cancelling a running statement through databricks-sdk."""

from databricks.sdk.service.sql import StatementState

LONG = (
    "SELECT count(*) FROM range(100000) a CROSS JOIN range(100000) b CROSS JOIN range(1000) c "
    "WHERE a.id * b.id % 7 = c.id"
)


def test_a_running_statement_is_cancelled(admin, server):
    api = admin.client.statement_execution
    started = api.execute_statement(statement=LONG, warehouse_id=server.warehouse(), wait_timeout="0s")
    api.cancel_execution(started.statement_id)
    assert admin.finished(started).status.state == StatementState.CANCELED


def test_cancelling_what_is_done_changes_nothing(admin):
    done = admin.execute("SELECT 1")
    admin.client.statement_execution.cancel_execution(done.statement_id)
    assert admin.client.statement_execution.get_statement(done.statement_id).status.state == StatementState.SUCCEEDED
