"""Holds the tables and names in the documents to the sources that they are about. Needs no server.

Options, privileges, actions, crates, make targets, decisions and links: whoever changes one of them in the
code is told here which page to change with it.
"""

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
PAGES = [REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]


def source(path: str) -> str:
    return (REPOSITORY / path).read_text(encoding="utf-8")


def table(page: str, heading: str) -> list[list[str]]:
    """The rows of the first table below a heading, cells without backticks and blanks."""
    text = source(page)
    assert heading in text, f"{page} has no heading {heading!r}"
    rows = []
    for line in text.split(heading, 1)[1].splitlines():
        if line.startswith("|"):
            cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
            rows.append([cell.strip().strip("`").replace("\\|", "|") for cell in cells])
        elif rows:
            break
    return rows[2:]


def rust_strings(text: str) -> list[str]:
    """Rust's string literals, with lines that end in a backslash joined."""
    return [re.sub(r"\\\n\s*", "", part) for part in re.findall(r'"((?:[^"\\]|\\.|\\\n)*)"', text)]


def test_the_options_are_those_of_the_program():
    text = source("crates/kit/src/config.rs")
    listed = text.split("pub const OPTIONS", 1)[1].split("\n];", 1)[0]
    options = []
    for entry in re.split(r"\n    opt\(", listed)[1:]:
        entry = re.sub(r"Kind::Word\([^)]*\)", "", entry)
        key, default, *_ = rust_strings(entry)
        options.append([key, f"CRANNOG_{key.replace('.', '_').upper()}", default])
    written = [[row[0], row[1], row[2]] for row in table("docs/operations.md", "## Configuration")]
    assert written == options


def test_the_privileges_are_those_of_the_program():
    text = source("crates/security/src/privileges.rs").split("\nprivileges! {", 1)[1].split("\n}", 1)[0]
    real = [[name, ", ".join(re.findall(r"\w+", on)).lower()] for name, on in re.findall(r'= "([^"]+)" on ([\w |]+);', text)]
    kinds = {"secretscope": "secret scope"}
    real = [[name, ", ".join(kinds.get(k, k) for k in on.split(", "))] for name, on in real]
    assert [row[:2] for row in table("docs/access.md", "## Privileges")] == real


def test_the_actions_are_those_of_the_program():
    text = source("crates/security/src/actions.rs").split("\nactions! {", 1)[1]
    real, room = [], None
    for line in text.splitlines():
        opened = re.match(r"    (\w+) on \w+ \{", line)
        room = opened[1] if opened else room
        action = re.match(r'        \w+ = "(\w+)": Rule::', line)
        if action:
            real.append(f"{room}.{action[1]}")
    assert [row[0] for row in table("docs/access.md", "## Actions")] == real


def test_the_crates_and_their_arrows_are_those_of_the_workspace():
    real = {}
    for manifest in sorted((REPOSITORY / "crates").glob("*/Cargo.toml")):
        dependencies = manifest.read_text().split("\n[dependencies]\n", 1)[-1].split("\n[", 1)[0]
        real[manifest.parent.name] = set(re.findall(r"^crannog-(\w+)", dependencies, re.MULTILINE))
    written = {row[0]: set(re.findall(r"\w+", row[1])) for row in table("docs/ARCHITECTURE.md", "## Crates")}
    assert written == real


def test_the_limits_of_files_and_statements_that_are_named_exist():
    refused = source("crates/lake/src/grammar/refusals.rs")
    for row in table("docs/tables.md", "## Refused"):
        for words in row[0].replace("`", "").split(", "):
            assert f'"{words}"' in refused or words in source("crates/lake/tests/statements.txt"), words
    known = source("crates/engine/src/files/options.rs")
    for row in table("docs/tables.md", "## Options of reading files"):
        for option in row[0].replace("`", "").split(", "):
            assert f'"{option.lower()}"' in known, option


def test_the_table_features_are_those_of_the_program():
    text = source("crates/lake/src/model/features.rs")

    def listed(name: str) -> list[str]:
        return rust_strings(re.search(rf"const {name}: [^=]+=\s*&\[(.*?)\];", text, re.DOTALL)[1])

    readable, writable, both = (set(listed(name)) for name in ("READABLE", "WRITABLE", "READER_WRITER"))
    numbered = re.search(r"LEGACY_WRITER: .*?\];", text, re.DOTALL)[0]
    old = {feature: version for version, feature in re.findall(r'\((\d), "(\w+)"\)', numbered)}
    code = "".join(path.read_text() for crate in ("lake", "engine") for path in (REPOSITORY / "crates" / crate / "src").rglob("*.rs"))
    told, rows = set(), table("docs/tables.md", "### Table features")
    for names, binds, version, read, written, refused in rows:
        for feature in names.replace("`", "").split(", "):
            told.add(feature)
            readers = feature in readable | both | {"catalogManaged"}
            assert binds == ("both" if readers else "writers"), feature
            assert version == old.get(feature, ""), feature
            assert (read == "no") == (readers and feature not in readable), feature
            assert (written == "no") == (feature not in writable), feature
            assert bool(refused) or read == written.split(",")[0].split(";")[0] == "yes", feature
        pattern = ".*?".join(re.escape(part) for part in refused.split("…"))
        assert re.search(pattern, code), refused
    assert told >= readable | writable | both | set(old)
    properties = set(re.findall(r'refuse\((?:flag\(\)\?|true|value != "none"), "(\w+)"\)', text))
    assert properties and properties <= told


def test_make_targets_files_and_links_exist():
    targets = set(re.findall(r"^([a-z-]+):", source("Makefile"), re.MULTILINE))
    wrong = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        where = page.relative_to(REPOSITORY)
        wrong += [f"{where}: make {t}" for t in re.findall(r"`(?:DEV=1 )?make ([a-z-]+)", text) if t not in targets]
        for path in re.findall(r"`((?:crates|scripts|tests|docs)/[\w./-]+)`", text):
            if not (REPOSITORY / path).exists():
                wrong.append(f"{where}: {path}")
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            if not (page.parent / link).exists():
                wrong.append(f"{where}: {link}")
    assert wrong == []


def test_the_decisions_are_numbered_and_listed():
    files = sorted(p.name for p in (DOCS / "adr").glob("*.md"))
    assert [name[:4] for name in files] == [f"{n:04}" for n in range(1, len(files) + 1)]
    listed = re.findall(r"\(adr/([\w-]+\.md)\)", source("docs/ARCHITECTURE.md"))
    assert sorted(set(listed)) == files
