"""Retry: a state fails because a file is not there yet, and is tried again, a little later each time.

    RUN=e2000000-0000-4000-8000-000000000002
    (sleep 1; echo "three words here" > draft.txt) &
    interlock run start examples/retry.py:plan --input '{"file": "draft.txt"}' --run-id $RUN
    interlock run output $RUN words

Only a failure that says so is tried again; each is on record (`interlock run events $RUN`). When the process dies
during a pause, whoever resumes the run waits no longer than what is left of it.
"""

from interlock import InterlockError, Io, IoCall, Plan, RetryPolicy, StateFailure

plan = Plan("retry", version="1")


@plan.state(side_effects="read_only_io", retry=RetryPolicy.exponential(20, base_ms=100, max_ms=2000))
async def words(io: Io, file: str) -> int:
    """Count the words of a file that may come late."""
    request = {
        "kind": "run_program_v1",
        "program_path": "/usr/bin/wc",
        "argv": ["-w", file],
        "stdout": "text",
    }
    try:
        answer = await io.call(IoCall("exec", request, fact_key="words:counted"))
    except InterlockError as fault:
        raise StateFailure("draft_missing", "there is no draft yet", retryable=True) from fault
    return int(answer.response["stdout"].split()[0])


@plan.state
async def verdict(words: int) -> str:
    """Say whether that is enough."""
    return "long enough" if words >= 3 else "too short"
