"""Time and randomness as ports: milliseconds in, RFC 3339 out, and reproducible bytes from a seed."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from interlock.base.clock import SeededEntropy, SystemClock, SystemEntropy, rfc3339


def test_the_system_clock_tells_the_milliseconds_of_the_operating_system() -> None:
    before = time.time_ns() // 1_000_000
    told = SystemClock().now_ms()

    assert before <= told <= time.time_ns() // 1_000_000


@pytest.mark.parametrize(
    ("at_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (999, "1970-01-01T00:00:00.999Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (1_795_314_745_123, "2026-11-22T02:32:25.123Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_a_time_is_shown_with_milliseconds_in_utc(at_ms: int, text: str) -> None:
    assert rfc3339(at_ms) == text
    assert round(datetime.fromisoformat(rfc3339(at_ms)).astimezone(UTC).timestamp() * 1000) == at_ms


def test_every_millisecond_of_a_second_is_shown_as_it_is() -> None:
    begin = 1_795_314_745_000

    assert [rfc3339(begin + ms)[-5:] for ms in range(1_000)] == [f".{ms:03d}Z" for ms in range(1_000)]


@pytest.mark.parametrize("count", [0, 1, 31, 32, 33, 100])
def test_entropy_gives_as_many_bytes_as_asked(count: int) -> None:
    assert len(SystemEntropy().random_bytes(count)) == count
    assert len(SeededEntropy(7).random_bytes(count)) == count


def test_the_system_does_not_repeat_itself() -> None:
    assert SystemEntropy().random_bytes(32) != SystemEntropy().random_bytes(32)


def test_a_seed_names_one_sequence_that_never_repeats() -> None:
    first, second, other = SeededEntropy(7), SeededEntropy(7), SeededEntropy(8)
    drawn = [first.random_bytes(16) for _ in range(100)]

    assert drawn == [second.random_bytes(16) for _ in range(100)]
    assert len(set(drawn)) == 100
    assert other.random_bytes(16) not in drawn
