"""What every client test gets: one server for the whole run, its admin, and people made on demand.

A test makes its own catalogs, users and files under names from `unique`, so the order of tests never matters. One that
needs a server of its own (a restart, a setting) calls `new_server`.
"""

import os
import re
from pathlib import Path

import pytest
from harness import Server, unique

# databricks-sdk must see this server and nothing of the person's own set-up.
for _name in [n for n in os.environ if n.startswith(("DATABRICKS_", "CRANNOG_HOST", "CRANNOG_TOKEN"))]:
    del os.environ[_name]
os.environ["DATABRICKS_CONFIG_FILE"] = os.devnull
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"


@pytest.fixture(scope="session")
def server():
    with Server() as running:
        yield running


@pytest.fixture
def new_server():
    """A function that starts one more server; all are stopped after the test."""
    started = []

    def start(*arguments, environment=None):
        started.append(Server(*arguments, environment=environment))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture(scope="session")
def admin(server):
    return server.admin()


@pytest.fixture
def person(server):
    """A function: `person("ana")` is a new user, signed in."""
    return server.person


@pytest.fixture
def catalog(admin):
    """A new catalog with the schema `work`, removed after the test."""
    name = unique("cat")
    admin.client.catalogs.create(name)
    admin.client.schemas.create("work", name)
    yield name
    admin.client.catalogs.delete(name, force=True)


@pytest.fixture
def volume(admin, catalog):
    """The path of a new managed volume: /Volumes/<catalog>/work/files."""
    from databricks.sdk.service.catalog import VolumeType

    admin.client.volumes.create(catalog, "work", "files", VolumeType.MANAGED)
    return f"/Volumes/{catalog}/work/files"


@pytest.fixture
def grant(admin):
    """A function: grant("SELECT ON TABLE a.b.c", someone) runs the GRANT as the admin."""

    def give(what: str, who):
        admin.sql(f"GRANT {what} TO `{who.name}`")

    return give


def pytest_report_header():
    from harness import binary

    return f"crannog: {re.sub(str(Path.home()), '~', str(binary()))}"
