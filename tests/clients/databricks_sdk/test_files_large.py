"""A file above 50 MiB: databricks-sdk sends it in parts, or whole when the server offers no parts; either way it arrives."""

import hashlib
import io
import os

BLOCK = os.urandom(1 << 20)


def test_60_mib_arrive_whole(admin, volume, tmp_path):
    sent = BLOCK * 60
    admin.client.files.upload(f"{volume}/big.bin", io.BytesIO(sent), overwrite=True)
    assert admin.client.files.get_metadata(f"{volume}/big.bin").content_length == len(sent)
    admin.client.files.download_to(f"{volume}/big.bin", str(tmp_path / "big.bin"))
    got = hashlib.sha256((tmp_path / "big.bin").read_bytes()).hexdigest()
    assert got == hashlib.sha256(sent).hexdigest()


def test_a_large_file_from_disk(admin, volume, tmp_path):
    with open(tmp_path / "big.bin", "wb") as out:
        for _ in range(60):
            out.write(BLOCK)
    admin.client.files.upload_from(f"{volume}/big.bin", str(tmp_path / "big.bin"), overwrite=True)
    assert admin.client.files.get_metadata(f"{volume}/big.bin").content_length == 60 << 20
