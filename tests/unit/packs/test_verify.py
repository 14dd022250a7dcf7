"""Verification: what is whole passes, and what only looks whole is named where it is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interlock.base.canonical import canonical
from interlock.base.errors import InterlockError
from interlock.packs.manifest import VIEWS_VERSION
from interlock.packs.report import ERRORS_MAX, Errors
from tests.unit.packs.making import (
    RUN_ID,
    codes,
    family_pack,
    forged,
    joined,
    lines,
    members,
    rechained,
    sha256,
    tiny_pack,
    unpacked,
    verdict,
    written,
)

Change = Callable[[dict[str, bytes], dict[str, Any]], None]
RUN_STREAM, CHILD_STREAM = "streams/000001.events", "streams/000003.events"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pack of a run that has ended, with an inbox and a child."""
    return family_pack(tmp_path_factory.mktemp("whole") / "whole.pack", "yes", contract=True)


@pytest.fixture(scope="module")
def open_pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pack of a run that waits."""
    return family_pack(tmp_path_factory.mktemp("open") / "open.pack")


def test_a_whole_pack_passes_as_a_file_and_as_a_folder(whole: Path, tmp_path: Path) -> None:
    as_file, as_folder = verdict(whole), verdict(unpacked(whole, tmp_path))

    assert as_file.passed
    assert as_file.errors == []
    assert as_file.signature.state == "none"
    assert as_file.views_compared
    assert as_folder == as_file
    assert as_file.digest == sha256(whole.read_bytes())
    assert as_file.bytes == whole.stat().st_size


def test_a_run_that_has_not_ended_passes_and_is_said_to_be_unsealed(open_pack: Path) -> None:
    found = verdict(open_pack)

    assert found.passed
    assert found.manifest is not None
    assert found.manifest.unsealed == (RUN_ID,)
    assert [run.status for run in found.manifest.runs] == [None, "completed"]


def test_children_that_were_left_out_are_said(tmp_path: Path) -> None:
    found = verdict(family_pack(tmp_path / "a.pack", "yes", children=False))

    assert found.passed
    assert found.manifest is not None
    assert len(found.manifest.left_out) == len(found.manifest.runs) == 1


def rewrite(member: str, edit: Callable[[list[list[bytes]]], object]) -> Change:
    """Change events of a stream and make its chain and its entry fit."""

    def change(content: dict[str, bytes], manifest: dict[str, Any]) -> None:
        events = lines(content[member])
        edit(events)
        content[member], head = rechained(events)
        [entry] = [each for each in manifest["streams"] if each["member"] == member]
        entry |= {"events": len(events), "head": head}

    return change


def of_type(events: list[list[bytes]], kind: str) -> int:
    """The place of the last event of a type."""
    return [at for at, event in enumerate(events) if json.loads(event[0])["type"] == f"engine.{kind}"][-1]


def alter(events: list[list[bytes]], kind: str, **members: Any) -> None:
    at = of_type(events, kind)
    events[at][1] = canonical(json.loads(events[at][1]) | members)


def in_data(old: bytes, new: bytes) -> Change:
    """Change bytes of events without mending the chain."""

    def change(content: dict[str, bytes], _manifest: dict[str, Any]) -> None:
        assert content[RUN_STREAM].count(old)
        content[RUN_STREAM] = content[RUN_STREAM].replace(old, new, 1)

    return change


def manifest_says(**entries: Any) -> Change:
    return lambda _content, manifest: manifest.update(entries)


def run_says(**entries: Any) -> Change:
    return lambda _content, manifest: manifest["runs"][0].update(entries)


def stream_says(**entries: Any) -> Change:
    return lambda _content, manifest: manifest["streams"][0].update(entries)


def without(name: str) -> Change:
    return lambda content, _manifest: content.__delitem__(name)


def an_artifact_taken_out(content: dict[str, bytes], _manifest: dict[str, Any]) -> None:
    del content[max(name for name in content if name.startswith("artifacts/"))]


def an_artifact_put_in(content: dict[str, bytes], _manifest: dict[str, Any]) -> None:
    content[f"artifacts/{sha256(b'stray')}"] = b"stray"


def a_view_put_in(content: dict[str, bytes], _manifest: dict[str, Any]) -> None:
    content["views/letter.txt"] = b"All is well."


def a_view_changed(content: dict[str, bytes], _manifest: dict[str, Any]) -> None:
    name = f"views/{RUN_ID}/report.json"
    content[name] = content[name].replace(b"completed", b"cancelled")


def the_contract_changed(content: dict[str, bytes], _manifest: dict[str, Any]) -> None:
    name = f"views/{RUN_ID}/contract.jsonl"
    content[name] = content[name].replace(b'"attempt":0', b'"attempt":1', 1)


def events_swapped(events: list[list[bytes]]) -> None:
    events[3], events[4] = events[4], events[3]


def a_stream_that_no_run_has(content: dict[str, bytes], manifest: dict[str, Any]) -> None:
    other = "01890a5d-ac96-774b-bcce-b302099a8058"
    content["streams/000004.events"] = content[CHILD_STREAM]
    entry = dict(manifest["streams"][2], member="streams/000004.events", stream=f"default/run/{other}")
    manifest["streams"].append(entry)


def the_child_taken_out(content: dict[str, bytes], manifest: dict[str, Any]) -> None:
    entry = manifest["streams"].pop()
    del content[entry["member"]]
    child = manifest["runs"].pop()["run_id"]
    for name in [name for name in content if name.startswith(f"views/{child}/")]:
        del content[name]


def the_child_hidden(content: dict[str, bytes], manifest: dict[str, Any]) -> None:
    """As if it had been left out on purpose, without saying so."""
    the_child_taken_out(content, manifest)
    manifest["children"] = "left_out"


FORGERIES: dict[str, tuple[Change, str]] = {
    "data of an event": (in_data(b"outer.begin.main", b"outer.bogus.main"), "event_corrupt"),
    "an envelope": (in_data(b'"actor":"local:', b'"actor":"lokal:'), "event_corrupt"),
    "a line without its tabs": (in_data(b"\t", b" "), "event_corrupt"),
    "a salt that is none": (in_data(b"\t\n", b"\tAB\n"), "event_corrupt"),
    "data that is not erasable, erased": (
        lambda content, _: content.__setitem__(
            RUN_STREAM,
            joined([[e[0], b"" if at == 3 else e[1], e[2]] for at, e in enumerate(lines(content[RUN_STREAM]))]),
        ),
        "event_corrupt",
    ),
    "events behind the last": (
        lambda content, _: content.__setitem__(RUN_STREAM, content[RUN_STREAM] + content[RUN_STREAM][:1000] + b"\n"),
        "event_corrupt",
    ),
    "the end of a stream": (
        lambda content, _: content.__setitem__(RUN_STREAM, joined(lines(content[RUN_STREAM])[:-1])),
        "event_missing",
    ),
    "two events swapped": (rewrite(RUN_STREAM, events_swapped), "run_corrupt"),
    "a state completed twice": (
        rewrite(
            RUN_STREAM,
            lambda events: events.insert(
                of_type(events, "run_completed"), list(events[of_type(events, "state_completed")])
            ),
        ),
        "run_corrupt",
    ),
    "a fact bound to other bytes": (
        rewrite(CHILD_STREAM, lambda events: alter(events, "fact_recorded", payload_id="0" * 64)),
        "artifact_not_found",
    ),
    "another end of the child": (
        rewrite(CHILD_STREAM, lambda events: alter(events, "run_completed", status="failed")),
        "pack_link_wrong",
    ),
    "another manifest of the child": (
        rewrite(RUN_STREAM, lambda events: alter(events, "child_run_spawned", child_manifest_id="1" * 64)),
        "pack_link_wrong",
    ),
    "another parent": (
        rewrite(
            CHILD_STREAM,
            lambda events: alter(events, "parent_linked", parent_run_id="01890a5d-ac96-774b-bcce-b302099a8058"),
        ),
        "pack_link_wrong",
    ),
    "more taken from the inbox than it has": (
        rewrite("streams/000002.events", lambda events: events.pop()),
        "pack_link_wrong",
    ),
    "another final snapshot": (
        rewrite(RUN_STREAM, lambda events: alter(events, "run_completed", final_snapshot_id="2" * 64)),
        "run_corrupt",
    ),
    "an event of no part": (
        rewrite(RUN_STREAM, lambda events: events[3].__setitem__(0, events[3][0].replace(b'"engine.', b'"motor.'))),
        "event_type_unknown",
    ),
    "an artifact taken out": (an_artifact_taken_out, "artifact_not_found"),
    "an artifact put in": (an_artifact_put_in, "pack_member_extra"),
    "a view put in": (a_view_put_in, "pack_member_extra"),
    "a view taken out": (without(f"views/{RUN_ID}/graph.svg"), "pack_member_missing"),
    "a view changed": (a_view_changed, "pack_view_wrong"),
    "an envelope of the contract changed": (the_contract_changed, "pack_view_wrong"),
    "the contract denied": (manifest_says(views={"contract": False, "version": VIEWS_VERSION}), "pack_member_extra"),
    "a status": (run_says(status="failed"), "pack_manifest_wrong"),
    "a status denied": (run_says(status=None), "pack_manifest_wrong"),
    "a snapshot": (run_says(final_snapshot_id="3" * 64), "pack_manifest_wrong"),
    "a parent": (run_says(parent_run_id="01890a5d-ac96-774b-bcce-b302099a8058"), "pack_manifest_wrong"),
    "sealed facts": (run_says(sealed_facts=1), "pack_manifest_wrong"),
    "unsealed runs": (manifest_says(unsealed=[RUN_ID]), "pack_manifest_wrong"),
    "runs left out": (manifest_says(left_out=["01890a5d-ac96-774b-bcce-b302099a8058"]), "pack_manifest_wrong"),
    "no runs": (manifest_says(runs=[]), "pack_manifest_wrong"),
    "a head": (stream_says(head="4" * 64), "head_wrong"),
    "a count of events": (stream_says(events=24), "head_wrong"),
    "erased events": (stream_says(erased=1), "pack_manifest_wrong"),
    "another name of a stream": (
        stream_says(stream="default/run/01890a5d-ac96-774b-bcce-b302099a8058"),
        "pack_member_missing",
    ),
    "another root": (
        manifest_says(root={"id": "01890a5d-ac96-774b-bcce-b302099a8058", "kind": "run", "tenant": "default"}),
        "pack_member_missing",
    ),
    "another tenant": (manifest_says(root={"id": RUN_ID, "kind": "run", "tenant": "other"}), "pack_member_missing"),
    "a stream that no run has": (a_stream_that_no_run_has, "pack_member_extra"),
    "the child taken out": (the_child_taken_out, "pack_member_missing"),
    "the child hidden": (the_child_hidden, "pack_manifest_wrong"),
    "a member of the manifest that none has": (manifest_says(note="hello"), "pack_manifest_invalid"),
    "streams out of order": (lambda _, manifest: manifest["streams"].reverse(), "pack_manifest_invalid"),
    "a stream twice": (lambda _, m: m["streams"][1].update(stream=m["streams"][0]["stream"]), "pack_manifest_invalid"),
    "another format": (manifest_says(format="interlock.pack/2"), "pack_from_future"),
    "views of a later version": (
        manifest_says(views={"contract": True, "version": VIEWS_VERSION + 1}),
        "pack_from_future",
    ),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_a_forgery_whose_digests_all_fit_is_named(what: str, whole: Path, tmp_path: Path) -> None:
    change, code = FORGERIES[what]

    found = verdict(forged(whole, tmp_path / "forged.pack", change))

    assert code in {error.code for error in found.errors}, found.errors
    assert not found.passed


def test_a_forgery_that_changes_nothing_passes(whole: Path, tmp_path: Path) -> None:
    copy = forged(whole, tmp_path / "copy.pack", lambda _content, _manifest: None)

    assert copy.read_bytes() == whole.read_bytes()


def test_an_error_names_the_member_the_stream_and_the_event(whole: Path, tmp_path: Path) -> None:
    found = verdict(forged(whole, tmp_path / "forged.pack", in_data(b"outer.begin.main", b"outer.bogus.main")))

    [error] = [error for error in found.errors if error.code == "event_corrupt"]
    assert (error.member, error.stream) == (RUN_STREAM, f"default/run/{RUN_ID}")
    assert error.seq is not None
    assert lines(members(whole)[RUN_STREAM])[error.seq - 1][1].count(b"outer.begin.main")


def test_damage_of_one_event_is_not_blamed_on_what_rests_on_it(whole: Path, tmp_path: Path) -> None:
    found = verdict(forged(whole, tmp_path / "forged.pack", in_data(b"outer.begin.main", b"outer.bogus.main")))

    assert [error.code for error in found.errors] == ["event_corrupt"]


def test_views_of_an_earlier_version_are_held_against_their_digests_alone(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from interlock.packs import manifest, verify

    for module in (manifest, verify):
        monkeypatch.setattr(module, "VIEWS_VERSION", VIEWS_VERSION + 1)

    found = verdict(forged(whole, tmp_path / "old.pack", a_view_changed))
    assert found.passed
    assert not found.views_compared
    assert codes(forged(whole, tmp_path / "more.pack", a_view_put_in)) == {"pack_member_extra"}


@pytest.mark.parametrize(
    ("what", "code"),
    [
        (b"{}", "pack_manifest_invalid"),
        (b"", "pack_manifest_invalid"),
        (b"[" * 100_000, "pack_manifest_invalid"),
        (b"\xff", "pack_manifest_invalid"),
        (b'{"format":"interlock.pack/99"}', "pack_from_future"),
    ],
)
def test_a_manifest_that_is_none_ends_the_verification(what: bytes, code: str, tmp_path: Path) -> None:
    (tmp_path / "a.pack").write_bytes(written({"manifest.json": what}))

    found = verdict(tmp_path / "a.pack")
    assert [error.code for error in found.errors] == [code]
    assert found.manifest is None


@pytest.mark.parametrize("spelling", [b"%b\n", b" %b"])
def test_a_manifest_has_one_spelling(spelling: bytes, tmp_path: Path) -> None:
    content = members(tiny_pack(tmp_path / "a.pack"))
    content["manifest.json"] = spelling % content["manifest.json"]
    (tmp_path / "b.pack").write_bytes(written(content))

    assert codes(tmp_path / "b.pack") == {"pack_manifest_invalid"}


def test_without_a_seal_a_pack_is_cut(tmp_path: Path) -> None:
    content = members(tiny_pack(tmp_path / "a.pack"))
    del content["manifest.sha256"]
    (tmp_path / "b.pack").write_bytes(written(content, sealed=False))

    assert codes(tmp_path / "b.pack") == {"pack_member_missing"}


def test_what_is_not_there_is_an_error_and_no_verdict(tmp_path: Path) -> None:
    with pytest.raises(InterlockError, match="pack_not_found"):
        verdict(tmp_path / "none.pack")


def test_no_more_errors_are_listed_than_a_person_would_read() -> None:
    errors = Errors()
    for seq in range(ERRORS_MAX + 1):
        errors.add("event_corrupt", "damaged", stream="default/run/x", seq=seq)
        errors.add("event_corrupt", "damaged", stream="default/run/x", seq=seq)

    assert len(errors.all) == ERRORS_MAX
    assert not errors.complete
