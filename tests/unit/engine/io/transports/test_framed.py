"""Programs that are spoken to in frames: real programs, that misbehave in every way."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from interlock.base.errors import InterlockError
from interlock.engine.io.transports.framed import BODY_BYTES_MAX, HEAD_BYTES_MAX, BackOff, FramedProgram
from interlock.engine.io.transports.peer import Peer

ECHO = """
import os, sys
into, out = sys.stdin.buffer, sys.stdout.buffer
print("started", file=sys.stderr)
with open(sys.argv[1], "a") as file:
    print(os.getpid(), file=file)
def read():
    length = 0
    while (line := into.readline()).strip():
        length = int(line.split(b":")[1])
    return into.read(length) if length else sys.exit()
def write(body, head=None):
    out.write((head or b"Content-Length: %d\\r\\n\\r\\n" % len(body)) + body)
    out.flush()
while message := read():
"""
ECHOES = ECHO + "    write(message[::-1])\n"


def program(tmp_path: Path, script: str) -> FramedProgram:
    return FramedProgram((sys.executable, "-u", "-c", script, str(tmp_path / "pids")))


def pids(tmp_path: Path) -> list[int]:
    return [int(line) for line in (tmp_path / "pids").read_text().split()]


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def exchange(using: FramedProgram, message: bytes = b"abc", seconds: float = 20) -> bytes:
    async with asyncio.timeout(seconds):
        return await using.exchange(message)


def test_messages_are_answered_one_after_the_other_by_one_program(tmp_path: Path) -> None:
    messages = [b"abc", "ü".encode(), b"x" * 300_000, *(b"%d" % each for each in range(20))]

    async def run() -> list[bytes]:
        using = program(tmp_path, ECHOES)
        try:
            return await asyncio.gather(*(exchange(using, each) for each in messages))
        finally:
            await using.close()

    assert asyncio.run(run()) == [each[::-1] for each in messages]
    [pid] = pids(tmp_path)
    assert not is_there(pid)


def test_a_program_that_is_not_there_cannot_be_started(tmp_path: Path) -> None:
    async def run(command: tuple[str, ...]) -> str:
        using = FramedProgram(command)
        with pytest.raises(InterlockError) as caught:
            await exchange(using)
        await using.close()
        return caught.value.code

    plain = tmp_path / "plain"
    plain.write_text("no program")
    plain.chmod(0o755)
    for command in ((), (str(tmp_path / "none"),), (str(tmp_path),), (sys.executable, "a\0b"), (str(plain),)):
        assert asyncio.run(run(command)) == "peer_start_failed"


@pytest.mark.parametrize("fault", [OSError(24, "Too many open files"), asyncio.CancelledError()])
def test_a_program_whose_streams_cannot_be_opened_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    started: list[int] = []

    async def fails(peer: Peer) -> None:
        started.append(peer._process.pid)
        raise fault

    async def run() -> None:
        using = program(tmp_path, ECHOES)
        monkeypatch.setattr(Peer, "_connect", fails)
        with pytest.raises((InterlockError, asyncio.CancelledError)) as caught:
            await exchange(using)
        assert getattr(caught.value, "code", None) == ("peer_start_failed" if isinstance(fault, OSError) else None)
        await using.close()

    asyncio.run(run())
    assert not is_there(started[0])


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("sys.exit()", "peer_gone"),
        ("out.write(b'Content-Length: 10\\r\\n\\r\\nabc'); sys.exit()", "peer_gone"),
        ("write(b'abc', b'Content-Length: 3\\r\\nContent-Length: 3\\r\\n\\r\\n')", "peer_answer_invalid"),
        ("write(b'abc', b'X-Other: 3\\r\\n\\r\\n')", "peer_answer_invalid"),
        ("write(b'abc', b'Content-Length: -3\\r\\n\\r\\n')", "peer_answer_invalid"),
        ("write(b'abc', b'Content-Length: 0x3\\r\\n\\r\\n')", "peer_answer_invalid"),
        ("write(b'abc', b'Content-Length: 9999999999\\r\\n\\r\\n')", "peer_answer_invalid"),
        (f"write(b'abc', b'Content-Length: {BODY_BYTES_MAX + 1}\\r\\n\\r\\n')", "peer_answer_invalid"),
        (f"write(b'abc', b'X: ' + b'y' * {HEAD_BYTES_MAX} + b'\\r\\n\\r\\n')", "peer_answer_invalid"),
        (f"write(b'abc', b'X: y\\r\\n' * {HEAD_BYTES_MAX} + b'\\r\\n')", "peer_answer_invalid"),
        (f"write(b'abc', b'y' * {4 * HEAD_BYTES_MAX})", "peer_answer_invalid"),
    ],
)
def test_an_answer_that_is_none_ends_the_program_and_the_next_call_starts_another(
    tmp_path: Path, answer: str, code: str
) -> None:
    script = f"{ECHO}    if message == b'bad': {answer}\n    else: write(message)\n"

    async def run() -> None:
        using = program(tmp_path, script)
        assert await exchange(using, b"good") == b"good"
        with pytest.raises(InterlockError) as caught:
            await exchange(using, b"bad")
        assert caught.value.code == code
        assert await exchange(using, b"good") == b"good"
        await using.close()

    asyncio.run(run())
    first, second = pids(tmp_path)
    assert not is_there(first)
    assert not is_there(second)


def test_a_body_is_limited_to_the_byte(tmp_path: Path) -> None:
    script = f"{ECHO}    write(b'x' * {BODY_BYTES_MAX})\n"

    async def run() -> bytes:
        using = program(tmp_path, script)
        try:
            return await exchange(using)
        finally:
            await using.close()

    assert len(asyncio.run(run())) == BODY_BYTES_MAX


def test_a_call_that_is_given_up_ends_the_program_so_that_no_answer_is_anothers(tmp_path: Path) -> None:
    script = f"{ECHO}    write(message) if message != b'slow' else sys.stdin.read()\n"

    async def run() -> None:
        using = program(tmp_path, script)
        assert await exchange(using, b"good") == b"good"
        with pytest.raises(TimeoutError):
            await exchange(using, b"slow", 0.1)
        assert not is_there(pids(tmp_path)[0])
        assert await exchange(using, b"next") == b"next"
        await using.close()

    asyncio.run(run())


def test_a_program_that_ended_while_nobody_asked_costs_no_call(tmp_path: Path) -> None:
    async def run() -> None:
        using = program(tmp_path, ECHOES)
        await exchange(using)
        os.kill(pids(tmp_path)[0], signal.SIGKILL)
        await asyncio.to_thread(os.waitid, os.P_PID, pids(tmp_path)[0], os.WEXITED | os.WNOWAIT)
        assert await exchange(using, b"next") == b"txen"
        await using.close()

    asyncio.run(run())
    assert len(pids(tmp_path)) == 2


def test_a_program_that_closes_its_input_is_gone(tmp_path: Path) -> None:
    script = f"{ECHO}    os.close(0); write(message); import time; time.sleep(60)\n"

    async def run() -> str:
        using = program(tmp_path, script)
        await exchange(using)
        with pytest.raises(InterlockError) as caught:
            await exchange(using, b"x" * 10_000_000, 5)
        await using.close()
        return caught.value.code

    assert asyncio.run(run()) == "peer_gone"


def test_it_inherits_little_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_OURS", "hidden")
    script = f"{ECHO}    write(','.join(sorted(os.environ)).encode())\n"

    async def run() -> bytes:
        using = program(tmp_path, script)
        try:
            return await exchange(using)
        finally:
            await using.close()

    seen = asyncio.run(run()).decode().split(",")
    assert "PATH" in seen
    assert "SECRET_OF_OURS" not in seen


def test_after_each_failure_the_next_start_waits_twice_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async def run() -> None:
        monkeypatch.setattr(asyncio, "sleep", sleep)
        back_off = BackOff()
        await back_off.wait()
        for _ in range(20):
            back_off.failed()
            await back_off.wait()
        back_off.succeeded()
        await back_off.wait()

    asyncio.run(run())
    assert waits[0] == waits[-1] == 0
    assert [round(each, 1) for each in waits[1:5]] == [0.1, 0.2, 0.4, 0.8]
    assert round(max(waits)) == 30
