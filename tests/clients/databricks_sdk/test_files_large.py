"""Files of one byte to 200 MB. Above 50 MiB databricks-sdk sends them in parts; either way they arrive whole."""

import hashlib
import io
import os

import pytest

BLOCK = os.urandom(1 << 20)
PARTS_ABOVE = 50 << 20


def content(size: int):
    """Blocks that add up to a size; each begins with its number, so that none can stand in another's place."""
    for number in range(0, size, len(BLOCK)):
        block = number.to_bytes(8, "big") + BLOCK[8:]
        yield block[: size - number]


def digest(path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.mark.parametrize("size", [1, 1 << 20, PARTS_ABOVE, PARTS_ABOVE + 1, 200_000_000])
def test_a_file_from_disk_arrives_whole(admin, volume, tmp_path, size):
    with open(tmp_path / "sent", "wb") as out:
        out.writelines(content(size))
    admin.client.files.upload_from(f"{volume}/big.bin", str(tmp_path / "sent"), overwrite=True)
    assert admin.client.files.get_metadata(f"{volume}/big.bin").content_length == size
    admin.client.files.download_to(f"{volume}/big.bin", str(tmp_path / "got"))
    assert digest(tmp_path / "got") == digest(tmp_path / "sent")


def test_60_mib_from_memory_arrive_whole(admin, volume, tmp_path):
    sent = b"".join(content(60 << 20))
    admin.client.files.upload(f"{volume}/big.bin", io.BytesIO(sent), overwrite=True)
    admin.client.files.download_to(f"{volume}/big.bin", str(tmp_path / "got"))
    assert digest(tmp_path / "got") == hashlib.sha256(sent).hexdigest()
