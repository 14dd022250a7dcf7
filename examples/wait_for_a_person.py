"""Wait for a person: the run stops, holds nothing, and goes on with the answer.

    RUN=e3000000-0000-4000-8000-000000000003
    interlock run start examples/wait_for_a_person.py:plan --input '{"letter": "Dear all"}' --run-id $RUN
    interlock run why $RUN
    interlock run signal $RUN review verdict --value '{"approved": true, "note": "well said"}'
    interlock run resume $RUN
    interlock run output $RUN send

The first line ends with exit code 8: the run waits. An answer of another form is refused where it is sent. Nobody who
answers within an hour means no; that deadline fires even if every process was down when it passed.
"""

import sys
from pathlib import Path

from msgspec import Struct

from interlock import Io, IoCall, Plan

plan = Plan("letter", version="1")
OUTSIDE = Path(__file__).with_name("outside.py")
HOUR_MS = 3_600_000


class Verdict(Struct):
    """What a reviewer answers; its JSON Schema is what an answer is held against."""

    approved: bool
    note: str = ""


@plan.state
async def review(io: Io) -> Verdict:
    """Ask whether the letter may be sent."""
    silence = Verdict(approved=False, note="nobody answered")
    return await io.wait("verdict", Verdict, timeout_ms=HOUR_MS, default=silence)


@plan.state(side_effects="apply_side_effect", idempotency="letter:send")
async def send(io: Io, letter: str, review: Verdict) -> str:
    """Send it, once, if it may be sent."""
    if not review.approved:
        return f"kept: {review.note}"
    request = {"kind": "run_program_v1", "program_path": sys.executable, "argv": [str(OUTSIDE), "sent.txt", letter]}
    answer = await io.call(IoCall("exec", request, fact_key="letter:sent"))
    return f"sent as number {answer.response['json']['line']}: {review.note}"
