"""Says of a value that is no JSON what would fit, where the store knows.

What it does: asks the presentation of the noun for words about the member whose text could not be read, and puts them
into the error. What it does not do: it makes no store, changes nothing, and says nothing where anything goes wrong.

Rule: the call is refused whatever is found; a store is opened only if it is there, and only for the user of this
machine.
"""

from __future__ import annotations

from pathlib import Path

from interlock.base.canonical import JSON_INVALID
from interlock.base.errors import InterlockError
from interlock.surfaces.application import Application
from interlock.surfaces.cli.build import Invocation
from interlock.surfaces.cli.edge import person, store_path
from interlock.surfaces.cli.presentation import presentation_of


async def hinted(fault: InterlockError, invocation: Invocation, application: Application) -> InterlockError:
    """The fault of a value, with what would fit it."""
    hint = presentation_of(invocation.command.noun).hint.get(invocation.command.verb)
    if hint is None or fault.kind is not JSON_INVALID or invocation.acting_as is not None:
        return fault
    config = Path(invocation.config) if invocation.config else None
    try:
        store = store_path(invocation.store, Path.cwd())
        async with application.open(store=store, config=config, create=False) as opened:
            words = await hint(opened.client(person()), invocation.given)
    except InterlockError:
        return fault
    if words is None:
        return fault
    return fault.kind.error(f"{fault.message.partition(';')[0]}; what fits is {words}", **fault.details)
