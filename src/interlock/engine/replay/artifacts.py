"""The artifacts of a recorded run, as its replay reads them: in batches, kept for a while, never written.

What it does: fetches what is asked for together with what will be asked for next, and keeps a bounded part of it.
What it does not do: it stores nothing.

Rules: bytes that the record names and the store no longer has are `record_incomplete`, which is damage and not a
missing fact; damage is remembered, so that no handler can swallow it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from interlock.base.errors import Category, ErrorCode, InterlockError
from interlock.journal.errors import ARTIFACT_NOT_FOUND, STORE_UNWRITABLE
from interlock.journal.ports import Artifacts, Blob

RECORD_INCOMPLETE = ErrorCode(
    "record_incomplete",
    Category.CORRUPT,
    "The run names bytes that the store no longer has: restore a backup.",
)
ERRORS = (RECORD_INCOMPLETE,)

BATCH_ARTIFACTS_MAX = 64
BATCH_BYTES = 4 * 1024 * 1024
"""How much is read ahead, as far as the sizes of what was read before tell."""
KEPT_BYTES_MAX = 32 * 1024 * 1024
EXPECTED_MAX = 10_000


class RecordedArtifacts:
    """`Artifacts` for reading alone."""

    def __init__(self, inner: Artifacts) -> None:
        self._inner = inner
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._kept_bytes = 0
        self._batch = BATCH_ARTIFACTS_MAX
        self._expected: OrderedDict[str, None] = OrderedDict()
        self.damage: InterlockError | None = None
        """The first fault of the store."""

    def expect(self, artifact_id: str) -> None:
        """It will probably be asked for, in this order."""
        if artifact_id not in self._kept and len(self._expected) < EXPECTED_MAX:
            self._expected[artifact_id] = None

    async def get(self, ids: Sequence[str]) -> list[bytes]:
        """The verified bytes of each. Raises: `record_incomplete`, `artifact_corrupt`."""
        absent = [each for each in ids if each not in self._kept]
        if not absent:
            return [self._kept[each] for each in ids]
        fetched = await self._fetched(absent)
        contents = [fetched[each] if each in fetched else self._kept[each] for each in ids]
        size = max(sum(map(len, fetched.values())), 1)
        self._batch = min(BATCH_BYTES * len(fetched) // size, BATCH_ARTIFACTS_MAX)
        for identity, content in fetched.items():
            self._keep(identity, content)
        return contents

    async def exists(self, ids: Sequence[str]) -> list[bool]:
        """Whether each is there."""
        return await self._inner.exists(ids)

    async def put(self, blobs: Sequence[Blob]) -> list[str]:
        """Raises: `store_unwritable`, always."""
        del blobs
        raise STORE_UNWRITABLE.error("a replay writes nothing")

    async def scan(self, after: str, limit: int) -> list[str]:
        """Ids greater than `after`."""
        return await self._inner.scan(after, limit)

    async def _fetched(self, absent: list[str]) -> dict[str, bytes]:
        for each in absent:
            self._expected.pop(each, None)
        ahead: list[str] = []
        while self._expected and len(absent) + len(ahead) < self._batch:
            ahead.append(self._expected.popitem(last=False)[0])
        if ahead:
            try:
                return dict(zip([*absent, *ahead], await self._inner.get([*absent, *ahead]), strict=True))
            except InterlockError:
                pass  # one of those ahead may be damaged and never asked for
        try:
            return dict(zip(absent, await self._inner.get(absent), strict=True))
        except InterlockError as fault:
            lost = fault.kind == ARTIFACT_NOT_FOUND
            shown = RECORD_INCOMPLETE.error("the store has lost an artifact that the run names") if lost else fault
            self.damage = self.damage or shown
            raise shown from fault

    def _keep(self, identity: str, content: bytes) -> None:
        if identity in self._kept:
            return
        self._kept[identity] = content
        self._kept_bytes += len(content)
        while self._kept_bytes > KEPT_BYTES_MAX and len(self._kept) > 1:
            self._kept_bytes -= len(self._kept.popitem(last=False)[1])
