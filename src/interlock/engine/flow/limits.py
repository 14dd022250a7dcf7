"""How much may happen at once: concurrency keys and rates of runs and states, as records.

What it does: declares `Flow` and `Rate`, checks them, and says which units of which leases an entry needs. What it does
not do: it holds and waits for nothing (`units`, `turnstile`), and counts nothing (`journal.leases`).

Rules: a key is one lease over all runs of a tenant; a unit of a flow is given back, one of a rate comes back by its
expiry alone; whoever needs several asks in the order of `asks`, flows before rates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta, Struct

from interlock.base.canonical import canonical, digest
from interlock.base.errors import Category, ErrorCode, InterlockError
from interlock.base.secret_scan import refuse_secrets
from interlock.journal.leases.decide import LEASE_MS_MAX, PRIORITY_MAX, TEXT_CHARACTERS_MAX, UNITS_MAX
from interlock.journal.leases.events import lease_stream

FLOW = "flow/"
RATE = "rate/"
"""What names of leases begin with: the key follows."""

FLOW_INVALID = ErrorCode(
    "flow_invalid", Category.INVALID, "Give a key of 1 to 200 characters, and a limit of at least one; see the message."
)


Key = Annotated[str, Meta(min_length=1, max_length=TEXT_CHARACTERS_MAX)]
Limit = Annotated[int, Meta(ge=1, le=UNITS_MAX)]


class Flow(Struct, frozen=True, kw_only=True):
    """At most `limit` at once of what has this key. Higher `priority` goes first; then groups take turns."""

    group: Annotated[str, Meta(max_length=TEXT_CHARACTERS_MAX)] = ""
    key: Key
    limit: Limit
    priority: Annotated[int, Meta(ge=-PRIORITY_MAX, le=PRIORITY_MAX)] = 0


class Rate(Struct, frozen=True, kw_only=True):
    """At most `limit` beginnings of what has this key within any `per_ms`."""

    key: Key
    limit: Limit
    per_ms: Annotated[int, Meta(ge=1, le=LEASE_MS_MAX)]


class Needs(Struct, frozen=True):
    """What an entry needs: a unit of each."""

    flow: Flow | None
    rate: Rate | None


class Ask(NamedTuple):
    """One unit of one lease: `purpose` tells the requests of one run apart; `kept_ms` is how long a rate's counts."""

    lease: str
    capacity: int
    purpose: str
    priority: int = 0
    group: str = ""
    kept_ms: int | None = None


def needs_of(flow: Flow | None, rate: Rate | None) -> Needs | None:
    """What is needed, checked; None for nothing. Raises: `flow_invalid`, `secrets_detected`."""
    for given, prefix in ((flow, FLOW), (rate, RATE)):
        if given is not None:
            _check(given, prefix)
    return None if flow is None and rate is None else Needs(flow, rate)


def _check(given: Flow | Rate, prefix: str) -> None:
    try:
        msgspec.convert(msgspec.structs.asdict(given), type(given))
        lease_stream("default", prefix + given.key)
    except msgspec.ValidationError as fault:
        raise FLOW_INVALID.error(f"{type(given).__name__}: {fault}") from None
    except InterlockError as fault:
        raise FLOW_INVALID.error("a key is text of which the name of a lease can be made") from fault
    refuse_secrets(canonical(msgspec.structs.asdict(given)), type(given).__name__)


def asks(needs: Needs, purpose: str, occasion: str) -> Sequence[Ask]:
    """The units of an entry: the flow's goes on from one owner to the next, the rate's belongs to one `occasion`."""
    found: list[Ask] = []
    if needs.flow is not None:
        flow = needs.flow
        found.append(Ask(FLOW + flow.key, flow.limit, purpose, flow.priority, flow.group))
    if needs.rate is not None:
        rate = needs.rate
        found.append(Ask(RATE + rate.key, rate.limit, occasion, kept_ms=rate.per_ms))
    return found


def asks_of_run(needs: Needs, *, started: bool) -> Sequence[Ask]:
    """The units of a run that goes on; only its first entry counts as a start."""
    return asks(Needs(needs.flow, None if started else needs.rate), "run", "start")


def asks_of_state(needs: Needs, state_id: str, attempt: int) -> Sequence[Ask]:
    """The units of one attempt at a state."""
    name = digest(state_id.encode())[:16]
    return asks(needs, name, f"{name}.{attempt}")


ERRORS = (FLOW_INVALID,)
