"""Runs the command blocks of README.md and docs/*.md against a server, page by page, block by block, in order.

    ```console          each line that begins with `$ ` is a bash command (`> ` goes on with it), which must exit 0; the
                        other lines are output that must come in this order, `…` standing for anything
                        (lines between them may be left out)
    ```console fails    each command must exit with something else than 0
    ```sql              each statement must succeed through `crannog sql`
    ```sql refused      each statement must fail
    ```python           a script that must exit 0; databricks-sdk finds the server by DATABRICKS_HOST and DATABRICKS_TOKEN

A page has one new server and one empty folder. Variables that a command exports, and the folder it is in, hold for the
blocks after it. `crannog` is the built binary, CRANNOG_HOST and CRANNOG_TOKEN are the admin's, CRANNOG_DATA is the server's
data folder. Blocks in any other language are not run; `sh`, `bash` and `shell` are refused, so that no command is left out.
"""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness import REPOSITORY, Server, binary

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
RUN = ("console", "sql", "python")
UNRUN_COMMANDS = ("sh", "bash", "shell", "zsh", "shell-session")
FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^`\n]*)$")
COMMAND_SECONDS = 120


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the word after that, where it begins, and its lines."""

    language: str
    word: str
    line: int
    lines: tuple


def blocks(page: Path) -> list[Block]:
    found, opened = [], None
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = FENCE.match(line)
        if opened is None and fence:
            language, _, word = fence["info"].strip().partition(" ")
            opened = (language, word.strip(), number, len(fence["indent"]), [])
        elif opened is not None and fence and not fence["info"].strip():
            found.append(Block(*opened[:3], tuple(opened[4])))
            opened = None
        elif opened is not None:
            opened[4].append(line[min(opened[3], len(line) - len(line.lstrip())) :])
    assert opened is None, f"{page.name}: the block of line {opened and opened[2]} is not closed"
    return found


def commands(block: Block) -> list[tuple[str, list[str]]]:
    """The commands of a console block, each with the output that is shown below it."""
    found = []
    for line in block.lines:
        if line.startswith("$ "):
            found.append(([line[2:]], []))
        elif line.startswith("> ") and found and not found[-1][1]:
            found[-1][0].append(line[2:])
        elif line.strip():
            assert found, f"line {block.line}: output before the first command"
            found[-1][1].append(line)
    return [("\n".join(lines), output) for lines, output in found]


def statements(block: Block) -> list[str]:
    """The statements of an SQL block; a semicolon at the end of a line ends one. Comment lines are left out."""
    text = "\n".join(line for line in block.lines if not line.lstrip().startswith("--"))
    return [part.strip() for part in re.split(r";[ \t]*(?:\n|$)", text) if part.strip()]


class Shell:
    """Runs commands one after the other as one bash session would, beside the server of a page."""

    def __init__(self, server: Server, folder: Path):
        tools = folder / "bin"
        work = folder / "work"
        tools.mkdir()
        work.mkdir()
        (tools / "crannog").symlink_to(binary().resolve())
        self.state = folder / "state.sh"
        self.state.write_text(f"cd {shlex.quote(str(work))}\n")
        kept = {
            k: v for k, v in os.environ.items() if not k.startswith(("CRANNOG_", "DATABRICKS_")) and not k.lower().endswith("_proxy")
        }
        self.environment = kept | {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "HOME": str(folder),
            "CRANNOG_HOST": server.url,
            "CRANNOG_TOKEN": server.admin_token,
            "DATABRICKS_HOST": server.url,
            "DATABRICKS_TOKEN": server.admin_token,
            "DATABRICKS_CONFIG_FILE": os.devnull,
            "CRANNOG_DATA": str(server.data),
            "NO_COLOR": "1",
        }

    def run(self, command: str) -> subprocess.CompletedProcess:
        state = shlex.quote(str(self.state))
        keep = f'{{ export -p; printf "cd %q\\n" "$PWD"; }} > {state}'
        script = f". {state}\ntrap {shlex.quote(keep)} EXIT\nset -o pipefail\n{command}\n"
        return subprocess.run(
            ["bash", "-c", script],
            env=self.environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=COMMAND_SECONDS,
            check=False,
        )


def shows(output: str, wanted: list[str]) -> str | None:
    """The first wanted line that does not come after those before it; None when all do. Runs of blanks count as one."""
    rest = [" ".join(line.split()) for line in output.splitlines()]
    for line in (line for line in wanted if line.strip() != "…"):
        pattern = re.compile(".*".join(re.escape(part) for part in " ".join(line.split()).split("…")))
        at = next((n for n, text in enumerate(rest) if pattern.fullmatch(text)), None)
        if at is None:
            return line
        rest = rest[at + 1 :]
    return None


def check(where: str, done: subprocess.CompletedProcess, what: str, must_fail: bool, wanted: list[str] = ()):
    said = f"{where}: {what}\nexit code {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    assert (done.returncode != 0) == must_fail, said
    absent = shows(done.stdout + done.stderr, list(wanted))
    assert absent is None, f"{said}\nnot shown: {absent}"


def test_each_block_says_how_it_is_run():
    wrong = []
    for page in PAGES:
        for block in blocks(page):
            allowed = {"console": ("", "fails"), "sql": ("", "refused"), "python": ("",)}.get(block.language)
            if block.language in UNRUN_COMMANDS or (allowed is not None and block.word not in allowed):
                wrong.append(f"{page.name}:{block.line}: ```{block.language} {block.word}")
            if block.language == "" or (block.language == "console" and not commands(block)):
                wrong.append(f"{page.name}:{block.line}: a block without a language or without a command")
    assert wrong == []


@pytest.mark.parametrize("page", [p for p in PAGES if any(b.language in RUN for b in blocks(p))], ids=lambda p: p.name)
def test_the_blocks_of_a_page_run(page, tmp_path):
    with Server() as server:
        shell = Shell(server, tmp_path)
        for block in blocks(page):
            where = f"{page.relative_to(REPOSITORY)}:{block.line}"
            if block.language == "console":
                for command, output in commands(block):
                    check(where, shell.run(command), command, block.word == "fails", output)
            elif block.language == "sql":
                for statement in statements(block):
                    done = shell.run(f"crannog sql -e {shlex.quote(statement)}")
                    check(where, done, statement, block.word == "refused")
            elif block.language == "python":
                script = tmp_path / "block.py"
                script.write_text("\n".join(block.lines), encoding="utf-8")
                check(where, shell.run(f"{shlex.quote(sys.executable)} -B {shlex.quote(str(script))}"), "the script", False)
