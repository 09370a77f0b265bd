"""Files on volumes through databricks-sdk: bytes come back as they went, with their size, by range, or not at all."""

import io
import os
import urllib.error
import urllib.request

import pytest
import requests
from databricks.sdk.errors import DatabricksError, NotFound, PermissionDenied


@pytest.mark.parametrize("size", [0, 1, 65_537, 5 << 20])
def test_bytes_come_back_as_they_went(admin, volume, size):
    sent = os.urandom(size)
    admin.client.files.upload(f"{volume}/f.bin", io.BytesIO(sent))
    meta = admin.client.files.get_metadata(f"{volume}/f.bin")
    assert meta.content_length == size and meta.last_modified
    assert admin.client.files.download(f"{volume}/f.bin").contents.read() == sent


def test_overwriting_must_be_asked_for(admin, volume):
    admin.client.files.upload(f"{volume}/f", io.BytesIO(b"one"))
    with pytest.raises(DatabricksError) as error:
        admin.client.files.upload(f"{volume}/f", io.BytesIO(b"two"), overwrite=False)
    assert "ALREADY_EXISTS" in error.value.error_code
    assert admin.client.files.download(f"{volume}/f").contents.read() == b"one"
    admin.client.files.upload(f"{volume}/f", io.BytesIO(b"three"), overwrite=True)
    assert admin.client.files.download(f"{volume}/f").contents.read() == b"three"


def test_download_to_a_file(admin, volume, tmp_path):
    sent = os.urandom(3 << 20)
    admin.client.files.upload(f"{volume}/f", io.BytesIO(sent))
    admin.client.files.download_to(f"{volume}/f", str(tmp_path / "f"))
    assert (tmp_path / "f").read_bytes() == sent


@pytest.mark.parametrize(
    ("asked", "got"), [("bytes=0-3", b"0123"), ("bytes=4-", b"456789"), ("bytes=-2", b"89"), ("bytes=5-99", b"56789")]
)
def test_ranges(server, admin, volume, asked, got):
    admin.client.files.upload(f"{volume}/f", io.BytesIO(b"0123456789"))
    request = urllib.request.Request(
        f"{server.url}/api/2.0/fs/files{volume}/f", headers={"Authorization": f"Bearer {admin.token}", "Range": asked}
    )
    with urllib.request.urlopen(request) as answer:
        assert (answer.status, answer.read()) == (206, got)


def test_a_range_behind_the_end_is_416(server, admin, volume):
    admin.client.files.upload(f"{volume}/f", io.BytesIO(b"0123456789"))
    request = urllib.request.Request(
        f"{server.url}/api/2.0/fs/files{volume}/f",
        headers={"Authorization": f"Bearer {admin.token}", "Range": "bytes=10-"},
    )
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(request)
    assert error.value.code == 416


def test_a_deleted_file_is_gone(admin, volume):
    admin.client.files.upload(f"{volume}/f", io.BytesIO(b"x"))
    admin.client.files.delete(f"{volume}/f")
    for use in (admin.client.files.get_metadata, admin.client.files.download, admin.client.files.delete):
        with pytest.raises(NotFound):
            use(f"{volume}/f")


def test_reading_and_writing_are_two_grants(admin, person, catalog, volume, grant):
    who = person("ana")
    admin.client.files.upload(f"{volume}/f", io.BytesIO(b"x"))
    with pytest.raises(NotFound):
        who.client.files.download(f"{volume}/f")
    grant(f"USE CATALOG, BROWSE ON CATALOG {catalog}", who)
    grant(f"USE SCHEMA ON SCHEMA {catalog}.work", who)
    with pytest.raises(PermissionDenied, match=f"READ VOLUME on {catalog}.work.files"):
        who.client.files.download(f"{volume}/f")
    grant(f"READ VOLUME ON VOLUME {catalog}.work.files", who)
    assert who.client.files.download(f"{volume}/f").contents.read() == b"x"
    with pytest.raises(PermissionDenied):
        who.client.files.upload(f"{volume}/g", io.BytesIO(b"y"))
    grant(f"WRITE VOLUME ON VOLUME {catalog}.work.files", who)
    who.client.files.upload(f"{volume}/g", io.BytesIO(b"y"))
    with pytest.raises(NotFound):
        admin.client.files.get_metadata("/Volumes/no/such/volume/f")


def test_a_download_in_many_ranges_is_one_row_of_the_audit(admin, volume):
    admin.client.files.upload(f"{volume}/f", io.BytesIO(b"0123456789"))
    for first in range(0, 10, 2):
        ask = urllib.request.Request(f"{admin.server.url}/api/2.0/fs/files{volume}/f")
        ask.add_header("Authorization", f"Bearer {admin.token}")
        ask.add_header("Range", f"bytes={first}-{first + 1}")
        with urllib.request.urlopen(ask, timeout=30) as answer:
            assert answer.status == 206
    assert admin.client.files.download(f"{volume}/f").contents.read() == b"0123456789"
    rows = admin.sql(
        "SELECT user_identity.email, service_name, request_params['volume_full_name'] FROM system.access.audit "
        f"WHERE action_name = 'filesGet' AND request_params['path'] = '{volume}/f'"
    )
    assert rows == [[admin.client.current_user.me().user_name, "filesystem", ".".join(volume.split("/")[2:])]]


@pytest.mark.parametrize("body", ["in one piece", "in chunks"])
def test_who_uploads_with_a_wrong_token_is_told_so(admin, volume, body):
    """requests sends all of a body before it looks for the answer."""
    sent = bytes(8 << 20) if body == "in one piece" else (bytes(1 << 20) for _ in range(8))
    url = f"{admin.server.url}/api/2.0/fs/files{volume}/f"
    answer = requests.put(url, data=sent, headers={"Authorization": "Bearer wrong"}, timeout=60)
    assert (answer.status_code, answer.json()["error_code"]) == (401, "UNAUTHENTICATED")
