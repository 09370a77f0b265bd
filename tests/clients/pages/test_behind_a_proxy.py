"""Behind a reverse proxy at a base path, which the proxy passes on or takes off: pages, sign-in, files in parts."""

import hashlib
import io
import re

import polars as pl
import pytest
from browser import browser, visitor
from databricks.sdk import WorkspaceClient
from databricks.sdk.service.catalog import VolumeType
from proxy import proxy
from signing_in import program, set_password, sign_in


@pytest.mark.parametrize("strips", [False, True], ids=["passes the base path on", "takes it off"])
def test_everything_is_below_the_base_path(new_server, strips, tmp_path):
    with proxy("/our/lake", strips) as front, browser() as chromium, visitor(chromium) as page:
        server = new_server("--public-url", front.url)
        front.to = server.port
        link = re.search(r"http://\S+/setup\?code=\S+", server.log.read_text())[0]
        assert link.startswith(front.url + "/setup")
        set_password(page, link)
        page.get_by_role("link", name="To the start page").click()
        page.get_by_text("Signed in as admin@localhost").wait_for()
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("heading", name="Sign in").wait_for()
        assert page.url == f"{front.url}/login"
        page.goto(front.url)
        assert page.url == f"{front.url}/login", "without a slash at its end too"
        sign_in(page, "admin@localhost")
        page.get_by_text("Signed in as admin@localhost").wait_for()

        client = WorkspaceClient(host=front.url, token=server.admin_token, auth_type="pat")
        assert client.current_user.me().user_name == "admin@localhost"
        client.volumes.create("main", "default", "files", VolumeType.MANAGED)
        sent = bytes(range(256)) * (60 << 12)
        client.files.upload("/Volumes/main/default/files/big.bin", io.BytesIO(sent))
        got = client.files.download("/Volumes/main/default/files/big.bin").contents.read()
        assert hashlib.sha256(got).digest() == hashlib.sha256(sent).digest()
        names = [c.name for c in pl.Catalog(front.url, bearer_token=server.admin_token, require_https=False).list_catalogs()]
        assert "main" in names

        with program(front, tmp_path) as running:
            page.goto(running.address())
            page.get_by_role("heading", name="Allow access?").wait_for()
            page.get_by_role("button", name="Allow").click()
            assert running.ends()[:2] == (0, "admin@localhost")
