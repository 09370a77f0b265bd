"""Starts the Crannog binary for the demo, waits until it is ready, and finds or stops the one that a folder left behind.

A server is known by `server.json` in its work folder (pid, address, and when that process started, so that a pid that
the system has given to another program is never signalled). It must never end a process that it did not start.
"""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

HOST = "127.0.0.1"


class NotStarted(Exception):
    """The server did not come up; the message says why and where its log is."""


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            return True
        except OSError:
            return False


def any_free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def started_at(pid: int) -> str | None:
    """The kernel's start time of a process, None when there is no such process (or only its zombie)."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if after_name[0] == "Z" else after_name[19]


def ready(address: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{address}/readyz", timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def listens(pid: int, port: int) -> bool:
    """Whether this very process holds the listening socket: another server may answer on a port that ours lost."""
    sockets = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if words[3] == "0A" and int(words[1].rpartition(":")[2], 16) == port:
            sockets.add(f"socket:[{words[9]}]")
    try:
        return any(os.readlink(fd) in sockets for fd in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:  # it has just ended, or closed one of its files
        return False


def left_behind(work: Path) -> dict | None:
    """The server that an earlier run left in this folder, when that very process still lives."""
    try:
        known = json.loads((work / "server.json").read_text())
    except (OSError, ValueError):
        return None
    return known if started_at(known["pid"]) == known["started"] else None


def stop(work: Path, patience: float = 60) -> int | None:
    """Ends the folder's server politely and waits for it; its pid, or None when none was running."""
    known = left_behind(work)
    if known:
        os.kill(known["pid"], signal.SIGTERM)
        if not gone(known, patience):
            os.kill(known["pid"], signal.SIGKILL)
            gone(known, 10)
    (work / "server.json").unlink(missing_ok=True)
    return known["pid"] if known else None


def gone(known: dict, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while started_at(known["pid"]) == known["started"]:
        try:
            os.waitpid(known["pid"], os.WNOHANG)
        except ChildProcessError:
            pass
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def start(binary: Path, address: str, work: Path, patience: float = 60) -> dict:
    """Starts `up` in the background and returns {pid, address, tls_address, started, log} once `/readyz` says 200.

    `address` is HOST:PORT to try first, or `auto` for any free port. A port that is taken, also one that somebody takes
    between our look and the server's bind, is replaced by a free one.
    """
    log = work / "server.log"
    wanted = None if address == "auto" else int(address.rpartition(":")[2])
    for attempt in range(5):
        port = wanted if wanted and attempt == 0 and is_free(wanted) else any_free_port()
        tls = 8443 if port == wanted and is_free(8443) else any_free_port()
        with open(log, "ab") as out:
            child = subprocess.Popen(
                [
                    str(binary),
                    "up",
                    "--data",
                    str(work / "data"),
                    "--listen",
                    f"{HOST}:{port}",
                    "--listen-tls",
                    f"{HOST}:{tls}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        deadline = time.monotonic() + patience
        while child.poll() is None and time.monotonic() < deadline:
            if listens(child.pid, port) and ready(f"{HOST}:{port}"):
                known = {
                    "pid": child.pid,
                    "address": f"{HOST}:{port}",
                    "tls_address": f"{HOST}:{tls}",
                    "started": started_at(child.pid),
                    "log": str(log),
                }
                (work / "server.json").write_text(json.dumps(known))
                return known
            time.sleep(0.02)
        if child.poll() is None:
            child.kill()
            child.wait()
            raise NotStarted(f"the server was not ready within {patience:.0f} s; its log: {log}")
        if is_free(port) and is_free(tls):
            break
    last = log.read_text(errors="replace").strip().splitlines()[-3:]
    raise NotStarted(f"the server ended with exit code {child.returncode}: {' / '.join(last)}; its log: {log}")
