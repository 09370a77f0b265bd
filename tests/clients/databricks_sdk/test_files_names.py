"""Names of files through databricks-sdk: every script and sign is a name, and no name leaves its volume."""

import io
import urllib.error
import urllib.request

import pytest

NAMES = [
    "größe.csv",
    "飛行機.csv",
    "طيران.csv",
    "✈️🛫.csv",
    "a b.csv",
    "a+b.csv",
    "100%.csv",
    "%2e%2e",
    "a#b?c&d=e.csv",
    "a'b\"c.csv",
    "back`tick",
    "semi;colon",
    "..hidden",
    "a..b",
    "~",
    "-rf",
    "CON",
    "x" * 200,
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_a_name(admin, volume, name):
    admin.client.files.upload(f"{volume}/{name}", io.BytesIO(name.encode()))
    assert admin.client.files.download(f"{volume}/{name}").contents.read() == name.encode()
    assert [e.name for e in admin.client.files.list_directory_contents(volume)] == [name]


@pytest.mark.parametrize(
    "tail",
    [
        "../../../../etc/passwd",
        "a/../../../x",
        "%2e%2e/%2e%2e/%2e%2e/x",
        "..%2f..%2f..%2fx",
        "a/%2e%2e/%2e%2e/%2e%2e/x",
        "%00x",
        "a%00",
        "./../../x",
        "..\\..\\x%5c..%5c..",
        "%c0%ae%c0%ae/x",
    ],
)
def test_no_name_leaves_its_volume(server, admin, volume, tail):
    """Sent raw: the SDK would normalise or encode some of these first."""

    def send(method, body=None):
        request = urllib.request.Request(
            f"{server.url}/api/2.0/fs/files{volume}/{tail}",
            data=body,
            method=method,
            headers={"Authorization": f"Bearer {admin.token}"},
        )
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    before = {p for p in server.folder.rglob("*") if "system" not in p.parts}
    status, body = send("GET")
    assert status in (400, 403, 404) and b"root:" not in body
    status, _ = send("PUT", b"escaped")
    root = volume.split("/")[2]
    if status < 300:  # a name after all: then it must be listed in the volume, and nowhere else
        assert list(admin.client.files.list_directory_contents(volume)), (tail, root)
    else:
        assert status in (400, 403, 404)
        new = {p for p in server.folder.rglob("*") if "system" not in p.parts} - before
        assert [p for p in new if p.is_file() and p.read_bytes() == b"escaped"] == []
