"""What is kept of a call under a key, and what of it others hear."""

from __future__ import annotations

import json
from typing import Any

from interlock.app import App
from interlock.base.principal import local_principal
from interlock.journal.chain import read_envelope
from interlock.stores.memory import MemoryStore
from interlock.surfaces.receipts.decide import DECIDER as RECEIPTS
from interlock.surfaces.receipts.decide import INLINE_BYTES_MAX, Answer, Receipt, Take, evolve
from interlock.surfaces.receipts.events import KeyAnswered, KeyTaken, receipt_stream
from interlock.testing.loop import run

ADA = local_principal("ada")
STREAM = receipt_stream("default", "k")
TAKEN = KeyTaken("run.start", "0" * 64)


def test_an_answer_stands_in_its_event_up_to_a_size_and_beside_it_beyond() -> None:
    taken = Receipt(TAKEN)
    short: Any = RECEIPTS.decide({STREAM: taken}, Answer(STREAM, b"x" * INLINE_BYTES_MAX), None)  # type: ignore[arg-type]
    long: Any = RECEIPTS.decide({STREAM: taken}, Answer(STREAM, b"x" * (INLINE_BYTES_MAX + 1)), None)  # type: ignore[arg-type]

    assert short == {STREAM: [KeyAnswered("x" * INLINE_BYTES_MAX, None)]}
    assert long.events[STREAM][0].answer is None
    assert len(long.artifacts[0].content) == INLINE_BYTES_MAX + 1


def test_the_first_answer_stands_and_one_that_was_erased_leaves_the_key_taken() -> None:
    answered = Receipt(TAKEN, KeyAnswered("{}", None))
    assert RECEIPTS.decide({STREAM: answered}, Answer(STREAM, b"[]"), None) == {}  # type: ignore[arg-type]

    erased = Receipt(TAKEN)  # what a fold makes of a stream whose second event has no data any more
    refused: Any = RECEIPTS.decide({STREAM: erased}, Take(STREAM, "run.start", "1" * 64), None)  # type: ignore[arg-type]
    assert refused.error.code == "command_id_conflict"
    assert evolve(erased, KeyAnswered("{}", None), None) == answered  # type: ignore[arg-type]


def test_who_reads_the_feed_hears_that_a_call_was_answered_and_not_what() -> None:
    async def main() -> None:
        async with App.open(MemoryStore()) as app:
            given = {"name": "hidden-name", "sink": "log"}
            await app.client(ADA).call("subscription.add", given, command_id="k")
            taken, answered = await app.store.events.read(STREAM, 0, 10)
            assert b"hidden-name" not in (taken.data or b"")
            assert b"hidden-name" in (answered.data or b"")
            told = [await app.subscriptions.tell(read_envelope(each), each) for each in (taken, answered)]
            assert b"hidden-name" not in b"".join(each.data or b"" for each in told if each is not None)
            assert told[1] is not None
            assert json.loads(told[1].data or b"") == {"is_long": False}

    run(main())
