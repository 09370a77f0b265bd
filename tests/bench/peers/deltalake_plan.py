"""Opens tables and plans queries with deltalake.

Each line of the input is {"folder", "sql", "looks"}: the table of the folder is `wide` in the query. The answer has the
seconds of opening it (`open`) and the median of planning on the open table (`plan`; not there when looks is 0).
"""

import json
import statistics
import sys
import time

from deltalake import DeltaTable, QueryBuilder

for line in sys.stdin:
    asked = json.loads(line)
    began = time.perf_counter()
    table = DeltaTable(asked["folder"])
    said = {"open": time.perf_counter() - began}
    took = []
    for _ in range(asked["looks"]):
        began = time.perf_counter()
        QueryBuilder().register("wide", table).execute(asked["sql"]).read_all()
        took.append(time.perf_counter() - began)
    if took:
        said["plan"] = statistics.median(took)
    print(json.dumps(said), flush=True)
