"""Says of a value that is no JSON what would fit, where the store or the server knows.

What it does: asks the presentation of the noun for words about the member whose text could not be read, and puts them
into the error. What it does not do: it makes no store, changes nothing, and says nothing where anything goes wrong.

Rule: the call is refused whatever is found; nothing is opened unless there is something to ask, and only for the user
of this machine.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from interlock.base.canonical import JSON_INVALID
from interlock.base.errors import InterlockError
from interlock.surfaces.caller import Caller
from interlock.surfaces.cli.build import Invocation
from interlock.surfaces.cli.presentation import presentation_of


async def hinted(
    fault: InterlockError, invocation: Invocation, looking: AbstractAsyncContextManager[Caller]
) -> InterlockError:
    """The fault of a value, with what would fit it."""
    hint = presentation_of(invocation.command.noun).hint.get(invocation.command.verb)
    if hint is None or fault.kind is not JSON_INVALID or invocation.acting_as is not None:
        return fault
    try:
        async with looking as client:
            words = await hint(client, invocation.given)
    except InterlockError:
        return fault
    if words is None:
        return fault
    return fault.kind.error(f"{fault.message.partition(';')[0]}; what fits is {words}", **fault.details)
