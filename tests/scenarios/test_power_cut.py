"""Power cuts while clients work, on a real file system: what was acknowledged is there exactly once, nothing is half made.

The server's data folder, with SQLite's database in it, lies on an ext4 of its own. A cut stops that file system in the
middle of the work, so that everything that was not fsynced is lost; the server is killed, the file system is mounted again
(its journal is replayed, as after any cut) and the server started on it. Then the ledger is held against it, as in
test_killed.py. Cutting a disk off needs root: for others the process alone is killed, and the test says so.

CRANNOG_CUTS is how often (20), CRANNOG_SEED chooses the moments (1).
"""

import os
import random
import signal
import time
import warnings

from disks import ROOT, OnADiskThatCanLosePower
from harness import Server
from ledger import Work, look, look_at_folders, work_until

CUTS = int(os.environ.get("CRANNOG_CUTS", "20"))
SEED = int(os.environ.get("CRANNOG_SEED", "1"))
CUTS_A_CATALOG = 4


class OnlyKilled(Server):
    def lose_power(self):
        self.signal(signal.SIGKILL)

    def power_on(self):
        self.start()


def server() -> Server:
    if ROOT:
        return OnADiskThatCanLosePower()
    warnings.warn("this is not root, so no disk was cut off: the server was killed, and what it had written stayed", stacklevel=1)
    return OnlyKilled()


def test_a_disk_forgets_what_was_not_synced():
    """That the cuts below cut: on the same disk, what was synced stays and what came after it goes."""
    if not ROOT:
        return
    with OnADiskThatCanLosePower() as disk:
        disk.signal(signal.SIGTERM)
        folder = disk.data.parent
        with open(folder / "half", "w") as half:
            half.write("kept")
            half.flush()
            os.fsync(half.fileno())
            half.write(" and forgotten")
        (folder / "forgotten").write_text("x")
        disk.lose_power()
        disk.power_on()
        assert (folder / "half").read_text() == "kept"
        assert not (folder / "forgotten").exists()


def test_what_was_acknowledged_outlives_every_power_cut():
    chance, works, begun = random.Random(SEED), [], time.monotonic()
    with server() as powered:
        for cut in range(1, CUTS + 1):
            if cut % CUTS_A_CATALOG == 1:
                works.append(Work(powered))
            work = works[-1]
            before, began = work.ledger.acknowledged, time.monotonic()
            wrong = work_until(powered.lose_power, powered, work, chance)
            in_flight, lost = len(work.ledger.pending), time.monotonic()
            powered.power_on()
            up = time.monotonic()
            wrong += look(powered, work) + look_at_folders(powered, works)
            print(
                f"cut {cut}: {work.ledger.acknowledged - before} acknowledged in {lost - began:.2f} s, {in_flight} in flight; "
                f"up in {up - lost:.2f} s, looked at in {time.monotonic() - up:.2f} s",
                flush=True,
            )
            assert not wrong, f"cut {cut} of seed {SEED}:\n" + "\n".join(wrong)
        wrong = [problem for work in works for problem in look(powered, work)] + look_at_folders(powered, works)
        assert not wrong, f"at the end of seed {SEED}:\n" + "\n".join(wrong)
    print(f"{CUTS} cuts in {time.monotonic() - begun:.0f} s")
    assert sum(work.ledger.acknowledged for work in works) >= CUTS, "hardly anything was acknowledged"
