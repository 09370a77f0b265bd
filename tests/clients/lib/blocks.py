"""The command blocks of a page of documentation: read from it, and their output held to what the page shows."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^`\n]*)$")


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
