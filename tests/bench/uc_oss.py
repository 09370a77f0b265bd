"""The other side of the catalog's measures: Unity Catalog's open-source server 0.6.0, with authorization on, from
`../shared/peers/uc_oss` beside the project. Its first run on a machine fetches 160 MB of jars with Maven."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import time

from harness import free_port
from running import SHARED

PEER = SHARED / "peers" / "uc_oss"
READY_WITHIN_SECONDS = 240


class NotThere(Exception):
    """The peer cannot be run on this machine."""


def ports() -> int:
    """A free port whose successor is free too: the server takes both."""
    while True:
        port = free_port()
        with contextlib.suppress(OSError, OverflowError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port + 1))
            return port


class UnityCatalog:
    """A running server on a folder of its own; `ready_after` is the seconds its start took, jars and folder being there."""

    def __init__(self, folder):
        if not (PEER / "run.sh").exists():
            raise NotThere("Unity Catalog's open-source server is not at ../shared/peers/uc_oss")
        self.port, self.log = ports(), folder / "uc_oss.log"
        self._jars()
        began = time.monotonic()
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [PEER / "run.sh", str(self.port), folder / "uc_oss"],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, env={**os.environ, "AUTH": "enable"},
            )  # fmt: skip
        token = folder / "uc_oss" / "etc" / "conf" / "token.txt"
        try:
            while not self._answers(token):
                if self.process.poll() is not None or time.monotonic() - began > READY_WITHIN_SECONDS:
                    raise NotThere(f"Unity Catalog's server did not start: {self.log.read_text(errors='replace')[-300:]}")
                time.sleep(0.02)
        except BaseException:
            self.stop()
            raise
        self.ready_after = time.monotonic() - began

    @staticmethod
    def _jars():
        """Fetches the jars without starting the server (a port that is none ends it at once), so that this is not timed."""
        jars = os.environ.get("UC_JARS") or os.path.expanduser("~/.cache/crannog-peers/uc_oss/jars")
        if not any(name.startswith(".") and name != ".lock" for name in (os.listdir(jars) if os.path.isdir(jars) else [])):
            print("   fetching the jars of Unity Catalog's server", flush=True)
            with contextlib.suppress(subprocess.TimeoutExpired):
                subprocess.run([PEER / "run.sh", "none", os.devnull], capture_output=True, timeout=900, check=False)

    def _answers(self, token) -> bool:
        if not token.exists():
            return False
        self.token = token.read_text().strip()
        try:
            self.call("GET", "/api/2.1/unity-catalog/catalogs")
            return True
        except (OSError, http.client.HTTPException, ValueError):
            return False

    def call(self, method: str, path: str, body=None) -> dict:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        with contextlib.closing(connection):
            headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            text = response.read()
        if response.status >= 300:
            raise ValueError(f"{method} {path}: {response.status} {text[:300].decode(errors='replace')}")
        return json.loads(text) if text else {}

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
