"""Full runpacks: the events in them prove what the other files cannot."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from msgspec.structs import replace

from interlock.base.errors import InterlockError
from interlock.gates.evidence.config import AnchorRequirement
from interlock.gates.evidence.trust import ProviderRules
from interlock.gates.values import Logical
from interlock.packs.runpack.build import Built, Wish
from interlock.packs.runpack.full import Place, export_runpack, verify_folder
from interlock.packs.runpack.model import FULL, HEAD
from interlock.packs.runpack.verify import RunpackVerdict
from interlock.packs.survey import Wanted
from interlock.testing.loop import run
from tests.unit.gates.redecide.lives import Life, Told, long_life
from tests.unit.packs.making import CATALOGUE, forged
from tests.unit.packs.runpack.making import sealed

WANTED = Wanted("default", "1:2:r1", kind="scenario_run")


async def short_life() -> Life:
    life = Life(Told(a="yes"))
    await life.begin()
    await life.call("external_event", "t1")
    return life


async def anchored() -> Life:
    life = Life(Told(ProviderRules("asserted", AnchorRequirement(provider_id="said", anchor_type="row")), a="error"))
    await life.begin()
    life.told.told = dict.fromkeys("abcd", "error")
    await life.call("external_event", "t1")
    return life


def exported(place: Path, life: Callable[[], Any] = long_life, *, full: bool = True, force: bool = False) -> Built:
    async def main() -> Built:
        found: Life = await life()
        wish = Wish(generated_at=Logical(77), report=True)
        return await export_runpack(found.scene.app.journal, WANTED, Place(place, force), wish, full=full)

    return run(main())


def verdict(place: Path) -> RunpackVerdict:
    return asyncio.run(verify_folder(place, CATALOGUE))


def rewritten(place: Path, made: Built, **changes: bytes) -> None:
    """The folder with other files, all digests fitting again, and without the report."""
    manifest = json.loads(made.files["manifest.json"])
    files = {path: content for path, content in made.files.items() if path.startswith("artifacts/")}
    del files["artifacts/verifier_report.json"]
    (place / "artifacts/verifier_report.json").unlink()
    files |= changes
    for path, content in sealed(files, manifest).items():
        (place / path).write_bytes(content)


def test_a_full_runpack_leaves_nothing_open_but_the_requests_of_repeated_calls(tmp_path: Path) -> None:
    exported(tmp_path / "pack")
    found = verdict(tmp_path / "pack")

    assert (found.errors, found.complete) == ([], True)
    assert [each.what for each in found.not_rederivable] == ["call_requests"]
    assert found.report.checked_files == 10


def test_a_full_runpack_of_a_plain_run_leaves_nothing_open_at_all(tmp_path: Path) -> None:
    exported(tmp_path / "pack", short_life)
    found = verdict(tmp_path / "pack")
    assert (found.errors, found.not_rederivable) == ([], [])


def test_the_seven_files_are_those_of_an_export_without_events(tmp_path: Path) -> None:
    full = exported(tmp_path / "full", short_life)
    plain = exported(tmp_path / "plain", short_life, full=False)
    found = verdict(tmp_path / "plain")

    assert found.errors == []
    assert "trust_policy" in {each.what for each in found.not_rederivable}
    own = {path for path in plain.files if path not in ("manifest.json", "artifacts/verifier_report.json")}
    assert {path: full.files[path] for path in own} == {path: plain.files[path] for path in own}


def test_the_anchors_of_the_recorded_rules_stand_in_the_manifest_and_are_held_against_them(tmp_path: Path) -> None:
    made = exported(tmp_path / "pack", anchored)
    assert verdict(tmp_path / "pack").errors == []
    manifest = json.loads(made.files["manifest.json"])
    assert manifest["anchor_policy"]["providers"][0]["provider_id"] == "said"

    del manifest["anchor_policy"]
    head = json.loads(made.files[HEAD])
    del head["anchor_policy"]
    changed = Built({**made.files, "manifest.json": rfc8785.dumps(manifest)}, made.manifest, None)
    rewritten(tmp_path / "pack", changed, **{HEAD: rfc8785.dumps(head)})
    assert [each.what for each in verdict(tmp_path / "pack").errors] == [
        "the anchors are not those that the recorded rules ask for"
    ]


def test_files_of_another_run_than_the_events_are_noticed(tmp_path: Path) -> None:
    made = exported(tmp_path / "pack", short_life)
    other = exported(tmp_path / "other")
    rewritten(tmp_path / "pack", made, **{FULL: other.files[FULL]})
    found = verdict(tmp_path / "pack")

    assert {(each.code, each.member) for each in found.errors} >= {
        ("pack_member_wrong", f"{FULL}/runpack/artifacts/triggers.json"),
        ("pack_member_wrong", f"{FULL}/runpack/artifacts/decisions.json"),
    }
    assert found.not_rederivable != []


def test_what_a_runpack_without_events_cannot_show_the_events_do(tmp_path: Path) -> None:
    """A run without its start packets: every record of the folder follows, and it is not what happened."""

    async def without_start() -> Life:
        life = Life(Told(a="yes"))
        await life.begin(packets=False)
        await life.call("external_event", "t1")
        return life

    made = exported(tmp_path / "pack", short_life)
    plain = exported(tmp_path / "plain", without_start, full=False)
    assert verdict(tmp_path / "plain").errors == []
    own = set(plain.files) - {"manifest.json", "artifacts/verifier_report.json"}
    logs = {path: plain.files[path] for path in own}
    rewritten(tmp_path / "pack", made, **logs)
    assert {each.code for each in verdict(tmp_path / "pack").errors} == {"pack_member_wrong"}


@pytest.mark.parametrize("content", [b"", b"no container at all"])
def test_a_container_that_is_none_is_named(content: bytes, tmp_path: Path) -> None:
    made = exported(tmp_path / "pack", short_life)
    rewritten(tmp_path / "pack", made, **{FULL: content})
    found = verdict(tmp_path / "pack")
    assert [(each.code, each.member) for each in found.errors] == [("pack_container_invalid", FULL)]
    assert not found.complete


def test_a_run_of_another_identity_than_the_container_is_noticed(tmp_path: Path) -> None:
    made = exported(tmp_path / "pack", short_life)
    manifest = json.loads(made.files["manifest.json"]) | {"run_id": "r2"}
    head = json.loads(made.files[HEAD]) | {"run_id": "r2"}
    changed = Built({**made.files, "manifest.json": rfc8785.dumps(manifest)}, made.manifest, None)
    rewritten(tmp_path / "pack", changed, **{HEAD: rfc8785.dumps(head)})
    found = verdict(tmp_path / "pack")
    assert "the container is of another run than the runpack" in {each.what for each in found.errors}


def test_an_export_that_is_refused_leaves_nothing(tmp_path: Path) -> None:
    exported(tmp_path / "pack", short_life)
    with pytest.raises(InterlockError) as caught:
        exported(tmp_path / "pack", short_life)
    assert caught.value.code == "pack_exists"
    exported(tmp_path / "pack", short_life, force=True)
    with pytest.raises(InterlockError) as caught:
        exported(tmp_path / "none" / "pack", short_life)
    assert caught.value.code == "pack_unwritable"
    assert [each.name for each in tmp_path.iterdir()] == ["pack"]


def an_event(store: Any) -> None:
    [stream] = [each for each in store._handle.data.streams if "/scenario_run/" in each]
    event = store._handle.data.streams[stream][2]
    store._handle.data.streams[stream][2] = replace(event, envelope=event.envelope.replace(b"gates.", b"doors."))


def the_artifacts(store: Any) -> None:
    store._handle.data.blobs._rows.clear()


@pytest.mark.unproved("the store is damaged on purpose")
@pytest.mark.parametrize("damage", [an_event, the_artifacts], ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("full", [False, True])
def test_a_damaged_run_is_not_exported(damage: Callable[[Any], None], full: bool, tmp_path: Path) -> None:
    async def main() -> None:
        life = await short_life()
        damage(life.scene.app.store)
        journal, place, wish = life.scene.app.journal, Place(tmp_path / "pack"), Wish(generated_at=Logical(1))
        with pytest.raises(InterlockError) as caught:
            await export_runpack(journal, WANTED, place, wish, full=full)
        assert caught.value.code == "pack_store_damaged"

    run(main())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_container_that_cannot_be_read_asks_for_no_anchors(tmp_path: Path) -> None:
    made = exported(tmp_path / "pack", short_life)
    (tmp_path / "run.pack").write_bytes(made.files[FULL])

    def forge(content: dict[str, bytes], _manifest: dict[str, Any]) -> None:
        content["runpack/manifest.json"] = b"{"

    forged(tmp_path / "run.pack", tmp_path / "forged.pack", forge)
    rewritten(tmp_path / "pack", made, **{FULL: (tmp_path / "forged.pack").read_bytes()})
    found = verdict(tmp_path / "pack")
    assert [(each.code, each.member) for each in found.errors] == [
        ("pack_view_wrong", f"{FULL}/runpack/manifest.json"),
        ("pack_manifest_wrong", FULL),
    ]


def test_a_full_disk_leaves_nothing_and_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_given: object, **_named: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with pytest.raises(InterlockError) as caught:
        exported(tmp_path / "pack", short_life)
    assert caught.value.code == "pack_unwritable"
    assert list(tmp_path.iterdir()) == []
