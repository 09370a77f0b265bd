"""Appends of one row with deltalake, by threads that each write by path for some seconds, as separate programs would.

Each line of the input is {"folder", "writers", "seconds"}; the answer has `done`, `failed` and `seconds`.
"""

import json
import sys
import threading
import time

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError

ROW = pa.table({"n": pa.array([1], pa.int64())})


def append(folder: str, until: float, counts: list):
    while time.monotonic() < until:
        try:
            write_deltalake(folder, ROW, mode="append")
            counts[0] += 1
        except DeltaError:
            counts[1] += 1


for line in sys.stdin:
    asked = json.loads(line)
    DeltaTable.create(asked["folder"], schema=ROW.schema)
    began = time.monotonic()
    counts = [[0, 0] for _ in range(asked["writers"])]
    writers = [threading.Thread(target=append, args=(asked["folder"], began + asked["seconds"], count)) for count in counts]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    done, failed = map(sum, zip(*counts, strict=True))
    print(json.dumps({"done": done, "failed": failed, "seconds": time.monotonic() - began}), flush=True)
