"""Files of keys: made, and read as the hostile input that they may be.

What it does: writes a new Ed25519 key, reads a private key to sign with, and the public keys that somebody trusts. What
it does not do: it asks for no passphrase, speaks to no agent, and keeps no key.

Rules: private keys are PKCS#8 in PEM, public ones SubjectPublicKeyInfo in PEM, as OpenSSL writes them; a private key
that others may read is refused; a file of trusted keys holds PEM blocks, empty lines and comments (`#`), and nothing
else; nothing of a key stands in an error, which names its file; which half of a pair is wanted is said where the other
one was given.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from interlock.base.ed25519 import is_weak
from interlock.base.errors import ErrorCode
from interlock.base.ids import shown
from interlock.packs.dsse import KEY_ID, key_id
from interlock.packs.errors import KEY_EXISTS, KEY_EXPOSED, KEY_INVALID, KEY_NOT_FOUND, TRUSTED_KEY_NOT_FOUND
from interlock.packs.spool import new_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY_FILE_BYTES_MAX = 64 * 1024
TRUSTED_MAX = 100
NAME_CHARACTERS_MAX = 200
_ID_BEGINS = "ed25519:"
_PRIVATE = "PRIVATE KEY-----"
_BEGIN, _END = "-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----"


def new_key(out: Path) -> str:
    """Make a key: `out` for its owner alone, and `<out>.pub` for everybody. Return its id.

    Raises: `key_exists`, `pack_unwritable`.
    """
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    beside = out.with_name(f"{out.name}.pub")
    taken = KEY_EXISTS.error("there is a key of this name already")
    if os.path.lexists(beside):
        raise taken
    key = Ed25519PrivateKey.generate()
    public = key.public_key()
    with new_file(out, force=False, exists=taken) as file:
        file.write(key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()))
    with new_file(beside, force=False, exists=taken) as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(public.public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo))
    return key_id(public.public_bytes_raw())


def private_key(path: Path) -> Ed25519PrivateKey:
    """The key in a file. Raises: `key_not_found`, `key_exposed`, `key_invalid`."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    name = _named(path)
    content, mode = _content(path, KEY_NOT_FOUND)
    if _BEGIN.encode() in content and _PRIVATE.encode() not in content:
        raise KEY_INVALID.error(f"{name} is a public key: one signs with the private one")
    if mode & 0o077:
        raise KEY_EXPOSED.error(f"others may read the private key {name}")
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError:
        raise KEY_INVALID.error(f"the key {name} is under a passphrase, which is not supported") from None
    except (ValueError, UnsupportedAlgorithm):
        raise KEY_INVALID.error(f"the file {name} holds no private key in PEM") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KEY_INVALID.error(f"the key {name} is not one of Ed25519")
    return key


def trusted_keys(given: str) -> list[str]:
    """Ids of the keys that are trusted: of a file, or one id as it stands.

    Raises: `trusted_key_not_found`, `key_invalid`.
    """
    if KEY_ID.match(given):
        if is_weak(bytes.fromhex(given.partition(":")[2])):
            raise KEY_INVALID.error("anybody could sign under this key")
        return [given]
    if given.strip().lower().startswith(_ID_BEGINS) and not os.path.lexists(given):
        raise KEY_INVALID.error(f"a key id is `{_ID_BEGINS}` and 64 hexadecimal digits in lower case; this is none")
    name = _named(Path(given))
    content, _mode = _content(Path(given), TRUSTED_KEY_NOT_FOUND)
    try:
        lines = content.decode("ascii").splitlines()
    except UnicodeDecodeError:
        raise KEY_INVALID.error(f"the file of trusted keys {name} is not plain text") from None
    return _listed(lines, name)


def _listed(lines: Sequence[str], name: str) -> list[str]:
    """The ids of the public keys of a file."""
    found: list[str] = []
    block: list[str] | None = None
    for number, line in enumerate(lines, 1):
        if block is not None:
            block.append(line)
            if line == _END:
                found.append(_public("\n".join(block) + "\n", f"{name} that ends at line {number}"))
                block = None
        elif line == _BEGIN:
            block = [line]
        elif line.startswith("-----BEGIN ") and line.endswith(_PRIVATE):
            raise KEY_INVALID.error(f"{name} holds a private key: to verify, one needs the public one, *.pub")
        elif line.strip() and not line.startswith("#"):
            raise KEY_INVALID.error(f"line {number} of the trusted keys {name} is neither a public key nor a comment")
    if block is not None or not found or len(found) > TRUSTED_MAX:
        raise KEY_INVALID.error(f"{name} does not hold 1 to {TRUSTED_MAX} whole public keys")
    return found


def _public(text: str, where: str) -> str:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey) or is_weak(key.public_bytes_raw()):
        raise KEY_INVALID.error(f"the public key of {where} is not one of Ed25519")
    return key_id(key.public_bytes_raw())


def _content(path: Path, absent: ErrorCode) -> tuple[bytes, int]:
    """The bytes and the mode of a small regular file."""
    name = _named(path)
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as fault:  # the latter: a path that no file can have
        raise absent.error(f"the file of keys {name} cannot be read: {_why(fault)}") from None
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise KEY_INVALID.error(f"{name} is no regular file, as a file of keys is")
        content = os.read(file, KEY_FILE_BYTES_MAX + 1)
    except OSError as fault:
        raise absent.error(f"the file of keys {name} cannot be read: {_why(fault)}") from None
    finally:
        os.close(file)
    if len(content) > KEY_FILE_BYTES_MAX:
        raise KEY_INVALID.error(f"{name} has more than the {KEY_FILE_BYTES_MAX} bytes of a file of keys")
    return content, found.st_mode


def _named(path: Path) -> str:
    """The name of a file for a message; a key that was given in the place of its file is not repeated."""
    text = str(path)
    return "(a key is given, where its file is wanted)" if "-----BEGIN" in text else shown(text, NAME_CHARACTERS_MAX)


def _why(fault: OSError | ValueError) -> str:
    return fault.strerror or "unknown" if isinstance(fault, OSError) else "no path"
