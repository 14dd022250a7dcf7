"""The application: adds the parts in order and wires them to one store.

What it does: checks that names are unique over all parts, loads settings, opens the store, and gives out services,
client and runs. What it does not do: it holds no rule of the product.

Rule: everything that the product can do is in a part; nothing is registered anywhere else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from interlock import settings as settings_loader
from interlock.access.check import Access
from interlock.access.settings import AccessSettings
from interlock.access.tokens import Tokens
from interlock.base.clock import Clock, Entropy, SystemClock, SystemEntropy
from interlock.base.part import Part
from interlock.base.principal import Principal
from interlock.engine.budget import BudgetSettings
from interlock.engine.decide import EngineSettings
from interlock.engine.document.commands import DocumentSettings
from interlock.engine.document.expressions import Evaluation
from interlock.engine.io.router import Router
from interlock.engine.io.transports.python import PythonFunction, PythonFunctions
from interlock.engine.io.transports.requests import local_secret
from interlock.engine.runs import Runs
from interlock.engine.sources import Plans
from interlock.engine.steps.call import StepHandlers
from interlock.gates.config import GatesSettings
from interlock.gates.services import gate_services
from interlock.journal.catalogue import EventCatalogue
from interlock.journal.ingest import EventSettings, Ingest
from interlock.journal.journal import Journal
from interlock.journal.leases import Leases
from interlock.journal.ports import Store
from interlock.journal.runner import Runner, RunnerSettings
from interlock.journal.store_name import MEMORY, StoreName, is_url, store_name
from interlock.journal.subscriptions import Subscriptions, SubscriptionSettings
from interlock.journal.timers import TimerService
from interlock.journal.views import Views
from interlock.parts import check_unique, installed_parts, sections_of
from interlock.settings import Settings
from interlock.surfaces.application import Application
from interlock.surfaces.catalogue import Catalogue
from interlock.surfaces.client import Client
from interlock.surfaces.receipts.service import Receipts

Service = TypeVar("Service")


class App:
    """Everything on one opened store. Use `App.open`; it closes what it opened."""

    def __init__(
        self,
        store: Store,
        parts: Sequence[Part],
        settings: Settings,
        clock: Clock,
        entropy: Entropy,
        functions: PythonFunctions = PythonFunctions(MappingProxyType({})),  # noqa: B008 - immutable
        evaluation: Evaluation = Evaluation(),  # noqa: B008 - immutable
    ) -> None:
        check_unique(parts)
        self.store = store
        self.settings = settings
        self.catalogue = Catalogue(command for part in parts for command in part.commands)
        events = EventCatalogue(kind for part in parts for kind in part.events)
        self.journal = Journal(store, events, clock, entropy)
        self.views = Views(self.journal, [view for part in parts for view in part.views])
        self.runner = Runner(self.journal, settings.get(RunnerSettings), settings.digest)
        targets = [target for part in parts for target in part.timers]
        self.timers = TimerService(self.journal, self.runner, targets, self)
        self.leases = Leases(self.runner)
        self._router = Router([factory for part in parts for factory in part.transports], self)
        engine, budget = settings.get(EngineSettings), settings.get(BudgetSettings)
        handlers = StepHandlers(handler for part in parts for handler in part.steps)
        plans = Plans(handlers, children_anywhere=settings.get(DocumentSettings).children_anywhere)
        self.runs = Runs(self.journal, self.runner, self.timers, plans, self._router, engine, self.leases, budget)
        others = [way for part in parts for way in part.ways]
        self.access = Access(settings.get(AccessSettings), self.catalogue, others, self.runner, clock)
        self.tokens = Tokens(self.journal, self.runner, self.access)
        journal = (self.journal, self.views, self.runner, self.timers, self.leases)
        gates = gate_services(self.journal, self.runner, self.runs.read, settings.get(GatesSettings))
        self.evidence, self.definitions, self.shapes, self.scenarios, _ = gates
        sinks = [factory for part in parts for factory in part.sinks]
        forms = [form for part in parts for form in part.forms]
        chosen = settings.get(SubscriptionSettings)
        self.subscriptions = Subscriptions(self.journal, self.runner, chosen, sinks, forms, self)
        self.ingest = Ingest(self.journal, self.runner, settings.get(EventSettings), local_secret)
        receipts = Receipts(self.journal, self.runner, settings.get(RunnerSettings))
        ways = (self._router, self.subscriptions, self.ingest, receipts, functions, evaluation)
        services = (settings, self.catalogue, self.access, self.tokens, *journal, self.runs, *gates, *ways)
        self._services: dict[type, object] = {type(service): service for service in services}

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        store: Store | StoreName = MEMORY,
        *,
        parts: Sequence[Part] | None = None,
        settings: Settings | None = None,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
        functions: Mapping[str, PythonFunction] | None = None,
        create: bool = True,
    ) -> AsyncIterator[App]:
        """Open the application on a store: a path, a URL, `:memory:`, or an opened store (which stays open).

        `functions` are what plans may call through the namespace `python`, by name.
        """
        parts = installed_parts() if parts is None else parts
        settings = settings or settings_loader.load(sections_of(parts))
        clock, entropy = clock or SystemClock(), entropy or SystemEntropy()
        opened = await open_store(store, settings, create=create) if isinstance(store, (str, Path)) else store
        try:
            app = cls(opened, parts, settings, clock, entropy, PythonFunctions(functions or {}))
            try:
                yield app
            finally:
                await app.close()
        finally:
            if opened is not store:
                await opened.close()

    async def close(self) -> None:
        """Stop renewing claims and close transports; the store stays open."""
        await self.runs.close()
        await self.evidence.close()
        await self._router.close()

    def get(self, kind: type[Service]) -> Service:
        """The service of a kind, for handlers and transports (`Services`); a section of settings is one too."""
        service = self._services.get(kind) or self.settings.section(kind)
        if not isinstance(service, kind):
            raise KeyError(kind.__name__)
        return service

    def client(self, principal: Principal) -> Client:
        """A client that acts for `principal`."""
        return Client(self.catalogue, principal, self)


async def open_store(store: StoreName, settings: Settings, *, create: bool = True) -> Store:
    """Open a store by its name: `:memory:`, the URL of a PostgreSQL database, or the path of an SQLite file.

    Raises: `store_name_invalid`, and what opening the one or the other raises.
    """
    store = store_name(str(store))
    if is_url(store):
        from interlock.stores.postgres import PostgresSettings, open_postgres

        return await open_postgres(str(store), create=create, settings=settings.get(PostgresSettings))
    if str(store) == MEMORY:
        from interlock.stores.memory.store import MemoryStore

        return MemoryStore()
    from interlock.stores.sqlite import SqliteSettings, open_sqlite

    return await open_sqlite(Path(store), create=create, settings=settings.get(SqliteSettings))


@asynccontextmanager
async def _open(*, store: StoreName, config: Path | None, create: bool) -> AsyncIterator[App]:
    settings = settings_loader.load(sections_of(installed_parts()), config=config)
    async with App.open(store, settings=settings, create=create) as app:
        yield app


APPLICATION = Application(parts=installed_parts, open=_open)
"""What surfaces start (see `surfaces.application`)."""
