"""scripts/setup on machines that lack something, acted by a PATH of few real tools and some that only pretend.

Each machine is a folder: links to the tools that the script itself is written in, and shell scripts for what it looks for.
The pretended apt-get installs by making those, and writes down what it was asked. Nothing of the real machine is changed.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from harness import REPOSITORY

# What the script is written in. `id`, `apt-get` and what it looks for are each test's own.
TOOLS = "bash sh env dirname basename sed sort head tail cat tr cut mktemp mkdir rm touch readlink sha256sum flock ls chmod".split()

PROGRAMS = {
    "git": "exit 0",
    "make": "exit 0",
    "cc": "exit 0",
    "cargo": "echo 'cargo 1.95.0 (of a test)'",
}
# Answers the two questions of the script, and makes an environment whose pip installs nothing.
PYTHON = """
case "$*" in
    *version_info*) exit 0 ;;
    *ensurepip*) [ -e "$(dirname "$0")/.venv-package" ] ;;
    --version) echo 'Python 3.11.2' ;;
    *'-m venv '*) for last; do :; done; mkdir -p "$last/bin"; printf '#!/bin/sh\\nexit 0\\n' > "$last/bin/python"; chmod +x "$last/bin/python" ;;
esac
"""


class Machine:
    def __init__(self, folder: Path, user: int, without=()):
        self.folder, self.bin, self.asked = folder, folder / "bin", folder / "apt.log"
        self.bin.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))
        self.add("id", f"echo {user}")
        self.add("sudo", "echo sudo >> " + str(folder / "sudo.log"))
        for name, body in PROGRAMS.items():
            if name not in without:
                self.add(name, body)
        if "python3" not in without:
            self.add("python3", PYTHON)
        if "venv" not in without:
            (self.bin / ".venv-package").touch()

    def add(self, name: str, body: str):
        file = self.bin / name
        file.write_text(f"#!/bin/bash\n{body}\n")
        file.chmod(0o755)

    def with_apt(self, works=True):
        """apt-get that makes what it is asked for, or breaks."""
        program = f"printf '#!/bin/sh\\n' > {self.bin}/%s; chmod +x {self.bin}/%s"
        packages = {"git": program % ("git", "git"), "make": program % ("make", "make"), "gcc": program % ("cc", "cc")}
        packages["python3-venv"] = f": > {self.bin}/.venv-package"
        cases = "\n".join(f"{package}) {brings} ;;" for package, brings in packages.items())
        installs = f'for word; do case "$word" in\n{cases}\nesac; done'
        self.add("apt-get", f'echo "$*" >> {self.asked}\n' + (installs if works else "echo 'E: no network' >&2; exit 100"))
        return self

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        done = subprocess.run(
            [self.bin / "bash", REPOSITORY / "scripts" / "setup", *arguments],
            env={"PATH": str(self.bin), "HOME": str(self.folder), "XDG_CACHE_HOME": str(self.folder / "cache")},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert not (self.folder / "sudo.log").exists(), "it never calls sudo"
        return done


def machine(tmp_path, user=1000, without=()):
    return Machine(tmp_path, user, without)


def test_a_machine_with_everything_is_left_alone(tmp_path):
    done = machine(tmp_path).with_apt().run("demo")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "apt.log").exists()
    made = [f"setup: making the Python environment for the {purpose}" for purpose in ("demo", "models")]
    assert done.stderr.splitlines() == made
    again = subprocess.run(
        [tmp_path / "bin" / "bash", REPOSITORY / "scripts" / "setup", "demo"],
        env={"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("tool", "packages"),
    [
        ("git", "git"),
        ("make", "make"),
        ("cc", "gcc libc6-dev"),
        ("python3", "python3 python3-venv"),
        ("venv", "python3-venv"),
    ],
)
def test_without_root_one_apt_line_names_what_is_missing(tmp_path, tool, packages):
    done = machine(tmp_path, without=(tool,)).with_apt().run("demo")
    assert done.returncode == 2
    assert done.stdout == f"apt-get install --yes --no-install-recommends {packages}\n"
    assert not (tmp_path / "apt.log").exists(), "nothing is installed without root"


def test_without_root_one_line_is_for_all_of_it(tmp_path):
    done = machine(tmp_path, without=("git", "make", "cc", "venv", "cargo")).with_apt().run("demo")
    assert done.returncode == 2
    assert done.stdout == "apt-get install --yes --no-install-recommends git make gcc libc6-dev python3-venv\n"
    assert "rustup toolchain install 1.95" in done.stderr


def test_as_root_what_is_missing_is_installed_and_named(tmp_path):
    done = machine(tmp_path, user=0, without=("make", "cc", "venv")).with_apt().run("demo")
    assert done.returncode == 0, done.stderr
    assert "setup: installing with apt: make gcc libc6-dev python3-venv\n" in done.stderr
    installs = [line for line in (tmp_path / "apt.log").read_text().splitlines() if " install " in line]
    assert len(installs) == 1 and installs[0].endswith("make gcc libc6-dev python3-venv")


def test_as_root_a_failing_apt_is_told_with_its_last_lines(tmp_path):
    done = machine(tmp_path, user=0, without=("make",)).with_apt(works=False).run("demo")
    assert done.returncode == 1
    assert "E: no network" in done.stderr and "apt failed; its whole output:" in done.stderr


def test_without_apt_the_names_are_told(tmp_path):
    done = machine(tmp_path, user=0, without=("git", "make")).run("demo")
    assert done.returncode == 2
    assert "missing: git make; this machine has no apt" in done.stderr


@pytest.mark.parametrize("user", [0, 1000])
def test_an_old_rust_is_named_with_the_way_to_a_new_one(tmp_path, user):
    old = machine(tmp_path, user)
    old.add("cargo", "echo 'cargo 1.94.1 (of a test)'")
    done = old.run("demo")
    assert done.returncode == 2
    assert "Rust 1.95 or newer is needed" in done.stderr and "rustup toolchain install 1.95" in done.stderr


def test_as_root_rustup_brings_the_rust_that_is_missing(tmp_path):
    fresh = machine(tmp_path, user=0, without=("cargo",))
    fresh.add(
        "rustup",
        f"case \"$*\" in 'toolchain install 1.95'*) printf '#!/bin/sh\\necho cargo 1.95.0\\n' > {fresh.bin}/cargo; chmod +x {fresh.bin}/cargo ;; esac",
    )
    done = fresh.run("demo")
    assert done.returncode == 0, done.stderr
    assert "setup: installing with rustup: Rust 1.95\n" in done.stderr


def test_a_python_that_is_too_old_is_not_taken(tmp_path):
    old = machine(tmp_path)
    old.add("python3", "case \"$*\" in *version_info*) exit 1 ;; esac")
    done = old.run("demo")
    assert done.returncode == 2
    assert done.stdout == "apt-get install --yes --no-install-recommends python3 python3-venv\n" or "missing" in done.stderr


BROWSER = "echo 'Chromium 154.0.1 built on a test'"
# What Ubuntu's apt installs under this name.
SNAP = "echo 'Command requires the chromium snap to be installed.' >&2; exit 1"


def browser(machine: Machine, named: Path | None = None) -> subprocess.CompletedProcess:
    environment = {"PATH": str(machine.bin), "HOME": str(machine.folder)} | ({"CRANNOG_CHROMIUM": str(named)} if named else {})
    command = [machine.bin / "bash", REPOSITORY / "scripts" / "setup", "browser"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)


def test_the_browser_on_the_path_is_found_and_a_snaps_stand_in_is_none(tmp_path):
    ubuntu = machine(tmp_path)
    ubuntu.add("chromium-browser", SNAP)
    done = browser(ubuntu)
    assert (done.returncode, done.stdout) == (2, "")
    for word in ("sign-in pages", "CRANNOG_CHROMIUM=/path/to/chrome", "The demo needs none"):
        assert word in done.stderr, done.stderr
    ubuntu.add("google-chrome", BROWSER)
    assert browser(ubuntu).stdout == f"{ubuntu.bin}/google-chrome\n"
    ubuntu.add("chromium", BROWSER)
    assert browser(ubuntu).stdout == f"{ubuntu.bin}/chromium\n"


def test_the_browser_that_is_named_is_taken_or_refused(tmp_path):
    ubuntu = machine(tmp_path)
    ubuntu.add("chromium", BROWSER)
    own = tmp_path / "own browser"
    own.write_text(f"#!/bin/bash\n{BROWSER}\n")
    own.chmod(0o755)
    assert browser(ubuntu, own).stdout == f"{own}\n"
    for wrong, body in (("away", None), ("no browser", SNAP)):
        file = tmp_path / wrong
        if body:
            file.write_text(f"#!/bin/bash\n{body}\n")
            file.chmod(0o755)
        done = browser(ubuntu, file)
        assert done.returncode == 2 and f"CRANNOG_CHROMIUM={file} is no browser that starts" in done.stderr, done.stderr


def test_make_help_lists_every_target_with_what_it_does():
    done = subprocess.run(["make", "--no-print-directory", "help"], cwd=REPOSITORY, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    listed = {line.split()[1]: line for line in done.stdout.splitlines()}
    for target in ("help", "demo", "demo-stop", "demo-clean", "test", "soak", "bench", "dist"):
        assert len(listed[target].split()) > 4, target
    assert os.environ.get("MAKEFLAGS") or done.stderr == ""
