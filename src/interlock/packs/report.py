"""What is wrong with a pack: the list that a verification gives.

What it does: keeps errors, each of one thing for one reason, and turns what the checks of stores say into them. What it
does not do: it examines nothing.

Rule: no more errors are kept than a person would read; whether there were more is told.
"""

from __future__ import annotations

import re

from msgspec import Struct

from interlock.base.errors import Corruption, ErrorCode, InterlockError
from interlock.journal.verify import Finding
from interlock.packs.errors import PACK_CONTAINER_INVALID
from interlock.packs.manifest import artifact_member

ERRORS_MAX = 1_000
_PLACE = re.compile(r"\A(?P<stream>[^#]+)#(?P<seq>[0-9]+)(?:-[0-9]+)?\Z")
_DIGEST = re.compile(r"\A[0-9a-f]{64}\Z")


class PackError(Struct, frozen=True):
    """One thing that is wrong: a code, the member or the event where it is, and what it is."""

    code: str
    what: str
    member: str | None = None
    stream: str | None = None
    seq: int | None = None


class Errors:
    """What was found so far."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str | None, str | None, int | None], PackError] = {}
        self._members: dict[str, str] = {}
        self.complete = True

    def __bool__(self) -> bool:
        return bool(self._found)

    @property
    def all(self) -> list[PackError]:
        """The errors, in the order in which they were found."""
        return list(self._found.values())

    def first(self) -> InterlockError:
        """The first of them, as the error of a call that cannot go on."""
        found = self.all[0]
        where = f" ({found.member})" if found.member else ""
        return Corruption(PACK_CONTAINER_INVALID, f"{found.what}{where}", {"code": found.code, "member": found.member})

    def streams_in(self, members: dict[str, str]) -> None:
        """Learn which member holds each stream, so that an event's error names it."""
        self._members = members

    def add(
        self,
        kind: ErrorCode | str,
        what: str,
        *,
        member: str | None = None,
        stream: str | None = None,
        seq: int | None = None,
    ) -> None:
        """Keep an error, unless the same thing is named for the same reason."""
        code = kind if isinstance(kind, str) else kind.code
        if member is None and stream is not None:
            member = self._members.get(stream)
        key = (code, member, stream, seq)
        if key in self._found:
            return
        if len(self._found) >= ERRORS_MAX:
            self.complete = False
            return
        self._found[key] = PackError(code, what, member, stream, seq)

    def fault(self, fault: InterlockError) -> None:
        """Keep what was raised."""
        member, stream, seq = (fault.details.get(name) for name in ("member", "stream", "seq"))
        self.add(
            fault.kind,
            fault.message,
            member=member if isinstance(member, str) else None,
            stream=stream if isinstance(stream, str) else None,
            seq=seq if isinstance(seq, int) else None,
        )

    def finding(self, finding: Finding) -> None:
        """Keep what a check of stores found."""
        place = _PLACE.match(finding.place)
        if place is not None:
            self.add(finding.kind, finding.message, stream=place["stream"], seq=int(place["seq"]))
        elif _DIGEST.match(finding.place):
            self.add(finding.kind, finding.message, member=artifact_member(finding.place))
        else:
            self.add(finding.kind, finding.message, stream=finding.place)
