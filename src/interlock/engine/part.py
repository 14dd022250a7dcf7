"""The engine's registration.

It lists what the modules of the engine declare, and does nothing else.
"""

from __future__ import annotations

from interlock.base.part import Part, SettingsSection
from interlock.engine import budget, contract
from interlock.engine.budget import BudgetSettings
from interlock.engine.commands import COMMANDS
from interlock.engine.control import attach_command
from interlock.engine.control import commands as control_commands
from interlock.engine.control.inbox_events import EVENTS as INBOX_EVENTS
from interlock.engine.control.tell import RESOLVE, TELL, TIMERS
from interlock.engine.decide import EngineSettings
from interlock.engine.document import commands as document_commands
from interlock.engine.document import expressions, plans
from interlock.engine.document.commands import DocumentSettings
from interlock.engine.errors import ERRORS
from interlock.engine.events import EVENTS
from interlock.engine.flow import limits as flow
from interlock.engine.graph import commands as graph
from interlock.engine.io import replay, router, secret_facts, sinks, transports
from interlock.engine.lineage.commands import COMMANDS as LINEAGE
from interlock.engine.offered import PlanSettings
from interlock.engine.replay import artifacts as replay_artifacts
from interlock.engine.replay import commands as replay_command
from interlock.engine.reports import artifact_commands
from interlock.engine.search import batch, batch_commands, filters
from interlock.engine.search import commands as search
from interlock.engine.search import errors as search_errors
from interlock.engine.search.batches import SearchSettings
from interlock.engine.steps import child, exec, http, python, step, wait  # noqa: A004 - the words of documents
from interlock.engine.views import RUNS

PART = Part(
    name="engine",
    events=(*EVENTS, *INBOX_EVENTS, *filters.EVENTS, *batch.EVENTS),
    deciders=(TELL, RESOLVE, filters.FILTERS_KEPT, batch.BATCH_KEPT),
    timers=(TIMERS,),
    views=(RUNS, filters.FILTERS, batch.BATCHES),
    commands=(
        *COMMANDS,
        *search.COMMANDS,
        *control_commands.COMMANDS,
        *attach_command.COMMANDS,
        *LINEAGE,
        *graph.COMMANDS,
        *replay_command.COMMANDS,
        *batch_commands.COMMANDS,
        *document_commands.COMMANDS,
        *artifact_commands.COMMANDS,
    ),
    transports=(*transports.TRANSPORTS, *expressions.TRANSPORTS),
    sinks=sinks.SINKS,
    steps=(exec.HANDLER, http.HANDLER, python.HANDLER, wait.HANDLER, child.HANDLER),
    settings=(
        SettingsSection("engine", EngineSettings),
        SettingsSection("run_budget", BudgetSettings),
        SettingsSection("document", DocumentSettings),
        SettingsSection("search", SearchSettings),
        SettingsSection("plans", PlanSettings),
        *transports.SETTINGS,
        *sinks.SETTINGS,
    ),
    errors=(
        *ERRORS,
        *artifact_commands.ERRORS,
        *attach_command.ERRORS,
        *budget.ERRORS,
        child.CHILD_NOT_COMPLETED,
        *contract.ERRORS,
        *document_commands.ERRORS,
        *expressions.ERRORS,
        *flow.ERRORS,
        *graph.ERRORS,
        *plans.ERRORS,
        *replay.ERRORS,
        *replay_artifacts.ERRORS,
        *replay_command.ERRORS,
        *search_errors.ERRORS,
        *router.ERRORS,
        *secret_facts.ERRORS,
        *sinks.ERRORS,
        *step.ERRORS,
        *transports.ERRORS,
    ),
)
