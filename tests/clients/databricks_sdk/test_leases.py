"""What is under way ends within 30 s of its token being revoked or its person being deactivated: statements and downloads.

The same of grants, over everything that can be revoked, is tested nearer to the code, where a lease is short
(crates/lake/tests/it/running.rs, crates/governance/tests/it/leases.rs); this is the whole program with its own times. A lease is renewed every 10 s, so that is what the test takes.
"""

import http.client
import io
import os
import socket
import time
import urllib.request

from databricks.sdk.errors import Unauthenticated
from databricks.sdk.service.iam import Patch, PatchOp, PatchSchema
from harness import until

SIZE = 64 << 20
ENDLESS = "SELECT sum(a.id % 7 * b.id) FROM range(100) AS a CROSS JOIN range(100000000000) AS b"
WITHIN = 30


class Download:
    """A client that reads a file piece by piece, each when the test says so. What it did not read yet waits in the server, for its
    buffer is small."""

    PIECE = SIZE // 128

    def __init__(self, person, path: str):
        connection = http.client.HTTPConnection("127.0.0.1", person.server.port, timeout=120)
        connection.sock = socket.socket()
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
        connection.sock.settimeout(120)
        connection.sock.connect(("127.0.0.1", person.server.port))
        connection.request("GET", f"/api/2.0/fs/files{path}", headers={"Authorization": f"Bearer {person.token}"})
        self.connection, self.answer = connection, connection.getresponse()
        assert self.answer.status == 200
        self.got, self.ended = 0, False
        self.read()

    def read(self):
        """Reads a piece, if there is one to come."""
        if self.ended:
            return
        try:
            part = self.answer.read(self.PIECE)
            self.got, self.ended = self.got + len(part), not part
        except (http.client.IncompleteRead, ConnectionError) as error:
            self.got, self.ended = self.got + len(getattr(error, "partial", b"")), True
        if self.ended:
            self.connection.close()


def test_a_revoked_token_and_a_deactivated_person_end_what_is_under_way(admin, person, server, catalog, volume, grant):
    admin.client.files.upload(f"{volume}/big.bin", io.BytesIO(os.urandom(1 << 20) * (SIZE >> 20)))
    people = {"token": person("ana"), "person": person("ben"), "neither": person("cyd")}
    before = under_way(server)
    downloads, statements = {}, {}
    for way, one in people.items():
        grant(f"USE CATALOG ON CATALOG {catalog}", one)
        grant(f"USE SCHEMA ON SCHEMA {catalog}.work", one)
        grant(f"READ VOLUME ON VOLUME {catalog}.work.files", one)
        begun = one.client.statement_execution.execute_statement(
            statement=ENDLESS, warehouse_id=server.warehouse(), wait_timeout="0s"
        )
        statements[way] = begun.statement_id
        downloads[way] = Download(one, f"{volume}/big.bin")

    ana, ben = people["token"], people["person"]
    (token,) = ana.client.tokens.list()
    admin.client.token_management.delete(token.token_id)
    (user,) = admin.client.users.list(filter=f'userName eq "{ben.name}"')
    off = Patch(op=PatchOp.REPLACE, path="active", value=False)
    admin.client.users.patch(user.id, operations=[off], schemas=[PatchSchema.URN_IETF_PARAMS_SCIM_API_MESSAGES_2_0_PATCH_OP])
    revoked = time.monotonic()

    for one in (ana, ben):
        try:
            one.client.current_user.me()
        except Unauthenticated:
            continue
        raise AssertionError(f"{one.name} is let in")

    def both_end():
        for download in downloads.values():
            download.read()
        return downloads["token"].ended and downloads["person"].ended

    until(both_end, "their downloads end", WITHIN)
    until(lambda: under_way(server) == before + 1, "their statements end", WITHIN)
    assert time.monotonic() - revoked < WITHIN
    for way in ("token", "person"):
        assert 0 < downloads[way].got < SIZE, f"{way}: everything came"
    # Nobody else loses anything.
    cyd = people["neither"].client.statement_execution
    assert cyd.get_statement(statements["neither"]).status.state.value == "RUNNING"
    cyd.cancel_execution(statements["neither"])
    until(lambda: under_way(server) == before, "the last statement ends")
    for way, status in (("token", "FAILED"), ("person", "FAILED"), ("neither", "CANCELED")):
        query = f"SELECT execution_status FROM system.query.history WHERE statement_id = '{statements[way]}'"
        assert admin.sql(query) == [[status]], way
    while not downloads["neither"].ended:
        downloads["neither"].read()
    assert downloads["neither"].got == SIZE


def under_way(server) -> int:
    """How many statements run or wait."""
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("crannog_statements "))
