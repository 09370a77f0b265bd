"""Our server for a measure, and its Statement Execution API with Arrow results over one kept connection."""

import base64
import http.client
import json
import time
from urllib.parse import quote

import pyarrow as pa
from harness import Server


class Refused(Exception):
    """An answer that is an error, or a statement that failed."""


# The server ends connections on which nothing comes for long; well before, a new one is made.
IDLE_SECONDS = 5


class Client:
    """One person's connection. Not for several threads."""

    def __init__(self, server: Server, token: str):
        self.server, self.token = server, token
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600, blocksize=1 << 20)
        self._used = time.monotonic()

    @property
    def connection(self) -> http.client.HTTPConnection:
        if time.monotonic() - self._used > IDLE_SECONDS:
            self._connection.close()
        self._used = time.monotonic()
        return self._connection

    def call(self, method: str, path: str, body=None) -> dict:
        """A call with JSON; returns the answer's JSON."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        connection = self.connection
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        response = connection.getresponse()
        text = response.read()
        self._used = time.monotonic()
        if response.status >= 300:
            raise Refused(f"{method} {path}: {response.status} {text[:400].decode(errors='replace')}")
        return json.loads(text) if text else {}

    def put(self, path: str, file):
        """Uploads a file; returns when it is stored."""
        connection = self.connection
        connection.request("PUT", f"/api/2.0/fs/files{quote(path)}?overwrite=true", file, {"Authorization": f"Bearer {self.token}"})
        response = connection.getresponse()
        text = response.read()
        self._used = time.monotonic()
        if response.status >= 300:
            raise Refused(f"PUT {path}: {response.status} {text[:400].decode(errors='replace')}")

    def get(self, path: str) -> int:
        """Downloads a file and throws it away; returns how many bytes it had."""
        connection = self.connection
        connection.request("GET", f"/api/2.0/fs/files{quote(path)}", headers={"Authorization": f"Bearer {self.token}"})
        response = connection.getresponse()
        if response.status >= 300:
            raise Refused(f"GET {path}: {response.status}")
        size = 0
        while part := response.read(1 << 20):
            size += len(part)
        self._used = time.monotonic()
        return size

    def sql(self, statement: str, schema: str = "default") -> pa.Table:
        """Runs a statement to its end, names of one part in a schema of `main`; its rows."""
        asked = {
            "statement": statement,
            "schema": schema,
            "warehouse_id": self.server.warehouse(),
            "wait_timeout": "50s",
            "on_wait_timeout": "CONTINUE",
            "disposition": "INLINE",
            "format": "ARROW_STREAM",
        }
        answer = self.call("POST", "/api/2.0/sql/statements", asked)
        while answer["status"]["state"] in ("PENDING", "RUNNING"):
            time.sleep(0.02)
            answer = self.call("GET", f"/api/2.0/sql/statements/{answer['statement_id']}")
        if answer["status"]["state"] != "SUCCEEDED":
            raise Refused(answer["status"].get("error", {}).get("message", str(answer["status"])))
        parts, part = [], answer.get("result") or {}
        while part.get("attachment"):
            parts.append(pa.ipc.open_stream(base64.b64decode(part["attachment"])).read_all())
            if not part.get("next_chunk_internal_link"):
                break
            part = self.call("GET", part["next_chunk_internal_link"])
        return pa.concat_tables(parts) if parts else pa.table({})


def admin(server: Server) -> Client:
    return Client(server, server.admin_token)


def folder_of(server: Server, client: Client, table: str):
    """Where a managed table lies on this disk."""
    location = client.call("GET", f"/api/2.1/unity-catalog/tables/{table}")["storage_location"]
    found = server.data / "storage" / "tables" / location.rstrip("/").rsplit("/", 1)[1]
    if not (found / "_delta_log").is_dir():
        raise RuntimeError(f"{table} does not lie in {found}")
    return found
