"""A process that stays: what it began with is not looked at again, and only for as long as it serves."""

from __future__ import annotations

import gc
import weakref

from interlock.base.settled import loading, settled


class Ring:
    """Something that only the cyclic collection can free."""

    def __init__(self) -> None:
        self.self = self


def test_the_objects_of_the_start_are_out_of_the_collection_for_as_long_as_the_block() -> None:
    before = gc.get_freeze_count()
    with settled():
        assert gc.get_freeze_count() > before + 1_000
    assert gc.get_freeze_count() == 0


def test_what_comes_later_is_collected_as_ever() -> None:
    with settled():
        gone = weakref.ref(Ring())
        gc.collect()
        assert gone() is None


def test_what_was_there_is_collected_again_after_the_block() -> None:
    ring = Ring()
    gone = weakref.ref(ring)
    with settled():
        del ring
        gc.collect()
        assert gone() is not None
    gc.collect()
    assert gone() is None


def test_nothing_is_collected_while_a_program_loads_and_again_after_it() -> None:
    with loading():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_who_had_turned_collections_off_finds_them_off() -> None:
    gc.disable()
    try:
        with loading():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
