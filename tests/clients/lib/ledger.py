"""Work on a server whose every change is written down, to be held against what the server has after it was ended.

Each thread says in the ledger what it is about to change and what was acknowledged. After a restart (`look`), a change that
was in flight happened wholly or not at all, every other state is exact, and the audit has as many rows as there were
changes. The requests are plain HTTP, so that no client library tries again by itself and turns one attempt into two.
"""

import hashlib
import http.client
import json
import random
import threading
import time
import traceback
from collections import Counter
from urllib.parse import quote

from harness import Server, unique

MOST_ACKNOWLEDGEMENTS = 150
MOST_MILLISECONDS_MORE = 40
INSERTERS = 4
UC = "/api/2.1/unity-catalog"
ROWS_A_FILE = 3


class Unanswered(Exception):
    """Whether the request took effect is not known: the server went away, said 503, or has lost its disk."""


class Ledger:
    """What each thing's state must be, and the change to it that is in flight. A thing belongs to one thread, the dictionaries to
    all: what changes them, or reads more than one entry while threads work, holds `more`."""

    ABSENT = {"row": 0, "copied": 0}  # of all other kinds: None

    def __init__(self):
        self.states: dict[tuple, object] = {}
        self.pending: dict[tuple, tuple] = {}  # thing: (its new state, the request that changes it)
        self.audits = Counter()
        self.acknowledged = 0
        self.more = threading.Condition()

    def state(self, thing):
        return self.states.get(thing, self.ABSENT.get(thing[0]))

    def there(self, kind: str) -> list[tuple]:
        """The things of a kind that are there, by what was acknowledged."""
        with self.more:
            return [thing for thing, state in self.states.items() if thing[0] == kind and state is not None]

    def change(self, ask, changes: dict, audit: tuple | None = None):
        """Runs one request that makes these changes; when it is not answered they stay pending."""
        request = {"audit": audit, "happened": None}
        with self.more:
            self.pending |= {thing: (new, request) for thing, new in changes.items()}
        answer = ask()
        with self.more:
            self.states |= changes
            for thing in changes:
                del self.pending[thing]
            if audit:
                self.audits[audit] += 1
            self.acknowledged += 1
            self.more.notify_all()
        return answer

    def settle(self, kind: str, found: dict) -> list[str]:
        """Holds the things of a kind against what was found; what was in flight is settled by it."""
        wrong = []
        absent = self.ABSENT.get(kind)
        known = {thing for thing in (*self.states, *self.pending) if thing[0] == kind}
        wrong += [f"{(kind, *name)}: {value!r}, which nobody made" for name, value in found.items() if (kind, *name) not in known]
        for thing in known:
            value, old = found.get(thing[1:], absent), self.state(thing)
            if thing in self.pending:
                new, request = self.pending.pop(thing)
                if value not in (old, new):
                    wrong.append(f"{thing}: {value!r}, neither {old!r} nor {new!r}, which was in flight")
                if request["happened"] is None:
                    request["happened"] = value == new
                    if request["audit"]:
                        self.audits[request["audit"]] += value == new
                elif request["happened"] != (value == new):
                    wrong.append(f"{thing}: the request in flight that was to make it {new!r} took effect by halves")
            elif value != old:
                wrong.append(f"{thing}: {value!r}, not {old!r} as was acknowledged")
            self.states[thing] = value
        return wrong


class Door:
    """One thread's connection as the admin."""

    def __init__(self, server: Server):
        self.server = server
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        self.token, self.warehouse = server.admin_token, server.warehouse()

    def ask(self, method: str, path: str, body: bytes | dict | None = None, signed: bool = True) -> bytes:
        headers = {"Authorization": f"Bearer {self.token}"} if signed else {}
        if isinstance(body, dict):
            body, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        try:
            self.connection.request(method, path, body if body is not None else b"", headers)
            answer = self.connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unanswered(f"{method} {path}: {error!r}") from error
        if answer.status == 503 or (self.server.cut and not 200 <= answer.status < 300):
            raise Unanswered(f"{method} {path}: {content[:500]!r}")
        assert 200 <= answer.status < 300, f"{method} {path}: {answer.status} {content[:1000]!r}"
        return content

    def json(self, method: str, path: str, body: dict | None = None) -> dict:
        return json.loads(self.ask(method, path, body) or b"{}")

    def sql(self, statement: str) -> list[list]:
        asked = {"statement": statement, "warehouse_id": self.warehouse, "wait_timeout": "50s"}
        answer = self.json("POST", "/api/2.0/sql/statements", asked)
        status = answer["status"]
        not_now = (status.get("error") or {}).get("error_code") == "TEMPORARILY_UNAVAILABLE"  # a statement's 503
        if not_now or (self.server.cut and status["state"] != "SUCCEEDED"):
            raise Unanswered(f"{statement}: {status}")
        assert answer["status"]["state"] == "SUCCEEDED", f"{statement}: {answer['status']}"
        rows, part = [], answer.get("result")
        while part:
            rows += part.get("data_array") or []
            following = part.get("next_chunk_internal_link")
            part = self.json("GET", following) if following else None
        return rows

    def listed(self, what: str, **scope) -> list[dict]:
        query = "&".join(f"{name}={quote(value)}" for name, value in scope.items())
        found, page = [], ""
        while True:
            answer = self.json("GET", f"{UC}/{what}?{query}{page}")
            found += answer.get(what, [])
            if not answer.get("next_page_token"):
                return found
            page = f"&page_token={quote(answer['next_page_token'])}"

    def upload(self, path: str, content: bytes):
        self.ask("PUT", f"/api/2.0/fs/files{path}?overwrite=true", content)

    def upload_in_parts(self, path: str, content: bytes):
        """As databricks-sdk does it; a part's address needs no token."""
        begun = self.json("POST", f"/api/2.0/fs/files{path}?action=initiate-upload&overwrite=true")
        session = begun["multipart_upload"]["session_token"]
        size, parts = len(content) // 3 + 1, []
        for number in (1, 2, 3):
            asked = {"path": path, "session_token": session, "start_part_number": number, "count": 1}
            url = self.json("POST", "/api/2.0/fs/create-upload-part-urls", asked)["upload_part_urls"][0]["url"]
            self.ask("PUT", "/" + url.split("/", 3)[3], content[(number - 1) * size : number * size], signed=False)
            parts.append({"part_number": number, "etag": ""})
        end = f"action=complete-upload&upload_type=multipart&session_token={quote(session)}"
        self.ask("POST", f"/api/2.0/fs/files{path}?{end}", {"parts": parts})


class Work:
    """The catalog that is worked on, and the threads' work. Each method is one thread's, and runs until the kill."""

    def __init__(self, server: Server):
        self.ledger, self.numbers, self.lock = Ledger(), 0, threading.Lock()
        self.folders: dict[str, set] = {}  # of its tables and volumes, by kind, as they were looked at last
        self.who = server.person("ana").name
        self.catalog = unique("cat")
        self.main, self.made = f"{self.catalog}.main", f"{self.catalog}.made"
        self.files = f"/Volumes/{self.catalog}/main/files"
        door = Door(server)
        door.json("POST", f"{UC}/catalogs", {"name": self.catalog})
        for schema in ("main", "made"):
            door.json("POST", f"{UC}/schemas", {"name": schema, "catalog_name": self.catalog})
        volume = {"name": "files", "catalog_name": self.catalog, "schema_name": "main", "volume_type": "MANAGED"}
        door.json("POST", f"{UC}/volumes", volume)
        door.sql(f"CREATE TABLE {self.main}.rows (n BIGINT)")
        door.sql(f"CREATE TABLE {self.main}.overwritten (tag BIGINT)")
        door.sql(f"CREATE TABLE {self.main}.copied (file BIGINT, i BIGINT)")

    def number(self) -> int:
        with self.lock:
            self.numbers += 1
            return self.numbers

    def insert(self, door: Door, _):
        while True:
            n = self.number()
            self.ledger.change(lambda n=n: door.sql(f"INSERT INTO {self.main}.rows VALUES ({n})"), {("row", n): 1})

    def overwrite(self, door: Door, _):
        while True:
            n = self.number()
            text = f"INSERT OVERWRITE {self.main}.overwritten VALUES ({n}), ({n}), ({n})"
            self.ledger.change(lambda text=text: door.sql(text), {("overwritten",): n})

    def define(self, door: Door, chance: random.Random):
        change = self.ledger.change
        while True:
            there = self.ledger.there("table")
            if len(there) > 3:
                thing = chance.choice(there)
                full = f"{self.made}.{thing[1]}"
                change(lambda full=full: door.sql(f"DROP TABLE {full}"), {thing: None}, ("deleteTable", full))
                continue
            name = f"t{self.number()}"
            full = f"{self.made}.{name}"
            text, rows = chance.choice(
                ((f"CREATE TABLE {full} (a INT)", 0), (f"CREATE TABLE {full} AS SELECT * FROM VALUES (1), (2), (3) AS v(a)", 3))
            )
            change(lambda text=text: door.sql(text), {("table", name): rows}, ("createTable", full))

    def copy_text(self) -> str:
        return f"COPY INTO {self.main}.copied FROM '{self.files}/in' FILEFORMAT = CSV FORMAT_OPTIONS ('header' = 'true')"

    def copy(self, door: Door, _):
        while True:
            n = self.number()
            content = ("file,i\n" + "".join(f"{n},{i}\n" for i in range(ROWS_A_FILE))).encode()
            self.put(door.upload, f"in/{n}.csv", content)
            copied = [("copied", int(name[3:-4])) for _, name in self.ledger.there("file") if name.startswith("in/")]
            new = {thing: ROWS_A_FILE for thing in copied if not self.ledger.state(thing)}
            self.ledger.change(lambda: door.sql(self.copy_text()), new)

    def put(self, upload, name: str, content: bytes):
        digest = hashlib.sha256(content).hexdigest()
        self.ledger.change(lambda: upload(f"{self.files}/{name}", content), {("file", name): digest})

    def upload(self, door: Door, chance: random.Random):
        while True:
            self.put(door.upload, f"whole/{chance.randrange(8)}", chance.randbytes(chance.randrange(200_000)))

    def upload_in_parts(self, door: Door, chance: random.Random):
        while True:
            self.put(door.upload_in_parts, f"parts/{chance.randrange(8)}", chance.randbytes(chance.randrange(300, 900_000)))

    def contain(self, door: Door, _):
        """A schema, a volume in it, both away again: one after the other, or the schema with all that is in it."""
        change = self.ledger.change
        while True:
            n = self.number()
            schema, full = f"s{n}", f"{self.catalog}.s{n}"
            asked = {"name": schema, "catalog_name": self.catalog}
            change(lambda a=asked: door.json("POST", f"{UC}/schemas", a), {("schema", schema): True}, ("createSchema", full))
            asked = {"name": "v", "catalog_name": self.catalog, "schema_name": schema, "volume_type": "MANAGED"}
            audit = ("createVolume", f"{full}.v")
            change(lambda a=asked: door.json("POST", f"{UC}/volumes", a), {("volume", schema): True}, audit)
            gone = {("schema", schema): None, ("volume", schema): None}
            if n % 3 == 0:
                continue
            if n % 3 == 1:
                audit, only = ("deleteVolume", f"{full}.v"), {("volume", schema): gone.pop(("volume", schema))}
                change(lambda f=full: door.ask("DELETE", f"{UC}/volumes/{f}.v"), only, audit)
            change(lambda f=full: door.ask("DELETE", f"{UC}/schemas/{f}?force=true"), gone, ("deleteSchema", full))

    def grant(self, door: Door, chance: random.Random):
        while True:
            thing = ("grant", chance.choice(("SELECT", "MODIFY", "USE_SCHEMA", "CREATE_TABLE", "READ_VOLUME")))
            verb, new = ("remove", None) if self.ledger.state(thing) else ("add", True)
            asked = {"changes": [{"principal": self.who, verb: [thing[1]]}]}
            path = f"{UC}/permissions/schema/{self.made}"
            self.ledger.change(lambda: door.json("PATCH", path, asked), {thing: new}, ("updatePermissions", self.made))  # noqa: B023

    def threads(self):
        yield from [self.insert] * INSERTERS
        yield from (self.overwrite, self.define, self.copy, self.upload, self.upload_in_parts, self.contain, self.grant)


def work_until(end, server: Server, work: Work, chance: random.Random) -> list[str]:
    """Lets all threads work, ends the server at a random moment by `end`, and gives what the threads found wrong."""
    wrong: list[str] = []
    ledger = work.ledger

    def run(job, door, own):
        try:
            job(door, own)
        except Unanswered:
            pass
        except Exception:
            wrong.append(traceback.format_exc())
        finally:
            with ledger.more:
                ledger.more.notify_all()

    jobs = [(job, Door(server), random.Random(chance.random())) for job in work.threads()]
    threads = [threading.Thread(target=run, args=job, daemon=True) for job in jobs]
    enough = ledger.acknowledged + chance.randint(0, MOST_ACKNOWLEDGEMENTS)
    more = chance.uniform(0, MOST_MILLISECONDS_MORE) / 1000
    for thread in threads:
        thread.start()
    with ledger.more:
        ledger.more.wait_for(lambda: ledger.acknowledged >= enough or wrong, timeout=60)
        at = time.monotonic() + more
        while (left := at - time.monotonic()) > 0:
            ledger.more.wait(left)
    end()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a client still waits for a server that is gone"
    if ledger.acknowledged < enough:
        wrong.append("the threads came to a halt before the end")
    return wrong


def look(server: Server, work: Work) -> list[str]:
    """Holds the restarted server against the ledger."""
    door, ledger = Door(server), work.ledger
    wrong = ledger.settle("row", Counter((int(n),) for (n,) in door.sql(f"SELECT n FROM {work.main}.rows")))
    overwritten = list(Counter(int(tag) for (tag,) in door.sql(f"SELECT tag FROM {work.main}.overwritten")).items())
    if overwritten and (len(overwritten) > 1 or overwritten[0][1] != 3):
        wrong.append(f"overwritten: parts of several statements or of one: {overwritten}")
    wrong += ledger.settle("overwritten", {(): overwritten[0][0]} if overwritten else {})

    tables = {schema: door.listed("tables", catalog_name=work.catalog, schema_name=schema) for schema in ("main", "made")}
    found = {}
    for table in tables["made"]:
        full = f"{work.made}.{table['name']}"
        assert [row[:2] for row in door.sql(f"DESCRIBE TABLE {full}")][:1] == [["a", "int"]], full
        found[(table["name"],)] = len(door.sql(f"SELECT a FROM {full}"))
    wrong += ledger.settle("table", found)

    schemas = [s["name"] for s in door.listed("schemas", catalog_name=work.catalog)]
    volumes = [v for s in schemas for v in door.listed("volumes", catalog_name=work.catalog, schema_name=s)]
    wrong += ledger.settle("schema", {(s,): True for s in schemas if s not in ("main", "made", "default", "information_schema")})
    wrong += ledger.settle("volume", {(v["schema_name"],): True for v in volumes if v["schema_name"] != "main"})
    given = door.json("GET", f"{UC}/permissions/schema/{work.made}").get("privilege_assignments", [])
    held = {p.replace(" ", "_") for a in given if a["principal"] == work.who for p in a["privileges"]}
    wrong += ledger.settle("grant", {(privilege,): True for privilege in held})

    owned = {"tables": [t for of in tables.values() for t in of], "volumes": volumes}
    for kind, objects in owned.items():
        work.folders[kind] = {one["storage_location"].rstrip("/").rsplit("/", 1)[1] for one in objects}
    wrong += look_at_files(door, work)
    asked = ", ".join(sorted({f"'{action}'" for action, _ in ledger.audits} or {"''"}))
    rows = door.sql(
        "SELECT action_name, coalesce(request_params['full_name_arg'], request_params['securable_full_name']), count(*) "
        f"FROM system.access.audit WHERE action_name IN ({asked}) AND response.status_code = 200 GROUP BY 1, 2"
    )
    audits = {(action, name): int(count) for action, name, count in rows}
    for audit, count in ledger.audits.items():
        if audits.get(audit, 0) != count:
            wrong.append(f"audit {audit}: {audits.get(audit, 0)} rows for {count} changes")
    return wrong + look_at_commits(door, work)


def look_at_commits(door: Door, work: Work) -> list[str]:
    """Every version of every table is in the audit, under the name of a person: the server knows its commits again."""
    wrong = []
    for table in ("rows", "overwritten", "copied"):
        full = f"{work.main}.{table}"
        committed = {int(row[0]) for row in door.sql(f"DESCRIBE HISTORY {full}")} - {0}
        told = door.sql(
            "SELECT DISTINCT request_params['version'] FROM system.access.audit WHERE action_name = 'modifyTable' "
            f"AND request_params['full_name_arg'] = '{full}' AND user_identity.email <> 'System-User'"
        )
        if (told := {int(version) for (version,) in told}) != committed:
            wrong.append(f"{full}: commits without audit {committed - told}, audit without commits {told - committed}")
    return wrong


def entries(door: Door, folder: str) -> list[dict]:
    """What a folder of a volume has."""
    found, page = [], ""
    while page is not None:
        listed = door.json("GET", f"/api/2.0/fs/directories{folder}{page}")
        found += listed.get("contents", [])
        page = f"?page_token={quote(listed['next_page_token'])}" if listed.get("next_page_token") else None
    return found


def look_at_files(door: Door, work: Work) -> list[str]:
    """Every file byte for byte; then that COPY INTO brings each file once, however often it runs."""
    ledger, found = work.ledger, {}
    for folder in entries(door, work.files):
        for entry in entries(door, folder["path"]):
            content = door.ask("GET", f"/api/2.0/fs/files{entry['path']}")
            assert len(content) == entry["file_size"], entry
            found[(f"{folder['name']}/{entry['name']}",)] = hashlib.sha256(content).hexdigest()
    wrong = ledger.settle("file", found)

    def copied() -> dict:
        rows = Counter((int(file), int(i)) for file, i in door.sql(f"SELECT file, i FROM {work.main}.copied"))
        assert all(count == 1 for count in rows.values()), f"COPY INTO doubled rows: {rows}"
        return Counter((file,) for file, _ in rows)

    wrong += ledger.settle("copied", copied())
    whole = {(int(name[3:-4]),): ROWS_A_FILE for (name,) in found if name.startswith("in/")}
    for again in range(2 if whole else 0):
        door.sql(work.copy_text())
        if (now := copied()) != whole:
            wrong.append(f"COPY INTO, time {again + 1} after the restart: {set(now.items()) ^ set(whole.items())}")
    ledger.states.update({("copied", *file): rows for file, rows in whole.items()})
    return wrong


def look_at_folders(server: Server, works: list[Work]) -> list[str]:
    wrong = []
    for kind in ("tables", "volumes"):
        there = {entry.name for entry in (server.data / "storage" / kind).iterdir()}
        theirs = set().union(*(work.folders[kind] for work in works))
        if there != theirs:
            wrong.append(f"{kind}: folders of nobody {there - theirs}, objects without folder {theirs - there}")
    return wrong
