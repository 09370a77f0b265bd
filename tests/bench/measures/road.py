"""The demo's road, from the start of the server to the last line, on the flights of New York 2013; every figure that it
checks must be right."""

import json
import subprocess
import tempfile
from pathlib import Path

from figures import Found, seconds
from harness import REPOSITORY, binary


def measure() -> Found:
    found = Found()
    with tempfile.TemporaryDirectory(prefix="crannog-bench-") as scratch:
        try:
            done = subprocess.run(
                [REPOSITORY / "scripts" / "demo", binary(), "auto", scratch], capture_output=True, text=True, check=False, timeout=600
            )
            if done.returncode != 0:
                raise RuntimeError(f"the demo failed: {done.stderr.strip()[-300:]}")
            took = json.loads((Path(scratch) / "summary.json").read_text())["seconds"]["road"]
        finally:
            subprocess.run([REPOSITORY / "scripts" / "demo-stop", scratch], capture_output=True, check=False)
    found.add("The demo's road", seconds(took), target="< 60 s", met=took < 60)
    return found
