"""The part of a trace that whoever wrote a handler can do something about.

What it does: leaves away the frames of this package that a trace begins with. What it does not do: it formats and logs
nothing.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

_OURS = f"{Path(__file__).parents[1]}/"


def frames_of_user(trace: TracebackType | None) -> TracebackType | None:
    """The trace from the first frame that is not this package's; all of it where there is none."""
    rest = trace
    while rest is not None and rest.tb_frame.f_code.co_filename.startswith(_OURS):
        rest = rest.tb_next
    return trace if rest is None else rest
