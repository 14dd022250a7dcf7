"""Values of files under one folder: what is read, what is selected, and every way in which it is not."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET

from interlock.base.canonical import digest
from interlock.gates.evidence.providers.json import JsonConfig, JsonProvider
from interlock.gates.evidence.records import EvidenceAnchor, EvidenceRef
from tests.unit.gates.evidence.asking import ask, code_of, query, value_of

REPORT = {"summary": {"failed": 0, "passed": 12}, "tests": [{"name": "a", "ms": 3}, {"name": "b", "ms": 40}]}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "deep").mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(REPORT))
    (folder / "deep" / "plan.yaml").write_text("on: true\nsteps: [1, 2.5, no]\n")
    return folder


def get(root: Path, params: Any, **config: Any) -> Any:
    return ask(JsonProvider(JsonConfig(root=str(root), root_id="repo", **config)), query("json", "path", params))


def test_a_file_is_its_value_with_anchor_reference_and_age(root: Path) -> None:
    os.utime(root / "report.json", ns=(0, 1_700_000_000_123_000_000))

    answered = get(root, {"file": "deep/../report.json"})

    assert value_of(answered) == REPORT
    assert answered.result.evidence_ref == EvidenceRef("dg+file://repo/report.json")
    assert answered.result.evidence_anchor == EvidenceAnchor(
        "file_path_rooted", '{"path":"report.json","root_id":"repo"}'
    )
    assert answered.result.content_type == "application/json"
    assert answered.observed_ms == 1_700_000_000_123
    [call] = answered.calls
    assert (call.namespace, call.response_digest) == ("file", digest((root / "report.json").read_bytes()))


def test_yaml_is_read_as_yaml_1_2(root: Path) -> None:
    answered = get(root, {"file": "deep/plan.yaml"})

    assert value_of(answered) == {"on": True, "steps": [1, 2.5, "no"]}
    assert answered.result.content_type == "application/yaml"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$.summary.failed", 0),
        ("$['tests'][1].name", "b"),
        ("$.tests[*].name", ["a", "b"]),
        ("$.tests[?@.ms > 10].name", "b"),
        ("$.tests[?match(@.name, '[a-b]')].ms", [3, 40]),
        ("$.tests[?search(@.name, 'c')]", None),
        ("$..ms", [3, 40]),
        ("$", REPORT),
    ],
)
def test_one_match_is_its_value_and_several_are_a_list(root: Path, path: str, value: Any) -> None:
    answered = get(root, {"file": "report.json", "jsonpath": path})

    if value is None:
        assert code_of(answered) == "jsonpath_not_found"
        assert answered.result.evidence_anchor is not None
    else:
        assert value_of(answered) == value


def test_a_large_whole_number_is_itself(root: Path) -> None:
    (root / "large.json").write_text("[18446744073709551615, -9223372036854775808]")

    assert value_of(get(root, {"file": "large.json"})) == [2**64 - 1, -(2**63)]


@pytest.mark.parametrize(
    ("params", "code"),
    [
        (UNSET, "params_missing"),
        ([], "params_invalid"),
        ({"file": 1}, "params_invalid"),
        ({"file": "report.json", "other": 1}, "params_invalid"),
        ({"file": "report.json", "jsonpath": 1}, "params_invalid"),
        ({"jsonpath": "$"}, "path_missing"),
        ({"file": "/etc/hostname"}, "absolute_path_forbidden"),
        ({"file": ""}, "path_invalid"),
        ({"file": "a\0b"}, "path_invalid"),
        ({"file": "\ud800"}, "path_invalid"),
        ({"file": "x" * 256}, "path_invalid"),
        ({"file": "x/" * 2048 + "y"}, "path_invalid"),
        ({"file": "report.json/x"}, "path_invalid"),
        ({"file": "none.json"}, "file_not_found"),
        ({"file": "../root/none.json"}, "file_not_found"),
        ({"file": ".."}, "path_outside_root"),
        ({"file": "deep"}, "file_open_failed"),
        ({"file": "."}, "file_open_failed"),
        ({"file": "report.json", "jsonpath": "tests"}, "invalid_jsonpath"),
        ({"file": "report.json", "jsonpath": "$.none"}, "jsonpath_not_found"),
    ],
)
def test_each_fault_has_its_code_and_no_value(root: Path, params: Any, code: str) -> None:
    assert code_of(get(root, params)) == code


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("x.json", b"", "invalid_json"),
        ("x.json", b"{'a': 1}", "invalid_json"),
        ("x.json", b'{"a": 1, "a": 2}', "invalid_json"),
        ("x.json", b"\xff", "invalid_json"),
        ("x.json", b"[" * 100 + b"]" * 100, "invalid_json"),
        ("x.yml", b"\xff", "invalid_yaml"),
        ("x.yml", b"a: [", "invalid_yaml"),
        ("x.yml", b"a: &x 1\nb: *x\n", "invalid_yaml"),
        ("x.yml", b"a: !!python/object:os.system 1\n", "invalid_yaml"),
        ("x.yml", b"", "invalid_yaml"),
    ],
)
def test_content_that_is_not_of_its_language_is_an_error(root: Path, name: str, content: bytes, code: str) -> None:
    (root / name).write_bytes(content)

    assert code_of(get(root, {"file": name})) == code


def test_yaml_is_not_read_where_it_is_not_allowed(root: Path) -> None:
    assert code_of(get(root, {"file": "deep/plan.yaml"}, allow_yaml=False)) == "yaml_disabled"


def test_a_file_is_limited_to_the_byte(root: Path) -> None:
    (root / "x.json").write_text('"abcd"')

    assert value_of(get(root, {"file": "x.json"}, max_bytes=6)) == "abcd"
    assert code_of(get(root, {"file": "x.json"}, max_bytes=5)) == "size_limit_exceeded"


def test_what_is_selected_is_limited_as_a_file_is(root: Path) -> None:
    (root / "x.json").write_text(json.dumps(["y" * 300]))
    selectors = ",".join(["0"] * 10)

    assert (
        code_of(get(root, {"file": "x.json", "jsonpath": f"$[{selectors}]"}, max_bytes=1000)) == "size_limit_exceeded"
    )


def test_a_pipe_is_not_waited_for(root: Path) -> None:
    os.mkfifo(root / "pipe.json")

    assert code_of(get(root, {"file": "pipe.json"})) == "file_open_failed"


def test_links_are_followed_within_the_folder(root: Path) -> None:
    (root / "deep" / "link.json").symlink_to("../report.json")
    (root / "folder").symlink_to(root / "deep", target_is_directory=True)

    answered = get(root, {"file": "folder/link.json", "jsonpath": "$.summary.failed"})

    assert value_of(answered) == 0
    assert answered.result.evidence_ref == EvidenceRef("dg+file://repo/report.json")
