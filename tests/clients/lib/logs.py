"""Commits of another program, written by hand into a table's log."""

import json
import time
from pathlib import Path

OLD_WRITERS = [3, 4, 5, 6]


def raised(admin, name: str, writer: int) -> str:
    """Raises a table's protocol to an old writer version, as `delta.minWriterVersion` does in other programs; returns the
    table's folder. Version 5 is the first that binds readers."""
    folder = admin.client.tables.get(name).storage_location.removeprefix("file://")
    log = Path(folder) / "_delta_log"
    version = max(int(commit.stem) for commit in log.glob("*.json")) + 1
    info = {"timestamp": int(time.time() * 1000), "operation": "UPGRADE PROTOCOL", "operationParameters": {}}
    protocol = {"minReaderVersion": 2 if writer >= 5 else 1, "minWriterVersion": writer}
    with (log / f"{version:020}.json").open("x") as commit:
        commit.writelines(json.dumps(action) + "\n" for action in ({"commitInfo": info}, {"protocol": protocol}))
    return folder


def old_table(admin, name: str, writer: int) -> str:
    """A table of an old writer version: rows before and after it got that, and a checkpoint due at version 4, which the
    server's own writer makes; returns the folder."""
    admin.sql(
        f"CREATE TABLE {name} (k INT, s STRING, p INT) PARTITIONED BY (p) TBLPROPERTIES ('delta.checkpointInterval' = '4')"
    )
    admin.sql(f"INSERT INTO {name} VALUES (0, 'before', 0), (1, NULL, NULL)")
    folder = raised(admin, name, writer)
    for n in range(2, 6):
        admin.sql(f"INSERT INTO {name} VALUES ({n}, 'after ü', {n % 2})")
    return folder
