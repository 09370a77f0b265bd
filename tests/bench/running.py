"""Processes that are measured: what they used of processor and memory, the load generator, and peers that answer line by line."""

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

BENCH = Path(__file__).resolve().parent
REPOSITORY = BENCH.parents[1]
SHARED = REPOSITORY.parent / "shared"


def processor_seconds(pid: int) -> float:
    """What a process used of the processor so far, with the kernel's own resolution: its clock is a function of its id."""
    return time.clock_gettime((~pid << 3) | 2)


def status_bytes(pid: int, name: str) -> int:
    """VmRSS, VmHWM … of a process."""
    return int(re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) * 1024


def size_of(folder: Path) -> int:
    """The bytes of all files below a folder; files that come and go meanwhile may be left out."""
    total = 0
    for file in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += file.stat().st_size if file.is_file() and not file.is_symlink() else 0
    return total


@contextlib.contextmanager
def extra_memory(pid: int):
    """The most that a process came to hold beyond what it held at the start, in bytes, as the first item of a list."""
    before, most, over = status_bytes(pid, "VmRSS"), [0], threading.Event()

    def watch():
        while not over.wait(0.01):
            with contextlib.suppress(OSError, TypeError):
                most[0] = max(most[0], status_bytes(pid, "VmRSS") - before)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield most
    finally:
        over.set()
        watching.join()


def generator() -> str:
    return os.environ["CRANNOG_BENCH_LOAD"]


def generate(*arguments, **described) -> dict:
    """Runs the load generator to its end; `described` is its input. Returns what it printed."""
    done = subprocess.run(
        [generator(), *map(str, arguments)], input=json.dumps(described), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"the load generator failed: {done.stderr.strip()[-500:]}")
    return json.loads(done.stdout)


class Answerer:
    """A process that reads one JSON object a line and answers one a line."""

    def __init__(self, *command):
        self.process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
        )

    def ask(self, **question) -> dict:
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args[:2]} ended with {self.process.wait()}")
        return json.loads(line)

    @property
    def pid(self) -> int:
        return self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def peer(name: str, *arguments) -> Answerer:
    """One of the programs in `peers`, as an answerer."""
    return Answerer(sys.executable, "-B", BENCH / "peers" / f"{name}.py", *arguments)
