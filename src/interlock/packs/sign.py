"""Who vouches for a pack: a detached signature over its digest.

What it does: makes and checks the in-toto statement of a pack in a DSSE envelope, in a file beside the pack. What it
does not do: it proves nothing about the pack itself; `verify` does, and a signature of a wrong pack is worth nothing.

Rules: the statement follows from the pack alone and is compared whole, so that it can say nothing else; its subject is
the SHA-256 of the container, which any tool can compute, also where the pack is unpacked; a signature that is there has
to be right even if nobody asked for one; whose it is counts only against keys that were named as trusted.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from interlock.base.canonical import canonical
from interlock.base.errors import InterlockError
from interlock.packs import dsse
from interlock.packs.container import open_regular
from interlock.packs.errors import PACK_NOT_FOUND, PACK_SIGNATURE_INVALID, PACK_SIGNER_UNTRUSTED, PACK_UNSIGNED
from interlock.packs.manifest import FORMAT
from interlock.packs.report import Errors

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "urn:interlock:pack:1"
RUNPACK_PREDICATE_TYPE: Final = "urn:interlock:runpack:1"


class SignatureState(StrEnum):
    """What the signature of a pack is: `valid` by a key that nobody named, `trusted` by one that somebody did."""

    NONE = "none"
    INVALID = "invalid"
    VALID = "valid"
    TRUSTED = "trusted"


class Signature(Struct, frozen=True):
    """The signature of a pack, and the id of the key that made it."""

    state: SignatureState
    key: str | None = None


def signature_path(pack: Path) -> Path:
    """Where the signature of a pack stands."""
    if pack.name in ("", ".."):
        pack = Path(os.path.abspath(pack))  # noqa: PTH100 - a folder that is named from within; no link is followed
    return pack.with_name(f"{pack.name}.sig")


def statement(run_id: str, digest: str, manifest_digest: str) -> bytes:
    """The statement about a pack, canonical."""
    return canonical(
        {
            "_type": STATEMENT_TYPE,
            "predicate": {"format": FORMAT, "manifest": {"sha256": manifest_digest}, "run": run_id},
            "predicateType": PREDICATE_TYPE,
            "subject": [{"digest": {"sha256": digest}, "name": f"run-{run_id}.pack"}],
        }
    )


def runpack_statement(run_id: str, manifest_name: str, manifest_digest: str) -> bytes:
    """The statement about a runpack, canonical: its manifest names every other file by its digest."""
    return canonical(
        {
            "_type": STATEMENT_TYPE,
            "predicate": {"run": run_id},
            "predicateType": RUNPACK_PREDICATE_TYPE,
            "subject": [{"digest": {"sha256": manifest_digest}, "name": manifest_name}],
        }
    )


def signature_of(key: Ed25519PrivateKey, run_id: str, digest: str, manifest_digest: str) -> bytes:
    """The signature of a pack."""
    return dsse.signed(key, PAYLOAD_TYPE, statement(run_id, digest, manifest_digest))


def check_signature(
    pack: Path | None,
    said: bytes | None,
    errors: Errors,
    *,
    trusted: Sequence[str] | None,
    signature: Path | None,
) -> Signature:
    """Look at the signature of a pack; what is wrong with it is an error of the pack.

    `said` is the statement that it has to sign; None of a pack that cannot be read. Nothing stands beside a pack that
    has no path.
    """
    place = signature or (None if pack is None else signature_path(pack))
    member = "signature" if place is None else place.name
    if place is None or (signature is None and not os.path.lexists(place)):
        if trusted is not None:
            errors.add(PACK_UNSIGNED, "no signature stands beside it", member=member)
        return Signature(SignatureState.NONE)
    try:
        key, payload = dsse.opened(_bytes(place), PAYLOAD_TYPE)
        if said is None:
            return Signature(SignatureState.INVALID, key)  # of what, cannot be told: the container is none
        if payload != said:
            raise PACK_SIGNATURE_INVALID.error("it signs another pack")
    except InterlockError as fault:
        if fault.kind is PACK_NOT_FOUND and signature is not None:
            raise
        errors.add(PACK_SIGNATURE_INVALID, fault.message, member=member)
        return Signature(SignatureState.INVALID)
    if trusted is None:
        return Signature(SignatureState.VALID, key)
    if key not in trusted:
        errors.add(PACK_SIGNER_UNTRUSTED, "none of the trusted keys signed it", member=member)
        return Signature(SignatureState.VALID, key)
    return Signature(SignatureState.TRUSTED, key)


def _bytes(path: Path) -> bytes:
    file = open_regular(path)
    try:
        return os.read(file, dsse.ENVELOPE_BYTES_MAX + 1)
    finally:
        os.close(file)
