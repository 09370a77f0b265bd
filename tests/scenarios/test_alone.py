"""The demo's road with nothing but loopback: in a network namespace of its own, where no other machine can be reached.

What is downloaded before is the archive of the flights and the Python environments; the road itself asks for nothing more.
As root the namespace is made directly; others make it in a user namespace, which asks for no rights.
"""

import json
import os
import subprocess
from pathlib import Path

from harness import REPOSITORY, binary

ALONE = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crannog" / "downloads"


def test_the_road_needs_no_other_machine(tmp_path):
    import dataset

    dataset.archive(CACHE, tmp_path / "download.log")
    for part in ("demo", "models"):
        subprocess.run([REPOSITORY / "scripts" / "setup", "python", part], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    work = tmp_path / "work"
    # First that it is alone: the only address is loopback's, and there is no way to any other.
    script = (
        "set -e; PATH=$PATH:/usr/sbin:/sbin; ip link set lo up; ip -oneline address >\"$0/addresses\"; ip route >\"$0/routes\"; "
        'status=0; "$1" "$2" auto "$3" || status=$?; "$4" "$3"; exit $status'
    )
    arguments = [tmp_path, REPOSITORY / "scripts" / "demo", binary(), work, REPOSITORY / "scripts" / "demo-stop"]
    done = subprocess.run(
        [*ALONE, "sh", "-c", script, *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    addresses = (tmp_path / "addresses").read_text()
    assert "127.0.0.1" in addresses and all(line.split()[1] == "lo" for line in addresses.splitlines()), addresses
    assert (tmp_path / "routes").read_text() == ""
    summary = json.loads((work / "summary.json").read_text())
    assert {name: table["rows"] for name, table in summary["tables"].items()}["flights"] == 336776
    assert summary["after_grant"] == 3322 and len(summary["refusals"]) == 2
    assert summary["models"].keys() == {"champion", "challenger"} and len(summary["lineage"]) == 2
