"""Listing the tables of a schema over Unity Catalog's REST API: 120 and 1,000 tables against the open-source server, both
with authorization on and asked by an administrator; 10,000 tables as somebody who may see ten of them, against the
administrator; and how many such listings 30 clients get a second.

A listing is all pages, each as large as the server gives. The tables are external with four columns, registered through the
same request on both sides.
"""

import json
import statistics
import tempfile
import time
from pathlib import Path

from figures import Found, per_second, seconds, times
from harness import Server
from running import generate
from served import Client, admin
from uc_oss import NotThere, UnityCatalog

API = "/api/2.1/unity-catalog"
SIZES = (120, 1_000)
MANY = 10_000
GRANTED = 10
CLIENTS = 30
TRIES = 5
COLUMNS = [("id", "bigint", "long"), ("day", "date", "date"), ("name", "string", "string"), ("price", "double", "double")]


def register(address: str, token: str, catalog: str, schema: str, place: str, count: int, clients: int):
    """Registers external tables t0, t1 …"""
    columns = [
        {"name": name, "type_text": text, "type_name": word.upper(), "position": at, "nullable": True,
         "type_json": json.dumps({"name": name, "type": word, "nullable": True, "metadata": {}})}
        for at, (name, text, word) in enumerate(COLUMNS)
    ]  # fmt: skip
    table = {
        "name": "t{n}", "catalog_name": catalog, "schema_name": schema, "table_type": "EXTERNAL",
        "data_source_format": "DELTA", "storage_location": f"file://{place}/{schema}/t{{n}}", "columns": columns,
    }  # fmt: skip
    done = generate(
        "http", address=address, method="POST", path=f"{API}/tables", token=token, body=json.dumps(table), clients=clients, requests=count
    )
    if done["done"] != count:
        raise RuntimeError(f"{done['failed']} of {count} tables were not registered: {done['first_failure']}")


def listed(call, catalog: str, schema: str, count: int) -> float:
    """The median of some listings, in seconds."""
    took = []
    for _ in range(TRIES):
        began, found, token = time.perf_counter(), 0, ""
        while True:
            page = call("GET", f"{API}/tables?catalog_name={catalog}&schema_name={schema}&max_results=1000{token}")
            found += len(page["tables"])
            if not page.get("next_page_token"):
                break
            token = f"&page_token={page['next_page_token']}"
        took.append(time.perf_counter() - began)
        if found != count:
            raise RuntimeError(f"{found} tables were listed of {count}")
    return statistics.median(took)


def theirs(scratch: Path) -> dict[int, float]:
    with UnityCatalog(scratch) as peer:
        peer.call("POST", f"{API}/catalogs", {"name": "wide"})
        took = {}
        for size in SIZES:
            peer.call("POST", f"{API}/schemas", {"name": f"s{size}", "catalog_name": "wide"})
            register(f"127.0.0.1:{peer.port}", peer.token, "wide", f"s{size}", str(scratch), size, clients=4)
            took[size] = listed(peer.call, "wide", f"s{size}", size)
        return took


def measure() -> Found:
    found = Found()
    with tempfile.TemporaryDirectory(prefix="crannog-bench-") as folder:
        scratch = Path(folder)
        try:
            peers = theirs(scratch)
        except NotThere as error:
            print(f"   {error}")
            peers = {}
        (scratch / "external").mkdir()
        with Server("--log", "warn", "--external-locations", str(scratch / "external")) as server:
            client, address = admin(server), f"127.0.0.1:{server.port}"
            for size in (*SIZES, MANY):
                client.sql(f"CREATE SCHEMA main.s{size}")
                register(address, server.admin_token, "main", f"s{size}", str(scratch / "external"), size, clients=32)
            for size in SIZES:
                ours = listed(client.call, "main", f"s{size}", size)
                found.add(
                    f"Listing {size:,} tables", seconds(ours),
                    peer=f"Unity Catalog OSS {seconds(peers[size])}" if size in peers else "not there",
                    ratio=times(ours, peers.get(size, 0)), target="quicker than the peer", met=ours < peers.get(size, 0),
                )  # fmt: skip

            ben = server.person("ben")
            client.sql(f"GRANT USE CATALOG ON CATALOG main TO `{ben.name}`")
            client.sql(f"GRANT USE SCHEMA ON SCHEMA main.s{MANY} TO `{ben.name}`")
            for number in range(GRANTED):
                client.sql(f"GRANT SELECT ON TABLE main.s{MANY}.t{number * MANY // GRANTED} TO `{ben.name}`")
            all_of_it = listed(client.call, "main", f"s{MANY}", MANY)
            few = listed(Client(server, ben.token).call, "main", f"s{MANY}", GRANTED)
            path = f"{API}/tables?catalog_name=main&schema_name=s{MANY}&max_results=1000"
            loaded = generate(
                "http", address=address, method="GET", path=path, token=ben.token, expect='"tables"', clients=CLIENTS, seconds=5
            )
    found.add(
        f"Listing {MANY:,} tables as somebody who may see {GRANTED}", seconds(few), peer=f"the administrator {seconds(all_of_it)}",
        ratio=times(few, all_of_it), target="ratio ≤ 1.1", met=few <= 1.1 * all_of_it,
    )  # fmt: skip
    speed = loaded["done"] / loaded["seconds"]
    found.add(
        f"… the same by {CLIENTS} clients", f"{per_second(speed)}, p99 {loaded['p99_ms']:.3g} ms"
        + (f", {loaded['failed']} failed" if loaded["failed"] else ""),
        target="≥ 100/s, none failed", met=speed >= 100 and not loaded["failed"],
    )  # fmt: skip
    return found
