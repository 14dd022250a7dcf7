"""Files of keys: made for their owner alone, and believed only where every byte is that of a key."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from interlock.base.errors import InterlockError
from interlock.packs.dsse import key_id
from interlock.packs.keys import KEY_FILE_BYTES_MAX, TRUSTED_MAX, new_key, private_key, trusted_keys


def pem(path: Path, key: object, *, password: bytes | None = None) -> Path:
    hidden = form.BestAvailableEncryption(password) if password else form.NoEncryption()
    path.write_bytes(key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, hidden))  # type: ignore[attr-defined]
    path.chmod(0o600)
    return path


def code(path: Path, *, private: bool) -> str:
    with pytest.raises(InterlockError) as fault:
        private_key(path) if private else trusted_keys(str(path))
    return fault.value.code


def test_a_new_key_is_its_owners_alone_and_its_public_half_everybodys(tmp_path: Path) -> None:
    name = new_key(tmp_path / "a.key")

    assert (tmp_path / "a.key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "a.key.pub").stat().st_mode & 0o777 == 0o644
    assert key_id(private_key(tmp_path / "a.key").public_key().public_bytes_raw()) == name
    assert trusted_keys(str(tmp_path / "a.key.pub")) == [name]
    assert trusted_keys(name) == [name]


def test_two_keys_differ(tmp_path: Path) -> None:
    assert new_key(tmp_path / "a") != new_key(tmp_path / "b")


@pytest.mark.parametrize("there", ["a.key", "a.key.pub"])
def test_a_key_is_never_written_over(there: str, tmp_path: Path) -> None:
    (tmp_path / there).write_bytes(b"mine")

    with pytest.raises(InterlockError, match="key_exists"):
        new_key(tmp_path / "a.key")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"mine"]


def test_keys_of_openssl_are_read(tmp_path: Path) -> None:
    program = "/usr/bin/openssl"
    if not Path(program).exists():
        pem(tmp_path / "k", Ed25519PrivateKey.generate())
    else:
        subprocess.run([program, "genpkey", "-algorithm", "ed25519", "-out", tmp_path / "k"], check=True)
        subprocess.run([program, "pkey", "-in", tmp_path / "k", "-pubout", "-out", tmp_path / "k.pub"], check=True)
        (tmp_path / "k").chmod(0o600)
        assert trusted_keys(str(tmp_path / "k.pub"))
    assert len(private_key(tmp_path / "k").private_bytes_raw()) == 32


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_private_key_that_others_reach_is_refused(mode: int, tmp_path: Path) -> None:
    new_key(tmp_path / "a.key")
    (tmp_path / "a.key").chmod(mode)

    assert code(tmp_path / "a.key", private=True) == "key_exposed"


def test_other_keys_are_refused(tmp_path: Path) -> None:
    others = [
        pem(tmp_path / "ec", ec.generate_private_key(ec.SECP256R1())),
        pem(tmp_path / "rsa", rsa.generate_private_key(65537, 2048)),
        pem(tmp_path / "locked", Ed25519PrivateKey.generate(), password=b"secret"),
    ]
    assert {code(path, private=True) for path in others} == {"key_invalid"}
    for name in ("ec", "rsa"):
        key = form.load_pem_private_key((tmp_path / name).read_bytes(), None).public_key()
        content = key.public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / f"{name}.pub").write_bytes(content)
        assert code(tmp_path / f"{name}.pub", private=False) == "key_invalid"


@pytest.mark.parametrize("private", [True, False])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 100,
        b"\xff",
        b"-----BEGIN PRIVATE KEY-----\n",
        b"-----BEGIN PUBLIC KEY-----\n",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        b"hello\n",
        b"#" * (KEY_FILE_BYTES_MAX + 1),
    ],
)
def test_what_is_no_key_is_refused(content: bytes, tmp_path: Path, *, private: bool) -> None:
    (tmp_path / "k").write_bytes(content)
    (tmp_path / "k").chmod(0o600)

    assert code(tmp_path / "k", private=private) == "key_invalid"


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)

    for private in (True, False):
        assert code(tmp_path / "pipe", private=private) == "key_invalid"
    assert code(tmp_path / "none", private=True) == "key_not_found"
    assert code(tmp_path / "none", private=False) == "trusted_key_not_found"


def fault_of(read: Callable[[], object]) -> InterlockError:
    with pytest.raises(InterlockError) as fault:
        read()
    return fault.value


def test_who_verifies_is_told_to_ask_for_a_key_and_not_to_make_one(tmp_path: Path) -> None:
    absent = fault_of(lambda: trusted_keys(str(tmp_path / "theirs.pub")))

    assert str(tmp_path / "theirs.pub") in absent.message
    assert "key new" not in absent.advice
    assert "key new" in fault_of(lambda: private_key(tmp_path / "mine.key")).advice


@pytest.mark.parametrize("given", ["ed25519:abc", "ed25519:" + "AB" * 32, "ED25519:" + "ab" * 32])
def test_a_key_id_that_is_none_is_no_file_that_is_missing(given: str) -> None:
    wrong = fault_of(lambda: trusted_keys(given))

    assert (wrong.code, "64 hexadecimal digits" in wrong.message) == ("key_invalid", True)


def test_each_half_of_a_pair_in_the_place_of_the_other_is_told(tmp_path: Path) -> None:
    new_key(tmp_path / "a.key")

    as_public = fault_of(lambda: trusted_keys(str(tmp_path / "a.key")))
    as_private = fault_of(lambda: private_key(tmp_path / "a.key.pub"))  # others may read it, as they should
    assert (as_public.code, "holds a private key" in as_public.message) == ("key_invalid", True)
    assert (as_private.code, "is a public key" in as_private.message) == ("key_invalid", True)
    assert all(str(tmp_path / "a.key") in fault.message for fault in (as_public, as_private))


def test_a_key_in_the_place_of_its_file_is_not_repeated(tmp_path: Path) -> None:
    new_key(tmp_path / "a.key")
    text = (tmp_path / "a.key").read_text()

    for wrong in (fault_of(lambda: trusted_keys(text)), fault_of(lambda: private_key(Path(text)))):
        assert text.splitlines()[1] not in wrong.message


def test_a_file_of_trusted_keys_holds_several_with_comments(tmp_path: Path) -> None:
    names = [new_key(tmp_path / name) for name in "abc"]
    text = "\n\n".join(f"# {name}\n{(tmp_path / f'{name}.pub').read_text()}" for name in "abc")
    (tmp_path / "trusted").write_text(text)

    assert trusted_keys(str(tmp_path / "trusted")) == names


def test_one_bad_line_spoils_a_file_of_trusted_keys(tmp_path: Path) -> None:
    new_key(tmp_path / "a")
    good = (tmp_path / "a.pub").read_text()
    for text in (good + "hello\n", good + good[:-40], good + (tmp_path / "a").read_text(), good * (TRUSTED_MAX + 1)):
        (tmp_path / "trusted").write_text(text)
        assert code(tmp_path / "trusted", private=False) == "key_invalid"
