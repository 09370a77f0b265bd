"""`kill -9` while clients work: what was acknowledged is there exactly once, and nothing is left half made.

A real server is killed again and again on one data folder, each time after a random number of acknowledgements and a
random few milliseconds more, while threads insert, overwrite, make and drop, copy, grant and upload; see
tests/clients/lib/ledger.py for what is held against what.

CRANNOG_KILLS is how often (20), CRANNOG_SEED chooses the moments (1).
"""

import os
import random
import signal
import time

from harness import Server
from ledger import Work, look, look_at_folders, work_until

KILLS = int(os.environ.get("CRANNOG_KILLS", "20"))
SEED = int(os.environ.get("CRANNOG_SEED", "1"))
KILLS_A_CATALOG = 4  # then a new one is worked on, so that looking does not take longer and longer


def test_what_was_acknowledged_outlives_every_kill():
    chance, works, begun = random.Random(SEED), [], time.monotonic()
    with Server() as server:
        for kill in range(1, KILLS + 1):
            if kill % KILLS_A_CATALOG == 1:
                works.append(Work(server))
            work = works[-1]
            before, began = work.ledger.acknowledged, time.monotonic()
            wrong = work_until(lambda: server.signal(signal.SIGKILL), server, work, chance)
            cut, killed = len(work.ledger.pending), time.monotonic()
            server.start()
            up = time.monotonic()
            wrong += look(server, work) + look_at_folders(server, works)
            print(
                f"kill {kill}: {work.ledger.acknowledged - before} acknowledged in {killed - began:.2f} s, {cut} in flight; "
                f"up in {up - killed:.2f} s, looked at in {time.monotonic() - up:.2f} s",
                flush=True,
            )
            assert not wrong, f"kill {kill} of seed {SEED}:\n" + "\n".join(wrong)
        wrong = [problem for work in works for problem in look(server, work)] + look_at_folders(server, works)
        assert not wrong, f"at the end of seed {SEED}:\n" + "\n".join(wrong)
    print(f"{KILLS} kills in {time.monotonic() - begun:.0f} s")
    assert sum(work.ledger.acknowledged for work in works) >= KILLS, "hardly anything was acknowledged"
