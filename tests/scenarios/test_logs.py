"""The log of a working server: every line is JSON, and a denial's names its request, its principal and its decision."""

import http.client
import json
import signal

from harness import Server, until
from ledger import UC, Door


def test_every_line_is_json_and_a_denial_can_be_followed():
    with Server("--log", "info,crannog_kit=debug") as server:
        ana = server.person("ana")
        admin = Door(server)
        admin.json("POST", f"{UC}/catalogs", {"name": "work"})
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        body = json.dumps({"name": "mine", "comment": "x"})
        connection.request("POST", f"{UC}/catalogs", body, {"Authorization": f"Bearer {ana.token}"})
        answer = connection.getresponse()
        assert answer.read() and answer.status == 403
        request = answer.headers["x-request-id"]
        asked = f"SELECT request_params['decision_id'] FROM system.access.audit WHERE request_id = '{request}'"
        until(lambda: admin.sql(asked), "the denial is in the audit")
        ((decision,),) = admin.sql(asked)
        server.signal(signal.SIGTERM)
        text = server.log.read_text()
        # Before them comes the greeting, which is for people.
        lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        assert all({"timestamp", "level", "message", "target"} <= set(line) for line in lines)
        spans = [line for line in lines if line.get("span", {}).get("request_id") == request]
        (denial,) = [line for line in spans if line["message"] == "denied"]
        assert denial["span"]["principal"] == ana.name and denial["span"]["decision_id"] == decision
        assert denial["span"]["route"] == "CreateCatalog"
        assert {line["span"]["decision_id"] for line in spans if line["message"] == "answered"} == {decision}
        statements = [line for line in lines if line.get("span", {}).get("route") == "ExecuteStatement"]
        assert statements and all(line["span"]["request_id"] for line in statements)
        greeting = [line for line in text.splitlines() if not line.startswith("{")]
        assert greeting[0].startswith("crannog ") and not any("panic" in line for line in greeting)
