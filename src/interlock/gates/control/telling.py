"""How events of scenario runs are told to the outside: whole, for whom they are, and without what may not be shown.

What it does: gives subscriptions the records that events keep elsewhere, packets with their payload, and gates with
their evidence as the installation discloses it. What it does not do: it sends nothing, and changes no stored event.

Rules: a packet is for the targets of its receipts; raw values of evidence are told only where they may be shown; errors
of evidence are told without their words, as everywhere.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from interlock.base.part import EventForm, Services, Telling
from interlock.gates.control import events as e
from interlock.gates.control.service import ScenarioRuns
from interlock.gates.control.targets import spelled
from interlock.gates.evidence.disclosure import disclosed
from interlock.gates.evidence.query import Evidence
from interlock.gates.records import EvidenceRecord, GateEvalRecord
from interlock.gates.values import wire


async def _whole(services: Services, _stream: str, event: Any) -> Telling:
    """An event with its record, wherever that is kept."""
    content = await services.get(ScenarioRuns).read.content(event)
    return _telling(event, content)


def _telling(event: Any, record: bytes, audience: frozenset[str] = frozenset(), **more: Any) -> Telling:
    told = {name: getattr(event, name) for name in event.__struct_fields__} | more | {"record": Raw(record)}
    return Telling(msgspec.json.encode({name: told[name] for name in sorted(told)}), audience)


async def _packet(services: Services, stream: str, event: e.PacketIssued) -> Telling:
    """A packet with what it discloses, for those whom its receipts name."""
    runs = services.get(ScenarioRuns)
    scenario = await runs.scenario_of(stream)
    packet = await runs.read.packet(event, scenario)
    audience = frozenset(spelled(receipt.target) for receipt in packet.receipts)
    return _telling(event, await runs.read.content(event), audience, payload=Raw(wire(packet.payload)))


async def _gate(services: Services, stream: str, event: e.GateEvaluated) -> Telling:
    """A gate with its evidence, as far as that may be shown."""
    runs, evidence = services.get(ScenarioRuns), services.get(Evidence)
    scenario = await runs.scenario_of(stream)
    record = await runs.read.record(event, GateEvalRecord)

    def shown(each: EvidenceRecord) -> EvidenceRecord:
        provider_id = scenario.conditions[each.condition_id].query.provider_id
        return replace(each, result=disclosed(each.result, raw=evidence.shows_raw(provider_id)))

    return _telling(event, wire(replace(record, evidence=[shown(each) for each in record.evidence])))


FORMS = (
    EventForm("gates.triggered", _whole),
    EventForm("gates.gate_evaluated", _gate),
    EventForm("gates.decided", _whole),
    EventForm("gates.packet_issued", _packet),
    EventForm("gates.submitted", _whole),
)
