"""The services of gates, put together for an application.

What it does: makes evidence, definitions, shapes and runs of the settings. What it does not do: it connects to nothing;
the first query does.
"""

from __future__ import annotations

from interlock.engine.reports.reader import RunReader
from interlock.gates.comparators.compare import compare
from interlock.gates.config import GatesSettings, fault_of
from interlock.gates.control.asserted import Prechecks
from interlock.gates.control.definitions import Definitions
from interlock.gates.control.service import ScenarioRuns
from interlock.gates.control.turns import Turns
from interlock.gates.evidence.query import Evidence
from interlock.gates.evidence.sources import open_evidence
from interlock.gates.shapes.registry import Shapes
from interlock.journal.journal import Journal
from interlock.journal.queues import StreamQueues
from interlock.journal.runner import Runner

GateServices = tuple[Evidence, Definitions, Shapes, ScenarioRuns, Prechecks]


def gate_services(journal: Journal, runner: Runner, reader: RunReader, settings: GatesSettings) -> GateServices:
    """The services of gates. Raises: what the settings and the files that they name are refused with."""
    fault = fault_of(settings)
    if fault is not None:
        raise fault
    evidence = open_evidence(settings.sources, compare, reader, journal.store.artifacts)
    definitions = Definitions(journal, runner, evidence.offered)
    queue = settings.queue
    turns = Turns(
        StreamQueues(per_stream_max=queue.per_run_max, total_max=queue.total_max, wait_ms_max=queue.wait_ms_max)
    )
    runs = ScenarioRuns(journal, runner, definitions, evidence, turns, settings.policy, settings.payload_secret_scan)
    shapes = Shapes(journal, runner)
    return evidence, definitions, shapes, runs, Prechecks(definitions, shapes, evidence, settings.validation)
