"""How the verbs about packs answer people.

What it does: says of a verdict first what it is and what is wrong, then what was looked at, then what to do with a pack
that failed. What it does not do: it judges nothing.

Rule: of a pack that could not be read, no count is shown: a 0 would be a claim.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from interlock.gates.redecide.logs import NotRederivable
from interlock.packs.commands import FAIL, Verification
from interlock.packs.errors import PACK_FROM_FUTURE, PACK_SIGNER_UNTRUSTED, PACK_UNSIGNED
from interlock.packs.report import PackError
from interlock.surfaces.cli.presentation import Presentation


class VerdictShown(Struct, frozen=True, kw_only=True):
    """A `Verification` for people."""

    path: str
    status: str
    errors: list[PackError]
    signature: str
    signed_by: str | None
    digest: str | None
    run_id: str | None
    runs: int | None
    streams: int | None
    events: int | None
    artifacts: int | None
    unsealed: tuple[str, ...]
    left_out: tuple[str, ...]
    erased: int | None
    sealed_facts: int | None
    views_compared: bool | None
    checked_files: int | None
    not_rederivable: tuple[NotRederivable, ...]
    complete: bool | str


def _verdict(output: Struct) -> Struct:
    if not isinstance(output, Verification):
        return output
    is_read = output.run_id is not None and output.checked_files is None  # a runpack has other counts
    return VerdictShown(
        path=output.path,
        status=output.status,
        errors=output.errors,
        signature=output.signature,
        signed_by=output.signed_by,
        digest=output.digest,
        run_id=output.run_id,
        runs=output.runs if is_read else None,
        streams=output.streams if is_read else None,
        events=output.events if is_read else None,
        artifacts=output.artifacts if is_read else None,
        unsealed=output.unsealed,
        left_out=output.left_out,
        erased=output.erased if is_read else None,
        sealed_facts=output.sealed_facts if is_read else None,
        views_compared=output.views_compared if is_read else None,
        checked_files=output.checked_files,
        not_rederivable=output.not_rederivable,
        complete=output.complete or "no: more may be wrong than is listed",
    )


def _verdict_next(output: Struct, _given: Mapping[str, object]) -> str | None:
    """What to do with a pack that failed."""
    if not isinstance(output, Verification) or output.status != FAIL:
        return None
    match {error.code for error in output.errors}:
        case codes if codes == {PACK_UNSIGNED.code}:
            return "do not rely on it yet; ask for its signature, the file that ends in .sig"
        case codes if codes == {PACK_SIGNER_UNTRUSTED.code}:
            return "do not rely on it; find out whose key signed it, and trust that only if you know"
        case codes if codes == {PACK_FROM_FUTURE.code}:
            return "do not rely on it yet; verify it with the newer version that wrote it"
        case _:
            return "do not rely on it; ask for the pack again"


PRESENTATION = Presentation(
    columns={
        "verify.errors": ("code", "member", "seq", "what"),
        "verify.not_rederivable": ("what", "count", "reason"),
        "show.runs": ("run_id", "op_id", "status", "sealed_facts", "parent_run_id"),
        "show.streams": ("member", "events", "erased", "stream"),
    },
    people={"verify": _verdict},
    follow={"verify": _verdict_next},
    cut={"show.runs": ("op_id",), "show.streams": ("stream",)},
)
