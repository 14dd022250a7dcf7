"""Signatures of packs: whose they are counts only against keys that somebody trusts."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path

import pytest

from interlock.base.errors import InterlockError
from interlock.packs.keys import new_key, private_key
from interlock.packs.sign import PAYLOAD_TYPE, PREDICATE_TYPE, STATEMENT_TYPE, signature_of, signature_path
from tests.unit.packs.making import RUN_ID, codes, members, sha256, tiny_pack, unpacked, verdict


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A pack signed with the key `mine`."""
    made = tiny_pack(tmp_path / "a.pack")
    new_key(tmp_path / "mine")
    sign(made, tmp_path / "mine", signature_path(made))
    return made


def sign(pack: Path, key: Path, out: Path) -> None:
    manifest = sha256(members(pack)["manifest.json"])
    out.write_bytes(signature_of(private_key(key), RUN_ID, sha256(pack.read_bytes()), manifest))


def key_of(path: Path) -> list[str]:
    from interlock.packs.keys import trusted_keys

    return trusted_keys(f"{path}.pub")


def test_the_statement_is_one_of_in_toto_about_the_bytes_of_the_pack(pack: Path) -> None:
    envelope = json.loads(signature_path(pack).read_bytes())
    statement = json.loads(b64decode(envelope["payload"]))

    assert envelope["payloadType"] == PAYLOAD_TYPE == "application/vnd.in-toto+json"
    assert statement == {
        "_type": STATEMENT_TYPE,
        "predicateType": PREDICATE_TYPE,
        "subject": [{"name": f"run-{RUN_ID}.pack", "digest": {"sha256": sha256(pack.read_bytes())}}],
        "predicate": {
            "format": "interlock.pack/1",
            "manifest": {"sha256": sha256(members(pack)["manifest.json"])},
            "run": RUN_ID,
        },
    }


def test_a_trusted_signature_is_told_apart_from_a_valid_one(pack: Path) -> None:
    mine = key_of(pack.parent / "mine")

    assert (verdict(pack).signature.state, verdict(pack).signature.key) == ("valid", mine[0])
    assert verdict(pack, trusted=mine).signature.state == "trusted"
    assert verdict(pack, trusted=mine).passed


def test_a_signature_by_somebody_else_is_not_enough(pack: Path) -> None:
    other = [new_key(pack.parent / "other")]
    found = verdict(pack, trusted=other)

    assert [error.code for error in found.errors] == ["pack_signer_untrusted"]
    assert verdict(pack, trusted=[*other, *key_of(pack.parent / "mine")]).passed


def test_no_signature_is_enough_only_if_none_is_demanded(tmp_path: Path) -> None:
    pack = tiny_pack(tmp_path / "a.pack")

    assert verdict(pack).passed
    assert verdict(pack).signature.state == "none"
    assert codes(pack, trusted=["ed25519:" + "1" * 64]) == {"pack_unsigned"}


def test_the_folder_of_a_pack_has_the_same_signature(pack: Path, tmp_path: Path) -> None:
    folder = unpacked(pack, tmp_path / "out")
    (tmp_path / "out.sig").write_bytes(signature_path(pack).read_bytes())

    assert verdict(folder, trusted=key_of(tmp_path / "mine")).passed


def test_a_signature_may_stand_elsewhere(pack: Path, tmp_path: Path) -> None:
    signature_path(pack).rename(tmp_path / "elsewhere")

    assert verdict(pack).signature.state == "none"
    assert verdict(pack, signature=tmp_path / "elsewhere").signature.state == "valid"
    with pytest.raises(InterlockError, match="pack_not_found"):
        verdict(pack, signature=tmp_path / "nowhere")


def test_the_signature_of_a_pack_that_cannot_be_read_proves_nothing(pack: Path) -> None:
    pack.write_bytes(pack.read_bytes()[:-1])
    found = verdict(pack, trusted=key_of(pack.parent / "mine"))

    assert not found.passed
    assert found.signature.state == "invalid"
