"""Schemathesis in an environment of its own under the cache, installed once by its lock."""

from __future__ import annotations

from pathlib import Path

from tests.conformance.environment import CACHE, ROOT, made_once, packages

HOME = CACHE / "api-fuzz"
LOCK = ROOT / "requirements" / "schemathesis.txt"


def schemathesis() -> Path:
    """The program, installed now where it is missing or the lock has changed."""
    made_once(HOME, [LOCK], lambda: packages(HOME / "python", LOCK))
    return HOME / "python" / "bin" / "schemathesis"
