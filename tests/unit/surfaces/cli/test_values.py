"""Values of a command line: JSON inline, from a file, from standard input, and what cannot be had."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from msgspec import Raw, Struct

from interlock.base.errors import Invalid
from interlock.surfaces.cli.values import read_values
from tests.surfaces.toy import command


class Two(Struct, frozen=True):
    one: Raw | None = None
    other: Raw | None = None
    text: str = ""


TWO = command("two", input=Two, handler=None)


class Input(io.TextIOWrapper):
    """Standard input that holds `content`."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content))


def test_only_json_members_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.json").write_text('{"a": [1.5, null]}')
    monkeypatch.setattr(sys, "stdin", Input(b"[2]"))
    given = {"one": f"@{tmp_path / 'a.json'}", "other": "-", "text": "@not-a-file"}

    assert read_values(TWO, given) == {"one": {"a": [1.5, None]}, "other": [2], "text": "@not-a-file"}


def test_standard_input_can_be_named_once() -> None:
    with pytest.raises(Invalid, match="read only once") as refused:
        read_values(TWO, {"one": "-", "other": "-"})

    assert refused.value.code == "usage_invalid"


def test_a_closed_standard_input_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)

    with pytest.raises(Invalid, match="`one`: standard input is closed") as refused:
        read_values(TWO, {"one": "-"})

    assert refused.value.details["place"] == "one"


@pytest.mark.parametrize("path", ["", "missing", "nul\x00byte"])
def test_a_file_that_cannot_be_read_is_an_error(path: str) -> None:
    with pytest.raises(Invalid, match="the file cannot be read") as refused:
        read_values(TWO, {"one": f"@{path}"})

    assert refused.value.code == "input_unreadable"
