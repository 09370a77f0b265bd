"""Files and memory: upload and download of 200 MB, and COPY INTO of a CSV file of 1 GB, with the most memory that the server
came to hold beyond what it held before; COPY INTO against DuckDB turning the same file into Parquet."""

import os
import tempfile
import time
from pathlib import Path

from figures import Found, megabytes, seconds, times
from harness import Server
from running import extra_memory, peer
from served import admin

CSV_BYTES = int(os.environ.get("CRANNOG_BENCH_CSV_BYTES", 10**9))
FILE_BYTES = 200_000_000
COPY_MEMORY = 300e6
FILE_MEMORY = 32e6
COLUMNS = "id BIGINT, day DATE, name STRING, price DOUBLE, quantity INT, note STRING"


def write_csv(path: Path, size: int) -> int:
    """About `size` bytes of CSV; returns how many records."""
    with path.open("w", encoding="ascii") as file:
        file.write("id,day,name,price,quantity,note\n")
        records, block = 0, 50_000
        while file.tell() < size:
            file.write(
                "".join(
                    f"{n},2024-{n % 12 + 1:02d}-{n % 28 + 1:02d},customer {n % 9973},{n % 100_000 / 100},{n % 50},a note on order {n * 7919 % 1_000_003}\n"
                    for n in range(records, records + block)
                )
            )
            records += block
    return records


def measure() -> Found:
    found = Found()
    with tempfile.TemporaryDirectory(prefix="crannog-bench-") as scratch, Server("--log", "warn") as server:
        client, pid = admin(server), server.process.pid
        client.sql("CREATE VOLUME main.default.raw")
        blob = Path(scratch) / "blob"
        blob.write_bytes(os.urandom(1 << 20) * (FILE_BYTES >> 20))
        size = blob.stat().st_size
        began = time.perf_counter()
        with extra_memory(pid) as up, blob.open("rb") as file:
            client.put("/Volumes/main/default/raw/blob", file)
        uploading = time.perf_counter() - began
        began = time.perf_counter()
        with extra_memory(pid) as down:
            if client.get("/Volumes/main/default/raw/blob") != size:
                raise RuntimeError("the download has another size")
        downloading = time.perf_counter() - began
        for what, took, most in (("Upload", uploading, up[0]), ("Download", downloading, down[0])):
            found.add(
                f"{what} of 200 MB, extra memory", f"{megabytes(most)} ({size / took / 1e6:.0f} MB/s)",
                target=f"≤ {megabytes(FILE_MEMORY)}", met=most <= FILE_MEMORY,
            )  # fmt: skip

        csv = Path(scratch) / "orders.csv"
        records = write_csv(csv, CSV_BYTES)
        with csv.open("rb") as file:
            client.put("/Volumes/main/default/raw/orders.csv", file)
        client.sql(f"CREATE TABLE main.default.orders ({COLUMNS})")
        began = time.perf_counter()
        with extra_memory(pid) as copying:
            client.sql(
                "COPY INTO main.default.orders FROM '/Volumes/main/default/raw/orders.csv' FILEFORMAT = CSV "
                "FORMAT_OPTIONS ('header' = 'true')"
            )
        took = time.perf_counter() - began
        rows = client.sql("SELECT count(*) FROM main.default.orders").to_pylist()[0]
        if list(rows.values()) != [records]:
            raise RuntimeError(f"{records} records gave {rows}")
        with peer("duckdb_csv") as duckdb:
            duckdb.ask(csv=os.devnull)
            with extra_memory(duckdb.pid) as theirs:
                their_time = duckdb.ask(csv=str(csv), out=str(Path(scratch) / "orders.parquet"))["wall"]
    what = f"COPY INTO of a CSV file of {CSV_BYTES / 1e9:.3g} GB ({records:,} records)"
    found.add(
        f"{what}, extra memory", megabytes(copying[0]), peer=f"DuckDB to Parquet {megabytes(theirs[0])}",
        ratio=times(copying[0], theirs[0]), target=f"≤ {megabytes(COPY_MEMORY)}", met=copying[0] <= COPY_MEMORY,
    )  # fmt: skip
    found.add(f"{what}, time", seconds(took), peer=f"DuckDB to Parquet {seconds(their_time)}", ratio=times(took, their_time))
    return found
