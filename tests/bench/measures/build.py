"""How long the development builds take: the everyday check from nothing, the same after one crate was touched, and the whole
build from nothing. Crates are downloaded before (that is the network's time).

It takes a quarter of an hour on two cores, so it only runs when it is named. It uses the machine's cargo, in a target folder of
its own.
"""

import os
import subprocess
import tempfile
import time
from pathlib import Path

from figures import Found, seconds
from harness import REPOSITORY

# The crate whose change makes the most of the light crates be checked again, but for the words that all of them share.
TOUCHED = REPOSITORY / "crates" / "kit" / "src" / "lib.rs"


def cargo(target: str, *arguments) -> float:
    """The seconds of one cargo command."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CARGO_PROFILE_")}
    began = time.monotonic()
    done = subprocess.run(
        ["cargo", *arguments, "--locked"], cwd=REPOSITORY, env={**environment, "CARGO_TARGET_DIR": target}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"cargo {' '.join(arguments)} failed: {done.stderr.strip()[-300:]}")
    return time.monotonic() - began


def measure() -> Found:
    found = Found()
    subprocess.run(["cargo", "fetch", "--locked"], cwd=REPOSITORY, capture_output=True, check=True)
    with tempfile.TemporaryDirectory(prefix="crannog-bench-") as folder:
        found.add("Everyday check (the light crates) from nothing", seconds(cargo(folder, "check")))
        os.utime(TOUCHED)
        found.add("… after one crate (kit) was touched", seconds(cargo(folder, "check")))
    with tempfile.TemporaryDirectory(prefix="crannog-bench-") as folder:
        found.add("Whole development build from nothing", seconds(cargo(folder, "build", "--package", "crannog")))
    return found
