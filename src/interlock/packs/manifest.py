"""The manifest of a pack: what is in it, and what it says of itself.

What it does: records, their canonical bytes, and the strict reading of such bytes. What it does not do: it believes
nothing that it reads; `verify` makes all of it anew from events and artifacts, but who made the pack.

Rules: members of records stand in alphabetical order, so that the plain encoder's bytes are canonical; what is read
and written again has to be what was read.
"""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from interlock.base.ids import ArtifactId, Digest, OpId, RunId, Tenant
from interlock.packs.container import NAME_BYTES_MAX
from interlock.packs.errors import PACK_FROM_FUTURE, PACK_MANIFEST_INVALID, PACK_TOO_LARGE

FORMAT: Final = "interlock.pack/1"
VIEWS_VERSION: Final = 1
"""What views look like; it rises with any change of their bytes."""
MANIFEST_BYTES_MAX: Final = 64 * 1024 * 1024
STREAMS_MAX: Final = 200_000
STREAMS: Final = "streams"
ARTIFACTS: Final = "artifacts"
VIEWS: Final = "views"
RUNPACK: Final = "runpack"
"""The folder of a scenario's run in the layout of seed 000, which follows from its events."""

Natural = Annotated[int, Meta(ge=0, le=2**53 - 1)]
RootId = Annotated[str, Meta(min_length=1, max_length=512)]
MemberName = Annotated[str, Meta(max_length=NAME_BYTES_MAX)]


class ArtifactsEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """All artifacts: `listing` is the SHA-256 of one line `<id> <bytes>` for each, in the order of ids."""

    bytes: Natural
    count: Natural
    listing: Digest


class Maker(Struct, frozen=True, forbid_unknown_fields=True):
    """Which program wrote the pack. It is what the pack says, and nothing proves it but a signature."""

    name: Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9-]{0,62}\Z")]
    version: Annotated[str, Meta(pattern=r"\A[0-9A-Za-z.+-]{1,64}\Z")]


class MemberEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A member that is neither an artifact nor the manifest nor its seal."""

    bytes: Natural
    digest: Digest
    name: MemberName


class Root(Struct, frozen=True, forbid_unknown_fields=True):
    """What was exported: a run by its id, or a scenario's run by `<tenant id>:<namespace id>:<run id>`."""

    id: RootId
    kind: Literal["run", "scenario_run"]
    tenant: Tenant


class Inherited(Struct, frozen=True, forbid_unknown_fields=True):
    """What a fork took over from its source, as that stood at `seq`: how many states, before which one.

    Whether the source did that is proved by the source's own events alone, which this pack may hold or not.
    """

    from_state: Annotated[str, Meta(max_length=512)]
    run_id: RunId
    seq: Natural
    states: Natural


class RunEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A run of the pack. A `status` of null: it had not ended, so that more may have happened since.

    `sealed_facts` are recorded answers whose bytes are ciphertext. `inherits` is null unless the run is a fork.
    """

    final_snapshot_id: ArtifactId | None
    inherits: Inherited | None
    op_id: OpId
    parent_run_id: RunId | None
    run_id: RunId
    sealed_facts: Natural
    status: Literal["cancelled", "completed", "failed"] | None


class StreamEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A stream of the pack: `head` is the digest of its last event, `erased` counts events without their data."""

    erased: Natural
    events: Natural
    head: Digest
    member: MemberName
    stream: Annotated[str, Meta(max_length=512)]


class ViewsEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """Which views there are: of which version, and whether those of the run-engine contract are among them."""

    contract: bool
    version: Annotated[int, Meta(ge=1, le=2**31)]


class Manifest(Struct, frozen=True, forbid_unknown_fields=True):
    """What is in a pack. `left_out` are child runs that it does not hold, `unsealed` those that had not ended."""

    artifacts: ArtifactsEntry
    children: Literal["included", "left_out"]
    created_by: Maker
    format: Literal["interlock.pack/1"]
    left_out: tuple[RunId, ...]
    members: tuple[MemberEntry, ...]
    root: Root
    runs: tuple[RunEntry, ...]
    streams: tuple[StreamEntry, ...]
    unsealed: tuple[RootId, ...]
    views: ViewsEntry


class _Head(Struct):
    """As much of any version's manifest as says which version it is."""

    format: str = ""


_RUN_ID = re.compile(RunId.__metadata__[0].pattern)  # type: ignore[attr-defined]
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Manifest).decode
_decode_head = msgspec.json.Decoder(_Head).decode


def manifest_bytes(manifest: Manifest) -> bytes:
    """The canonical bytes of a manifest. Raises: `pack_too_large`."""
    content = _encode(manifest)
    if len(content) > MANIFEST_BYTES_MAX:
        raise PACK_TOO_LARGE.error(f"the manifest has more than {MANIFEST_BYTES_MAX} bytes")
    return content


def read_manifest(content: bytes) -> Manifest:
    """The manifest in bytes from outside. Raises: `pack_manifest_invalid`, `pack_from_future`."""
    try:
        manifest = _decode(content)
        sound = _encode(manifest) == content
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        _refuse_other_format(content)
        raise PACK_MANIFEST_INVALID.error("the manifest cannot be read") from None
    if not sound:
        raise PACK_MANIFEST_INVALID.error("the manifest is not in its one canonical form")
    if manifest.views.version > VIEWS_VERSION:
        raise PACK_FROM_FUTURE.error(f"its views are of version {manifest.views.version}")
    _check_members(manifest)
    _check_root(manifest)
    return manifest


def _refuse_other_format(content: bytes) -> None:
    try:
        named = _decode_head(content).format
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return
    if named.startswith("interlock.pack/") and named != FORMAT:
        raise PACK_FROM_FUTURE.error("the pack has another format than this version reads")


def _check_members(manifest: Manifest) -> None:
    """Refuse a manifest that names a member twice or out of order, or a stream without its member."""
    if max(map(len, (manifest.streams, manifest.runs, manifest.left_out, manifest.unsealed))) > STREAMS_MAX:
        raise PACK_TOO_LARGE.error(f"the pack has more than {STREAMS_MAX} streams or runs")
    names = [entry.name for entry in manifest.members]
    if names != sorted(set(names)):
        raise PACK_MANIFEST_INVALID.error("the manifest names members twice or out of order")
    if [entry.member for entry in manifest.streams] != [stream_member(n) for n in range(len(manifest.streams))]:
        raise PACK_MANIFEST_INVALID.error("the manifest numbers its streams otherwise")
    if len({entry.stream for entry in manifest.streams}) != len(manifest.streams):
        raise PACK_MANIFEST_INVALID.error("the manifest names a stream twice")
    if missing := {entry.member for entry in manifest.streams} - set(names):
        raise PACK_MANIFEST_INVALID.error("a stream has no member", member=min(missing))


def _check_root(manifest: Manifest) -> None:
    """Refuse ids that the kind of what was exported does not have."""
    if manifest.root.kind == "run":
        if not all(map(_RUN_ID.match, (manifest.root.id, *manifest.unsealed))):
            raise PACK_MANIFEST_INVALID.error("the manifest names a run by what is no id")
    elif manifest.runs or manifest.left_out or manifest.children == "left_out" or manifest.views.contract:
        raise PACK_MANIFEST_INVALID.error("the manifest says of a scenario's run what only other runs have")


def stream_member(place: int) -> str:
    """The member that holds the stream at this place of the manifest."""
    return f"{STREAMS}/{place + 1:06d}.events"


def artifact_member(artifact: str) -> str:
    """The member that holds an artifact."""
    return f"{ARTIFACTS}/{artifact}"


def seal_of(content: bytes) -> bytes:
    """The last member of a pack: what `sha256sum --check` takes, over the manifest."""
    return f"{hashlib.sha256(content).hexdigest()}  manifest.json\n".encode()
