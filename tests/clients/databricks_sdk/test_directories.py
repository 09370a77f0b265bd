"""Directories on volumes through databricks-sdk: made with their parents, listed in pages, deleted only when empty."""

import io

import pytest
from databricks.sdk.errors import DatabricksError, NotFound


def test_directories_are_made_listed_and_deleted(admin, volume):
    files = admin.client.files
    files.create_directory(f"{volume}/a/b/c")
    files.create_directory(f"{volume}/a/b/c")
    files.get_directory_metadata(f"{volume}/a/b")
    files.upload(f"{volume}/a/x.txt", io.BytesIO(b"12345"))
    found = {e.name: e for e in files.list_directory_contents(f"{volume}/a")}
    assert set(found) == {"b", "x.txt"}
    assert (found["b"].is_directory, found["x.txt"].is_directory, found["x.txt"].file_size) == (True, False, 5)
    assert found["x.txt"].path == f"{volume}/a/x.txt" and found["x.txt"].last_modified
    with pytest.raises(DatabricksError):
        files.delete_directory(f"{volume}/a/b")
    files.delete_directory(f"{volume}/a/b/c")
    with pytest.raises(NotFound):
        files.get_directory_metadata(f"{volume}/a/b/c")
    with pytest.raises(NotFound):
        list(files.list_directory_contents(f"{volume}/no"))


def test_a_long_listing_comes_in_pages(admin, volume):
    names = {f"f{n:03}" for n in range(25)}
    for name in names:
        admin.client.files.upload(f"{volume}/{name}", io.BytesIO(b"x"))
    got = [e.name for e in admin.client.files.list_directory_contents(volume, page_size=10)]
    assert sorted(got) == sorted(names)


def test_uploading_makes_the_folders_on_its_way(admin, volume):
    admin.client.files.upload(f"{volume}/new/deep/f", io.BytesIO(b"x"))
    assert [e.name for e in admin.client.files.list_directory_contents(f"{volume}/new")] == ["deep"]
