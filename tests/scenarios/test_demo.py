"""The flights demo on the built binary and an empty folder: the same script that `make demo` runs, its figures counted
anew from the CSV files with polars, which shares no code with the server.

On SQLite it runs with nothing but loopback, in a network namespace of its own, where no other machine can be reached: what is
downloaded before is the archive of the flights and the Python environments, and the road itself asks for nothing more. As root the
namespace is made directly; others make it in a user namespace, which asks for no rights.
"""

import json
import os
import re
import socket
import subprocess
from pathlib import Path

import dataset
import features
import polars as pl
import pytest
import server
from harness import REPOSITORY, binary, new_database

ALONE = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
# Brings loopback up and writes down which addresses there are, and which ways to others.
LOOPBACK = 'set -e; PATH=$PATH:/usr/sbin:/sbin; ip link set lo up; ip -oneline address >"$0/addresses"; ip route >"$0/routes"; exec "$@"'
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crannog" / "downloads"
DATABASE = os.environ.get("CRANNOG_TEST_DATABASE_URL")


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    yield folder
    subprocess.run([REPOSITORY / "scripts" / "demo-stop", folder], check=True, stdin=subprocess.DEVNULL)


def drive(work: Path, environment: dict) -> tuple[str, dict]:
    alone = [] if DATABASE else [*ALONE, "sh", "-c", LOOPBACK, work]
    done = subprocess.run(
        [*alone, REPOSITORY / "scripts" / "demo", binary(), "auto", work],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "ignore", **environment},
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout, json.loads((work / "summary.json").read_text())


@pytest.fixture(scope="module")
def environment():
    """Of both runs: the database, when it is another than the one of a new folder."""
    return {"CRANNOG_DATABASE_URL": new_database(DATABASE)} if DATABASE else {}


@pytest.fixture(scope="module")
def first(work, environment):
    dataset.archive(CACHE, work / "download.log")
    for part in ("demo", "models"):
        subprocess.run([REPOSITORY / "scripts" / "setup", "python", part], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return drive(work, environment)


def test_the_road_needs_no_other_machine(first, work):
    if DATABASE:  # which is on the other side
        assert not (work / "data" / "meta.db").exists()
        return
    addresses = (work / "addresses").read_text()
    assert "127.0.0.1" in addresses and all(line.split()[1] == "lo" for line in addresses.splitlines()), addresses
    assert (work / "routes").read_text() == ""


def csv(work: Path, name: str) -> pl.DataFrame:
    return pl.read_csv(work / "csv" / f"{name}.csv", null_values="NA", infer_schema_length=None)


def test_the_tables_hold_the_files(first, work):
    tables = first[1]["tables"]
    assert {n: t["rows"] for n, t in tables.items()} == {
        "flights": 336776,
        "weather": 26115,
        "planes": 3322,
        "airports": 1458,
        "airlines": 16,
    }
    for name, table in tables.items():
        frame = csv(work, name)
        assert table["rows"] == frame.height == table["loaded_now"]
        assert table["loaded_again"] == 0
        assert table["nulls"] == {column: frame[column].null_count() for column in table["nulls"]}
    assert first[1]["time_hour"] == {"type": "TIMESTAMP", "first": "2013-01-01 10:00:00", "last": "2014-01-01 04:00:00"}


def answers(summary, who, number):
    return summary["answers"][f"{who}@example.com"][number]["rows"]


def test_anas_answers_are_those_of_the_files(first, work):
    flights, airports = csv(work, "flights"), csv(work, "airports")
    summary = first[1]
    late = (
        flights.group_by("carrier")
        .agg(pl.col("arr_delay").count().alias("n"), pl.col("arr_delay").mean().alias("m"))
        .sort("m", descending=True)
        .head(5)
    )
    assert answers(summary, "ana", 0) == [[c, n, pytest.approx(m, abs=0.0501)] for c, n, m in late.rows()]
    routes = (
        flights.join(airports, left_on="dest", right_on="faa")
        .group_by("origin", "dest", "name")
        .len()
        .sort("len", "origin", "dest", descending=[True, False, False])
        .head(5)
    )
    assert answers(summary, "ana", 1) == [list(r) for r in routes.rows()]
    months = (
        flights.group_by("month")
        .agg(pl.len(), pl.col("dep_time").null_count().alias("c"))
        .sort("c", "month", descending=[True, False])
        .head(5)
    )
    assert answers(summary, "ana", 3) == [list(r) for r in months.rows()]


def test_bens_answers_are_those_of_the_files(first, work):
    flights, planes, weather = (csv(work, n) for n in ("flights", "planes", "weather"))
    summary = first[1]
    makers = (
        flights.join(planes, on="tailnum")
        .group_by("manufacturer")
        .agg(pl.col("tailnum").n_unique(), pl.len())
        .sort("len", descending=True)
        .head(5)
    )
    assert answers(summary, "ben", 0) == [list(r) for r in makers.rows()]
    sky = (
        flights.join(weather, on=["origin", "time_hour"])
        .with_columns(pl.when(pl.col("precip") > 0).then(pl.lit("wet")).otherwise(pl.lit("dry")).alias("sky"))
        .group_by("sky")
        .agg(pl.len(), pl.col("dep_delay").mean().alias("m"))
        .sort("sky")
    )
    assert answers(summary, "ben", 2) == [[s, n, pytest.approx(m, abs=0.0501)] for s, n, m in sky.rows()]


def test_ana_is_refused_granted_and_refused(first):
    summary = first[1]
    assert len(summary["refusals"]) == 2
    assert all("SELECT on main.flights.planes" in r["message"] for r in summary["refusals"])
    assert summary["after_grant"] == 3322
    assert summary["credentials"]["error_code"] == "PERMISSION_DENIED"
    assert "tailnum" not in summary["view_columns"] and len(summary["view_columns"]) == 18


def test_two_models_are_as_good_as_their_figures_and_know_their_tables(first):
    told, summary = first
    models = summary["models"]
    assert {alias: model["trained_now"] for alias, model in models.items()} == {"champion": True, "challenger": True}
    assert models["champion"]["auc"] == pytest.approx(features.AUC["champion"], abs=features.TOLERANCE)
    assert models["challenger"]["auc"] == pytest.approx(features.AUC["challenger"], abs=features.TOLERANCE)
    made = [
        [models["champion"]["version"], table, 1, models["champion"]["run_id"], "ben@example.com"]
        for table in ("main.flights.flights", "main.flights.weather")
    ]
    assert summary["lineage"] == made
    assert "main.flights.late@champion" in told and models["champion"]["run_id"] in told


def test_whoever_is_late_is_late_by_the_files(work, first):
    """The rows that the models learn from, counted anew."""
    arrived = csv(work, "flights").filter(pl.col("arr_delay").is_not_null())
    learned = arrived.filter(pl.col("month") <= features.LAST_MONTH).height
    assert (learned, arrived.height - learned) == features.FLIGHTS


def test_the_times_of_the_parts_are_told_apart(first):
    """How long the road takes is measured by `make bench`; here, that what is printed is what was taken."""
    told, summary = first
    road = re.search(r"downloads [0-9.]+ s.*the road ([0-9.]+) s", told)
    assert road and float(road.group(1)) == pytest.approx(summary["seconds"]["road"], abs=0.06), told


def test_a_second_run_gives_the_same(first, work, environment):
    _, again = drive(work, environment)
    assert again["answers"] == first[1]["answers"]
    assert {t["loaded_now"] for t in again["tables"].values()} == {0}
    for name, table in again["tables"].items():
        assert (table["rows"], table["nulls"]) == (first[1]["tables"][name]["rows"], first[1]["tables"][name]["nulls"])
    assert again["refusals"] == first[1]["refusals"]
    same = [{n: v for n, v in model.items() if n != "trained_now"} for model in again["models"].values()]
    assert same == [{n: v for n, v in model.items() if n != "trained_now"} for model in first[1]["models"].values()]
    assert not any(model["trained_now"] for model in again["models"].values())
    assert again["lineage"] == first[1]["lineage"]
    assert again["history"] == first[1]["history"] or again["history"].keys() == first[1]["history"].keys()
    assert (work / "server.json").is_file()


def test_a_taken_port_is_replaced_and_the_server_that_has_it_is_left_alone(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (tmp_path / "work").mkdir()
        known = server.start(binary(), f"127.0.0.1:{port}", tmp_path / "work")
        try:
            assert known["address"] != f"127.0.0.1:{port}" and server.ready(known["address"])
        finally:
            assert server.stop(tmp_path / "work") == known["pid"]


def test_a_failing_step_is_named_with_its_log(tmp_path):
    done = subprocess.run(
        [REPOSITORY / "scripts" / "demo", "/bin/false", "auto", tmp_path],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 1
    assert "«the server»" in done.stderr and str(tmp_path / "server.log") in done.stderr
