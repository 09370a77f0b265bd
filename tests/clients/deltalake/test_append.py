"""deltalake 1.6 appends by path to an external table while we insert into it: no row is lost, none is there twice."""

import threading

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError
from harness import unique

APPENDS = 50
ROWS = 3  # an append


@pytest.fixture
def own(new_server, tmp_path):
    """The admin of a server of its own, in whose configuration `tmp_path` may hold external tables."""
    return new_server(environment={"CRANNOG_EXTERNAL_LOCATIONS": str(tmp_path)}).admin()


@pytest.fixture
def schema(own):
    name = unique("cat")
    own.client.catalogs.create(name)
    own.client.schemas.create("work", name)
    return f"{name}.work"


def appended(folder: str, rows: pa.Table):
    """One append as a careful user writes it: deltalake gives up after some lost races, and then it is tried again."""
    for left in reversed(range(20)):
        try:
            write_deltalake(folder, rows, mode="append", commit_properties=CommitProperties(max_commit_retries=100))
            return
        except CommitFailedError:
            if not left:
                raise


def together(*jobs):
    """Runs the jobs at the same time, from the same start, and raises what the first of them raised."""
    failed, start = [], threading.Barrier(len(jobs))

    def run(job):
        try:
            start.wait()
            job()
        except Exception as error:  # handed on below: a thread's own goes nowhere
            failed.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def batch(who: str, turn: int) -> pa.Table:
    return pa.table(
        {"who": [who] * ROWS, "turn": pa.array([turn] * ROWS, pa.int32()), "n": pa.array(range(ROWS), pa.int32())}
    )


def values(who: str, turn: int) -> str:
    return ", ".join(f"('{who}', {turn}, {n})" for n in range(ROWS))


@pytest.mark.parametrize("partitioned", [False, True], ids=["plain", "partitioned"])
def test_both_write_at_once(own, schema, tmp_path, partitioned):
    folder, name = str(tmp_path / "shared table"), f"{schema}.t"
    clause = "PARTITIONED BY (who) " if partitioned else ""
    own.sql(f"CREATE TABLE {name} (who STRING, turn INT, n INT) {clause}LOCATION 'file://{folder}'")

    def ours():
        for turn in range(APPENDS):
            own.sql(f"INSERT INTO {name} VALUES {values('ours', turn)}")

    def theirs():
        for turn in range(APPENDS):
            appended(folder, batch("theirs", turn))

    together(ours, theirs)

    wanted = sorted((who, turn, n) for who in ("ours", "theirs") for turn in range(APPENDS) for n in range(ROWS))
    by_sql = sorted((who, int(turn), int(n)) for who, turn, n in own.sql(f"SELECT who, turn, n FROM {name}"))
    assert by_sql == wanted
    table = DeltaTable(folder)
    by_path = sorted((row["who"], row["turn"], row["n"]) for row in table.to_pyarrow_table().to_pylist())
    assert by_path == wanted
    assert table.version() == 2 * APPENDS  # one commit each, after the one that made the table


def test_a_table_that_deltalake_made_is_taken_as_it_is(own, schema, tmp_path):
    folder, name = str(tmp_path / "made"), f"{schema}.made"
    write_deltalake(folder, batch("theirs", 0), partition_by=["who"])
    own.sql(f"CREATE TABLE {name} LOCATION 'file://{folder}'")
    assert own.sql(f"SELECT count(*), max(who) FROM {name}") == [[str(ROWS), "theirs"]]
    own.sql(f"INSERT INTO {name} VALUES {values('ours', 1)}")
    appended(folder, batch("theirs", 2))
    assert own.sql(f"SELECT who, count(*) FROM {name} GROUP BY who ORDER BY who") == [["ours", "3"], ["theirs", "6"]]
    assert DeltaTable(folder).to_pyarrow_table().num_rows == 3 * ROWS
    own.sql(f"DROP TABLE {name}")
    assert DeltaTable(folder).to_pyarrow_table().num_rows == 3 * ROWS


def test_a_folder_that_is_not_allowed_is_refused(own, schema, tmp_path):
    outside = tmp_path.parent / unique("outside")
    with pytest.raises(Exception, match="lists as an external location"):
        own.sql(f"CREATE TABLE {schema}.t (k INT) LOCATION 'file://{outside}'")
    assert not outside.exists()
