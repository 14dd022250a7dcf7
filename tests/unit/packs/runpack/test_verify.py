"""Verification of runpacks: what is whole passes, every changed byte and every forgery is named."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from interlock.gates.evidence.config import AnchorRequirement
from interlock.gates.logic.tree import Condition
from interlock.gates.spec import GateSpec, ScenarioSpec, StageSpec, Terminal
from interlock.packs.runpack.build import Built
from interlock.packs.runpack.model import HEAD
from interlock.packs.runpack.reference import checked
from tests.unit.gates.redecide.lives import Life, Told, condition
from tests.unit.packs.runpack import test_build as golden
from tests.unit.packs.runpack.making import codes, forged, made, on_disk, sealed, sha256, verdict

SAID = b'"generated_at":{"kind":"logical","value":'


@pytest.fixture(scope="module")
def pack() -> Built:
    """The runpack of a long run, with its report."""
    return made(report=True)


async def short_life() -> Life:
    """One stage, one gate, one trigger."""
    stages = [StageSpec("s", [], [GateSpec("g", Condition("a"))], Terminal(), "fail")]
    life = Life(Told(a="yes"), ScenarioSpec("release", 2, "1", stages, [condition("a")], [], []))
    await life.begin(packets=False)
    await life.call("external_event", "t")
    return life


def test_a_whole_runpack_passes_and_says_what_it_cannot_show(pack: Built, tmp_path: Path) -> None:
    found = verdict(on_disk(tmp_path, pack.files))

    assert (found.errors, found.complete, found.passed) == ([], True, True)
    assert (found.report.status, found.report.checked_files, found.report.errors) == ("pass", 8, [])
    assert found.manifest_name == "manifest.json"
    assert found.digest == sha256(pack.files["manifest.json"])["value"]
    assert [each.what for each in found.not_rederivable] == [
        "dispatch_targets",
        "disclosure_policy",
        "trust_policy",
        "call_requests",
        "generated_at",
    ]
    assert all(each.reason and each.count for each in found.not_rederivable)


def test_a_runpack_made_by_other_means_passes(tmp_path: Path) -> None:
    contents = golden.golden()
    manifest = rfc8785.dumps(golden.manifest_of(list(golden.KINDS)[:7], contents))
    found = verdict(on_disk(tmp_path, {**contents, "runpack.json": manifest}))

    assert found.errors == []
    assert found.report.checked_files == 7
    assert found.manifest_name == "runpack.json"


def test_a_manifest_of_any_name_is_taken_where_it_is_named(pack: Built, tmp_path: Path) -> None:
    files = dict(pack.files)
    files["other.json"] = files.pop("manifest.json")
    folder = on_disk(tmp_path, files)

    assert codes(folder) == {"pack_manifest_invalid"}
    assert verdict(folder, manifest_name="other.json").errors == []


FILES = [
    *((f"artifacts/{name}.json", 0, 1) for name in golden.KINDS),
    *(("manifest.json", part, 4) for part in range(4)),
]
"""Each file, or a part of it: one byte of so many."""


@pytest.mark.parametrize(("path", "part", "parts"), FILES)
def test_every_byte_that_is_changed_is_noticed(path: str, part: int, parts: int, tmp_path: Path) -> None:
    pack = made(short_life, report=True)
    folder = on_disk(tmp_path, pack.files)
    content = pack.files[path]
    unnoticed = []
    for place in range(part, len(content), parts):
        changed = bytearray(content)
        changed[place] ^= 1
        (folder / path).write_bytes(changed)
        if not verdict(folder).errors:
            unnoticed.append(place)
    assert unnoticed == [each for each in _said(content) if each % parts == part]


def _said(content: bytes) -> list[int]:
    """The bytes of the manifest that are what the exporter says of itself, and that no other file gives."""
    begin = content.find(SAID)
    return [] if begin < 0 else [begin + len(SAID), begin + len(SAID) + 1]


def test_of_a_full_runpack_no_byte_of_the_manifest_can_be_changed(tmp_path: Path) -> None:
    pack = made(short_life, full=b"")
    folder = on_disk(tmp_path, pack.files)
    content = pack.files["manifest.json"]
    for place in _said(content):
        changed = bytearray(content)
        changed[place] ^= 1
        (folder / "manifest.json").write_bytes(changed)
        assert "pack_manifest_wrong" in codes(folder)
    (folder / "manifest.json").write_bytes(content)
    (folder / HEAD).unlink()
    assert "pack_member_missing" in codes(folder)


Damage = Callable[[Path], object]


def _manifest(change: Callable[[dict[str, Any]], None]) -> Damage:
    """The manifest with a change, canonical again, and its root with it."""

    def damage(folder: Path) -> None:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        change(manifest)
        (folder / "manifest.json").write_bytes(rfc8785.dumps(manifest))

    return damage


def _rehash(manifest: dict[str, Any]) -> None:
    manifest["integrity"]["root_hash"] = sha256(rfc8785.dumps(manifest["integrity"]["file_hashes"]))


def _reversed(manifest: dict[str, Any]) -> None:
    manifest["integrity"]["file_hashes"].reverse()
    manifest["artifacts"].reverse()
    _rehash(manifest)


def _without(path: str) -> Callable[[dict[str, Any]], None]:
    def change(manifest: dict[str, Any]) -> None:
        for entries in (manifest["integrity"]["file_hashes"], manifest["artifacts"]):
            entries[:] = [each for each in entries if each["path"] != path]
        _rehash(manifest)

    return change


def _twice(manifest: dict[str, Any]) -> None:
    for entries in (manifest["integrity"]["file_hashes"], manifest["artifacts"]):
        entries.append(entries[-1])
    _rehash(manifest)


def _renamed(path: str) -> Callable[[dict[str, Any]], None]:
    def change(manifest: dict[str, Any]) -> None:
        for entries in (manifest["integrity"]["file_hashes"], manifest["artifacts"]):
            entries[-1]["path"] = path
        manifest["artifacts"][-1]["artifact_id"] = path
        _rehash(manifest)

    return change


def _set(*path: str | int, value: Any) -> Damage:
    def change(manifest: dict[str, Any]) -> None:
        found: Any = manifest
        for step in path[:-1]:
            found = found[step]
        found[path[-1]] = value

    return _manifest(change)


def _write(name: str, content: bytes) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)

    return damage


def _link(name: str, target: str) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to(target)

    return damage


def _linked_folder(folder: Path) -> None:
    (folder / "artifacts").rename(folder.parent / "elsewhere")
    (folder / "artifacts").symlink_to(folder.parent / "elsewhere")


def _large(folder: Path) -> None:
    os.truncate(folder / "artifacts/decisions.json", 16 * 1024 * 1024 + 1)


DAMAGES: list[tuple[str, Damage, set[str]]] = [
    ("no manifest", lambda folder: (folder / "manifest.json").unlink(), {"pack_manifest_invalid"}),
    ("a manifest that is no JSON", _write("manifest.json", b"{"), {"pack_manifest_invalid"}),
    ("a manifest that is nested deep", _write("manifest.json", b"[" * 5000 + b"]" * 5000), {"pack_manifest_invalid"}),
    ("a key that stands twice", _write("manifest.json", b'{"a":1,"a":1}'), {"pack_manifest_invalid"}),
    ("another version", _write("manifest.json", b'{"manifest_version":"v2"}'), {"pack_from_future"}),
    ("a member that nobody knows", _set("more", value=1), {"pack_manifest_invalid"}),
    ("another algorithm", _set("hash_algorithm", value="md5"), {"pack_manifest_invalid"}),
    (
        "another run",
        _set("run_id", value="r2"),
        {"runpack_sequence_wrong", "runpack_submission_wrong", "runpack_packet_wrong", "runpack_call_wrong"},
    ),
    ("another tenant", _set("tenant_id", value=9), {"runpack_sequence_wrong", "runpack_call_wrong"}),
    (
        "another namespace",
        _set("namespace_id", value=9),
        {"pack_manifest_wrong", "runpack_sequence_wrong", "runpack_call_wrong"},
    ),
    ("another scenario", _set("scenario_id", value="x"), {"pack_manifest_wrong"}),
    ("another digest of the scenario", _set("spec_hash", "value", value="0" * 64), {"runpack_scenario_wrong"}),
    ("another root", _set("integrity", "root_hash", "value", value="0" * 64), {"pack_manifest_wrong"}),
    ("another order", _manifest(_reversed), {"pack_manifest_wrong"}),
    ("a file that is listed twice", _manifest(_twice), {"pack_manifest_wrong"}),
    (
        "a file that is not listed",
        _manifest(_without("artifacts/packets.json")),
        {"pack_member_extra", "pack_member_missing", "pack_manifest_wrong", "pack_member_wrong"},
    ),
    ("another kind", _set("artifacts", 0, "kind", value="custom"), {"pack_manifest_wrong"}),
    ("another content type", _set("artifacts", 1, "content_type", value=None), {"pack_manifest_wrong"}),
    ("what is not required", _set("artifacts", 2, "required", value=False), {"pack_manifest_wrong"}),
    (
        "an anchor that evidence has not",
        _set(
            "anchor_policy",
            value={
                "providers": [{"provider_id": "said", "requirement": {"anchor_type": "row", "required_fields": []}}]
            },
        ),
        {"runpack_evidence_wrong", "pack_member_wrong"},
    ),
    (
        "a path that leads out",
        _manifest(_renamed("../secret")),
        {"pack_container_invalid", "pack_member_extra", "pack_manifest_wrong"},
    ),
    (
        "a path from the root",
        _manifest(_renamed("/etc/passwd")),
        {"pack_container_invalid", "pack_member_extra", "pack_manifest_wrong"},
    ),
    (
        "a file that is gone",
        lambda folder: (folder / "artifacts/packets.json").unlink(),
        {"pack_member_missing", "pack_member_wrong"},
    ),
    (
        "a file under another name",
        lambda folder: (folder / "artifacts/packets.json").rename(folder / "artifacts/p.json"),
        {"pack_member_missing", "pack_member_extra", "pack_member_wrong"},
    ),
    ("a file that nobody names", _write("artifacts/extra.json", b"{}"), {"pack_member_extra"}),
    ("a file beside the manifest", _write("README", b""), {"pack_member_extra"}),
    ("a folder deep down", _write("a/" * 17 + "x", b""), {"pack_container_invalid"}),
    ("a link in the place of a file", _link("artifacts/packets.json", "/etc/hostname"), {"pack_container_invalid"}),
    ("a link in the place of the folder", _linked_folder, {"pack_container_invalid"}),
    ("a link in the place of the manifest", _link("manifest.json", "artifacts/packets.json"), {"pack_unreadable"}),
    ("a pipe", lambda folder: os.mkfifo(folder / "artifacts/pipe"), {"pack_container_invalid"}),
    ("a file that is too large", _large, {"pack_too_large", "pack_member_wrong"}),
]


@pytest.mark.parametrize("what", [each[0] for each in DAMAGES])
def test_damage_is_named_and_nothing_else(what: str, pack: Built, tmp_path: Path) -> None:
    [(_, damage, expected)] = [each for each in DAMAGES if each[0] == what]
    folder = on_disk(tmp_path / "pack", pack.files)
    damage(folder)
    found = verdict(folder)

    assert {each.code for each in found.errors} == expected
    assert not found.passed


SPEC_PATH = "artifacts/scenario_spec.json"
Forgery = dict[str, Callable[[Any], Any]]


def _loosened(spec: Any) -> None:
    spec["stages"][1]["gates"] = []


def _broken(spec: Any) -> None:
    spec["stages"].append(spec["stages"][0])


def _hold_to_advance(decisions: Any) -> None:
    decisions[1]["outcome"] = {"kind": "advance", "from_stage": "one", "to_stage": "two", "timeout": False}


FORGERIES: list[tuple[str, Forgery, str]] = [
    ("a hold that became an advance", {"decisions": _hold_to_advance}, "runpack_decision_wrong"),
    (
        "a status of evidence",
        {"gate_evals": lambda log: log[0]["evidence"][1].update(status="True")},
        "runpack_gate_wrong",
    ),
    (
        "a trace entry that was dropped",
        {"gate_evals": lambda log: log[0]["evaluation"]["trace"].pop() and None},
        "runpack_gate_wrong",
    ),
    ("a gate that was removed", {"gate_evals": lambda log: log[1:]}, "runpack_gate_wrong"),
    ("a gate that the scenario no longer asks for", {"scenario_spec": _loosened}, "runpack_gate_wrong"),
    ("a scenario that does not hold together", {"scenario_spec": _broken}, "scenario_stage_duplicate"),
    (
        "a scenario for another tenant",
        {"scenario_spec": lambda spec: spec.update(default_tenant_id=8)},
        "pack_manifest_wrong",
    ),
    ("a packet that was never issued", {"packets": lambda log: [*log, log[0]]}, "runpack_packet_wrong"),
    ("a call that was dropped", {"tool_calls": lambda log: log[:-1] and log[1:]}, "runpack_call_wrong"),
    (
        "something handed in that was not",
        {"submissions": lambda log: log[0].update(content_type="x")},
        "runpack_call_wrong",
    ),
    ("a trigger that was dropped", {"triggers": lambda log: log[:-1]}, "runpack_sequence_wrong"),
    ("a member that nobody knows", {"triggers": lambda log: log[0].update(more=1)}, "pack_content_invalid"),
    ("a member that is missing", {"decisions": lambda log: log[0].pop("seq") and None}, "pack_content_invalid"),
    ("a log that is none", {"decisions": lambda log: {"log": log}}, "pack_content_invalid"),
]


@pytest.mark.parametrize("what", [each[0] for each in FORGERIES])
def test_a_forgery_whose_digests_all_fit_is_named(what: str, pack: Built, tmp_path: Path) -> None:
    [(_, changes, code)] = [each for each in FORGERIES if each[0] == what]
    found = verdict(on_disk(tmp_path, forged(pack, **changes)))

    assert code in {each.code for each in found.errors}
    assert "pack_member_wrong" not in {
        each.code for each in found.errors if each.member != "artifacts/verifier_report.json"
    }


def test_a_report_that_others_wrote_has_to_be_that_of_the_files(pack: Built, tmp_path: Path) -> None:
    lying = forged(pack, verifier_report=lambda report: report.update(checked_files=3))
    found = verdict(on_disk(tmp_path, lying))
    assert [(each.code, each.member) for each in found.errors] == [
        ("pack_member_wrong", "artifacts/verifier_report.json")
    ]


def test_a_further_file_that_the_manifest_names_is_hashed_and_not_judged(pack: Built, tmp_path: Path) -> None:
    files = {path: content for path, content in pack.files.items() if path.startswith("artifacts/")}
    del files["artifacts/verifier_report.json"]
    manifest = json.loads(pack.files["manifest.json"])
    path = "notes/more.txt"
    entry = {"artifact_id": path, "kind": "custom", "path": path, "content_type": None, "required": False}
    manifest["artifacts"] = [*manifest["artifacts"][:7], entry]
    folder = on_disk(tmp_path, sealed({**files, path: b"more"}, manifest))

    assert verdict(folder).errors == []
    (folder / path).write_bytes(b"less")
    assert codes(folder) == {"pack_member_wrong"}


def test_bytes_that_say_the_same_otherwise_are_refused(pack: Built, tmp_path: Path) -> None:
    files = {path: content for path, content in pack.files.items() if path.startswith("artifacts/")}
    files["artifacts/triggers.json"] += b"\n"
    found = verdict(on_disk(tmp_path, sealed(files, json.loads(pack.files["manifest.json"]))))
    assert ("pack_content_invalid", "artifacts/triggers.json") in {(each.code, each.member) for each in found.errors}


def test_the_report_of_the_reference_names_what_its_rules_name(pack: Built) -> None:
    files = dict(pack.files)
    decisions = json.loads(files["artifacts/decisions.json"])
    files["artifacts/decisions.json"] = rfc8785.dumps([*decisions, decisions[-1]])
    del files["artifacts/packets.json"]
    found = checked(pack.manifest, files.__getitem__)

    assert (found.status, found.checked_files) == ("fail", 7)
    assert found.errors[:2] == [
        "hash mismatch for artifacts/decisions.json",
        "artifact read failed for artifacts/packets.json: it is not there",
    ]
    assert found.errors[2].startswith("duplicate decision for trigger ")


def test_the_report_of_the_reference_checks_anchors(tmp_path: Path) -> None:
    anchored = AnchorRequirement(provider_id="said", anchor_type="row")
    found = verdict(on_disk(tmp_path, made(short_life, anchors=[anchored]).files))
    assert found.report.errors == ["anchor of a for trigger t: the evidence has no anchor"]
    assert {each.code for each in found.errors} == {"runpack_evidence_wrong"}


def test_the_report_of_the_reference_says_what_it_cannot_read(tmp_path: Path) -> None:
    pack = made(short_life, anchors=[AnchorRequirement(provider_id="said", anchor_type="row")])
    files = {**pack.files, "artifacts/decisions.json": b"{", "artifacts/scenario_spec.json": b"{"}
    found = checked(pack.manifest, files.__getitem__)
    assert [each for each in found.errors if each.startswith("a log cannot be read")] != []

    undefined = {
        **pack.files,
        "artifacts/scenario_spec.json": pack.files[SPEC_PATH].replace(b'"condition_id":"a"', b'"condition_id":"b"'),
    }
    assert "evidence for a condition that is not defined: a" in checked(pack.manifest, undefined.__getitem__).errors


def test_what_a_reader_does_not_survive_is_no_pass_and_no_crash(
    pack: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_given: object) -> None:
        raise RecursionError

    monkeypatch.setattr("interlock.packs.runpack.verify.redecide", fails)
    found = verdict(on_disk(tmp_path, pack.files))
    assert ([each.code for each in found.errors], found.complete) == (["pack_content_invalid"], False)
