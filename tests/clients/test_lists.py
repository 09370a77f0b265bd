"""Holds the two lists: every test file is either run (enabled.txt) or a known gap with its reason (gaps.txt).

A test that cannot pass yet is never skipped inside its file; its file waits in gaps.txt, where it is seen.
"""

import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
MOST_GAPS = 0  # may only be lowered


def listed(name: str) -> list[list[str]]:
    lines = (HERE / name).read_text().splitlines()
    return [line.split(None, 1) for line in lines if line.strip() and not line.startswith("#")]


def test_each_file_is_enabled_or_a_gap_with_a_reason():
    there = sorted(
        str(p.relative_to(HERE.parent))
        for folder in ("clients", "docs", "packaging", "scenarios")
        for p in (HERE.parent / folder).rglob("test_*.py")
    )
    enabled, gaps = [e[0] for e in listed("enabled.txt")], listed("gaps.txt")
    assert sorted(enabled + [g[0] for g in gaps]) == there
    assert [g[0] for g in gaps if len(g) < 2] == [], "a gap without a reason"
    assert {e[1].strip() for e in listed("enabled.txt") if len(e) > 1} == {"once"}, "a word that `make test` does not know"


def test_gaps_only_shrink():
    assert len(listed("gaps.txt")) <= MOST_GAPS


def test_nothing_is_skipped_inside_a_file():
    hiding = re.compile(r"mark\.(skip|xfail)|pytest\.(skip|xfail)\(|importorskip")
    found = [
        str(p)
        for folder in ("clients", "docs", "packaging", "scenarios")
        for p in (HERE.parent / folder).rglob("test_*.py")
        if p.name != "test_lists.py" and hiding.search(p.read_text())
    ]
    assert found == []
