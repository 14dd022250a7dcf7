"""Where scenarios and their runs stand in the journal, and under which keys their calls are found.

What it does: spells streams and rows of the index. What it does not do: it reads and writes neither.

Rule: the ids of the contract are labels within the journal's tenant, and part of every key (docs/decisions/0008).
"""

from __future__ import annotations

from urllib.parse import quote

from interlock.base.canonical import digest
from interlock.base.events import Timer
from interlock.journal.streams import stream_id

SCENARIO = "scenario"
SCENARIO_RUN = "scenario_run"
SCENARIO_INDEX = "gates.scenario"
RUN_INDEX = "gates.run"
TRIGGER_INDEX = "gates.trigger"
SUBMISSION_INDEX = "gates.submission"


def scenario_stream(tenant: str, namespace_id: int, scenario_id: str) -> str:
    """The stream of a scenario. Raises: `stream_invalid`."""
    return stream_id(tenant, SCENARIO, f"{namespace_id}:{scenario_id}")


def run_stream(tenant: str, tenant_id: int, namespace_id: int, run_id: str) -> str:
    """The stream of a scenario's run. Raises: `stream_invalid`."""
    return stream_id(tenant, SCENARIO_RUN, f"{tenant_id}:{namespace_id}:{run_id}")


def run_key(namespace_id: int, scenario_id: str, tenant_id: int | None = None, run_id: str = "") -> str:
    """The key under which a scenario's run is found; without a tenant, what all of the scenario's runs begin with."""
    prefix = f"{namespace_id}:{quote(scenario_id, safe='')}/"
    return prefix if tenant_id is None else f"{prefix}{tenant_id}:{run_id}"


def call_key(stream: str, call_id: str) -> str:
    """The key of a trigger or submission of a run."""
    return f"{stream}#{call_id}"


def stage_timer(stream: str) -> str:
    """The timer of the stage in which a run stands."""
    return f"{stream}#stage"


def closing_timer(stream: str, stage_id: str) -> str:
    """The timer by which gates of a stage close; stages have names of any length."""
    return f"{stream}#gates#{digest(stage_id.encode())[:32]}"


def closing_payload(seq: int, stage_id: str) -> bytes:
    """What such a timer carries: the event that set it, which tells settings apart, and the stage."""
    return f"{seq} {stage_id}".encode()


def closing_stage(timer: Timer) -> str | None:
    """The stage whose gates a timer closes; None: it is another timer."""
    closes = timer.timer_id.startswith(f"{timer.stream}#gates#")
    return timer.payload.partition(b" ")[2].decode() if closes else None
