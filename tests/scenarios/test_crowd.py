"""A crowd that defines, grants and drops in one catalog at the same moment, by SQL and by REST: everybody gets their answer.

On PostgreSQL changes that meet may lose a race against each other; that is the server's to mend, and never an answer. The
requests are plain HTTP, so that no client library tries again by itself.
"""

import threading
import traceback

from harness import Server, unique
from ledger import UC, Door

CROWD = 24
ROUNDS = 4


class Crowd:
    def __init__(self, server: Server):
        self.server, self.catalog = server, unique("cat")
        self.schema = f"{self.catalog}.shared"
        self.who = server.person("ana").name
        self.meet, self.wrong = threading.Barrier(CROWD, timeout=120), []
        door = Door(server)
        door.json("POST", f"{UC}/catalogs", {"name": self.catalog})
        door.json("POST", f"{UC}/schemas", {"name": "shared", "catalog_name": self.catalog})

    def by_sql(self, door: Door, name: str):
        """A table stays, a second one and a view go."""
        full = f"{self.schema}.{name}"
        yield lambda: door.sql(f"CREATE TABLE {full} (a INT)")
        yield lambda: door.sql(f"GRANT SELECT ON TABLE {full} TO `{self.who}`")
        yield lambda: door.sql(f"CREATE TABLE {full}_gone AS SELECT * FROM VALUES (1), (2) AS v(a)")
        yield lambda: door.sql(f"CREATE VIEW {full}_view AS SELECT a FROM {full}")
        yield lambda: door.sql(f"INSERT INTO {full} VALUES (1)")
        yield lambda: door.sql(f"COMMENT ON TABLE {full} IS 'of {name}'")
        yield lambda: door.sql(f"DROP VIEW {full}_view")
        yield lambda: door.sql(f"DROP TABLE {full}_gone")

    def by_rest(self, door: Door, name: str):
        """A schema with a volume stays, a second one goes."""
        schema = {"name": name, "catalog_name": self.catalog}
        volume = {"name": "files", "catalog_name": self.catalog, "schema_name": name, "volume_type": "MANAGED"}
        grants = {"changes": [{"principal": self.who, "add": ["USE_SCHEMA"]}]}
        yield lambda: door.json("POST", f"{UC}/schemas", schema)
        yield lambda: door.json("PATCH", f"{UC}/permissions/schema/{self.catalog}.{name}", grants)
        yield lambda: door.json("POST", f"{UC}/schemas", {**schema, "name": f"{name}_gone"})
        yield lambda: door.json("POST", f"{UC}/volumes", volume)
        yield lambda: door.json("POST", f"{UC}/volumes", {**volume, "schema_name": f"{name}_gone"})
        yield lambda: door.json("PATCH", f"{UC}/schemas/{self.catalog}.{name}", {"comment": f"of {name}"})
        yield lambda: door.ask("DELETE", f"{UC}/schemas/{self.catalog}.{name}_gone?force=true")
        yield lambda: door.ask("PUT", f"/api/2.0/fs/files/Volumes/{self.catalog}/{name}/files/one?overwrite=true", b"x")

    def work(self, number: int):
        try:
            door = Door(self.server)
            for turn in range(ROUNDS):
                steps = (self.by_sql if number % 2 else self.by_rest)(door, f"n{number}_{turn}")
                for step in steps:
                    self.meet.wait()
                    step()
        except threading.BrokenBarrierError:
            pass
        except Exception:
            self.wrong.append(traceback.format_exc())
            self.meet.abort()

    def names(self, which: int) -> set[str]:
        return {f"n{number}_{turn}" for number in range(CROWD) if number % 2 == which for turn in range(ROUNDS)}


def test_everybody_in_a_crowd_gets_their_answer():
    with Server() as server:
        crowd = Crowd(server)
        threads = [threading.Thread(target=crowd.work, args=(number,), daemon=True) for number in range(CROWD)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not crowd.wrong, "\n".join(crowd.wrong)

        door = Door(server)
        tables = door.listed("tables", catalog_name=crowd.catalog, schema_name="shared")
        assert {(table["name"], table["comment"]) for table in tables} == {(name, f"of {name}") for name in crowd.names(1)}
        schemas = {schema["name"]: schema.get("comment") for schema in door.listed("schemas", catalog_name=crowd.catalog)}
        assert {(name, schemas[name]) for name in schemas.keys() - {"default", "information_schema", "shared"}} == {
            (name, f"of {name}") for name in crowd.names(0)
        }
        held = f"SELECT count(*) FROM {crowd.catalog}.information_schema.table_privileges WHERE grantee = '{crowd.who}'"
        assert door.sql(held) == [[str(len(crowd.names(1)))]]
        asked = "('createTable', 'deleteTable', 'createSchema', 'deleteSchema', 'createVolume', 'updatePermissions')"
        counted = door.sql(
            f"SELECT action_name, count(*) FROM system.access.audit WHERE action_name IN {asked} AND response.status_code = 200 "
            f"AND coalesce(request_params['full_name_arg'], request_params['securable_full_name']) LIKE '{crowd.catalog}.%' "
            "GROUP BY 1"
        )
        half = CROWD // 2 * ROUNDS
        assert {action: int(count) for action, count in counted} == {
            "createTable": 3 * half,
            "deleteTable": 2 * half,
            "createSchema": 2 * half + 1,
            "deleteSchema": half,
            "createVolume": 2 * half,
            "updatePermissions": 2 * half,
        }
        folders = {kind: sum(1 for _ in (server.data / "storage" / kind).iterdir()) for kind in ("tables", "volumes")}
        assert folders == {"tables": half, "volumes": half}, "files of nobody, or nobody's files"
