"""P23: a program stays within its limits, to the byte and to the deadline, and leaves nothing behind.

Real processes; `/proc` tells what is left of them.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from interlock.base.canonical import Json
from interlock.base.errors import InterlockError
from interlock.base.secrets import Secret, SecretRef
from interlock.engine.io.transports.exec import ExecSettings, ExecTransport
from interlock.engine.io.transports.port import TransportContext

CONTEXT = TransportContext("00000000-0000-4000-8000-000000000000", "m.s.l", 0, local_plan=True)
MIB = 1024 * 1024
# Far longer than any call may last: whoever waited for it would fail the test by the suite's time limit.
FOREVER = "sleep 600"


def no_secret(ref: SecretRef) -> Secret:
    raise AssertionError(ref)


async def run(script: str, limit: int = MIB, program: str = "/bin/sh", **request: Json) -> dict[str, Json]:
    transport = ExecTransport(ExecSettings(stream_bytes_max=limit), no_secret)
    try:
        answer = await transport.call(
            {
                "kind": "run_program_v1",
                "program_path": program,
                "argv": ["-c", script],
                "stdout": "text",
                **request,
            },
            CONTEXT,
        )
    finally:
        await transport.close()
    assert isinstance(answer, dict)
    return answer


def answer(script: str, limit: int = MIB, program: str = "/bin/sh", **request: Json) -> dict[str, Json]:
    return asyncio.run(run(script, limit, program, **request))


def fault(script: str, limit: int = MIB, program: str = "/bin/sh", **request: Json) -> InterlockError:
    with pytest.raises(InterlockError) as caught:
        answer(script, limit, program, **request)
    return caught.value


def marked(mark: str) -> list[int]:
    """The processes that carry a mark in their environment, zombies excepted."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            with suppress(OSError):
                if mark.encode() in (folder / "environ").read_bytes():
                    found.append(int(folder.name))
    return found


def assert_gone(mark: str) -> None:
    """What was killed is gone as soon as the kernel gets to it."""
    limit = time.monotonic() + 10
    while marked(mark) and time.monotonic() < limit:
        time.sleep(0.005)
    assert marked(mark) == []


@pytest.fixture
def mark() -> Iterator[str]:
    """A mark for the environment of a test's processes; what still carries it in the end is killed."""
    value = f"mark-{uuid.uuid4()}"
    yield value
    for pid in marked(value):
        os.kill(pid, 9)


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    before = (descriptors(), children())
    yield
    assert (descriptors(), children()) == before


def descriptors() -> int:
    """How many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def children() -> set[str]:
    """The children of this process, those that nobody has reaped too."""
    found: set[str] = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError):  # a thread may end while it is looked at
            found.update((task / "children").read_text().split())
    return found


@settings(max_examples=25)
@given(limit=st.integers(0, 3 * 65_536), beyond=st.integers(-2, 2), stream=st.sampled_from(["stdout", "stderr"]))
@example(limit=0, beyond=0, stream="stdout")
@example(limit=0, beyond=1, stream="stdout")
@example(limit=65_536, beyond=1, stream="stderr")
@example(limit=MIB, beyond=0, stream="stdout")
@example(limit=MIB, beyond=1, stream="stdout")
@example(limit=MIB, beyond=1, stream="stderr")
def test_an_output_is_limited_to_the_byte(limit: int, beyond: int, stream: str) -> None:
    size = max(limit + beyond, 0)
    script = f"head -c {size} /dev/zero | tr '\\000' x" + (" >&2" if stream == "stderr" else "")

    if size <= limit:
        assert answer(script, limit)[stream] == "x" * size
    else:
        refused = fault(script, limit)
        assert refused.code == f"exec_{stream}_too_large"
        assert refused.details[f"{stream}_bytes"] == size
        assert "xx" not in f"{refused} {refused.details}"


@settings(max_examples=15)
@given(limit=st.integers(2, 200_000), beyond=st.integers(-2, 2))
@example(limit=MIB, beyond=0)
@example(limit=MIB, beyond=1)
def test_input_is_limited_to_the_byte(limit: int, beyond: int) -> None:
    size = max(limit + beyond, 2)
    content = "x" * (size - 2)

    if size <= limit:
        assert answer("wc -c", limit, stdin_json=content)["stdout"] == f"{size}\n"
    else:
        refused = fault("wc -c", limit, stdin_json=content)
        assert (refused.code, refused.details["stdin_bytes"]) == ("exec_stdin_too_large", size)


def test_a_program_that_writes_too_much_never_blocks_and_all_of_it_is_counted() -> None:
    refused = fault("head -c 30000000 /dev/zero; head -c 20000000 /dev/zero >&2; exit 0")

    assert refused.code == "exec_stdout_too_large"
    assert (refused.details["stdout_bytes"], refused.details["stderr_bytes"]) == (30_000_000, 20_000_000)


def test_output_that_is_dropped_has_no_limit() -> None:
    assert answer("head -c 3000000 /dev/zero", stdout="none")["stdout_bytes"] == 3_000_000


def test_a_failure_is_told_before_an_overflow() -> None:
    refused = fault("head -c 3000000 /dev/zero; exit 4")

    assert (refused.code, refused.details["exit_code"]) == ("exec_failed", 4)


def test_a_program_that_writes_before_it_reads_does_not_deadlock() -> None:
    script = "head -c 900000 /dev/zero | tr '\\000' x; head -c 900000 /dev/zero >&2; wc -c"

    assert str(answer(script, stdin_json="y" * 1_000_000)["stdout"]).endswith("x1000002\n")


def test_a_program_that_reads_slowly_gets_all_of_its_input() -> None:
    script = """
import os, time
total = 0
while chunk := os.read(0, 40000):
    total += len(chunk)
    time.sleep(0.001)
print(total)
"""
    assert answer(script, program=sys.executable, stdin_json="y" * 1_000_000)["stdout"] == "1000002\n"


def test_a_program_may_ignore_its_input_when_it_succeeds() -> None:
    assert answer("exit 0", stdin_json="y" * 1_000_000)["exit_code"] == 0
    assert answer("exit 7", stdin_json="y" * 1_000_000, ok_codes=[7])["exit_code"] == 7


def test_a_program_that_fails_with_its_input_unread_says_so() -> None:
    refused = fault("exec <&-; exit 3", stdin_json="y" * 1_000_000)

    assert (refused.code, refused.details["exit_code"]) == ("exec_stdin_write_failed", 3)


@pytest.mark.parametrize(
    "script",
    [
        FOREVER,
        f"exec >&- 2>&-; {FOREVER}",
        f"trap '' TERM INT HUP; {FOREVER}; {FOREVER}",
        f"({FOREVER}) & ({FOREVER}) & wait",
        f"exec <&-; {FOREVER}",
        "while :; do echo x; done",
        "kill -STOP $$",
    ],
)
def test_the_deadline_ends_the_program_and_all_that_it_started(script: str, mark: str) -> None:
    refused = fault(script, env={"MARK": mark}, stdin_json="y" * 1_000_000, timeout_ms=150)

    assert (refused.code, refused.retryable) == ("exec_timeout", True)
    assert refused.details["exit_code"] is None
    assert_gone(mark)


@pytest.mark.parametrize("stream", ["1>/dev/null 2>/dev/null", "2>/dev/null", "1>/dev/null"])
def test_a_descendant_that_holds_a_pipe_is_waited_for_until_the_deadline(stream: str, mark: str) -> None:
    # The shell gives a background process no input, so it is handed on under another number.
    script = f"exec 3<&0; ({FOREVER}) <&3 {stream} & echo done"
    stdin: Json = "y" * 1_000_000

    refused = fault(script, env={"MARK": mark}, stdin_json=stdin, timeout_ms=800)

    assert (refused.code, refused.details["exit_code"]) == ("exec_timeout", 0)
    assert "a process that it started" in str(refused)
    assert_gone(mark)


def test_a_descendant_that_left_the_group_holds_nobody_up(mark: str) -> None:
    began = time.monotonic()
    refused = fault(f"setsid {FOREVER} & echo done", env={"MARK": mark}, timeout_ms=800)

    assert refused.code == "exec_timeout"
    assert time.monotonic() - began < 60
    assert len(marked(mark)) == 1, "it is out of reach; the fixture ends it"


def test_what_a_program_leaves_running_in_its_group_ends_with_it(mark: str) -> None:
    assert answer(f"{FOREVER} </dev/null >/dev/null 2>&1 & echo done", env={"MARK": mark})["stdout"] == "done\n"
    assert_gone(mark)


def test_cancelling_a_call_ends_the_program(mark: str) -> None:
    async def cancelled() -> None:
        call = asyncio.create_task(run(f"echo started; {FOREVER}", env={"MARK": mark}))
        await asyncio.sleep(0)
        assert marked(mark)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(cancelled())
    assert_gone(mark)


def test_the_event_loop_goes_on_while_a_program_floods_its_output() -> None:
    async def turns() -> int:
        call = asyncio.create_task(run("while :; do head -c 1000000 /dev/zero; done", timeout_ms=400))
        count = 0
        while not call.done():
            await asyncio.sleep(0.001)
            count += 1
        assert isinstance(call.exception(), InterlockError)
        return count

    assert asyncio.run(turns()) > 20


def test_many_programs_at_once_keep_their_outputs_apart() -> None:
    async def many() -> list[Json]:
        return [a["stdout"] for a in await asyncio.gather(*(run(f"sleep 0.01; echo {n}") for n in range(24)))]

    assert asyncio.run(many()) == [f"{n}\n" for n in range(24)]
