"""The runs whose packs are recorded, and the key that signs them.

The key is public on purpose: it signs these files and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from interlock.packs.dsse import key_id
from interlock.packs.sign import signature_of, signature_path
from tests.unit.packs.making import RUN_ID, family_pack, members, sha256, tiny_pack

FOLDER = Path(__file__).parent
KEY = Ed25519PrivateKey.from_private_bytes(sha256(b"recorded packs")[:32].encode())
KEY_ID = key_id(KEY.public_key().public_bytes_raw())
LIVES: dict[str, Callable[[Path], Path]] = {
    "tiny": lambda out: tiny_pack(out, contract=True),
    "family": lambda out: family_pack(out, "yes", contract=True),
    "unsealed": family_pack,
    "left_out": lambda out: family_pack(out, "yes", children=False),
}


def record(name: str, path: Path) -> None:
    """Write the pack of a life, and its signature."""
    LIVES[name](path)
    manifest = sha256(members(path)["manifest.json"])
    signature_path(path).write_bytes(signature_of(KEY, RUN_ID, sha256(path.read_bytes()), manifest))
