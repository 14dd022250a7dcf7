"""What a log names is there, whole and canonical (I8), and what no byte may hold is nowhere (I13).

What it does: fetches every artifact that events name, and the tree below each snapshot; searches places for canaries.
What it does not do: it looks at no artifact that nothing names.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from interlock.base.canonical import canonical, digest, parse
from interlock.base.errors import InterlockError
from interlock.engine import events as e
from interlock.journal.chain import Recorded
from interlock.journal.ports import Artifacts
from interlock.testing.checker.broken import InvariantBroken


def snapshots_of(record: Struct | None) -> list[str | None]:
    """The context snapshots that an event names."""
    match record:
        case e.RunStarted(initial, _):
            return [initial]
        case e.StateEntered(_, base):
            return [base]
        case e.StateCompleted(context):
            return [context]
        case e.StateFailed(_, diagnostic):
            return [diagnostic]
        case e.RunCompleted(final):
            return [final]
        case _:
            return []


async def check_artifacts(events: Iterable[Recorded], artifacts: Artifacts) -> None:
    """I8: each artifact that the events name exists, hashes to its id, and is canonical where it is structured.

    Of a snapshot that holds for the whole tree below its root. Raises: `InvariantBroken`.
    """
    kept = _Kept(artifacts)
    for event in events:
        seq = event.envelope.seq
        for snapshot in snapshots_of(event.record):
            if snapshot is not None:
                await kept.check_tree(seq, snapshot)
        match event.record:
            case e.RunStarted(_, manifest):
                await kept.check(seq, manifest, structured=True)
            case e.FactRecorded(_, kind, payload):
                await kept.check(seq, payload, structured=kind == "json")
            case e.BranchCompleted(_, view, writes):
                await kept.check_tree(seq, view)
                await kept.check(seq, writes, structured=True)
            case e.StateSuspended(_, waits):
                for wait in waits:
                    if wait.default_id is not None:
                        await kept.check(seq, wait.default_id, structured=True)
            case e.SignalReceived(payload_id=payload):
                await kept.check(seq, payload, structured=True)
            case e.PlanRecorded(fingerprint=plan):
                await kept.check(seq, plan, structured=False)
            case e.ArtifactWritten(artifact) | e.DomainEmitted(_, _, str(artifact)):
                await kept.check(seq, artifact, structured=False)
            case _:
                pass


class _Kept:
    """Artifacts as they are stored, each checked once."""

    def __init__(self, artifacts: Artifacts) -> None:
        self._artifacts = artifacts
        self._checked: set[tuple[str, bool]] = set()
        self._trees: set[str] = set()

    async def check(self, seq: int, artifact: str, *, structured: bool) -> bytes | None:
        """The bytes of an artifact, or None if it was checked before."""
        if (artifact, structured) in self._checked:
            return None
        self._checked.add((artifact, structured))
        try:
            [content] = await self._artifacts.get([artifact])
        except InterlockError as fault:
            raise InvariantBroken("I8", seq, f"the artifact {artifact} cannot be had ({fault.code})") from fault
        if digest(content) != artifact:
            raise InvariantBroken("I8", seq, f"the artifact {artifact} holds other bytes")
        if structured and canonical(parse(content)) != content:
            raise InvariantBroken("I8", seq, f"the artifact {artifact} is not canonical")
        return content

    async def check_tree(self, seq: int, root: str) -> None:
        """A snapshot: the node `root`, the nodes below it (tag `n`) and the large values that leaves name (`a`)."""
        content = await self.check(seq, root, structured=True)
        members = {} if content is None else parse(content)
        if not isinstance(members, dict):
            raise InvariantBroken("I8", seq, f"the snapshot {root} is not a node of a map")
        for member in members.values():
            match member:
                case ["n", str(node)]:
                    await self.check_tree(seq, node)
                case ["a", str(large)]:
                    await self.check(seq, large, structured=True)
                case _:
                    pass


def check_absent(canaries: Iterable[bytes], places: Iterable[tuple[str, bytes]]) -> None:
    """I13: none of `canaries` stands anywhere in `places`, which are pairs of a name and bytes.

    Raises: `InvariantBroken`, naming the place and never the canary.
    """
    sought = tuple(canaries)
    for name, content in places:
        for number, canary in enumerate(sought):
            if canary in content:
                raise InvariantBroken("I13", 0, f"canary {number} stands in {name}")
