"""Checking a personal access token in process, and whether a token that was revoked is out at the next request."""

import tempfile

from figures import Found, seconds
from harness import Server
from running import generate
from served import Client, Refused, admin

# Fewer than the failures after which an address has to wait.
REVOKED = 15


def measure() -> Found:
    found = Found()
    with tempfile.TemporaryDirectory(prefix="crannog-bench-") as scratch, Server("--log", "warn") as server:
        checked = generate("tokens", scratch)
        client, refused = admin(server), 0
        for _ in range(REVOKED):
            made = client.call("POST", "/api/2.0/token/create", {"comment": "measure"})
            person = Client(server, made["token_value"])
            person.call("GET", "/api/2.0/preview/scim/v2/Me")
            client.call("POST", "/api/2.0/token/delete", {"token_id": made["token_info"]["token_id"]})
            try:
                person.call("GET", "/api/2.0/preview/scim/v2/Me")
            except Refused as error:
                refused += " 401 " in str(error)
    p99 = checked["p99_us"] / 1e6
    found.add(
        f"Token check, p99 of {checked['checks']:,}", f"{seconds(p99)} (median {seconds(checked['p50_us'] / 1e6)})",
        target="≤ 50 µs", met=p99 <= 50e-6,
    )  # fmt: skip
    found.add("Revoked tokens that the next request is refused with", f"{refused} of {REVOKED}", target="all", met=refused == REVOKED)
    return found
