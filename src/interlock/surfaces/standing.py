"""Whether somebody still may hear what stands open for them: a stream was permitted once, and its credential may end.

What it does: asks again and again, and says when the answer is no. What it does not do: it ends nothing, and knows no
stream.

Rule: only a refusal is a no; a store that cannot answer for a moment says nothing about who asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from interlock.base.errors import Category, InterlockError

Still = Callable[[], Awaitable[object]]
"""Whether whoever hears still may. Raises: what it is refused with."""


async def until_refused(still: Still, every_s: float) -> InterlockError:
    """Ask every so many seconds; return the first refusal. It goes on until then."""
    while True:
        await asyncio.sleep(every_s)
        try:
            await still()
        except InterlockError as fault:
            if fault.category is Category.REFUSED:
                return fault
