"""W9: what canonical JSON and its digest cost, against plain orjson and against `rfc8785`. Prints JSON.

What it does: writes one document of about 1 KB and one of about 50 KB three ways: as a typed event, whose types
prove that the plain encoder's bytes are canonical; as a user's value, which is walked first; and as a user's value
with floats, each of which is spelled exactly. What it does not do: it judges nothing. The hash is measured apart.

Rules: contenders take turns and the best of some rounds counts, so that a busy machine shifts ratios little; before
anything is measured, all contenders are held to the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import timeit
from collections.abc import Callable

import msgspec
import orjson
import rfc8785

from interlock.base.canonical import canonical, digest, encode_checked, parse

ROUNDS = 9
ROUND_SECONDS = 0.03


class SourceFile(msgspec.Struct, frozen=True):
    """One file of an inventory; members in alphabetical order."""

    bytes: int
    path: str
    sha256: str


class InventoryTaken(msgspec.Struct, frozen=True):
    """An event as the engine records them; members in alphabetical order."""

    attempt: int
    complete: bool
    files: tuple[SourceFile, ...]
    note: str | None
    run_id: str
    state: str
    tags: tuple[str, ...]


def event(files: int) -> InventoryTaken:
    """An event of about 140 bytes a file."""
    names = [f"src/interlock/part{index:03}/module.py" for index in range(files)]
    return InventoryTaken(
        attempt=1,
        complete=True,
        files=tuple(SourceFile(len(name) * 97, name, hashlib.sha256(name.encode()).hexdigest()) for name in names),
        note=None,
        run_id="0b5a1f3e-9c4d-4e2a-8f6b-7d1c2e3f4a5b",
        state="release.inventory.take",
        tags=("release", "inventory", "evidence"),
    )


def best_us(contenders: dict[str, Callable[[], object]]) -> dict[str, float]:
    """The best time of each contender in microseconds, taken in turns."""
    timers = {name: timeit.Timer(contender) for name, contender in contenders.items()}
    loops = {name: max(1, int(ROUND_SECONDS / timer.timeit(1))) for name, timer in timers.items()}
    rounds = [{name: timer.timeit(loops[name]) / loops[name] for name, timer in timers.items()} for _ in range(ROUNDS)]
    return {name: round(min(taken[name] for taken in rounds) * 1e6, 2) for name in timers}


def measure(files: int) -> dict[str, object]:
    """All figures for one size: microseconds, and ratios."""
    typed = event(files)
    encode = msgspec.json.Encoder().encode
    value = msgspec.to_builtins(typed)
    with_floats = {**value, "files": [{**file, "seconds": index / 8} for index, file in enumerate(value["files"])]}
    content = canonical(value)
    if not encode(typed) == content == rfc8785.dumps(value):
        raise SystemExit("the contenders do not write the same bytes")
    text = content.decode()
    taken = best_us(
        {
            "typed_event": lambda: encode_checked(encode, typed),
            "orjson": lambda: orjson.dumps(value),
            "orjson_sorted": lambda: orjson.dumps(value, option=orjson.OPT_SORT_KEYS),
            "user_value": lambda: canonical(value),
            "rfc8785": lambda: rfc8785.dumps(value),
            "user_value_with_floats": lambda: canonical(with_floats),
            "rfc8785_with_floats": lambda: rfc8785.dumps(with_floats),
            "hash": lambda: digest(content),
            "parse": lambda: parse(text),
            "json_loads": lambda: json.loads(text),
        }
    )
    return {
        "bytes": len(content),
        "us": taken,
        "typed_event_to_orjson_sorted": round(taken["typed_event"] / taken["orjson_sorted"], 2),
        "user_value_to_orjson_sorted": round(taken["user_value"] / taken["orjson_sorted"], 2),
        "rfc8785_to_user_value": round(taken["rfc8785"] / taken["user_value"], 1),
        "rfc8785_to_user_value_with_floats": round(taken["rfc8785_with_floats"] / taken["user_value_with_floats"], 1),
    }


def run() -> dict[str, object]:
    """The figures for both sizes."""
    return {"1_kb": measure(6), "50_kb": measure(355)}


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
