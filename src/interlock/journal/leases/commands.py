"""The verbs about leases, for operators: records of input and output, and thin handlers over `Leases`.

What it does: lists and shows leases, and ends a holding by hand. What it does not do: no verb acquires; whatever works
under a lease does that where it works.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from interlock.base.bounds import PAGE_ITEMS_MAX
from interlock.base.part import CallContext, Command, Effect
from interlock.journal.errors import LEASE_LOST
from interlock.journal.leases.fold import LeaseState
from interlock.journal.leases.service import Leases
from interlock.journal.leases.views import LeaseRow
from interlock.journal.views import Views

LeaseName = Annotated[str, Meta(min_length=1, max_length=400, description="The lease's name.")]
Token = Annotated[int, Meta(ge=1, description="The token of the holding, as `lease show` gives it.")]


class ListLeases(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which leases to list, newest first."""

    state: Annotated[str | None, Meta(description="Only leases in this state: free, held, waited_for.")] = None
    limit: Annotated[int, Meta(ge=1, le=PAGE_ITEMS_MAX, description="Rows in a page.")] = 50
    cursor: Annotated[str | None, Meta(description="Where the page before ended.")] = None


class LeaseList(Struct, frozen=True):
    """A page of leases."""

    items: list[LeaseRow]
    next: str | None


class LeaseInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which lease."""

    lease: LeaseName


class LeaseHolding(Struct, frozen=True):
    """Units that are held."""

    token: int
    holder: str
    units: int
    expires_ms: int
    group: str
    request_id: str


class LeaseWaiting(Struct, frozen=True):
    """A request that waits, at its place in the queue."""

    place: int
    holder: str
    units: int
    priority: int
    group: str
    request_id: str


class LeaseReport(Struct, frozen=True):
    """A lease as it is now: who holds, and who waits in which order."""

    lease: str
    capacity: int
    units_held: int
    holders: list[LeaseHolding]
    queue: list[LeaseWaiting]


class ReleaseInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose units to give back, on behalf of a holder that will not."""

    lease: LeaseName
    token: Token


class SeizeInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose units to take away, and why."""

    lease: LeaseName
    token: Token
    reason: Annotated[str, Meta(min_length=1, max_length=2000, description="Why; recorded with your name.")]


class LeaseEnded(Struct, frozen=True):
    """The units are back; whoever waited for them has them."""

    lease: str
    token: int


async def _list(ctx: CallContext, given: ListLeases) -> LeaseList:
    terms = {} if given.state is None else {"state": given.state}
    page = await ctx.services.get(Views).query(ctx.principal.tenant, "leases", terms, given.cursor, given.limit)
    return LeaseList(page.items, page.next)


async def _show(ctx: CallContext, given: LeaseInput) -> LeaseReport:
    leases = ctx.services.get(Leases)
    await leases.require(given.lease, principal=ctx.principal)
    return await leases.look(given.lease, lambda state: _report(given.lease, state), principal=ctx.principal)


def _report(name: str, state: LeaseState) -> LeaseReport:
    holders = [
        LeaseHolding(token, each.holder, each.units, each.expires_ms, each.group, each.request_id)
        for token, each in sorted(state.holders.items())
    ]
    queue = [
        LeaseWaiting(place, each.holder, each.units, each.priority, each.group, each.request_id)
        for place, each in enumerate(state.places(), 1)
    ]
    return LeaseReport(name, state.capacity, state.units_held, holders, queue)


async def _release(ctx: CallContext, given: ReleaseInput) -> LeaseEnded:
    leases = ctx.services.get(Leases)
    await leases.require(given.lease, principal=ctx.principal)
    ended = await leases.release(given.lease, given.token, principal=ctx.principal, command_id=ctx.command_id)
    return _ended(given.lease, given.token, ended=ended)


async def _seize(ctx: CallContext, given: SeizeInput) -> LeaseEnded:
    leases = ctx.services.get(Leases)
    await leases.require(given.lease, principal=ctx.principal)
    ended = await leases.seize(
        given.lease, given.token, given.reason, principal=ctx.principal, command_id=ctx.command_id
    )
    return _ended(given.lease, given.token, ended=ended)


def _ended(name: str, token: int, *, ended: bool) -> LeaseEnded:
    if not ended:
        raise LEASE_LOST.error("this token holds nothing any more", token=token)
    return LeaseEnded(name, token)


COMMANDS = (
    Command(
        "lease",
        "list",
        ListLeases,
        LeaseList,
        _list,
        "List leases: units held, and how many wait.",
        "interlock lease list --state waited_for",
        "lease.read",
        Effect.READS,
    ),
    Command(
        "lease",
        "show",
        LeaseInput,
        LeaseReport,
        _show,
        "Show who holds a lease, and who waits in which order.",
        "interlock lease show deploy/production",
        "lease.read",
        Effect.READS,
        positional=("lease",),
    ),
    Command(
        "lease",
        "seize",
        SeizeInput,
        LeaseEnded,
        _seize,
        "Take a lease away from its holder; whoever waits gets it.",
        "interlock lease seize deploy/production 7 --reason 'its machine is gone'",
        "lease.seize",
        Effect.CHANGES,
        positional=("lease", "token"),
    ),
    Command(
        "lease",
        "release",
        ReleaseInput,
        LeaseEnded,
        _release,
        "Give a lease back on behalf of its holder.",
        "interlock lease release deploy/production 7",
        "lease.release",
        Effect.CHANGES,
        positional=("lease", "token"),
    ),
)
