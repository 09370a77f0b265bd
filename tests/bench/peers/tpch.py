"""tpch.py duckdb|polars|datafusion FOLDER: answers queries over the Parquet files of a folder, one table a file.

Each line of the input is {"sql", "out"}; the rows go to the file `out` as an Arrow stream, the seconds of planning and
running until the rows are in memory to standard output.
"""

import json
import os
import sys
import time
from pathlib import Path

import pyarrow as pa


def duckdb(files):
    import duckdb as engine

    connection = engine.connect(config={"threads": len(os.sched_getaffinity(0))})
    for name, path in files.items():
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{path}')")
    return lambda sql: connection.sql(sql).to_arrow_table()


def polars(files):
    import polars as engine

    context = engine.SQLContext({name: engine.scan_parquet(path) for name, path in files.items()})
    return lambda sql: context.execute(sql, eager=False).collect(engine="streaming").to_arrow()


def datafusion(files):
    from datafusion import SessionConfig, SessionContext

    context = SessionContext(SessionConfig().with_target_partitions(len(os.sched_getaffinity(0))))
    for name, path in files.items():
        context.register_parquet(name, path)
    return lambda sql: context.sql(sql).to_arrow_table()


def main(engine: str, folder: str):
    query = globals()[engine]({path.stem: str(path) for path in sorted(Path(folder).glob("*.parquet"))})
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            began = time.perf_counter()
            rows = query(asked["sql"])
            wall = time.perf_counter() - began
            with pa.OSFile(asked["out"], "wb") as file, pa.ipc.new_stream(file, rows.schema) as writer:
                writer.write_table(rows)
            said = {"wall": wall}
        except Exception as error:  # noqa: BLE001 what an engine cannot answer is an answer about it
            said = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:300]}
        print(json.dumps(said), flush=True)


main(*sys.argv[1:])
