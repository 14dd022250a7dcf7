"""An older copy of the store is put back (S13): what shows it, and what protects the outside all the same.

On both durable stores.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from interlock.doctor import examine
from interlock.engine import events as e
from interlock.testing.checker import check_run
from tests.faults.durable import Durable, keep
from tests.faults.killing import Zygote
from tests.faults.plans import PLANS


def test_an_older_copy_of_the_store_looks_like_an_earlier_crash_and_only_a_witness_outside_shows_it(
    zygote: Zygote, tmp_path: Path, durable: Durable
) -> None:
    """S13: the effect is sent again under its key; from inside nothing is wrong, a head noted outside is missing."""
    case = durable.case(zygote, tmp_path, "keyed")
    kill_at = 1
    while not case.said("handler hand_over"):  # until it is killed in its state, before anything is sent
        assert case.act("start", kill_at)["code"] != 0
        kill_at += 1
    restore = keep(case.name, tmp_path / "copy")
    case.gate.touch()
    assert case.finish()["answer"]["phase"] == "completed"
    witness = asyncio.run(case.events())[-1]
    before = len(case.said("deliver"))

    restore()
    restored = asyncio.run(case.events())
    assert asyncio.run(examine(case.name)).findings == []
    assert witness.digest not in {event.digest for event in restored}
    assert len(restored) < witness.envelope.seq

    assert case.finish()["answer"]["phase"] == "completed"
    again = asyncio.run(case.events())
    check_run(again, plan=PLANS["keyed"].build())
    assert len(case.said("deliver")) == before + 1
    assert set(case.said("deliver")) == {"handed"}
    assert sum(isinstance(event.record, e.FactRecorded) for event in again) == 1
    assert witness.digest not in {event.digest for event in again}
