"""The verb that writes runpacks, and what `pack verify` and `pack sign` do with one.

What it does: records of input and output, and thin handlers over export and verification. What it does not do: no
presentation, and no rule of its own.

Rules: a runpack is written on the machine of whoever asks; to verify one needs no store; a folder is a runpack if its
manifest is one, whatever stands beside it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from interlock.base.bounds import INTEGER_MAX
from interlock.base.canonical import parse
from interlock.base.errors import InterlockError
from interlock.base.part import CallContext, Command, Effect
from interlock.base.principal import PrincipalKind
from interlock.gates.values import Logical, NamespaceId, TenantId, Timestamp, UnixMillis
from interlock.journal.journal import Journal
from interlock.packs.commands import FAIL, PASS, Verification, VerifyInput, every_event
from interlock.packs.errors import PACK_PLACE_REFUSED, RUNPACK_TIME_INVALID
from interlock.packs.progress import ProgressLine
from interlock.packs.report import Errors, PackError

if TYPE_CHECKING:
    from interlock.packs.runpack.verify import RunpackVerdict

_NUMBER = re.compile(r"\A-?[0-9]{1,16}\Z")
_LOGICAL = re.compile(r"\Alogical:([0-9]{1,16})\Z")
_NANOSECONDS_A_MILLISECOND = 1_000_000


class ScenarioExportInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which run of a scenario to export, and where to."""

    run: Annotated[str, Meta(min_length=1, description="The run's id within its tenant and namespace.")]
    tenant: Annotated[TenantId, Meta(description="The tenant id of the run.")]
    namespace: Annotated[NamespaceId, Meta(description="The namespace id of the run.")]
    out: Annotated[str, Meta(min_length=1, description="The folder to write.")]
    at: Annotated[str, Meta(description="When it is exported: RFC 3339, milliseconds since 1970, or logical:<number>.")]
    verify: Annotated[bool, Meta(description="Add the report of a verification.")] = False
    full: Annotated[bool, Meta(description="Add the events, which prove what the other files cannot.")] = False
    manifest: Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9._-]{0,99}\Z", description="The manifest's name.")] = (
        "manifest.json"
    )
    force: Annotated[bool, Meta(description="Replace a runpack of this name.")] = False


class ScenarioExported(Struct, frozen=True):
    """A runpack that is complete and durable; `checked_files` is how many files its report speaks of."""

    folder: str
    manifest: str
    digest: str
    root_hash: str
    run_id: str
    scenario_id: str
    files: int
    bytes: int
    checked_files: int | None


def timestamp_of(text: str) -> Timestamp:
    """The time in a text. Raises: `runpack_time_invalid`."""
    from interlock.gates.comparators.times import moment

    logical = _LOGICAL.match(text)
    if logical is not None and int(logical[1]) <= INTEGER_MAX:
        return Logical(int(logical[1]))
    if _NUMBER.match(text) and abs(int(text)) <= INTEGER_MAX:
        return UnixMillis(int(text))
    at, epoch = moment(text), moment("1970-01-01T00:00:00Z")
    if at is None or epoch is None:
        raise RUNPACK_TIME_INVALID.error("this is no time")
    return UnixMillis((at - epoch) // _NANOSECONDS_A_MILLISECOND)


async def _export(ctx: CallContext, given: ScenarioExportInput) -> ScenarioExported:
    from interlock.gates.values import hash_of
    from interlock.packs.runpack.build import Wish
    from interlock.packs.runpack.full import Place, export_runpack
    from interlock.packs.survey import Wanted

    if ctx.principal.kind is not PrincipalKind.LOCAL:
        raise PACK_PLACE_REFUSED.error("only the user of this machine may have files written on it")
    run_id = f"{given.tenant}:{given.namespace}:{given.run}"
    wanted = Wanted(ctx.principal.tenant, run_id, kind="scenario_run")
    wish = Wish(generated_at=timestamp_of(given.at), report=given.verify, manifest_name=given.manifest)
    place = Place(Path(given.out), given.force)
    with ProgressLine() as progress:
        made = await export_runpack(ctx.services.get(Journal), wanted, place, wish, full=given.full, progress=progress)
    return ScenarioExported(
        folder=given.out,
        manifest=given.manifest,
        digest=hash_of(made.files[given.manifest]).value,
        root_hash=made.manifest.integrity.root_hash.value,
        run_id=made.manifest.run_id,
        scenario_id=made.manifest.scenario_id,
        files=len(made.files),
        bytes=sum(map(len, made.files.values())),
        checked_files=None if made.report is None else made.report.checked_files,
    )


def is_runpack(path: Path, manifest: str | None) -> bool:
    """Whether the folder at a path is a runpack. Raises: as reading a folder."""
    from interlock.packs.runpack.folder import RunpackFolder
    from interlock.packs.runpack.model import FILE_BYTES_MAX

    if not path.is_dir():
        return False
    with RunpackFolder(path) as folder:
        name = manifest or folder.manifest_name()
        if name is None:
            return False
        try:
            head = parse(folder.read(name), bytes_max=FILE_BYTES_MAX, wide=True)
        except InterlockError:
            return name != "manifest.json" or (path / "artifacts" / "decisions.json").exists()
    return isinstance(head, dict) and "manifest_version" in head


async def verified_runpack(given: VerifyInput, trusted: list[str] | None) -> Verification:
    """What `pack verify` says of a runpack."""
    from interlock.packs.runpack.verify import SAID
    from interlock.packs.sign import SignatureState, check_signature

    path = Path(given.path)
    verdict = await _verdict(path, given.manifest, given.evidence_keys)
    errors = Errors()
    beside = None if given.signature is None else Path(given.signature)
    signature = check_signature(path, _said(verdict), errors, trusted=trusted, signature=beside)
    found = [*verdict.errors, *errors.all]
    is_signed = signature.state in (SignatureState.VALID, SignatureState.TRUSTED)
    left_open = [each for each in verdict.not_rederivable if each != SAID or not is_signed]
    manifest = verdict.manifest
    return Verification(
        path=given.path,
        status=FAIL if found else PASS,
        signature=signature.state.value,
        signed_by=signature.key,
        digest=verdict.digest,
        run_id=None if manifest is None else f"{manifest.tenant_id}:{manifest.namespace_id}:{manifest.run_id}",
        runs=0,
        streams=0,
        events=0,
        artifacts=0,
        unsealed=(),
        left_out=(),
        inherited=(),
        erased=0,
        sealed_facts=0,
        views_compared=verdict.logs is not None,
        complete=verdict.complete,
        errors=found,
        not_rederivable=tuple(left_open),
        checked_files=verdict.report.checked_files,
        reference_errors=tuple(verdict.report.errors),
    )


async def vouched_runpack(path: Path) -> tuple[list[PackError], bytes | None, str | None]:
    """The errors of a runpack, the statement about it, and the digest of its manifest."""
    verdict = await _verdict(path, None, ())
    return verdict.errors, _said(verdict), verdict.digest


async def _verdict(path: Path, manifest: str | None, keys: Sequence[str]) -> RunpackVerdict:
    from interlock.gates.evidence.sources import public_key
    from interlock.packs.runpack.full import verify_folder

    known = {each: public_key(each) for each in keys}
    with ProgressLine() as progress:
        return await verify_folder(path, every_event(), manifest_name=manifest, keys=known, progress=progress)


def _said(verdict: RunpackVerdict) -> bytes | None:
    """The statement about a runpack; None of one that cannot be read."""
    from interlock.packs.sign import runpack_statement

    manifest, name, digest = verdict.manifest, verdict.manifest_name, verdict.digest
    if manifest is None or name is None or digest is None:
        return None
    return runpack_statement(f"{manifest.tenant_id}:{manifest.namespace_id}:{manifest.run_id}", name, digest)


COMMANDS = (
    Command(
        "scenario",
        "export",
        ScenarioExportInput,
        ScenarioExported,
        _export,
        "Write a scenario's run as a folder of JSON that others can verify.",
        "interlock scenario export --tenant 1 --namespace 1 --run r1 --out r1 --at 2026-01-31T12:00:00Z --verify",
        "run.read",
        Effect.READS,
        local=True,
    ),
)
