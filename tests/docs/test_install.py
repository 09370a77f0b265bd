"""Runs the `console system` blocks of install.md, in their order, as root of a machine that exists for this test alone.

The machine is this one in namespaces of its own (machine/enter.py): the archive is installed as the page says, upgraded,
downgraded, moved and removed. A table that is made in the beginning must be there after every step.

    ```console system         each command must exit 0 and show what the page shows
    ```console system newer   the same, after a newer program has used the database
    ```console system moved   the same, on a machine without the data folder
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from archive import archive
from blocks import blocks, check, commands
from harness import REPOSITORY

PAGE = REPOSITORY / "docs" / "install.md"
ENTER = Path(__file__).resolve().parent / "machine" / "enter.py"
NAMESPACES = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]

# What a newer program would leave: a migration that this one does not know, and the copy from before it.
NEWER = """
import sqlite3
db = sqlite3.connect("/var/lib/crannog/meta.db")
db.execute("INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time) "
           "VALUES (99, 'later', CURRENT_TIMESTAMP, 1, x'00', 0)")
db.commit()
"""
BEFORE = {
    "system newer": [
        "systemctl stop crannog",
        "test ! -s /var/lib/crannog/meta.db-wal",
        "cp -a /var/lib/crannog/meta.db /var/lib/crannog/meta.db.before-99",
        f"{shlex.quote(sys.executable)} -c {shlex.quote(NEWER)}",
        "export N=99",
    ],
    "system moved": ["cd /", "rm -r /var/lib/crannog"],
}
MAKE = "crannog sql -e 'CREATE TABLE main.default.kept AS SELECT 42 AS n'"
KEPT = 'test "$(crannog sql --output csv -e "SELECT n FROM main.default.kept" | tail -n 1)" = 42'


def steps() -> list:
    """(place in the page, command, output that is shown), with what the test itself does in between."""
    found, made = [], False
    for block in blocks(PAGE):
        if block.language != "console" or not block.word.startswith("system"):
            continue
        where = f"docs/install.md:{block.line}"
        found += [(where, command, []) for command in BEFORE.get(block.word, [])]
        found += [(where, command, output) for command, output in commands(block)]
        runs = any(re.match(r"systemctl (start|restart|enable)", command) for command, _ in commands(block))
        if runs:
            found += [(where, KEPT if made else MAKE, [])]
            made = True
    return found


def test_the_page_installs_upgrades_downgrades_moves_and_removes(tmp_path):
    shutil.copy(archive(), tmp_path)
    planned = steps()
    script = tmp_path / "script.sh"
    script.write_text("".join(f"printf '\\036'\n{command}\nprintf '\\037%s' $?\n" for _, command, _ in planned))
    become = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    ran = subprocess.run(
        [*NAMESPACES, *become, sys.executable, "-B", ENTER, tmp_path, script],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    output = (tmp_path / "output").read_text(errors="replace")
    journal = (tmp_path / "journal").read_text(errors="replace") if (tmp_path / "journal").exists() else ""
    parts = output.split("\x1e")[1:]
    for (where, command, wanted), part in zip(planned, parts, strict=False):
        said, _, code = part.partition("\x1f")
        done = subprocess.CompletedProcess(command, int(code or "255"), said, "" if code == "0" else journal[-1500:])
        check(where, done, command, must_fail=False, wanted=wanted)
    assert len(parts) == len(planned), output[-2000:]
    # What many may read holds nothing that lets somebody in.
    assert "warning: " not in journal
    assert "is ready after" in journal and "code=" not in journal and "crg_" not in journal
    for left in ("/usr/local/bin/crannog", "/etc/systemd/system/crannog.service", "/var/lib/crannog", "/var/lib/crannog-keys"):
        assert not Path(left).exists(), "the test left something on this machine"
