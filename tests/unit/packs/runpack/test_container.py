"""Containers of scenario runs: decided again under the rules that the run recorded, and forged with care."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interlock.base.canonical import canonical
from interlock.base.errors import InterlockError
from interlock.gates.evidence.config import AnchorRequirement
from interlock.gates.evidence.trust import ProviderRules
from interlock.packs.export import export
from interlock.packs.runpack import build
from interlock.packs.survey import Wanted
from interlock.packs.verify import Verdict, verify
from interlock.testing.loop import run
from tests.unit.gates.control.scenes import Scene
from tests.unit.gates.redecide.lives import Life, Told, long_life
from tests.unit.packs import making
from tests.unit.packs.making import CATALOGUE, codes, members, rechained, sha256, unpacked
from tests.unit.packs.runpack.making import verdict as runpack_verdict

RUN_ID = "1:2:r1"
STREAM = "streams/000001.events"
DEFINITION = "streams/000002.events"


def packed(out: Path, life: Callable[[], Any] = long_life) -> Path:
    async def main() -> None:
        found: Life = await life()
        await export(found.scene.app.journal, Wanted("default", RUN_ID, kind="scenario_run"), out, force=True)

    run(main())
    return out


def verdict(path: Path) -> Verdict:
    return asyncio.run(verify(path, CATALOGUE))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packed(tmp_path_factory.mktemp("whole") / "whole.pack")


async def waiting() -> Life:
    life = Life(Told(a="no"))
    await life.begin(packets=False)
    await life.call("external_event", "t1")
    return life


def test_the_container_of_a_scenarios_run_passes_as_file_and_as_folder(whole: Path, tmp_path: Path) -> None:
    found = verdict(whole)

    assert (found.errors, found.complete, found.views_compared) == ([], True, True)
    assert [each.what for each in found.not_rederivable] == ["call_requests"]
    assert found.manifest is not None
    assert (found.manifest.root.kind, found.manifest.root.id) == ("scenario_run", RUN_ID)
    assert (found.manifest.unsealed, found.manifest.runs) == ((), ())
    assert verdict(unpacked(whole, tmp_path)) == found


def test_a_run_that_waits_is_said_to_be_unsealed(tmp_path: Path) -> None:
    found = verdict(packed(tmp_path / "waiting.pack", waiting))
    assert (found.errors, found.not_rederivable) == ([], ())
    assert found.manifest is not None
    assert found.manifest.unsealed == (RUN_ID,)


def test_the_folder_in_it_is_a_runpack_that_is_dated_by_the_run(whole: Path, tmp_path: Path) -> None:
    inside = runpack_verdict(unpacked(whole, tmp_path) / "runpack")
    assert (inside.errors, inside.report.status, inside.report.checked_files) == ([], "pass", 7)
    assert inside.manifest is not None
    assert inside.manifest.generated_at == inside.logs.tool_calls[-1].called_at  # type: ignore[union-attr]


def test_two_exports_of_the_same_run_are_the_same_bytes(tmp_path: Path) -> None:
    async def main() -> None:
        life = await waiting()
        for name in ("a.pack", "b.pack"):
            wanted = Wanted("default", RUN_ID, kind="scenario_run")
            await export(life.scene.app.journal, wanted, tmp_path / name)

    run(main())
    assert (tmp_path / "a.pack").read_bytes() == (tmp_path / "b.pack").read_bytes()


def test_a_run_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    async def main() -> None:
        life = await waiting()
        await export(life.scene.app.journal, Wanted("default", "1:2:r9", kind="scenario_run"), tmp_path / "x.pack")

    with pytest.raises(InterlockError) as caught:
        run(main())
    assert caught.value.code == "scenario_run_not_found"
    assert list(tmp_path.iterdir()) == []


def test_a_run_whose_files_would_be_too_large_has_no_folder_in_its_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "FILE_BYTES_MAX", 1000)
    found = verdict(packed(tmp_path / "large.pack"))
    assert found.errors == []
    assert found.manifest is not None
    assert not any(each.name.startswith("runpack/") for each in found.manifest.members)


@pytest.mark.parametrize(("after", "expected"), [(True, ["said"]), (False, [])])
def test_anchors_that_every_decision_asked_for_stand_in_the_manifest(
    after: bool, expected: list[str], tmp_path: Path
) -> None:
    anchor = AnchorRequirement(provider_id="said", anchor_type="row")

    async def life() -> Life:
        found = Life(Told(ProviderRules("asserted", anchor), a="nothing"))
        await found.begin(packets=False)
        found.told.told = {}
        await found.call("external_event", "t1", a="error", b="error", c="error", d="error")
        if not after:
            found.told.requirements_of_all = ProviderRules("asserted")
            found.scene = Scene(found.scene.app, found.told)  # opened anew, with other settings
        await found.call("external_event", "t2")
        return found

    pack = packed(tmp_path / "anchors.pack", life)
    assert verdict(pack).errors == []
    manifest = json.loads(members(pack)["runpack/manifest.json"])
    policy = manifest.get("anchor_policy", {"providers": []})
    assert [each["provider_id"] for each in policy["providers"]] == expected


Events = list[list[bytes]]
Change = Callable[[Events], None]


DEFINED = canonical(
    {
        "default_tenant_id": None,
        "document_id": "0" * 64,
        "namespace_id": "2",
        "scenario_id": "release",
        "spec_version": "1",
    }
)


def kind_of(event: list[bytes]) -> str:
    return str(json.loads(event[0])["type"]).removeprefix("gates.")


def _edit(kind: str, number: int, change: Callable[[dict[str, Any]], object]) -> Change:
    """Change the data of the event of that kind and number."""

    def apply(events: Events) -> None:
        event = [each for each in events if kind_of(each) == kind][number]
        data = json.loads(event[1])
        change(data)
        event[1] = canonical(data)

    return apply


def _drop(kind: str, number: int) -> Change:
    def apply(events: Events) -> None:
        events.remove([each for each in events if kind_of(each) == kind][number])

    return apply


def _swap(kind: str, number: int) -> Change:
    """Let the event of that kind and number change places with the one before it."""

    def apply(events: Events) -> None:
        at = events.index([each for each in events if kind_of(each) == kind][number])
        events[at - 1], events[at] = events[at], events[at - 1]

    return apply


def _again(kind: str, number: int) -> Change:
    def apply(events: Events) -> None:
        at = events.index([each for each in events if kind_of(each) == kind][number])
        events.insert(at + 1, list(events[at]))

    return apply


CHANGES: list[tuple[str, Change, str]] = [
    (
        "a status after a decision",
        _edit("decided", 1, lambda data: data.update(status="failed")),
        "runpack_sequence_wrong",
    ),
    (
        "a stage after a decision",
        _edit("decided", 1, lambda data: data.update(stage_id="two")),
        "runpack_sequence_wrong",
    ),
    (
        "a time at which a stage was entered",
        _edit("decided", 1, lambda data: data["stage_entered_at"].update(value=4)),
        "runpack_sequence_wrong",
    ),
    ("a decision", _edit("decided", 1, lambda data: data["record"].update(seq=7)), "runpack_decision_wrong"),
    (
        "a trigger's id beside its record",
        _edit("triggered", 1, lambda data: data.update(trigger_id="x")),
        "runpack_sequence_wrong",
    ),
    (
        "a gate's id beside its record",
        _edit("gate_evaluated", 0, lambda data: data.update(gate_id="x")),
        "runpack_sequence_wrong",
    ),
    (
        "a status of evidence",
        _edit("gate_evaluated", 0, lambda data: data["record"]["evidence"][1].update(status="True")),
        "runpack_gate_wrong",
    ),
    ("a gate that was removed", _drop("gate_evaluated", 0), "runpack_gate_wrong"),
    ("a packet that was removed", _drop("packet_issued", 0), "runpack_packet_wrong"),
    ("a packet's id that no document has", _edit("packet_issued", 0, lambda data: data.update(packet_id="x")), ""),
    (
        "another packet's id",
        _edit("packet_issued", 0, lambda data: data.update(packet_id="rules")),
        "runpack_packet_wrong",
    ),
    (
        "what was handed in, beside its record",
        _edit("submitted", 0, lambda data: data.update(submission_id="x")),
        "runpack_sequence_wrong",
    ),
    (
        "a digest of what was handed in",
        _edit("submitted", 0, lambda data: data.update(given_digest="0" * 64)),
        "runpack_sequence_wrong",
    ),
    (
        "an event that was given again",
        _edit("tool_called", 4, lambda data: data.update(repeats=1)),
        "runpack_sequence_wrong",
    ),
    (
        "an event given again by a trigger",
        _edit("tool_called", 6, lambda data: data.update(repeats=None)),
        "runpack_sequence_wrong",
    ),
    (
        "an event given again after the end",
        _edit("tool_called", 15, lambda data: data.update(repeats=3)),
        "runpack_sequence_wrong",
    ),
    (
        "a first call that gives again",
        _edit("tool_called", 0, lambda data: data.update(repeats=3)),
        "runpack_sequence_wrong",
    ),
    ("a call that was removed", _drop("tool_called", 0), "runpack_call_wrong"),
    ("a call before what it made", _swap("tool_called", 0), "runpack_sequence_wrong"),
    ("a submission after its call", _swap("submitted", 0), ""),
    ("the start of the run, removed", _drop("run_started", 0), "pack_content_invalid"),
    ("a second start", _again("run_started", 0), "runpack_sequence_wrong"),
    ("a start in another stage", _edit("run_started", 0, lambda data: data.update(stage_id="two")), ""),
    ("a start at another time", _edit("run_started", 0, lambda data: data["started_at"].update(value=5)), ""),
    (
        "a start of another run",
        _edit("run_started", 0, lambda data: data["config"].update(run_id="r2")),
        "runpack_sequence_wrong",
    ),
    (
        "a start of another scenario",
        _edit("run_started", 0, lambda data: data["config"].update(scenario_id="x")),
        "runpack_scenario_wrong",
    ),
    (
        "a target more",
        _edit("run_started", 0, lambda data: data["config"]["dispatch_targets"].pop()),
        "runpack_packet_wrong",
    ),
    (
        "a start that cannot be read",
        _edit("run_started", 0, lambda data: data["config"].pop("run_id")),
        "pack_content_invalid",
    ),
    (
        "a member more in the record of a call",
        _edit("tool_called", 0, lambda data: data["record"].update(more=1)),
        "runpack_sequence_wrong",
    ),
    (
        "an event that no run has",
        lambda events: events.append([events[-1][0].replace(b"tool_called", b"scenario_defined"), DEFINED, b""]),
        "runpack_sequence_wrong",
    ),
    ("rules that nobody named", _drop("rules_applied", 0), "pack_content_invalid"),
    ("rules that are named twice", _again("rules_applied", 0), "runpack_sequence_wrong"),
]


@pytest.mark.parametrize("what", [each[0] for each in CHANGES])
def test_a_forgery_whose_chain_and_digests_all_fit_is_named(what: str, whole: Path, tmp_path: Path) -> None:
    [(_, change, code)] = [each for each in CHANGES if each[0] == what]

    def forge(content: dict[str, bytes], manifest: dict[str, Any]) -> None:
        events = making.lines(content[STREAM])
        change(events)
        content[STREAM], head = rechained(events)
        manifest["streams"][0] |= {"events": len(events), "head": head}

    found = verdict(making.forged(whole, tmp_path / "forged.pack", forge))
    assert not found.passed
    assert not code or code in {each.code for each in found.errors}, found.errors


def test_other_rules_than_the_run_was_decided_under_are_noticed(tmp_path: Path) -> None:
    async def believing() -> Life:
        life = Life(Told(a="asserted"))
        await life.begin()
        await life.call("external_event", "t1")
        return life

    def forge(content: dict[str, bytes], manifest: dict[str, Any]) -> None:
        events = making.lines(content[STREAM])
        [applied] = [each for each in events if kind_of(each) == "rules_applied"]
        before = json.loads(applied[1])["rules_id"]
        rules = json.loads(content.pop(f"artifacts/{before}"))
        rules["providers"]["said"]["floor"] = "verified"
        after = canonical(rules)
        content[f"artifacts/{sha256(after)}"] = after
        applied[1] = canonical({"rules_id": sha256(after)})
        content[STREAM], head = rechained(events)
        manifest["streams"][0] |= {"events": len(events), "head": head}

    lenient = packed(tmp_path / "lenient.pack", believing)
    assert verdict(lenient).errors == []
    assert "runpack_gate_wrong" in codes(making.forged(lenient, tmp_path / "forged.pack", forge))


def test_rules_in_another_spelling_are_refused(whole: Path, tmp_path: Path) -> None:
    def forge(content: dict[str, bytes], manifest: dict[str, Any]) -> None:
        events = making.lines(content[STREAM])
        [applied] = [each for each in events if kind_of(each) == "rules_applied"]
        before = json.loads(applied[1])["rules_id"]
        after = content.pop(f"artifacts/{before}") + b" "
        content[f"artifacts/{sha256(after)}"] = after
        applied[1] = canonical({"rules_id": sha256(after)})
        content[STREAM], head = rechained(events)
        manifest["streams"][0] |= {"events": len(events), "head": head}

    assert "pack_content_invalid" in codes(making.forged(whole, tmp_path / "forged.pack", forge))


def test_a_definition_that_is_gone_or_another_is_noticed(whole: Path, tmp_path: Path) -> None:
    def gone(content: dict[str, bytes], manifest: dict[str, Any]) -> None:
        del content[DEFINITION]
        manifest["streams"].pop()

    def other(content: dict[str, bytes], manifest: dict[str, Any]) -> None:
        events = making.lines(content[DEFINITION])
        events[0][1] = canonical(json.loads(events[0][1]) | {"spec_version": "9"})
        content[DEFINITION], head = rechained(events)
        manifest["streams"][1] |= {"head": head}

    for change in (gone, other):
        assert "runpack_scenario_wrong" in codes(making.forged(whole, tmp_path / "forged.pack", change))


@pytest.mark.parametrize("name", ["manifest.json", "artifacts/triggers.json", "artifacts/decisions.json"])
def test_a_folder_that_says_something_else_than_the_events_is_noticed(name: str, whole: Path, tmp_path: Path) -> None:
    def forge(content: dict[str, bytes], _manifest: dict[str, Any]) -> None:
        content[f"runpack/{name}"] = content[f"runpack/{name}"].replace(b"1", b"2", 1)

    found = verdict(making.forged(whole, tmp_path / "forged.pack", forge))
    assert [(each.code, each.member) for each in found.errors] == [("pack_view_wrong", f"runpack/{name}")]


def test_a_folder_that_is_left_out_is_missed(whole: Path, tmp_path: Path) -> None:
    def forge(content: dict[str, bytes], _manifest: dict[str, Any]) -> None:
        for name in [each for each in content if each.startswith("runpack/")]:
            del content[name]

    assert codes(making.forged(whole, tmp_path / "forged.pack", forge)) == {"pack_member_missing"}


MANIFESTS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a run": (lambda manifest: manifest["root"].update(kind="run"), "pack_manifest_invalid"),
    "of no kind": (lambda manifest: manifest["root"].update(kind="other"), "pack_manifest_invalid"),
    "another run": (lambda manifest: manifest["root"].update(id="1:2:r2"), "pack_member_missing"),
    "without children": (lambda manifest: manifest.update(children="left_out"), "pack_manifest_invalid"),
    "with the contract": (lambda manifest: manifest["views"].update(contract=True), "pack_manifest_invalid"),
    "not ended": (lambda manifest: manifest.update(unsealed=[RUN_ID]), "pack_manifest_wrong"),
}


@pytest.mark.parametrize("what", MANIFESTS)
def test_a_manifest_that_fits_no_scenarios_run_is_refused(what: str, whole: Path, tmp_path: Path) -> None:
    change, code = MANIFESTS[what]

    def forge(_content: dict[str, bytes], manifest: dict[str, Any]) -> None:
        change(manifest)

    assert code in codes(making.forged(whole, tmp_path / "forged.pack", forge))
