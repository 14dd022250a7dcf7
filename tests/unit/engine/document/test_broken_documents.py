"""Every document of `broken/` is found out in one pass: exactly the rules that its own lines name, where they do.

A line that breaks a rule says so by `!rule` in its comment; what says nothing must be clean.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from interlock.engine.document.findings import FINDINGS_MAX
from interlock.engine.document.lint import Linter
from interlock.engine.document.rules import RULES
from interlock.engine.part import PART
from interlock.engine.steps.call import StepHandlers

BROKEN = Path(__file__).parent / "broken"
DOCUMENTS = sorted(path.name for path in BROKEN.glob("*.yaml"))
_MARK = re.compile(r"!([a-z_]+)")
_HEAD = b'pipeline: x\nversion: "1"\nsteps:\n  - {name: a, handler: wait}\n'
BYTES = {
    "file_missing": ("there_is_none.yaml", None, 1),
    "file_unreadable": (".", None, 1),
    "file_too_large": ("x.yaml", b"# " + b"x" * 300_000, 1),
    "file_encoding": ("x.yaml", b'pipeline: x\nversion: "\xff"\n', 2),
    "file_bom": ("x.yaml", b"\xef\xbb\xbf" + _HEAD, 1),
    "file_empty": ("x.yaml", b"", 1),
    "character": ("x.yaml", b"pipeline: x\nversion: \x00\n", 2),
    "yaml_syntax": ("x.yaml", b"pipeline: [x\nversion: 1\n", 2),
    "json_syntax": ("x.json", b'{"pipeline": "x",\n "version": "1",}', 2),
    "too_many_nodes": ("x.yaml", b"- x\n" * 30_000, 20_000),
    "key_too_long": ("x.yaml", _HEAD + b"k" * 300 + b": 1\n", 5),
}


@pytest.fixture(scope="module")
def linter() -> Linter:
    return Linter(StepHandlers(PART.steps))


def expected(path: Path) -> Counter[tuple[int, str]]:
    """What the comments of a document say is wrong with it: lines and rules."""
    found: Counter[tuple[int, str]] = Counter()
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        _, _, comment = line.rpartition("# !")
        found.update((number, rule) for rule in _MARK.findall(f"!{comment}") if "# !" in line)
    return found


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_broken_document_is_found_out_in_one_pass(name: str, linter: Linter) -> None:
    path = BROKEN / name

    linted = linter.file(path, name)

    found = Counter((each.line, each.rule) for each in linted.findings if each.file == name)
    assert found == expected(path), "\n".join(map(str, linted.findings))
    assert (linted.document is None) == any(each.level == "error" for each in linted.findings)


@pytest.mark.parametrize("rule", BYTES)
def test_hostile_bytes_are_one_finding_with_its_line(rule: str, linter: Linter, tmp_path: Path) -> None:
    name, content, line = BYTES[rule]
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)

    linted = linter.file(path)

    assert (line, rule) in {(each.line, each.rule) for each in linted.findings}
    assert linted.document is None


def test_the_corpus_has_all_kinds_but_those_of_the_machine() -> None:
    kinds = {rule for name in DOCUMENTS for _, rule in expected(BROKEN / name)} | set(BYTES)

    assert len(kinds) >= 30
    assert {rule.id for rule in RULES} - kinds == {"cel_missing", "children_too_many", "http_missing"}


def test_documents_that_start_too_many_others_are_refused(linter: Linter, tmp_path: Path) -> None:
    step = "  - {name: a, handler: child, with: {document: %d.yaml}}\n"
    for number in range(12):
        (tmp_path / f"{number}.yaml").write_text(f'pipeline: p{number}\nversion: "1"\nsteps:\n' + step % (number + 1))

    rules = {each.rule for each in linter.file(tmp_path / "0.yaml").findings}

    assert rules == {"children_too_many", "child_invalid"}


def test_one_document_may_have_many_kinds_at_once() -> None:
    assert len({rule for _, rule in expected(BROKEN / "many.yaml")}) >= 30


def test_every_finding_says_what_to_do(linter: Linter) -> None:
    findings = [each for name in DOCUMENTS for each in linter.file(BROKEN / name).findings]

    assert all(each.hint.endswith((".", "?")) and each.message and each.column >= 1 for each in findings)


def test_near_misses_are_named(linter: Linter) -> None:
    hints = [each.hint for each in linter.file(BROKEN / "many.yaml").findings]

    for word in ("pipeline", "exec", "stdout", "POST", "input", "used"):
        assert any(f"Did you mean `{word}`?" in hint for hint in hints), word


def test_a_message_repeats_no_secret(linter: Linter) -> None:
    for each in linter.file(BROKEN / "secrets.yaml").findings:
        assert "Zm9v" not in str(each)
        assert "s3cr3t" not in str(each)
        assert "correct horse" not in str(each)


def test_more_findings_than_are_listed_are_counted(linter: Linter) -> None:
    steps = "".join(f"  - {{name: a{number}, handler: nothing_{number}}}\n" for number in range(FINDINGS_MAX + 7))
    head = 'pipeline: x\nversion: "1"\nsteps:\n'

    linted = linter.content((head + steps).encode(), "x.yaml")

    assert len(linted.findings) == FINDINGS_MAX
    assert linted.omitted == 7
    assert linted.document is None
