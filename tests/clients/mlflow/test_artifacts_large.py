"""An artifact of two gigabytes goes up and down by the unmodified client while the server's memory stays what it was."""

import re
from pathlib import Path

import pytest
from harness import Server

SIZE = 2 << 30
EXTRA_MEMORY = 100 << 20
PLACES = (0, SIZE // 3, SIZE - 8)


@pytest.fixture
def server():
    """Of its own: its memory is looked at."""
    with Server("--log", "warn") as running:
        yield running


def most_memory(server) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) << 10


def marked(path: Path) -> dict:
    """What stands at the places that were written; the rest of the file is a hole of zeros."""
    found = {}
    with path.open("rb") as file:
        for at in PLACES:
            file.seek(at)
            found[at] = file.read(8)
    return found


def test_two_gigabytes(server, client, run, tmp_path):
    source = tmp_path / "model.bin"
    with source.open("wb") as file:
        file.truncate(SIZE)
        for at in PLACES:
            file.seek(at)
            file.write(b"mark%04d" % (at % 10_000))
    wanted, before = marked(source), most_memory(server)
    client.log_artifact(run, str(source))
    source.unlink()
    assert [(a.path, a.file_size) for a in client.list_artifacts(run)] == [("model.bin", SIZE)]
    back = Path(client.download_artifacts(run, "model.bin", str(tmp_path)))
    assert back.stat().st_size == SIZE and marked(back) == wanted
    assert most_memory(server) - before < EXTRA_MEMORY
