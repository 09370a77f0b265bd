"""The archive of `make dist`, made from the tests' own binary: what is in it, that it runs with nothing else installed, and
that its notices name whatever the binary holds."""

import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from harness import REPOSITORY, binary, free_port, until

GLIBC = {"libc.so.6", "libm.so.6", "libgcc_s.so.1"}


def dist(*arguments, **environment) -> subprocess.CompletedProcess:
    return subprocess.run(
        [REPOSITORY / "scripts" / "dist", *arguments],
        env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000", **environment},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    done = dist(binary(), folder)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@pytest.fixture(scope="module")
def unpacked(archive, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    (only,) = folder.iterdir()
    return only


def test_the_archive_holds_what_it_says(archive, unpacked):
    assert archive.name == f"{unpacked.name}.tar.gz" and re.fullmatch(r"crannog-\d+\.\d+\.\d+-linux-\w+", unpacked.name)
    files = sorted(str(f.relative_to(unpacked)) for f in unpacked.rglob("*") if f.is_file())
    pages = [f"doc/{name}.md" for name in ("access", "errors", "install", "operations", "tables")]
    assert files == sorted(["crannog", "crannog.service", "LICENSE", "README.md", "THIRD-PARTY-NOTICES", *pages])
    assert (unpacked / "LICENSE").read_text() == (REPOSITORY / "LICENSE").read_text()
    for name in files:
        assert f"`{name.split('/')[0]}" in (unpacked / "README.md").read_text() or name == "README.md", name
    with tarfile.open(archive) as tar:
        members = tar.getmembers()
    assert {(m.uid, m.gid, m.mtime) for m in members} == {(0, 0, 1700000000)}
    assert [m.name for m in members] == sorted(m.name for m in members)
    assert {m.name for m in members if m.mode & 0o111 and m.isfile()} == {f"{unpacked.name}/crannog"}
    checked = subprocess.run(
        ["sha256sum", "--check", f"{archive.name}.sha256"], cwd=archive.parent, capture_output=True, check=False, stdin=subprocess.DEVNULL
    )
    assert checked.returncode == 0, checked.stderr


def test_the_program_asks_for_glibc_and_nothing_else(unpacked):
    listed = subprocess.run(["ldd", unpacked / "crannog"], capture_output=True, text=True, check=True).stdout
    names = {line.split()[0] for line in listed.splitlines()}
    assert {n for n in names if not n.startswith(("linux-vdso", "/lib"))} <= GLIBC, listed


@pytest.fixture(scope="module")
def bare(unpacked, tmp_path_factory) -> Path:
    """A root folder of the program and the libraries it asks for: no shell, no certificates, no time zones, no /etc."""
    root = tmp_path_factory.mktemp("bare")
    listed = subprocess.run(["ldd", unpacked / "crannog"], capture_output=True, text=True, check=True).stdout
    for path in re.findall(r"(/lib\S+)", listed):
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(os.path.realpath(path), target)
    for folder in ("tmp", "proc"):
        (root / folder).mkdir()
    shutil.copy(unpacked / "crannog", root / "crannog")
    return root


def inside(root: Path, *command: str) -> list:
    """The command with `root` as the whole file system and no variable set: as root by chroot, else in a user namespace."""
    become = ["chroot", str(root)] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--root", str(root)]
    return ["env", "-i", shutil.which(become[0]), *become[1:], *command]


def test_it_serves_on_a_machine_with_nothing_else(bare):
    port = free_port()
    log = bare / "server.log"
    with open(log, "wb") as out:
        server = subprocess.Popen(
            inside(bare, "/crannog", "up", "--data", "/data", "--listen", f"127.0.0.1:{port}", "--listen-tls", "127.0.0.1:0"),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    try:
        ready = until(lambda: server.poll() is not None or b"is ready" in log.read_bytes(), "the server is ready", 60)
        assert ready and server.poll() is None, log.read_text()
        token = (bare / "data" / "admin.token").read_text().strip()
        sql = "CREATE TABLE main.default.t (n INT); INSERT INTO main.default.t VALUES (41), (42); SELECT max(n) AS n FROM main.default.t"
        sql += "; SET TIME ZONE 'Europe/Zurich'; SELECT current_timezone() AS zone"
        done = subprocess.run(
            inside(bare, "/crannog", "sql", "--host", f"http://127.0.0.1:{port}", "--token", token, "--output", "csv", "-e", sql),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "n\n42\n" in done.stdout and done.stdout.endswith("zone\nEurope/Zurich\n")
    finally:
        server.terminate()
        server.wait(60)
    assert server.returncode == 0, log.read_text()


def test_the_notices_name_every_crate_that_the_binary_holds(unpacked):
    """The binary itself says what is in it: each crate whose code can panic leaves the path of its source there."""
    text = (unpacked / "THIRD-PARTY-NOTICES").read_text()
    head, *parts = text.split(f"\n{'=' * 100}\n")
    listed = {tuple(line.split()[:2]) for line in head.splitlines()[3:]}
    content = (unpacked / "crannog").read_bytes()
    paths = re.findall(rb"/registry/src/[^/]+/([A-Za-z0-9_-]+?)-(\d+\.\d+\.\d+[A-Za-z0-9.+-]*)/", content)
    held = {(name.decode(), version.decode()) for name, version in paths}
    assert len(held) > 100, "the binary no longer says what it is made of"
    assert held <= listed, sorted(held - listed)
    # Each listed crate stands over at least one text, and nothing is named that the lock does not have.
    over = {tuple(name.split()) for names in parts[::2] for name in " ".join(names.split()).split(", ")}
    assert listed == over - {("The", "Rust", "standard", "library")}
    lock = (REPOSITORY / "Cargo.lock").read_text()
    assert listed <= set(re.findall(r'name = "([^"]+)"\nversion = "([^"]+)"', lock))
    assert all(len(body.strip().splitlines()) > 1 for body in parts[1::2]), "a text is missing"
    for word in ("/root/", "/home/", str(REPOSITORY)):
        assert word not in text


def test_the_unit_is_one_that_systemd_reads(unpacked, tmp_path):
    text = (unpacked / "crannog.service").read_text()
    for line in ("Type=notify", "NoNewPrivileges=yes", "ProtectSystem=strict", "StateDirectory=crannog crannog-keys", "Restart=on-failure", "LimitNOFILE=65536"):
        assert f"\n{line}\n" in text
    # The unit starts what install.md puts in its place.
    command = re.search(r"^ExecStart=(\S+) up$", text, re.MULTILINE)[1]
    assert command in (unpacked / "doc" / "install.md").read_text()
    if shutil.which("systemd-analyze"):
        unit = tmp_path / "crannog.service"
        unit.write_text(text.replace(command, str(unpacked / "crannog")))
        done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_same_binary_gives_the_same_archive(archive, tmp_path):
    again = dist(binary(), tmp_path)
    assert again.returncode == 0, again.stderr
    assert Path(again.stdout.strip()).read_bytes() == archive.read_bytes()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("Name: GLIBC_2.17\\nName: GLIBC_2.36", "needs glibc 2.36, and Ubuntu 22.04 has 2.35"),
        ("0x1 (NEEDED) Shared library: [libssl.so.3]\\nName: GLIBC_2.17", "needs libraries that a bare system may not have: libssl.so.3"),
    ],
)
def test_a_program_that_needs_more_is_not_packed(tmp_path, answer, said):
    pretended = tmp_path / "bin"
    pretended.mkdir()
    (pretended / "readelf").write_text(f"#!/bin/sh\nprintf '{answer}\\n'\n")
    (pretended / "readelf").chmod(0o755)
    done = dist(binary(), tmp_path / "out", PATH=f"{pretended}:{os.environ['PATH']}")
    assert done.returncode == 1 and said in done.stderr, done.stderr
    assert not (tmp_path / "out").exists()
