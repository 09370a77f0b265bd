"""`crannog import mlflow` of a SQLite database that MLflow's own server writes meanwhile: what is read is what there was at one moment,
and whoever logs neither waits nor fails."""

import http.client
import sqlite3
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from harness import until
from imported import crannog
from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflows import MlflowServer

MEANWHILE = 10


class Writer(threading.Thread):
    """Logs to two runs in turn, one point after the other, until it is told to stop: the second run has as many points as the first, or
    one less."""

    def __init__(self, client, first, second):
        super().__init__(daemon=True)
        self.client, self.runs, self.done, self.failed = client, (first, second), 0, None
        self.stopping = threading.Event()

    def run(self):
        try:
            while not self.stopping.is_set():
                for run in self.runs:
                    self.client.log_batch(run, [Metric("m", float(self.done), self.done, self.done)])
                self.done += 1
        except Exception as error:  # noqa: BLE001 it is asserted on
            self.failed = error

    def stop(self):
        self.stopping.set()
        self.join()
        assert self.failed is None, self.failed


class Late(ThreadingHTTPServer):
    """Stands before a server and answers its first request when `when` holds; what it returns then is `held`."""

    def __init__(self, server, when):
        to, late = urlsplit(server.url), self
        self.lock, self.held = threading.Lock(), None

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def passed_on(self):
                with late.lock:
                    late.held = late.held or when()
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                there = http.client.HTTPConnection(to.hostname, to.port)
                sent = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
                there.request(self.command, self.path, body, sent | {"Host": to.netloc})
                answer = there.getresponse()
                content = answer.read()
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.getheader("Content-Type") or "text/plain")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                there.close()

            do_GET = do_POST = do_PUT = passed_on

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.seen = SimpleNamespace(url=f"http://127.0.0.1:{self.server_port}", admin_token=server.admin_token)
        threading.Thread(target=self.serve_forever, daemon=True).start()


def points(client, run):
    return [metric.step for metric in client.get_metric_history(run, "m")]


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_what_a_running_server_writes_is_read_as_it_was_at_one_moment(fresh, mode):
    with MlflowServer() as peer:
        database = peer.folder / "mlflow.db"
        with sqlite3.connect(database, timeout=60) as into:
            assert into.execute(f"PRAGMA journal_mode = {mode}").fetchone() == (mode,)
        into.close()
        theirs, ours = MlflowClient(peer.url, peer.url), MlflowClient(fresh.url, fresh.url)
        first, second = (theirs.create_run("0", run_name=name).info.run_id for name in ("first", "second"))
        writer = Writer(theirs, first, second)
        writer.start()
        try:
            until(lambda: writer.failed or writer.done > MEANWHILE, "something is logged")

            def more():
                """Waits until more was logged; gives how much there was before."""
                before = writer.done
                until(lambda: writer.failed or writer.done > before + MEANWHILE, "it is logged while the import reads")
                return before

            late = Late(fresh, more)
            (peer.folder / "artifacts").mkdir(exist_ok=True)
            code, report = crannog(late.seen, database, "--artifacts", peer.folder / "artifacts")
            late.shutdown()
            assert code == 0 and "runs: 2 taken over" in report, report
            after = writer.done
            until(lambda: writer.failed or writer.done > after, "it is logged after the import")
        finally:
            writer.stop()
        one, two = points(ours, first), points(ours, second)
        # Nothing that was logged after the first request is there, and everything until some point of both runs.
        assert one == list(range(len(one))) and two == list(range(len(two)))
        assert MEANWHILE <= len(two) <= len(one) <= len(two) + 1
        assert len(two) <= late.held + 1
        # The source is whole, and has all that was acknowledged.
        assert points(theirs, first) == points(theirs, second) == list(range(writer.done))
        with sqlite3.connect(database, timeout=60) as read:
            assert read.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert read.execute("PRAGMA journal_mode").fetchone() == (mode,)
        read.close()
