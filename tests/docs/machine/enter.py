"""Runs a bash script on what looks like a machine of its own: enter.py FOLDER SCRIPT, in new mount, net and pid namespaces.

/usr/local/bin and /var/lib are empty, /etc is a copy, the loopback is nobody else's, and `systemctl` and `journalctl` are
those beside this file. Nothing that the script does is left when it ends; what it prints goes to FOLDER/output.
"""

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SIOCSIFFLAGS, IFF_UP = 0x8914, 1


def main(folder: Path, script: Path):
    etc = folder / "etc"
    shutil.copytree("/etc", etc, symlinks=True, ignore_dangling_symlinks=True, ignore=unreadable)
    for place in ("/usr/local/bin", "/var/lib"):
        subprocess.run(["mount", "-t", "tmpfs", "machine", place], check=True)
    subprocess.run(["mount", "--bind", etc, "/etc"], check=True)
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
    tools = folder / "tools"
    tools.mkdir()
    for name in ("systemctl", "journalctl"):
        (tools / name).write_text(f'#!/bin/sh\nexec {sys.executable} -B {HERE / "manager.py"} {name} {folder} "$@"\n')
        (tools / name).chmod(0o755)
    environment = {"PATH": f"{tools}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(folder), "LANG": "C.UTF-8"}
    with open(folder / "output", "wb") as out:
        subprocess.run(
            ["bash", script], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, check=False
        )


def unreadable(folder: str, names: list) -> list:
    """Of somebody else's, where this is not run by root."""
    return [name for name in names if not os.access(os.path.join(folder, name), os.R_OK)]


main(Path(sys.argv[1]), Path(sys.argv[2]))
