"""The archive of `make dist`, made once a run from the tests' own binary."""

import atexit
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

from harness import REPOSITORY, binary


@functools.cache
def archive() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="crannog-dist-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    done = subprocess.run(
        [REPOSITORY / "scripts" / "dist", binary(), folder],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())
