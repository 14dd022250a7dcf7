"""Every error code is declared once, says what to do next, and is registered by a part."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections import Counter
from functools import cache

import interlock
from interlock.base.errors import ErrorCode
from interlock.parts import PARTS


def test_every_code_is_a_segment_declared_once() -> None:
    codes = [kind.code for kind in declared()]

    assert [code for code, count in Counter(codes).items() if count > 1] == []
    assert [code for code in codes if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", code)] == []


def test_every_code_says_what_to_do_next() -> None:
    assert [kind.code for kind in declared() if not re.fullmatch(r"[A-Z`].+\.", kind.advice)] == []


def test_every_code_is_registered_by_a_part() -> None:
    registered = {kind.code for part in PARTS for kind in part.errors}

    assert sorted({kind.code for kind in declared()} - registered) == []


@cache
def declared() -> tuple[ErrorCode, ...]:
    """The constants of every module of the package, each once however often it is imported."""
    names = [item.name for item in pkgutil.walk_packages(interlock.__path__, "interlock.")]
    modules = [importlib.import_module(name) for name in names if not name.endswith("__main__")]
    found = [kind for module in modules for kind in vars(module).values() if isinstance(kind, ErrorCode)]
    return tuple({id(kind): kind for kind in found}.values())
