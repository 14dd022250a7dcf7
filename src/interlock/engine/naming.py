"""The id of a run that its caller did not name.

What it does: makes the id of a run that is started under a command's id, so that the same command again means the same
run. What it does not do: it draws no random id; whoever starts a run without either does.
"""

from __future__ import annotations

from uuid import UUID

from interlock.base.canonical import canonical, digest
from interlock.base.part import CallContext


def run_id_of(ctx: CallContext, named: str | None) -> str | None:
    """The id that a caller gave, else that of its command (RFC 9562, version 8); None where it gave neither."""
    if named is not None or ctx.command_id is None:
        return named
    drawn = bytes.fromhex(digest(canonical(["run", ctx.principal.tenant, ctx.principal.id, ctx.command_id]))[:32])
    marked = int.from_bytes(drawn) & ~(0xF << 76) & ~(0x3 << 62) | 0x8 << 76 | 0x2 << 62
    return str(UUID(int=marked))
