"""Which appends no store takes. What a store does with them is in its contract."""

from __future__ import annotations

import msgspec
import pytest

from interlock.base.errors import Invalid
from interlock.journal.ports import EMPTY, Append, Head
from interlock.stores.shape import checked_partition
from interlock.testing.contracts.harness import onto, stream

A = stream("a")
GOOD = onto(EMPTY, A, b"1", b"2")


def test_a_well_formed_append_tells_its_partition() -> None:
    assert checked_partition(Append([GOOD, onto(Head(7, "f" * 64), stream("b"))])) == "default"


@pytest.mark.parametrize("head", [Head(0, "f" * 64), Head(1, ""), Head(-1, "f" * 64)])
def test_a_head_is_either_empty_or_a_place_with_a_digest(head: Head) -> None:
    with pytest.raises(Invalid, match="expected head") as caught:
        checked_partition(Append([onto(head, A)]))
    assert caught.value.code == "append_malformed"


def test_an_event_whose_data_was_erased_cannot_be_appended() -> None:
    erased = msgspec.structs.replace(GOOD.events[1], data=None)

    with pytest.raises(Invalid, match="no data"):
        checked_partition(Append([msgspec.structs.replace(GOOD, events=(GOOD.events[0], erased))]))


def test_a_refusal_says_which_stream_and_place_it_is() -> None:
    swapped = msgspec.structs.replace(GOOD, events=GOOD.events[::-1])

    with pytest.raises(Invalid) as caught:
        checked_partition(Append([swapped]))
    assert caught.value.details == {"stream": A, "seq": 1}
