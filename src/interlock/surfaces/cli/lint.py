"""How the findings of a linter look to people: one line for each, its hint below, and a count at the end.

It judges nothing: every word comes from the findings.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from interlock.engine.document.commands import LintReport
from interlock.surfaces.cli.text import safe


def lint_text(output: Struct) -> bytes:
    """The findings as lines that editors can follow, or the document that another format asked for."""
    if not isinstance(output, LintReport):
        return b""
    if output.content is not None:
        return msgspec.json.format(msgspec.json.encode(output.content), indent=2) + b"\n"
    return "".join(f"{safe(line)}\n" for line in _lines(output)).encode()


def _lines(report: LintReport) -> Iterator[str]:
    for found in report.findings:
        yield f"{found.file}:{found.line}:{found.column}: {found.level.value}: {found.message} [{found.rule}]"
        yield f"    {found.hint}"
    documents = f"{report.documents} document" + ("" if report.documents == 1 else "s")
    if report.omitted:
        yield f"and {report.omitted} more"
    errors, warnings = report.errors + report.omitted, report.warnings
    yield f"{documents}: {_count(errors, 'error')}, {_count(warnings, 'warning')}"


def _count(number: int, word: str) -> str:
    return f"{number or 'no'} {word}{'' if number == 1 else 's'}"
