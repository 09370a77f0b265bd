"""Delta logs written by hand, for tables that would take long to make: files that are named and described but not there."""

import json
from pathlib import Path

NOW = 1_700_000_000_000
IDS_A_FILE = 10_000


def add(number: int) -> dict:
    """The action for one file whose ids are its own; three of its columns have statistics like a real table's."""
    first = number * IDS_A_FILE
    low, high = {"id": first, "day": "2024-01-01", "name": "a", "price": 0.5}, {"id": first + IDS_A_FILE - 1, "day": "2024-12-31", "name": "z", "price": 99.5}
    stats = {"numRecords": IDS_A_FILE, "minValues": low, "maxValues": high, "nullCount": dict.fromkeys(low, 0)}
    return {
        "add": {
            "path": f"part-{number:06d}-0f0f0f0f-0000-4000-8000-{number:012d}-c000.snappy.parquet",
            "partitionValues": {},
            "size": 1_000_000,
            "modificationTime": NOW,
            "dataChange": True,
            "stats": json.dumps(stats),
        }
    }


def append_log(table: Path, version: int, actions: list[dict]):
    """Writes one commit."""
    info = {"commitInfo": {"timestamp": NOW + version, "operation": "WRITE", "operationParameters": {"mode": "Append"}, "isBlindAppend": True}}
    lines = [json.dumps(action) for action in (info, *actions)]
    (table / "_delta_log" / f"{version:020d}.json").write_text("\n".join(lines) + "\n", encoding="utf-8")
