"""Files of keys: made, and read as the hostile input that they may be.

What it does: writes a new Ed25519 key, reads a private key to sign with, and the public keys that somebody trusts. What
it does not do: it asks for no passphrase, speaks to no agent, and keeps no key.

Rules: private keys are PKCS#8 in PEM, public ones SubjectPublicKeyInfo in PEM, as OpenSSL writes them; a private key
that others may read is refused; a file of trusted keys holds PEM blocks, empty lines and comments (`#`), and nothing
else; nothing of a key stands in an error.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from interlock.base.errors import InterlockError
from interlock.packs.dsse import KEY_ID, is_weak, key_id
from interlock.packs.errors import KEY_EXISTS, KEY_EXPOSED, KEY_INVALID, KEY_NOT_FOUND
from interlock.packs.spool import new_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY_FILE_BYTES_MAX = 64 * 1024
TRUSTED_MAX = 100
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

    content = _content(path, private=True)
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError:
        raise KEY_INVALID.error("the key is under a passphrase, which is not supported") from None
    except (ValueError, UnsupportedAlgorithm):
        raise KEY_INVALID.error("the file holds no private key in PEM") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KEY_INVALID.error("the key is not one of Ed25519")
    return key


def trusted_keys(given: str) -> list[str]:
    """Ids of the keys that are trusted: of a file, or one id as it stands. Raises: `key_not_found`, `key_invalid`."""
    if KEY_ID.match(given):
        if is_weak(bytes.fromhex(given.partition(":")[2])):
            raise KEY_INVALID.error("anybody could sign under this key")
        return [given]
    content = _content(Path(given), private=False)
    try:
        lines = content.decode("ascii").splitlines()
    except UnicodeDecodeError:
        raise KEY_INVALID.error("the file of trusted keys is not plain text") from None
    found: list[str] = []
    block: list[str] | None = None
    for number, line in enumerate(lines, 1):
        if block is not None:
            block.append(line)
            if line == _END:
                found.append(_public("\n".join(block) + "\n", number))
                block = None
        elif line == _BEGIN:
            block = [line]
        elif line.strip() and not line.startswith("#"):
            raise KEY_INVALID.error(f"line {number} of the trusted keys is neither a public key nor a comment")
    if block is not None or not found or len(found) > TRUSTED_MAX:
        raise KEY_INVALID.error(f"a file of trusted keys holds 1 to {TRUSTED_MAX} whole public keys")
    return found


def _public(text: str, line: int) -> str:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey) or is_weak(key.public_bytes_raw()):
        raise KEY_INVALID.error(f"the public key that ends at line {line} is not one of Ed25519")
    return key_id(key.public_bytes_raw())


def _content(path: Path, *, private: bool) -> bytes:
    """The bytes of a small regular file."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as fault:
        raise _unreadable(fault) from None
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise KEY_INVALID.error("a file of keys is a regular file")
        if private and found.st_mode & 0o077:
            raise KEY_EXPOSED.error("others may read the private key")
        content = os.read(file, KEY_FILE_BYTES_MAX + 1)
    except OSError as fault:
        raise _unreadable(fault) from None
    finally:
        os.close(file)
    if len(content) > KEY_FILE_BYTES_MAX:
        raise KEY_INVALID.error(f"a file of keys has at most {KEY_FILE_BYTES_MAX} bytes")
    return content


def _unreadable(fault: OSError) -> InterlockError:
    return KEY_NOT_FOUND.error(f"the file of keys cannot be read: {fault.strerror}")
