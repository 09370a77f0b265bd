"""The notices of third parties: every crate that is part of the program, with the licence texts that its source carries.

    notices.py > THIRD-PARTY-NOTICES

The crates are those that `cargo tree` resolves for the program on this platform, the texts the files that cargo has
unpacked. A crate without a licence text gets that of a crate from the same repository, or the plain Apache licence when it
is under that one; any other fails, so that nothing leaves without its text. A text that several crates share stands once. The
output depends on nothing but the lock file and the sources: sorted, without dates and paths.
"""

import html
import json
import re
import subprocess
import sys
import textwrap
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LICENCE_FILE = re.compile(r"^((un)?licen[cs]e|copying|copyright|notice)([-_.].*)?$", re.IGNORECASE)
NO_TEXT = {".rs", ".png", ".svg", ".html"}
RULE = "=" * 100


def output(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        sys.exit(f"notices: {' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def packages() -> list[dict]:
    """What the program is made of besides ourselves, as `cargo metadata` describes it."""
    tree = output("cargo", "tree", "--locked", "--package", "crannog", "--edges", "normal", "--prefix", "none", "--format", "{p}")
    parts = {tuple(line.split()[:2]) for line in tree.splitlines() if line.strip()}
    # Crates of other platforms are not on this machine.
    here = re.search(r"^host: (\S+)$", output("rustc", "-vV"), re.MULTILINE)[1]
    known = json.loads(output("cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", here))["packages"]
    found = [p for p in known if p["source"] and (p["name"], "v" + p["version"]) in parts]
    return sorted(found, key=lambda p: (p["name"], p["version"]))


def text_of(file: Path) -> str:
    lines = file.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip() for line in lines).strip("\n")


def texts(package: dict) -> list[str]:
    """The licence files of a crate, those of code that it brings along included."""
    folder = Path(package["manifest_path"]).parent
    files = [f for f in sorted(folder.rglob("*")) if f.is_file() and LICENCE_FILE.match(f.name) and f.suffix not in NO_TEXT]
    if package["license_file"]:
        files.append(folder / package["license_file"])
    # Some hold one line: where the text is, or the name of the licence.
    return list(dict.fromkeys(text for text in map(text_of, files) if "\n" in text))


def standard_library() -> str:
    """What the compiler's makers say of the library that every Rust program contains."""
    file = Path(output("rustc", "--print", "sysroot").strip()) / "share/doc/rust/COPYRIGHT-library.html"
    if not file.is_file():
        sys.exit(f"notices: {file} is not there; the Rust that rustup installs has it")
    plain = html.unescape(re.sub(r"<[^>]*>", "", file.read_text(encoding="utf-8")))
    return re.sub(r"\n(\s*\n)+", "\n\n", "\n".join(line.strip() for line in plain.splitlines())).strip()


def main():
    found = packages()
    by_repository = defaultdict(list)
    for package in found:
        by_repository[package["repository"]] += texts(package) if package["repository"] else []
    apache = text_of(ROOT / "LICENSE")
    users = defaultdict(list)
    for package in found:
        name = f"{package['name']} {package['version']}"
        own = texts(package) or list(dict.fromkeys(by_repository[package["repository"]]))
        if not own and "Apache-2.0" in (package["license"] or ""):
            own = [apache]
        if not own:
            sys.exit(f"notices: {name} ({package['license']}) has no licence text: neither it nor its repository's other crates")
        for text in own:
            users[text].append(name)
    print("Crannog contains the work of others: the crates below, the Rust standard library, and SQLite, which is in the public")
    print("domain. After the list stands each licence text with the crates whose source carries it.\n")
    for package in found:
        print(f"{package['name']} {package['version']}  {package['license']}  {package['repository'] or ''}".rstrip())
    for text, names in sorted(users.items(), key=lambda item: item[1]):
        print(f"\n{RULE}\n{textwrap.fill(', '.join(names), len(RULE), break_on_hyphens=False)}\n{RULE}\n\n{text}")
    print(f"\n{RULE}\nThe Rust standard library\n{RULE}\n\n{standard_library()}")


if __name__ == "__main__":
    main()
