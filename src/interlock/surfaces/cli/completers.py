"""What a shell completes from data: ids of runs, principals and roles that are declared, and profiles.

What it does: names the newest runs of the store or the server that the line means, when a shell asks for them. What it
does not do: it makes no store, and says nothing where anything is wrong: a person is in the middle of a line.

Rules: a bounded number of runs, and a bounded time; nothing is imported before a shell asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from cyclopts.completion import CompletionContext

    from interlock.access.check import Access

Completer: TypeAlias = "Callable[[CompletionContext], list[tuple[str, str]]]"
RUNS_MAX = 100
SECONDS_MAX = 2.0


def runs(context: CompletionContext) -> list[tuple[str, str]]:
    """The newest runs whose id begins with what is typed, each with its operation and its state."""
    import asyncio
    import logging

    given = {name: context.get(f"--{name}") for name in ("store", "config", "server", "profile")}
    named = {name: value.raw for name, value in given.items() if value is not None}
    logging.disable(logging.CRITICAL)
    try:
        found = asyncio.run(_listed(named))
    except Exception:  # noqa: BLE001 - a broken store must not write into the line that a person types
        return []
    return [(run.run_id, f"{run.op_id} {run.state}") for run in found if run.run_id.startswith(context.incomplete)]


def principals(context: CompletionContext) -> list[tuple[str, str]]:
    """The declared principals whose name begins with what is typed, each with its tenant."""
    return _of_settings(context, lambda access: {name: each.tenant for name, each in access.principals().items()})


def roles(context: CompletionContext) -> list[tuple[str, str]]:
    """The roles whose name begins with what is typed, each with what it is for."""
    return _of_settings(context, lambda access: dict.fromkeys(access.book.roles, ""))


def profiles(context: CompletionContext) -> list[tuple[str, str]]:
    """The profiles whose name begins with what is typed, each with its server."""
    from interlock.surfaces.application import load

    try:
        found = load().profiles()
    except Exception:  # noqa: BLE001 - a broken file must not write into the line that a person types
        return []
    return [(name, server) for name, server in found.items() if name.startswith(context.incomplete)]


def _of_settings(context: CompletionContext, read: Callable[[Access], Mapping[str, str]]) -> list[tuple[str, str]]:
    """Names of the settings that begin with what is typed, each with a word about it."""
    import asyncio
    import logging

    config = context.get("--config")
    logging.disable(logging.CRITICAL)
    try:
        found = asyncio.run(_declared(None if config is None else config.raw, read))
    except Exception:  # noqa: BLE001 - broken settings must not write into the line that a person types
        return []
    return [(name, about) for name, about in found.items() if name.startswith(context.incomplete)]


async def _declared(config: str | None, read: Callable[[Access], Mapping[str, str]]) -> Mapping[str, str]:
    import asyncio
    from pathlib import Path

    from interlock.access.check import Access
    from interlock.journal.store_name import MEMORY
    from interlock.surfaces.application import load

    async with asyncio.timeout(SECONDS_MAX):
        place = None if config is None else Path(config)
        async with load().open(store=MEMORY, config=place, create=True) as opened:
            return read(opened.get(Access))


async def _listed(named: Mapping[str, str | None]) -> list[Any]:
    import asyncio
    import os
    from typing import cast

    from interlock.engine.search.commands import RunList
    from interlock.surfaces.application import load
    from interlock.surfaces.cli.answer import looking
    from interlock.surfaces.cli.build import Invocation
    from interlock.surfaces.cli.variables import VARIABLES

    application = load()
    places = {name: named.get(name) or os.environ.get(variable) or None for name, variable in VARIABLES.items()}
    line = Invocation(application.catalogue().get("run.list"), {}, json=True, **places)
    async with asyncio.timeout(SECONDS_MAX), looking(line, application) as client:
        page = cast("RunList", await client.call("run.list", {"limit": RUNS_MAX}))
    return list(page.items)
