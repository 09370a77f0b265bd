"""As much of systemctl and journalctl as install.md uses, over the real unit: manager.py systemctl|journalctl FOLDER …

It reads the unit from /etc/systemd/system, makes its StateDirectory, starts ExecStart as its User with its environment, and
waits for READY=1 on the socket that it hands over, as `Type=notify` has it. FOLDER holds the journal and the pid.
"""

import os
import pwd
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

UNITS = Path("/etc/systemd/system")
WITHIN = 60


def settings(unit: Path) -> dict:
    found = {}
    for line in unit.read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def main(program: str, folder: Path, words: list) -> int:
    journal, pidfile = folder / "journal", folder / "pid"
    if program == "journalctl":
        assert words[:1] == ["-u"], words
        sys.stdout.write(journal.read_text())
        return 0
    verb, names = words[0], [word for word in words[1:] if not word.startswith("-")]
    if verb == "daemon-reload":
        return 0
    (name,) = names
    unit = UNITS / f"{name}.service"
    if not unit.is_file():
        print(f"Failed to {verb} {name}.service: Unit {name}.service not found.", file=sys.stderr)
        return 5
    if verb in ("stop", "restart", "disable"):
        stop(pidfile)
    if verb in ("start", "restart", "enable"):
        return start(settings(unit), journal, pidfile)
    return 0


def start(unit: dict, journal: Path, pidfile: Path) -> int:
    (user,), (state,), (command,) = unit["User"], unit["StateDirectory"], unit["ExecStart"]
    person = pwd.getpwnam(user)
    become = {}
    if Path("/proc/self/uid_map").read_text().split()[2] != "1":  # else there is no user but root in here
        become = {"user": person.pw_uid, "group": person.pw_gid, "extra_groups": []}
    for name in state.split():
        folder = Path("/var/lib") / name
        folder.mkdir(mode=0o700, exist_ok=True)
        if become:
            os.chown(folder, person.pw_uid, person.pw_gid)
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "USER": user, "HOME": person.pw_dir}
    lines = list(unit.get("Environment", []))
    for file in unit.get("EnvironmentFile", []):
        file = Path(file.removeprefix("-"))
        lines += file.read_text().splitlines() if file.exists() else []
    environment |= dict(line.split("=", 1) for line in lines if "=" in line)
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(f"\0machine-{os.getpid()}")
    told.settimeout(0.1)
    environment["NOTIFY_SOCKET"] = f"@machine-{os.getpid()}"
    with open(journal, "ab") as out:
        child = subprocess.Popen(
            command.split(), env=environment, cwd=unit["WorkingDirectory"][0], stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, umask=0o077, **become
        )
    deadline = time.monotonic() + WITHIN
    while child.poll() is None and time.monotonic() < deadline:
        try:
            if told.recv(100) == b"READY=1":
                pidfile.write_text(str(child.pid))
                return 0
        except TimeoutError:
            pass
    print("Job for crannog.service failed because the control process exited with error code.", file=sys.stderr)
    return 1


def stop(pidfile: Path):
    if not pidfile.exists():
        return
    pid = int(pidfile.read_text())
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + WITHIN
    while lives(pid):
        assert time.monotonic() < deadline, "the server did not stop"
        time.sleep(0.02)
    pidfile.unlink()


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


sys.exit(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]))
