"""The driver of `make bench`: runs the measures that it is given (when it is given none, all but the long ones) one after
the other on CRANNOG_BIN, prints what they find, and writes it to docs/measurements.md.

Exits with 1 when a target is missed, 2 when it is asked for a measure that there is not. A measure that breaks is a row
that says so, and the others go on.
"""

import importlib
import os
import sys
import time
import traceback
from pathlib import Path

BENCH = Path(__file__).resolve().parent
REPOSITORY = BENCH.parents[1]
sys.path[:0] = [str(BENCH), str(REPOSITORY / "tests" / "clients" / "lib"), str(REPOSITORY / "scripts" / "flights")]
for _name in [n for n in os.environ if n.startswith(("DATABRICKS_", "CRANNOG_HOST", "CRANNOG_TOKEN"))]:
    del os.environ[_name]
os.environ["DATABRICKS_CONFIG_FILE"] = os.devnull
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"

from figures import Found, Row  # noqa: E402
from report import Report, machine  # noqa: E402

MEASURES = ["tpch", "appends", "planning", "cold_open", "listing", "tokens", "start", "files", "road", "tracking", "importing", "release", "build"]
# Only when they are asked for: they build everything from nothing, or fill a database for minutes first.
LONG = {"importing", "release", "build"}


def measured(name: str) -> Found:
    try:
        return importlib.import_module(f"measures.{name}").measure()
    except Exception as error:  # noqa: BLE001 one that breaks must not take the others along
        traceback.print_exc()
        cause = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        return Found([Row(name, f"not measured: {cause}", target="is measured", met=False)])


def main(asked: list[str]) -> int:
    unknown = [name for name in asked if name not in MEASURES]
    if unknown:
        print(f"bench: there is no measure {unknown[0]}; there are {', '.join(MEASURES)}", file=sys.stderr)
        return 2
    report = Report(Path(os.environ.get("CRANNOG_BENCH_REPORT", REPOSITORY / "docs" / "measurements.md")), MEASURES)
    missed = []
    for name in asked or [name for name in MEASURES if name not in LONG]:
        began, where = time.monotonic(), machine()
        print(f"== {name}", flush=True)
        found = measured(name)
        report.replace(name, found, where)
        for row in found.rows:
            verdict = {True: "met", False: "MISSED", None: ""}[row.met]
            shown = [row.measure, row.ours, row.peer and f"peer {row.peer}", row.ratio and f"ratio {row.ratio}"]
            print("   ", "  ".join(filter(None, [*shown, row.target and f"target {row.target}", verdict])))
        missed += [row for row in found.rows if row.met is False]
        print(f"   in {time.monotonic() - began:.0f} s", flush=True)
    for row in missed:
        print(f"missed: {row.measure}: {row.ours}, target {row.target}")
    return 1 if missed else 0


sys.exit(main([name for argument in sys.argv[1:] for name in argument.replace(",", " ").split()]))
