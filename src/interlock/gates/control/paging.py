"""The cursors of listings by name: a name, bound to the store and to the tenant that asks.

What it does: writes and reads them. What it does not do: it lists nothing.

Rule: a cursor of another store or tenant is refused, although a name by itself would fit.
"""

from __future__ import annotations

from interlock.base.part import CallContext
from interlock.journal.cursor import listing, read_page, write_page
from interlock.journal.journal import Journal


def cursor_of(ctx: CallContext, last: str) -> str:
    """Where a page ended, for a caller to keep."""
    return write_page(_listing(ctx), (0, last))


def name_after(ctx: CallContext, cursor: str | None) -> str:
    """The name at which the page before ended. Raises: `cursor_invalid`, `cursor_foreign`."""
    return "" if cursor is None else read_page(_listing(ctx), cursor)[1]


def _listing(ctx: CallContext) -> str:
    return listing(ctx.services.get(Journal).store.id, ctx.principal.tenant)
