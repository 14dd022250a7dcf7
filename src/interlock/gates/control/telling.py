"""How events of scenario runs are told to the outside: whole, for whom they are, and without what may not be shown.

What it does: gives subscriptions the records that events keep elsewhere, packets with their payload, and gates with
their evidence as the installation discloses it. What it does not do: it sends nothing, and changes no stored event.

Rules: what a packet discloses is told to those alone whom its receipts name, since the policy was asked for them; raw
values of evidence are told only where they may be shown; errors of evidence are told without their words, as anywhere.
A record of more than `TOLD_BYTES_MAX` is not told: its id is.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from interlock.base.part import EventForm, Services, Telling
from interlock.gates.control import events as e
from interlock.gates.control.calls import NOTHING
from interlock.gates.control.service import ScenarioRuns
from interlock.gates.control.targets import spelled
from interlock.gates.evidence.disclosure import disclosed
from interlock.gates.evidence.query import Evidence
from interlock.gates.records import EvidenceRecord, GateEvalRecord
from interlock.gates.values import wire

TOLD_BYTES_MAX = 512 * 1024
"""Half of what the sink `http` sends by default."""


async def _whole(services: Services, _stream: str, event: Any, _audience: tuple[str, ...]) -> Telling:
    """An event with its record, wherever that is kept."""
    return _telling(event, await services.get(ScenarioRuns).read.content(event))


def _telling(event: Any, record: bytes, **more: Raw) -> Telling:
    """An event as it is stored, with its record and `more`, as far as that is not too large for those who are told."""
    told = {name: getattr(event, name) for name in event.__struct_fields__}
    size = len(record) + sum(len(bytes(each)) for each in more.values())
    if size <= TOLD_BYTES_MAX:
        told |= {"record": Raw(record), **more}
    return Telling(msgspec.json.encode({name: told[name] for name in sorted(told)}))


async def _packet(services: Services, stream: str, event: e.PacketIssued, audience: tuple[str, ...]) -> Telling | None:
    """A packet; with what it discloses to an audience that its receipts name, for which alone that was permitted."""
    runs = services.get(ScenarioRuns)
    if not audience:
        return _telling(event, await runs.read.content(event))
    packet = await runs.read.packet(event, await runs.scenario_of(stream))
    if not {spelled(receipt.target) for receipt in packet.receipts} & set(audience):
        return None
    return _telling(event, await runs.read.content(event), payload=Raw(wire(packet.payload)))


async def _gate(services: Services, stream: str, event: e.GateEvaluated, _audience: tuple[str, ...]) -> Telling:
    """A gate with its evidence, as far as that may be shown; nothing of it where there is too much."""
    runs, evidence = services.get(ScenarioRuns), services.get(Evidence)
    scenario = await runs.scenario_of(stream)
    record = await runs.read.record(event, GateEvalRecord)

    def shown(each: EvidenceRecord) -> EvidenceRecord:
        provider_id = scenario.conditions[each.condition_id].query.provider_id
        return replace(each, result=disclosed(each.result, raw=evidence.shows_raw(provider_id)))

    told = replace(record, evidence=[shown(each) for each in record.evidence])
    return _telling(replace(event, record=NOTHING), wire(told))


FORMS = (
    EventForm("gates.triggered", _whole),
    EventForm("gates.gate_evaluated", _gate),
    EventForm("gates.decided", _whole),
    EventForm("gates.packet_issued", _packet, addressed=True),
    EventForm("gates.submitted", _whole),
)
