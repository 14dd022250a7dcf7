"""`interlock scenario export`, and `pack` on runpacks: real processes, real files, and no store to verify."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from interlock.app import App
from interlock.base.errors import InterlockError, Refused
from interlock.base.principal import Principal, PrincipalKind
from interlock.gates.values import Logical, UnixMillis
from interlock.packs.runpack.commands import is_runpack, timestamp_of
from tests.surfaces.process import PRODUCT, Ended, run
from tests.surfaces.product import answer
from tests.unit.gates.redecide.lives import Life, Told

RUN = ("--tenant", "1", "--namespace", "2", "--run", "r1", "--at", "2026-01-31T12:00:00Z")


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store that holds one run of a scenario, a key, and its runpacks."""
    folder = tmp_path_factory.mktemp("lived")

    async def main() -> None:
        async with App.open(folder / "interlock.db") as app:
            life = Life(Told(a="yes", b="yes"), app=app)
            await life.begin()
            await life.call("external_event", "t1")
            await life.call("next", "t2")

    asyncio.run(main())
    answer(folder, "key", "new", "--out", "mine.key")
    export(folder, "plain", "--verify")
    export(folder, "full", "--full")
    return folder


def export(folder: Path, out: str, *more: str, code: int = 0) -> dict[str, object]:
    return answer(folder, "scenario", "export", *RUN, "--out", out, *more, "--store", "interlock.db", code=code)


def said(folder: Path, *line: str) -> Ended:
    return run(*line, program=PRODUCT, folder=folder)


def test_a_scenarios_run_is_exported_and_says_what_it_holds(lived: Path) -> None:
    made = export(lived, "again", "--verify")

    assert (made["run_id"], made["scenario_id"], made["files"], made["checked_files"]) == ("r1", "release", 9, 7)
    manifest = json.loads((lived / "again" / "manifest.json").read_bytes())
    assert manifest["generated_at"] == {"kind": "unix_millis", "value": 1769860800000}
    assert manifest["integrity"]["root_hash"]["value"] == made["root_hash"]
    for path in sorted((lived / "plain").rglob("*.json")):
        assert (lived / "again" / path.relative_to(lived / "plain")).read_bytes() == path.read_bytes()
    assert "error" in export(lived, "again", "--verify", code=4)
    assert export(lived, "again", "--force", "--manifest", "runpack.json")["manifest"] == "runpack.json"
    assert (lived / "again" / "runpack.json").exists()


def test_an_auditor_needs_the_folder_alone(lived: Path, tmp_path: Path) -> None:
    found = answer(lived, "pack", "verify", "plain")
    assert (found["status"], found["errors"], found["checked_files"], found["reference_errors"]) == ("pass", [], 8, [])
    assert found["run_id"] == "1:2:r1"
    assert {each["what"] for each in found["not_rederivable"]} >= {"trust_policy", "generated_at"}

    full = answer(lived, "pack", "verify", "full")
    assert (full["status"], full["not_rederivable"]) == ("pass", [])


def test_people_are_told_what_cannot_be_shown(lived: Path) -> None:
    done = said(lived, "pack", "verify", "plain")
    assert done.code == 0
    assert "no record says which lane" in " ".join(done.text.split())


def test_a_forged_runpack_fails_with_the_exit_code_of_a_verification(lived: Path, tmp_path: Path) -> None:
    for path in (lived / "plain").rglob("*.json"):
        place = tmp_path / "pack" / path.relative_to(lived / "plain")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(path.read_bytes().replace(b'"True"', b'"False"'))
    found = answer(tmp_path, "pack", "verify", "pack", code=7)
    assert found["status"] == "fail"
    assert found["reference_errors"]

    (tmp_path / "pack" / "manifest.json").write_bytes(b"{")
    broken = answer(tmp_path, "pack", "verify", "pack", code=7)
    assert [each["code"] for each in broken["errors"]] == ["pack_manifest_invalid"]


def test_a_runpack_is_signed_beside_and_its_signature_holds_the_manifest(lived: Path) -> None:
    signed = answer(lived, "pack", "sign", "plain", "--key", "mine.key")
    found = answer(lived, "pack", "verify", "plain", "--trust", "mine.key.pub")
    assert (found["status"], found["signature"], found["signed_by"]) == ("pass", "trusted", signed["signed_by"])
    assert "generated_at" not in {each["what"] for each in found["not_rederivable"]}

    manifest = lived / "plain" / "manifest.json"
    content = manifest.read_bytes()
    manifest.write_bytes(content.replace(b"1769860800000", b"1769860800001"))
    try:
        forged = answer(lived, "pack", "verify", "plain", "--trust", "mine.key.pub", code=7)
    finally:
        manifest.write_bytes(content)
    assert [each["code"] for each in forged["errors"]] == ["pack_signature_invalid"]
    unsigned = answer(lived, "pack", "verify", "full", "--trust", "mine.key.pub", code=7)
    assert [each["code"] for each in unsigned["errors"]] == ["pack_unsigned"]


def test_what_is_wrong_is_not_signed(lived: Path, tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "manifest.json").write_bytes(b'{"manifest_version":"v9"}')
    answer(tmp_path, "key", "new", "--out", "mine.key")
    refused = answer(tmp_path, "pack", "sign", "pack", "--key", "mine.key", code=7)
    assert refused["error"]["details"]["code"] == "pack_from_future"


def test_keys_of_evidence_are_read_from_their_files(lived: Path) -> None:
    key = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    (lived / "said.pub").write_bytes(base64.b64encode(key))
    (lived / "none.pub").write_bytes(b"none")

    assert answer(lived, "pack", "verify", "plain", "--evidence-keys", "said.pub")["status"] == "pass"
    refused = answer(lived, "pack", "verify", "plain", "--evidence-keys", "none.pub", code=2)
    assert refused["error"]["code"] == "signing_key_unreadable"


def test_the_container_of_a_scenarios_run_is_exported_shown_and_verified(lived: Path) -> None:
    made = answer(lived, "pack", "export", "--run", "1:2:r1", "--out", "run.pack", "--store", "interlock.db")
    assert (made["run_id"], made["unsealed"]) == ("1:2:r1", ["1:2:r1"])
    found = answer(lived, "pack", "verify", "run.pack")
    assert (found["status"], found["not_rederivable"], found["checked_files"]) == ("pass", [], None)
    assert answer(lived, "pack", "show", "run.pack")["run_id"] == "1:2:r1"


def test_a_manifest_of_another_name_is_taken_where_it_is_named(lived: Path) -> None:
    export(lived, "named", "--manifest", "other.json")
    assert answer(lived, "pack", "verify", "named", "--manifest", "other.json")["status"] == "pass"


def test_a_folder_without_a_manifest_is_no_pack(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    found = answer(tmp_path, "pack", "verify", "empty", code=7)
    assert [each["code"] for each in found["errors"]] == ["pack_manifest_invalid"]
    assert not is_runpack(tmp_path / "empty", None)
    assert not is_runpack(tmp_path / "none", None)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("0", UnixMillis(0)),
        ("-5", UnixMillis(-5)),
        ("1769860800000", UnixMillis(1769860800000)),
        ("logical:7", Logical(7)),
        ("1970-01-01T00:00:01.5Z", UnixMillis(1500)),
        ("1970-01-01T01:00:00+01:00", UnixMillis(0)),
        ("1969-12-31T23:59:59Z", UnixMillis(-1000)),
    ],
)
def test_times_are_read_in_three_ways(text: str, time: object) -> None:
    assert timestamp_of(text) == time


@pytest.mark.parametrize(
    "text", ["", "now", "logical:-1", "logical:", "9999999999999999", "logical:9999999999999999", "2026-01-31"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InterlockError) as caught:
        timestamp_of(text)
    assert caught.value.code == "runpack_time_invalid"


def test_nobody_from_elsewhere_has_files_written_here(tmp_path: Path) -> None:
    async def main() -> None:
        async with App.open() as app:
            client = app.client(Principal(id="token:remote", kind=PrincipalKind.TOKEN, roles=("admin",)))
            line = {"tenant": 1, "namespace": 2, "run": "r1", "out": str(tmp_path / "pack"), "at": "0"}
            await client.call("scenario.export", line)

    with pytest.raises(Refused) as caught:
        asyncio.run(main())
    assert caught.value.code == "pack_place_refused"
