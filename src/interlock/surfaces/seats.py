"""Seats: how many of something there may be at once, and how many of them one principal and one tenant may have.

What it does: counts what is under way, sessions, readers and whatever else stands for a while. What it does not do: it
makes nobody wait, and ends nothing.

Rules: one more than there may be is refused at once, and told when to ask again; a seat counts for its principal and
its tenant as soon as they are known; the user of this machine, who may end the server, has no share.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from msgspec import Struct

from interlock.base.errors import ErrorCode, InterlockError
from interlock.base.principal import Principal, PrincipalKind
from interlock.surfaces.errors import SHARE_TAKEN

RETRY_MS = 1_000


class Shares(Struct, frozen=True):
    """How many of each hundred seats one principal may have, and all of one tenant; one seat at least."""

    principal_percent: int = 50
    tenant_percent: int = 75


class Seat:
    """A seat that was taken; `back` gives it back."""

    def __init__(self, seats: Seats) -> None:
        self._seats: Seats | None = seats
        self._owners: tuple[tuple[str, ...], ...] = ()

    def belongs_to(self, principal: Principal) -> None:
        """Count it for a principal and its tenant, once. Raises: `share_taken`."""
        if self._seats is not None and not self._owners and principal.kind is not PrincipalKind.LOCAL:
            self._owners = self._seats.shared(principal)

    def back(self) -> None:
        """Give it back; once, however often it is said."""
        if self._seats is not None:
            self._seats.left(self._owners)
            self._seats = None


class Seats:
    """Seats for one kind of thing, which `what` names; `full` is the error when none is left."""

    def __init__(self, most: int, shares: Shares, full: Callable[[], InterlockError], what: str) -> None:
        self.most = most
        self.taken = 0
        self._shares = shares
        self._full = full
        self._what = what
        self._of: Counter[tuple[str, ...]] = Counter()

    def take(self, principal: Principal | None = None) -> Seat:
        """Take a seat, for a principal if it is known. Raises: as `full` says, `share_taken`."""
        if self.taken >= self.most:
            raise self._full()
        self.taken += 1
        seat = Seat(self)
        if principal is not None:
            try:
                seat.belongs_to(principal)
            except InterlockError:
                seat.back()
                raise
        return seat

    def shared(self, principal: Principal) -> tuple[tuple[str, ...], ...]:
        """Count one more for a principal and its tenant. Raises: `share_taken`."""
        owners = (principal.tenant,), owner_of(principal)
        percents = (self._shares.tenant_percent, self._shares.principal_percent)
        for owner, percent, whose in zip(owners, percents, ("tenant", "principal"), strict=True):
            share = max(1, self.most * percent // 100)
            if self._of[owner] >= share:
                message = f"one {whose} may have {share} of {self.most} {self._what} at once"
                raise SHARE_TAKEN.error(message, retry_after_ms=RETRY_MS)
        self._of.update(owners)
        return owners

    def left(self, owners: tuple[tuple[str, ...], ...]) -> None:
        """A seat is given back."""
        self.taken -= 1
        for owner in owners:
            self._of[owner] -= 1
            if not self._of[owner]:
                del self._of[owner]  # who has none is not remembered


def owner_of(principal: Principal) -> tuple[str, ...]:
    """Who a principal is: its tenant, how it was established, and its id."""
    return principal.tenant, principal.kind.value, principal.id


def refused_by(code: ErrorCode, message: str, retry_ms: int = RETRY_MS) -> Callable[[], InterlockError]:
    """The error of having no seat left."""
    return lambda: code.error(message, retry_after_ms=retry_ms)
