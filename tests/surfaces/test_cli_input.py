"""Bad input of every kind on the command line: each is refused with a code, a place and nothing half-done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from interlock.base.bounds import JSON_BYTES_MAX
from interlock.surfaces.cli.main import main
from tests.surfaces.process import run
from tests.surfaces.toy import APPLICATION

Captured = pytest.CaptureFixture[bytes]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def error(captured: Captured, *line: str) -> dict[str, str]:
    """The error object of a line that is refused as invalid; nothing may have been made."""
    assert main([*line, "--json"], APPLICATION) == 2
    found: dict[str, str] = json.loads(captured.readouterr().out)["error"]
    assert list(Path.cwd().glob(".interlock")) == []
    return found


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        (("conuter", "add"), "usage_invalid", "has no noun or verb conuter; did you mean counter?"),
        (("counter", "ad", "apples"), "usage_invalid", "has no verb ad; did you mean add?"),
        (("add", "apples"), "usage_invalid", "has no verb add; did you mean `interlock counter add`?"),
        (("counter", "zzzz"), "usage_invalid", "it has: add, list"),
        (("counter", "add", "--bye", "3", "a"), "usage_invalid", "no option --bye; did you mean --by?"),
        (("counter", "add"), "usage_invalid", "`interlock counter add` needs NAME"),
        (("counter", "add", "a", "b", "c"), "usage_invalid", "fewer arguments: 2 too many"),
        (("counter", "add", "a", "--by"), "usage_invalid", "--by needs a value"),
        (("counter", "add", "a", "--by", "1", "--by", "2"), "usage_invalid", "--by is given more than once"),
        (("counter", "add", "a", "--by", "1.5"), "usage_invalid", "--by: a whole number is expected"),
        (("counter", "add", "a", "--by", "1_0"), "usage_invalid", "--by: a whole number is expected"),
        (("counter", "add", "a", "--by", "0x1"), "usage_invalid", "--by: a whole number is expected"),
        (
            ("counter", "add", "a", "--by", "9" * 5000),
            "usage_invalid",
            "--by: the number is out of bounds; expected: 1 to 100",
        ),
        (("counter", "add", "a", "--by", "٣"), "usage_invalid", "--by: a whole number is expected"),
        (("counter", "add", "a", "--mode", "slow"), "usage_invalid", "--mode: one of fast, safe is expected"),
        (("counter", "add", "a", "--dry-run=maybe"), "usage_invalid", "--dry-run: it takes no such value"),
        (
            ("counter", "add", "a", "--by", "101"),
            "input_invalid",
            "`by`: it is out of bounds; expected: 1 to 100",
        ),
        (("counter", "add", "a", "--by", "-1"), "input_invalid", "1 to 100"),
        (
            ("counter", "add", ""),
            "input_invalid",
            "`name`: it is out of bounds; expected: 1 to 20 characters",
        ),
        (("counter", "add", "x" * 21), "input_invalid", "1 to 20 characters"),
        (("counter", "touch", "nope"), "input_invalid", "a UUID in lower case with hyphens"),
        (
            ("counter", "touch", "01890A5D-AC96-774B-BCCE-B302099A8057"),
            "input_invalid",
            "a UUID in lower case",
        ),
        (("counter", "touch", "../../etc/passwd"), "input_invalid", "a UUID in lower case"),
        (("counter", "touch", "01890a5d-ac96-774b-bcce-b302099a8057\n"), "input_invalid", "a UUID in lower"),
        (
            ("counter", "add", "a", "--note"),
            "usage_invalid",
            "--note: JSON is expected, not the option --json",
        ),
        (("canonical", "--digets"), "usage_invalid", "VALUE: JSON is expected, not the option --digets"),
        (("completion", "tcsh"), "usage_invalid", "one of bash, fish, zsh is expected"),
    ],
)
def test_a_wrong_line_is_refused(capfdbinary: Captured, line: tuple[str, ...], code: str, words: str) -> None:
    found = error(capfdbinary, *line)

    assert found["code"] == code
    assert words in found["message"]


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("", "json_invalid", "line 1, column 1"),
        ("[1, 2", "json_invalid", "line 1, column 6"),
        ("{'a': 1}", "json_invalid", "line 1, column 2"),
        ('{"a": 1, "a": 2}', "json_duplicate_key", "key"),
        ('"\\ud800"', "json_surrogate", "surrogate"),
        ("nothere.json", "json_invalid", "did you mean @nothere.json?"),
        ("NaN", "json_non_finite", "finite"),
        ("1e999", "json_non_finite", "finite"),
        ("9007199254740992", "json_integer_range", "2^53"),
        ("[" * 65 + "]" * 65, "json_too_deep", "64"),
        ("[" * 100_000, "json_too_deep", "64"),
        ("@missing.json", "input_unreadable", "No such file"),
        ("@.", "input_unreadable", "directory"),
        ("@large.json", "json_too_large", "bytes"),
        ("@latin1.json", "json_invalid", "UTF-8"),
    ],
)
def test_bad_json_is_refused_with_its_member(
    tmp_path: Path, capfdbinary: Captured, text: str, code: str, words: str
) -> None:
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(JSON_BYTES_MAX * 100)  # a hole: it costs no disk and must cost no memory
    (tmp_path / "latin1.json").write_bytes(b'"\xe9"')
    found = error(capfdbinary, "counter", "add", "apples", "--note", text)

    assert found["code"] == code
    assert found["message"].startswith("`note`: ")
    assert words in found["message"]


def test_a_refusal_never_repeats_what_was_typed(capfdbinary: Captured) -> None:
    for line in (
        ("counter", "add", "a", "--note", "hunter2"),
        ("counter", "add", "a", "--by", "hunter2"),
        ("counter", "add", "a", "--mode", "hunter2"),
        ("counter", "add", "a", "hunter2"),
        ("counter", "add", "a", "--token=hunter2"),
        ("counter", "touch", "hunter2"),
    ):
        assert "hunter2" not in json.dumps(error(capfdbinary, *line))


def test_an_unknown_word_is_made_safe_for_the_terminal(capfdbinary: Captured) -> None:
    assert main(["counter", "\x1b]0;owned\x07"], APPLICATION) == 2

    shown = capfdbinary.readouterr().err
    assert b"\x1b" not in shown
    assert b"\x07" not in shown


def test_json_is_read_from_a_file_and_from_standard_input(tmp_path: Path) -> None:
    (tmp_path / "note.json").write_text('{"b": 1.0, "a": "é"}')
    by_file = run("counter", "add", "a", "--note", "@note.json", "--json", folder=tmp_path)
    by_input = run("counter", "add", "a", "--note=-", "--json", folder=tmp_path, given=b"[1]")

    assert json.loads(by_file.out)["note"] == '{"a":"é","b":1}'
    assert json.loads(by_input.out)["note"] == "[1]"


def test_standard_input_without_end_is_read_up_to_the_bound_and_refused(tmp_path: Path) -> None:
    done = run("counter", "add", "a", "--note", "@/dev/zero", "--json", folder=tmp_path)

    assert (done.code, json.loads(done.out)["error"]["code"]) == (2, "json_too_large")


def test_a_value_may_begin_with_a_hyphen(capfdbinary: Captured) -> None:
    assert main(["counter", "add", "a", "--note", "-5", "--json"], APPLICATION) == 0
    assert main(["counter", "add", "--json", "--", "-a"], APPLICATION) == 0

    notes = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert (notes[0]["note"], notes[1]["name"]) == ("-5", "-a")


def test_after_two_hyphens_json_is_a_value_like_any_other(capfdbinary: Captured) -> None:
    assert main(["counter", "add", "--", "--json"], APPLICATION) == 0

    assert b"--json" in capfdbinary.readouterr().out
    assert main(["counter", "touch", "--", "--json"], APPLICATION) == 2
    assert capfdbinary.readouterr().out == b""


def test_a_text_that_is_no_unicode_is_refused(tmp_path: Path) -> None:
    done = run("counter", "add", "a", "--labels", b"\xff".decode(errors="surrogateescape"), "--json", folder=tmp_path)

    assert (done.code, json.loads(done.out)["error"]["code"]) == (2, "json_surrogate")
