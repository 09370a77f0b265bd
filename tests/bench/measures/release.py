"""How long the release build takes from nothing, which is what a first `make demo` waits for. Crates are downloaded before.

It only runs when it is named. CRANNOG_BENCH_RELEASE_TARGET names an empty folder that is to keep what was built, for the other
measures to go on with.
"""

import os
import subprocess
import tempfile
from contextlib import nullcontext
from pathlib import Path

from figures import Found, seconds
from harness import REPOSITORY

from measures.build import cargo


def measure() -> Found:
    found = Found()
    subprocess.run(["cargo", "fetch", "--locked"], cwd=REPOSITORY, capture_output=True, check=True)
    kept = os.environ.get("CRANNOG_BENCH_RELEASE_TARGET")
    with nullcontext(kept) if kept else tempfile.TemporaryDirectory(prefix="crannog-bench-") as folder:
        if Path(folder).exists() and any(Path(folder).iterdir()):
            raise RuntimeError(f"{folder} is not empty: a build from nothing would not be measured")
        took = cargo(folder, "build", "--release", "--package", "crannog")
        found.add("Release build from nothing", seconds(took), target="≤ 25 min on 2 cores", met=took <= 25 * 60)
    return found
