"""Turns CSV files with a header into Parquet with DuckDB. Each line of the input is {"csv", "out"}; the answer has the
seconds (`wall`). Without `out` nothing is done: the process is then warm."""

import json
import os
import sys
import time

import duckdb

connection = duckdb.connect(config={"threads": len(os.sched_getaffinity(0))})
for line in sys.stdin:
    asked = json.loads(line)
    began = time.perf_counter()
    if "out" in asked:
        connection.execute(f"COPY (SELECT * FROM read_csv('{asked['csv']}', header = true)) TO '{asked['out']}' (FORMAT parquet)")
    print(json.dumps({"wall": time.perf_counter() - began}), flush=True)
