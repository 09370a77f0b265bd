"""Servers on a disk of their own, which a test can fill, empty, make read-only and cut off from power.

The disk is mounted in a mount namespace that only the server and its keeper see, and that the kernel takes away with
them; nothing is left mounted whatever happens to the test. `/proc/PID/root` is the way into it.

A disk in memory needs no rights: without root it is mounted in a user namespace. A disk that can lose power is an ext4
file system on a loop device, and needs root.
"""

import fcntl
import os
import signal
import struct
import subprocess
import time
import urllib.error
import urllib.request
from json import loads
from pathlib import Path

from harness import Server, until

ROOT = os.geteuid() == 0
NEW_NAMESPACE = ["unshare", "--mount"] if ROOT else ["unshare", "--user", "--map-root-user", "--mount"]
# ext4's own way to lose power (ext4.h): nothing reaches the disk any more, the journal is not flushed.
EXT4_IOC_SHUTDOWN = (2 << 30) | (4 << 16) | (ord("X") << 8) | 125
WITHOUT_FLUSHING_THE_LOG = 2


def told(server: Server, path: str) -> tuple[int, dict]:
    """Status and JSON of a route of health."""
    try:
        with urllib.request.urlopen(f"{server.url}{path}", timeout=30) as answer:
            return answer.status, loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, loads(error.read())


def codes(server: Server, path: str = "/readyz") -> set[str]:
    """What a route of health complains of."""
    return {check["code"] for check in told(server, path)[1]["checks"] if check["status"] != "ok"}


def failing(server: Server) -> set[str]:
    """What `/livez` says is stuck."""
    status, found = told(server, "/livez")
    names = {check["name"] for check in found["checks"] if check["status"] != "ok"}
    assert (status == 503) == bool(names)
    return names


def fails_in_time(server: Server, what: str):
    """`/livez` names what is stuck within 10 s. That is no measure of speed: a probe has 5 s, a step of background work 7 s, and an
    answer is kept for 1 s, which is what the promise is made of."""
    began = time.monotonic()
    until(lambda: what in failing(server), f"livez fails by the {what}", within=30)
    assert time.monotonic() - began < 10


class OnItsOwnDisk(Server):
    """A server on a disk that this test mounted. `prepare` is what mounts it, in the keeper's namespace."""

    def __init__(self, *arguments: str):
        self.keeper = None
        super().__init__(*arguments)

    def before(self) -> list[str]:
        if self.keeper is None:
            self.mountpoint = self.folder / "disk"
            self.mountpoint.mkdir()
            # It ends when nobody can write to it any more: with this process, however that ends.
            self.keeper = subprocess.Popen(
                [*NEW_NAMESPACE, "sh", "-c", f"echo there; read line; {self.at_the_end()}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            assert self.keeper.stdout.readline() == b"there\n"
            self.prepare()
            self.data = Path(f"/proc/{self.keeper.pid}/root{self.where()}")
        return self.entering()

    def entering(self) -> list[str]:
        return ["nsenter", "--target", str(self.keeper.pid), *([] if ROOT else ["--user", "--preserve-credentials"]), "--mount"]

    def where(self) -> Path:
        return self.folder / "disk" / "data"

    def inside(self, *command: str):
        """Runs a command where the disk is seen."""
        done = subprocess.run([*self.entering(), *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"

    def at_the_end(self) -> str:
        """What the keeper runs last, in its namespace, however this process ends."""
        return ":"

    def prepare(self):
        raise NotImplementedError

    def stop(self):
        super().stop()
        if self.keeper is not None:
            self.keeper.communicate(b"\n")


class OnASmallDisk(OnItsOwnDisk):
    """A disk in memory. What is free is what a test says (`free`); nothing has to be written for that."""

    def prepare(self):
        self.inside("mount", "-t", "tmpfs", "-o", "size=4g,mode=700", "crannog-test", str(self.mountpoint))

    def free(self, size: int):
        seen = os.statvfs(f"/proc/{self.keeper.pid}/root{self.mountpoint}")
        used = (seen.f_blocks - seen.f_bfree) * seen.f_frsize
        self.inside("mount", "-o", f"remount,size={used + size}", str(self.mountpoint))


class OnADiskThatCanLosePower(OnItsOwnDisk):
    """ext4 on a loop device over a file in memory. What was not fsynced before `lose_power` is gone after it: the mount
    options keep the kernel from writing it out early, and from covering for a rename without fsync."""

    OPTIONS = "loop,noauto_da_alloc,commit=300"

    def prepare(self):
        self.inside("mount", "-t", "tmpfs", "-o", "size=2g", "crannog-test", str(self.mountpoint))
        # Not below the disk in memory: the loop device holds its file, the file its disk, and a disk what is mounted in it, so
        # that the end of the namespace would release none of them.
        self.image, self.ext4 = self.mountpoint / "image", self.folder / "ext4"
        self.ext4.mkdir()
        self.inside("truncate", "--size", "1G", str(self.image))
        self.inside("/sbin/mkfs.ext4", "-q", str(self.image))
        self.mount()

    def mount(self):
        self.inside("mount", "-o", self.OPTIONS, str(self.image), str(self.ext4))

    def where(self) -> Path:
        return self.folder / "ext4" / "data"

    def lose_power(self):
        """The disk first, while the server is at work; then the server, as a machine goes down."""
        self.cut = True
        folder = os.open(f"/proc/{self.keeper.pid}/root{self.ext4}", os.O_RDONLY)
        try:
            fcntl.ioctl(folder, EXT4_IOC_SHUTDOWN, struct.pack("I", WITHOUT_FLUSHING_THE_LOG))
        finally:
            os.close(folder)
        self.signal(signal.SIGKILL)

    def power_on(self):
        self.inside("umount", str(self.ext4))
        self.mount()
        self.cut = False
        self.start()


class OnADiskThatHangs(OnItsOwnDisk):
    """A part of the data folder, or all of it (`""`), on an ext4 of its own that can be frozen: a write to it waits until it is
    thawed, and cannot even be killed. That is why the keeper thaws it, too."""

    def __init__(self, part: str, *arguments: str):
        self.part = part
        super().__init__(*arguments)

    def prepare(self):
        self.inside("mount", "-t", "tmpfs", "-o", "size=2g", "crannog-test", str(self.mountpoint))
        image, ext4 = self.mountpoint / "image", str(self.frozen())
        self.inside("mkdir", "--parents", "--mode", "700", ext4)
        self.inside("truncate", "--size", "1G", str(image))
        self.inside("/sbin/mkfs.ext4", "-q", str(image))
        self.inside("mount", "-o", "loop", str(image), ext4)
        # What every new ext4 has; a data folder has nothing that is not the server's.
        self.inside("rmdir", f"{ext4}/lost+found")
        self.inside("chmod", "700", ext4)

    def where(self) -> Path:
        return self.folder / "data"

    def frozen(self) -> Path:
        return self.where() / self.part

    def at_the_end(self) -> str:
        return f"/sbin/fsfreeze --unfreeze {self.frozen()} 2>/dev/null"

    def freeze(self):
        self.inside("/sbin/fsfreeze", "--freeze", str(self.frozen()))

    def thaw(self):
        self.inside("/sbin/fsfreeze", "--unfreeze", str(self.frozen()))
