"""What the programs of failed steps wrote last: the end of what the run keeps of it.

What it does: finds the kept error output of the last attempt at a step, or its output where there is none, and cuts it
to its last lines. What it does not do: it keeps nothing, and makes nothing safe for a terminal (surfaces do).

Rules: looked for from the end of the history, over a bounded number of events, since a failed run ends soon after what
failed it; lines and characters are bounded; what looks like a secret is not shown, whoever kept it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import msgspec
from msgspec import Struct

from interlock.base.secret_scan import scan_bytes
from interlock.engine import events as e
from interlock.engine.run_state import RunState
from interlock.engine.steps.streams import STDERR_KIND, STDOUT_KIND, WITHHELD
from interlock.journal.journal import PAGE_EVENTS, Journal

LINES_SHOWN_MAX: Final = 10
LINE_CHARACTERS_MAX: Final = 300
STEPS_MAX: Final = 10
"""Failed steps of a run whose output is looked for."""

_WINDOWS: Final = (50, PAGE_EVENTS - 1, PAGE_EVENTS - 1)
"""Events that are looked through, from the end: a few first, since most runs need no more."""

_STREAMS: Final = {STDERR_KIND: "stderr", STDOUT_KIND: "stdout"}


class StepOutput(Struct, frozen=True):
    """The last lines of what a failed step's program wrote: of its errors, or of its output where it wrote none.

    The whole is the artifact `artifact_id`; `is_cut` says that the lines are not all of it. `withheld`: it looked like
    a secret, and is not shown.
    """

    stream: str
    bytes: int
    lines: tuple[str, ...] = ()
    is_cut: bool = False
    artifact_id: str | None = None
    withheld: bool = False


async def last_outputs(journal: Journal, state: RunState, states: Collection[str]) -> dict[str, StepOutput]:
    """What the last attempt at each of `states` wrote, as far as it is kept."""
    kept = await _kept(journal, state, set(sorted(states)[:STEPS_MAX]))
    found: dict[str, StepOutput] = {}
    for state_id, streams in kept.items():
        kind = next((kind for kind in _STREAMS if kind in streams), None)
        if kind is not None:
            found[state_id] = await _output(journal, _STREAMS[kind], streams[kind])
    return found


async def _kept(journal: Journal, state: RunState, wanted: set[str]) -> dict[str, dict[str, str | int]]:
    """By state and kind: the artifact that holds a stream, or the bytes of one that was withheld."""
    found: dict[str, dict[str, str | int]] = {}
    end = state.seq
    for size in _WINDOWS:
        begin = max(end - size, 0)
        page = await journal.tail(state.stream, begin) if wanted and end else []
        for event in reversed(page):
            if event.envelope.seq <= end:
                _note(event.record, wanted, found)
        end = begin
    return found


def _note(record: Any, wanted: set[str], found: dict[str, dict[str, str | int]]) -> None:
    state_id = getattr(record, "state_id", None)
    if state_id not in wanted:
        return
    match record:
        case e.StateEntered():
            wanted.discard(state_id)
        case e.ArtifactWritten() if record.kind in _STREAMS:
            found.setdefault(state_id, {}).setdefault(record.kind, record.artifact_id)
        case e.DomainEmitted() if record.name == WITHHELD:
            told = msgspec.json.decode(record.payload)
            if isinstance(told, dict) and isinstance(told.get("bytes"), int):
                found.setdefault(state_id, {}).setdefault(str(told.get("stream")), told["bytes"])


async def _output(journal: Journal, stream: str, kept: str | int) -> StepOutput:
    if isinstance(kept, int):
        return StepOutput(stream, kept, withheld=True)
    [content] = await journal.store.artifacts.get([kept])
    if scan_bytes(content) is not None:  # the step does not keep such a stream; another author may
        return StepOutput(stream, len(content), artifact_id=kept, withheld=True)
    text = content.decode("utf-8", "backslashreplace")
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    last = lines[-LINES_SHOWN_MAX:]
    shown = tuple(line if len(line) <= LINE_CHARACTERS_MAX else f"{line[:LINE_CHARACTERS_MAX]}…" for line in last)
    return StepOutput(stream, len(content), shown, len(lines) > len(last) or shown != tuple(last), kept)
