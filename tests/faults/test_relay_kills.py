"""kill -9 of the relay at random moments under load: nothing acknowledged is lost, nothing half there.

``KILLS`` says how often (200; 1,000 in ``make deep``). The control is a build that acknowledges before its commit.

Rules: STR-003, STR-006, COM-002.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
from pathlib import Path

import pytest

from tests.faults.load import Load, check_database
from tests.faults.zygote import Servers

KILLS = int(os.environ.get("KILLS", "1000" if os.environ.get("CLOISTER_DEEP") else "200"))
LONGEST = 0.3  # seconds between a start and a kill, at most


class Lost(AssertionError):
    """Something that was acknowledged is gone."""


async def kill_often(folder: Path, kills: int, seed: int, weakness: str = "") -> Load:
    rng = random.Random(seed)
    with Servers(folder, weakness) as servers:
        load = Load(f"http://127.0.0.1:{servers.port}", rng)
        await load.begin(folder)
        servers.start()
        for _ in range(kills):
            await load.live(rng.uniform(0.01, LONGEST))
            status = servers.kill()
            assert os.WTERMSIG(status) == signal.SIGKILL
            await load.end()
            with sqlite3.connect(folder / "relay.db") as db:
                check_database(db)
                for act in load.latest:
                    if not all(act.parts(db)):
                        raise Lost(f"{act.kind}, answered with {act.answer}")
                for act in load.unknown:
                    assert len(set(act.parts(db))) == 1, f"half of an unacknowledged {act.kind} is there"
                servers.start()
                await load.settle(db)
            db.close()
    return load


async def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    load = await kill_often(tmp_path, KILLS, seed=20)
    for kind in ("message", "commit", "account", "letter", "slot"):
        assert load.done.get(kind, 0) > KILLS / 4, load.done
    print(load.done, "refused", load.refused)


async def test_a_relay_that_acknowledges_too_early_is_caught(tmp_path: Path) -> None:
    """Control: with the commit after the answer the same harness finds losses."""
    with pytest.raises(Lost):
        await kill_often(tmp_path, 20, seed=21, weakness="ack-before-commit")
