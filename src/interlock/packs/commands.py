"""The verbs about packs and keys.

What it does: records of input and output, and thin handlers over export, verification and signing. What it does not do:
no presentation, and no rule of its own.

Rules: what does the work is imported where it is done, since every call of the program pays for this module; a pack is
written and read on the machine of whoever asks; to verify or to show one needs no store, and opens
none; a verification that fails is an answer with an exit code, not an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, Struct

from interlock.base.ids import shown
from interlock.base.part import CallContext, Command, Effect
from interlock.base.principal import PrincipalKind
from interlock.gates.redecide.logs import NotRederivable
from interlock.journal.journal import Journal
from interlock.packs.errors import PACK_PLACE_REFUSED, PACK_SIGNED
from interlock.packs.manifest import VIEWS, Manifest, RunEntry, StreamEntry
from interlock.packs.progress import ProgressLine
from interlock.packs.report import Errors, PackError

if TYPE_CHECKING:
    from interlock.journal.catalogue import EventCatalogue
    from interlock.packs.verify import Verdict

EXIT_FAILED = 7
PASS, FAIL = "pass", "fail"

PathArgument = Annotated[str, Meta(min_length=1, description="The pack: a file, or the folder it was unpacked to.")]
KeyFile = Annotated[str, Meta(min_length=1, description="The file of a private key, as `key new` makes it.")]


class ExportInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which run to export, and where to."""

    run: Annotated[str, Meta(description="The run's id, a UUID; <tenant>:<namespace>:<run> of a scenario's run.")]
    out: Annotated[str, Meta(min_length=1, description="The file to write.")]
    scenario: Annotated[
        str | None, Meta(description="The scenario of a scenario's run; a server has to be told it.")
    ] = None
    contract: Annotated[bool, Meta(description="Add the events in the wire shapes of the run-engine contract.")] = False
    without_children: Annotated[bool, Meta(description="Leave child runs out; the pack says which.")] = False
    sign: Annotated[KeyFile | None, Meta(description="Sign it with the private key in this file.")] = None
    force: Annotated[bool, Meta(description="Replace a pack of this name, and its signature.")] = False


class Exported(Struct, frozen=True):
    """A pack that is complete and durable."""

    pack: str
    bytes: int
    digest: str
    run_id: str
    runs: int
    events: int
    artifacts: int
    unsealed: tuple[str, ...]
    left_out: tuple[str, ...]
    signature: str | None


class VerifyInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which pack to prove, and whose signature it must have."""

    path: PathArgument
    trust: Annotated[
        str | None, Meta(description="Demand a signature by a public key of this file, or by this key id.")
    ] = None
    signature: Annotated[str | None, Meta(description="The signature, if it does not stand beside the pack.")] = None
    manifest: Annotated[str | None, Meta(description="The manifest of a runpack, if it has another name.")] = None
    evidence_keys: Annotated[
        tuple[str, ...],
        Meta(max_length=64, description="Public keys that evidence of a runpack is signed with, by their files."),
    ] = ()


class InheritedFrom(Struct, frozen=True):
    """States that a fork took over from a run which the pack does not hold: nothing in it proves them."""

    run_id: str
    source_run_id: str
    source_seq: int
    states: int


class Verification(Struct, frozen=True):
    """What was proved. `status` is `pass` or `fail`; without errors it is `pass`.

    `unsealed` are runs that had not ended; `left_out` child runs that the pack does not hold; `erased` counts events
    whose data is gone, `sealed_facts` answers that are ciphertext. `views_compared` is false where the views were not
    made anew: a fault was in the way, or another version drew them. `complete` is false where a fault kept the rest
    from being examined, or more is wrong than is listed.
    """

    path: str
    status: str
    signature: str
    signed_by: str | None
    digest: str | None
    run_id: str | None
    runs: int
    streams: int
    events: int
    artifacts: int
    unsealed: tuple[str, ...]
    left_out: tuple[str, ...]
    inherited: tuple[InheritedFrom, ...]
    erased: int
    sealed_facts: int
    views_compared: bool
    complete: bool
    errors: list[PackError]
    not_rederivable: tuple[NotRederivable, ...] = ()
    checked_files: int | None = None
    reference_errors: tuple[str, ...] = ()


class ShowInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which pack to look into."""

    path: PathArgument


class Shown(Struct, frozen=True):
    """What a pack says of itself. Its container was checked, and nothing else: `pack verify` proves it."""

    path: str
    format: str
    created_by: str
    digest: str
    bytes: int
    run_id: str
    tenant: str
    artifacts: int
    artifact_bytes: int
    unsealed: tuple[str, ...]
    left_out: tuple[str, ...]
    runs: list[RunEntry]
    streams: list[StreamEntry]
    views: tuple[str, ...]


class SignInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which pack to vouch for."""

    path: PathArgument
    key: KeyFile
    force: Annotated[bool, Meta(description="Replace the signature that is there.")] = False


class Signed(Struct, frozen=True):
    """A signature that stands beside its pack."""

    pack: str
    signature: str
    signed_by: str
    digest: str


class KeyInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the new key is to stand."""

    out: Annotated[str, Meta(min_length=1, description="The file of the private key; the public one gets `.pub`.")] = (
        "interlock.key"
    )


class NewKey(Struct, frozen=True):
    """A new pair of keys."""

    private: str
    public: str
    key: str


async def _export(ctx: CallContext, given: ExportInput) -> Exported:
    from interlock.packs.export import export
    from interlock.packs.exporting import check_scenario, exported, key_for
    from interlock.packs.survey import Wanted

    if ctx.principal.kind is not PrincipalKind.LOCAL:
        raise PACK_PLACE_REFUSED.error("only the user of this machine may have files written on it")
    journal, tenant = ctx.services.get(Journal), ctx.principal.tenant
    key = key_for(given)
    if given.scenario is not None:
        await check_scenario(journal, tenant, given.scenario, given.run)
    kind: Literal["run", "scenario_run"] = "scenario_run" if ":" in given.run else "run"
    wanted = Wanted(tenant, given.run, not given.without_children, given.contract, kind=kind)
    with ProgressLine() as progress:
        made = await export(journal, wanted, Path(given.out), force=given.force, progress=progress)
    return exported(given, key, made)


async def _verify(_ctx: CallContext, given: VerifyInput) -> Verification:
    from interlock.packs.keys import trusted_keys
    from interlock.packs.runpack.commands import is_runpack, verified_runpack

    trusted = None if given.trust is None else trusted_keys(given.trust)
    if is_runpack(Path(given.path), given.manifest):
        return await verified_runpack(given, trusted)
    return verification(given.path, await _verified(Path(given.path), trusted, given.signature))


def verification(path: str, verdict: Verdict) -> Verification:
    """A verdict as `pack verify` tells it, on what was found at `path`."""
    manifest = verdict.manifest
    streams = () if manifest is None else manifest.streams
    return Verification(
        path=path,
        status=PASS if verdict.passed else FAIL,
        signature=verdict.signature.state.value,
        signed_by=verdict.signature.key,
        digest=verdict.digest,
        run_id=None if manifest is None else manifest.root.id,
        runs=0 if manifest is None else len(manifest.runs),
        streams=len(streams),
        events=sum(entry.events for entry in streams),
        artifacts=0 if manifest is None else manifest.artifacts.count,
        unsealed=() if manifest is None else manifest.unsealed,
        left_out=() if manifest is None else manifest.left_out,
        inherited=() if manifest is None else tuple(_inherited(manifest)),
        erased=sum(entry.erased for entry in streams),
        sealed_facts=0 if manifest is None else sum(run.sealed_facts for run in manifest.runs),
        views_compared=verdict.views_compared,
        complete=verdict.complete,
        errors=verdict.errors,
        not_rederivable=verdict.not_rederivable,
    )


def _inherited(manifest: Manifest) -> Iterator[InheritedFrom]:
    """What runs of a pack took over from runs that it does not hold."""
    held = {run.run_id for run in manifest.runs}
    for run in manifest.runs:
        source = run.inherits
        if source is not None and source.run_id not in held:
            yield InheritedFrom(run.run_id, source.run_id, source.seq, source.states)


def every_event() -> EventCatalogue:
    """The events of every part, installed ones among them."""
    from interlock.journal.catalogue import EventCatalogue
    from interlock.parts import installed_parts

    return EventCatalogue(kind for part in installed_parts() for kind in part.events)


async def _verified(path: Path, trusted: list[str] | None, signature: str | None) -> Verdict:
    from interlock.packs.verify import verify

    beside = None if signature is None else Path(signature)
    with ProgressLine() as progress:
        return await verify(path, every_event(), trusted=trusted, signature=beside, progress=progress)


async def _show(_ctx: CallContext, given: ShowInput) -> Shown:
    from interlock.packs.content import checked, opened

    with ProgressLine() as progress:
        content = checked(opened(Path(given.path)), progress)
    manifest = content.manifest
    return Shown(
        path=given.path,
        format=manifest.format,
        created_by=f"{manifest.created_by.name} {manifest.created_by.version}",
        digest=content.digest,
        bytes=content.bytes,
        run_id=manifest.root.id,
        tenant=manifest.root.tenant,
        artifacts=manifest.artifacts.count,
        artifact_bytes=manifest.artifacts.bytes,
        unsealed=manifest.unsealed,
        left_out=manifest.left_out,
        runs=list(manifest.runs),
        streams=list(manifest.streams),
        views=tuple(entry.name for entry in manifest.members if entry.name.startswith(f"{VIEWS}/")),
    )


async def _sign(_ctx: CallContext, given: SignInput) -> Signed:
    from interlock.packs.exporting import is_taken, write_signature
    from interlock.packs.keys import private_key
    from interlock.packs.sign import signature_path

    path = Path(given.path)
    key = private_key(Path(given.key))
    beside = signature_path(path)
    if is_taken(beside) and not given.force:
        raise PACK_SIGNED.error(f"{shown(path.name)} has a signature already, {shown(beside.name)}")
    said, digest = await _vouched(path, beside)
    return Signed(str(path), str(beside), write_signature(beside, key, said, force=given.force), digest)


async def _vouched(path: Path, beside: Path) -> tuple[bytes, str]:
    """The statement about a pack that is sound, whatever its signature is, and the digest that it names."""
    from interlock.packs.exporting import statement_of
    from interlock.packs.runpack.commands import is_runpack, vouched_runpack

    if is_runpack(path, None):
        found, said, digest = await vouched_runpack(path)
    else:
        verdict = await _verified(path, None, None)
        found, digest = verdict.errors, verdict.digest
        said = None if verdict.manifest is None or digest is None else statement_of(verdict.manifest, digest)
    errors = Errors()
    for error in found:
        if error.member != beside.name:
            errors.add(error.code, error.what, member=error.member)
    if errors or said is None or digest is None:
        raise errors.first()
    return said, digest


async def _new(_ctx: CallContext, given: KeyInput) -> NewKey:
    from interlock.packs.keys import new_key

    out = Path(given.out)
    return NewKey(str(out), f"{out}.pub", key=new_key(out))


_RUN = "01890a5d-ac96-774b-bcce-b302099a8057"

COMMANDS = (
    Command(
        "pack",
        "export",
        ExportInput,
        Exported,
        _export,
        "Write a run with all that proves it into one file.",
        f"interlock pack export --run {_RUN} --out release.pack --sign interlock.key",
        "run.read",
        Effect.READS,
        local=True,
        carries=True,
    ),
    Command(
        "pack",
        "verify",
        VerifyInput,
        Verification,
        _verify,
        "Prove a pack offline: container, chains, folds, facts, views and signature.",
        "interlock pack verify release.pack --trust interlock.key.pub",
        "machine",
        Effect.READS,
        machine=True,
        carries=True,
        positional=("path",),
        exit_code=lambda found: 0 if found.status == PASS else EXIT_FAILED,
    ),
    Command(
        "pack",
        "show",
        ShowInput,
        Shown,
        _show,
        "Show what is in a pack.",
        "interlock pack show release.pack",
        "machine",
        Effect.READS,
        machine=True,
        positional=("path",),
    ),
    Command(
        "pack",
        "sign",
        SignInput,
        Signed,
        _sign,
        "Verify a pack and sign it.",
        "interlock pack sign release.pack --key interlock.key",
        "machine",
        Effect.CHANGES,
        machine=True,
        positional=("path",),
    ),
    Command(
        "key",
        "new",
        KeyInput,
        NewKey,
        _new,
        "Make a pair of keys to sign packs with.",
        "interlock key new --out interlock.key",
        "machine",
        Effect.CHANGES,
        machine=True,
    ),
)
