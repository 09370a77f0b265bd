"""The start on an empty folder until /readyz says yes, and the memory that the server holds when nobody asks it anything,
against Unity Catalog's open-source server (whose start is timed the same way)."""

import http.client
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from figures import Found, megabytes, seconds, times
from harness import binary, free_port
from running import status_bytes
from uc_oss import NotThere, UnityCatalog

TRIES = 5
# After its start a server still does things once; what it holds then is what it holds.
IDLE_SECONDS = 5


def ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def start(data: Path, idle: float = 0) -> tuple[float, int]:
    """Seconds until it was ready, and the bytes that it holds after it was idle for some seconds; it is ended again."""
    port, tls = free_port(), free_port()
    command = [binary(), "up", "--data", data, "--listen", f"127.0.0.1:{port}", "--listen-tls", f"127.0.0.1:{tls}"]
    began = time.monotonic()
    with (data.parent / "log").open("ab") as out:
        process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        while not ready(port):
            if process.poll() is not None or time.monotonic() - began > 60:
                raise RuntimeError(f"the server did not start: {(data.parent / 'log').read_text()[-300:]}")
            time.sleep(0.002)
        took = time.monotonic() - began
        time.sleep(idle)
        return took, status_bytes(process.pid, "VmRSS")
    finally:
        process.terminate()
        process.wait(60)


def measure() -> Found:
    found = Found()
    with tempfile.TemporaryDirectory(prefix="crannog-bench-") as scratch:
        tries = []
        for number in range(TRIES):
            folder = Path(scratch) / str(number)
            folder.mkdir()
            took, memory = start(folder / "data", IDLE_SECONDS if number == TRIES - 1 else 0)
            tries.append(took)
        try:
            with UnityCatalog(Path(scratch)) as peer:
                time.sleep(IDLE_SECONDS)
                their_start, their_memory = peer.ready_after, status_bytes(peer.process.pid, "VmRSS")
        except NotThere as error:
            print(f"   {error}")
            their_start = their_memory = 0
    took = statistics.median(tries)
    found.add(
        f"Start on an empty folder until ready, median of {TRIES}", seconds(took),
        peer=f"Unity Catalog OSS {seconds(their_start)}" if their_start else "not there",
        ratio=times(took, their_start), target="< 1 s", met=took < 1,
    )  # fmt: skip
    found.add(
        "Resident memory when idle", megabytes(memory),
        peer=f"Unity Catalog OSS {megabytes(their_memory)}" if their_memory else "not there",
        ratio=times(memory, their_memory), target="< 150 MB", met=memory < 150e6,
    )  # fmt: skip
    return found
