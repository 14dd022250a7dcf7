"""What an export comes to beside its pack: its key, its signature, and the answer, wherever the pack came from.

What it does: reads the key before anything is written, proves the container of a pack that was sent, signs one, and
says what it holds. What it does not do: it makes no pack (`export`), and asks no server.

Rule: a pack of this machine's store and one that a server sent get the same signature and the same answer.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from interlock.base.canonical import digest as sha256
from interlock.gates.control.errors import SCENARIO_RUN_NOT_FOUND
from interlock.gates.control.reading import RunReading
from interlock.journal.journal import Journal
from interlock.packs.commands import Exported, ExportInput
from interlock.packs.container import FileSource
from interlock.packs.content import checked
from interlock.packs.errors import PACK_EXISTS, PACK_UNWRITABLE
from interlock.packs.export import Made
from interlock.packs.keys import private_key
from interlock.packs.manifest import Manifest, manifest_bytes
from interlock.packs.sign import PAYLOAD_TYPE, signature_path, statement
from interlock.packs.spool import new_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_SCENARIO_RUN: Final = re.compile(r"([1-9][0-9]{0,14}):([1-9][0-9]{0,14}):(.+)", re.DOTALL)


def scenario_run(run: str) -> tuple[int, int, str]:
    """Tenant, namespace and id in the name of a scenario's run. Raises: `scenario_run_not_found`."""
    found = _SCENARIO_RUN.fullmatch(run)
    if found is None:
        raise SCENARIO_RUN_NOT_FOUND.error("a scenario's run is named <tenant>:<namespace>:<run>")
    return int(found[1]), int(found[2]), found[3]


async def check_scenario(journal: Journal, tenant: str, scenario: str, run: str) -> None:
    """Refuse a run that is not of this scenario. Raises: `scenario_run_not_found`."""
    label, namespace, name = scenario_run(run)
    if not await RunReading(journal).is_of(tenant, namespace, scenario, label, name):
        raise SCENARIO_RUN_NOT_FOUND.error("there is no such run of this scenario")


def key_for(given: ExportInput) -> Ed25519PrivateKey | None:
    """The key that an export is to be signed with. Raises: `key_…`, `pack_unwritable`, `pack_exists`."""
    key = None if given.sign is None else private_key(Path(given.sign))
    if not Path(given.out).name:
        raise PACK_UNWRITABLE.error("this is no name of a file")
    beside = signature_path(Path(given.out))
    if is_taken(beside) and not given.force:
        raise PACK_EXISTS.error(f"a signature of this name is there already: {beside.name}")
    return key


def is_taken(path: Path) -> bool:
    """Whether something has this name, be it a link to nothing."""
    return os.path.lexists(path)


def made_of(file: int) -> Made:
    """The pack in a file that is open, and is closed then. Raises: `pack_container_invalid`."""
    content = checked(FileSource(file))
    return Made(content.bytes, content.digest, content.manifest)


def exported(given: ExportInput, key: Ed25519PrivateKey | None, made: Made) -> Exported:
    """The answer to who has the pack now; signed if there is a key, and without the signature of one before it.

    Raises: `pack_unwritable`.
    """
    beside = signature_path(Path(given.out))
    beside.unlink(missing_ok=True)  # that of a pack that is no more
    manifest = made.manifest
    if key is not None:
        write_signature(beside, key, statement_of(manifest, made.digest), force=given.force)
    return Exported(
        str(Path(given.out)),
        made.bytes,
        made.digest,
        manifest.root.id,
        len(manifest.runs),
        sum(entry.events for entry in manifest.streams),
        manifest.artifacts.count,
        manifest.unsealed,
        manifest.left_out,
        None if key is None else str(beside),
    )


def statement_of(manifest: Manifest, digest: str) -> bytes:
    """The statement about a pack."""
    return statement(manifest.root.id, digest, sha256(manifest_bytes(manifest)))


def write_signature(beside: Path, key: Ed25519PrivateKey, said: bytes, *, force: bool) -> str:
    """Sign a statement; return the id of the key. Raises: `pack_exists` unless `force`, `pack_unwritable`."""
    from interlock.packs.dsse import key_id, signed

    with new_file(beside, force=force) as file:
        file.write(signed(key, PAYLOAD_TYPE, said))
    return key_id(key.public_key().public_bytes_raw())
