"""A stub server that writes down what an unmodified client really sends.

Run `python recorder.py PORT LOG [ANSWERS.json]`, point a client at it, read LOG (one JSON object per request: method,
path, query, the headers that matter, the first 2,000 bytes of the body). ANSWERS maps "METHOD /path" to
{"status": 200, "body": {...}, "headers": {...}}; anything else gets the JSON 404 that a Databricks workspace gives, so
that a client's fallbacks show as well. It is a tool for reading clients; no test depends on it, and it never stands in
for the server in one.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

KEPT = (
    "user-agent",
    "authorization",
    "content-type",
    "content-length",
    "range",
    "accept",
    "accept-encoding",
    "x-databricks-workspace-id",
    "transfer-encoding",
    "expect",
    "idempotency-key",
    "x-request-id",
)


def handler(log, answers):
    class Recorder(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def serve(self):
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            url = urlsplit(self.path)
            row = {
                "method": self.command,
                "path": url.path,
                "query": url.query,
                "headers": {k.lower(): v for k, v in self.headers.items() if k.lower() in KEPT},
                "body": body[:2000].decode("utf-8", "replace"),
                "body_bytes": len(body),
            }
            log.write(json.dumps(row, ensure_ascii=False) + "\n")
            log.flush()
            answer = answers.get(f"{self.command} {url.path}") or {
                "status": 404,
                "body": {"error_code": "ENDPOINT_NOT_FOUND", "message": f"no such path: {url.path}"},
            }
            payload = answer.get("body")
            raw = (
                b""
                if payload is None
                else payload.encode()
                if isinstance(payload, str)
                else json.dumps(payload).encode()
            )
            self.send_response(answer.get("status", 200))
            for name, value in {"Content-Type": "application/json", **answer.get("headers", {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(raw)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = serve

        def log_message(self, *_):
            pass

    return Recorder


if __name__ == "__main__":
    port, path = int(sys.argv[1]), sys.argv[2]
    replies = json.load(open(sys.argv[3])) if len(sys.argv) > 3 else {}
    with open(path, "a", encoding="utf-8") as out:
        ThreadingHTTPServer(("127.0.0.1", port), handler(out, replies)).serve_forever()
