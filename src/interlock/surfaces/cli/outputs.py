"""How the last lines of a failed program look to people.

What it does: gives the lines, and says where the rest is, or why there are none. What it does not do: it makes no line
safe for a terminal; whoever writes them does.
"""

from __future__ import annotations

from collections.abc import Iterator

from interlock.engine.reports.outputs import StepOutput
from interlock.engine.reports.records import RunFailure


def written(output: StepOutput) -> Iterator[str]:
    """What a program wrote last, line by line."""
    if output.withheld:
        yield f"({output.bytes} bytes that look like a secret, and are not shown)"
        return
    yield from output.lines
    if output.is_cut:
        yield f"(the end of {output.bytes} bytes; the whole: interlock artifact show {output.artifact_id})"


def last_lines(error: RunFailure | None) -> dict[str, list[str]]:
    """The lines of a failed run under the name of their stream; nothing where nothing is kept."""
    if error is None or error.output is None:
        return {}
    return {error.output.stream: list(written(error.output))}
