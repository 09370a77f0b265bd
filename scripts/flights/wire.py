"""The few words the demo needs over databricks-sdk: run a statement and get Python rows, show rows as a table.

Everything goes through the unmodified SDK, as a user's own script would.
"""

import json
import time
from dataclasses import dataclass

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import DatabricksError
from databricks.sdk.service.sql import ExecuteStatementRequestOnWaitTimeout, StatementParameterListItem, StatementState

WAITING = (StatementState.PENDING, StatementState.RUNNING)


class Refused(Exception):
    """A statement or a call that the server did not carry out; `code` is its error code."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


@dataclass
class Answer:
    names: list
    types: list
    rows: list


class Person:
    """One signed-in client."""

    def __init__(self, name: str, address: str, token: str):
        self.name = name
        self.token = token
        self.client = WorkspaceClient(host=f"http://{address}", token=token, auth_type="pat")
        self._warehouse = None

    def warehouse(self) -> str:
        if self._warehouse is None:
            known = list(self.client.warehouses.list())
            chosen = [w for w in known if w.name == "default"] or known
            self._warehouse = chosen[0].id
        return self._warehouse

    def ask(self, statement: str, **parameters) -> Answer:
        """Runs one statement to its end. Raises `Refused` when the server refuses it or it fails."""
        api = self.client.statement_execution
        try:
            got = api.execute_statement(
                statement=statement,
                warehouse_id=self.warehouse(),
                wait_timeout="30s",
                on_wait_timeout=ExecuteStatementRequestOnWaitTimeout.CONTINUE,
                parameters=[
                    StatementParameterListItem(name=n, value=str(v), type=t) for n, (v, t) in parameters.items()
                ]
                or None,
            )
            while got.status.state in WAITING:
                time.sleep(0.05)
                got = api.get_statement(got.statement_id)
            if got.status.state != StatementState.SUCCEEDED:
                error = got.status.error
                raise Refused(
                    error.error_code.value if error and error.error_code else str(got.status.state),
                    error.message if error else "",
                )
            columns = (got.manifest.schema.columns if got.manifest and got.manifest.schema else None) or []
            rows, part = [], got.result
            while part is not None:
                rows.extend(part.data_array or [])
                part = (
                    api.get_statement_result_chunk_n(got.statement_id, part.next_chunk_index)
                    if part.next_chunk_index is not None
                    else None
                )
        except DatabricksError as error:
            raise Refused(error.error_code or type(error).__name__, str(error)) from error
        types = [c.type_name.value if c.type_name else c.type_text for c in columns]
        return Answer([c.name for c in columns], types, [[python(v, t) for v, t in zip(row, types)] for row in rows])

    def one(self, statement: str, **parameters):
        return self.ask(statement, **parameters).rows[0][0]


def python(value, kind: str):
    """JSON_ARRAY carries every value as text; numbers become numbers again, structs and maps what their JSON says."""
    if value is None:
        return None
    if kind in ("BYTE", "SHORT", "INT", "LONG"):
        return int(value)
    if kind in ("FLOAT", "DOUBLE", "DECIMAL"):
        return float(value)
    if kind in ("STRUCT", "MAP", "ARRAY"):
        return json.loads(value)
    return value


def table(answer: Answer, indent: str = "    ") -> str:
    """Rows under their names, numbers to the right."""

    def text(value):
        if value is None:
            return "null"
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return str(value)
        return f"{value:,}"

    cells = [[text(v) for v in row] for row in answer.rows]
    widths = [max([len(n)] + [len(r[i]) for r in cells]) for i, n in enumerate(answer.names)]
    right = [any(isinstance(r[i], (int, float)) for r in answer.rows) for i in range(len(answer.names))]
    lines = [answer.names] + cells
    return "\n".join(
        indent + "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right)).rstrip()
        for line in lines
    )
