"""What differs, in the words of a conflict of manifests."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from interlock.engine.config import BuildProvenance, RunConfig, RunManifest, manifest_bytes
from interlock.engine.sameness import differences, differences_asked

RECORDED = RunManifest("ship", "1", {"item": "a lamp", "to": "Ada"}, RunConfig(), BuildProvenance(git_commit="a" * 40))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"op_id": "other"}, "the plan"),
        ({"op_version": "2"}, "the version of the plan"),
        ({"input_params": {"item": "a vase", "by": "sea", "to": "Ada"}}, "the input's by, the input's item"),
        ({"input_params": None}, "the input"),
        ({"run_config": RunConfig(skip_tags=("slow",))}, "the configuration (skip_tags)"),
        ({"build": BuildProvenance(git_commit="b" * 40)}, "the commit of the plan's repository"),
        ({"build": BuildProvenance(git_commit="a" * 40, rustc_version="3.13")}, "the interpreter"),
    ],
)
def test_a_conflict_names_what_differs_and_no_value(change: dict[str, Any], said: str) -> None:
    assert differences(RECORDED, manifest_bytes(replace(RECORDED, **change))) == said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"op_version": "2", "build": BuildProvenance(git_commit="b" * 40)}, None),
        ({"op_id": "other"}, "the plan"),
        ({"input_params": None}, "the input"),
        ({"run_config": RunConfig(skip_tags=("slow",))}, "the configuration (skip_tags)"),
    ],
)
def test_the_same_is_asked_for_whatever_code_does_it(change: dict[str, Any], said: str | None) -> None:
    assert differences_asked(RECORDED, manifest_bytes(replace(RECORDED, **change))) == said


def test_of_many_differences_the_first_are_named_and_the_others_counted() -> None:
    given = replace(RECORDED, input_params={f"member_{number:02}": number for number in range(20)})

    assert differences(RECORDED, manifest_bytes(given)).endswith("the input's member_06 and 14 more")
