"""docs/measurements.md: one table for everything that `make bench` measured, and a section for each measure that has more.

A run replaces the rows and the section of the measures that it ran, and leaves the others with their own date.
"""

import os
import re
import time
from pathlib import Path

from figures import Found

HEAD = """# Measurements

Written by `make bench`, which runs both sides on one machine in one go; a run of one measure (`make bench ONLY=tpch`) replaces
its rows alone. The ratio is ours divided by the peer's. A target that is missed stays here until it is met.

"""
COLUMNS = ["Measure", "Ours", "Peer", "Ratio", "Target", "Met", "Command", "Date", "Machine"]


def machine() -> str:
    """Cores, memory, and how many others want the cores just now (the load of the last minute); nothing that names the machine."""
    memory = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[1]) / 1024**2
    return f"{len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB, load {os.getloadavg()[0]:.0f}"


def command(measure: str) -> str:
    return f"make bench ONLY={measure}"


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


class Report:
    """The file, taken apart. `order` is the order of measures in the table."""

    def __init__(self, path: Path, order: list[str]):
        self.path, self.order = path, order
        self.rows: dict[str, list[list[str]]] = {}
        self.sections: dict[str, str] = {}
        if not path.exists():
            return
        top, *sections = re.split(r"^## ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for line in top.splitlines():
            row = cells(line)
            if line.startswith("|") and len(row) == len(COLUMNS) and row != COLUMNS and set(row[0]) != {"-"}:
                measure = row[COLUMNS.index("Command")].strip("`").removeprefix(command(""))
                self.rows.setdefault(measure, []).append(row)
        for section in sections:
            name, _, text = section.partition("\n")
            self.sections[name.strip()] = text.strip()

    def replace(self, measure: str, found: Found, where: str):
        """Puts what a measure found on a machine in the place of what it had found before, and writes the file."""
        date = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
        met = {True: "yes", False: "**no**", None: ""}
        self.rows[measure] = [
            [row.measure, row.ours, row.peer, row.ratio, row.target, met[row.met], f"`{command(measure)}`", date, where]
            for row in found.rows
        ]
        self.sections.pop(measure, None)
        if found.details:
            self.sections[measure] = found.details.strip()
        self.write()

    def write(self):
        place = {name: at for at, name in enumerate(self.order)}
        # A measure that is no more leaves the file.
        rows = [row for name in self.order for row in self.rows.get(name, [])]
        lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
        lines += ["| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in row) + " |" for row in rows]
        named = sorted((name for name in self.sections if name in place), key=place.__getitem__)
        sections = [f"\n## {name}\n\n{self.sections[name]}\n" for name in named]
        self.path.write_text(HEAD + "\n".join(lines) + "\n" + "".join(sections), encoding="utf-8")
