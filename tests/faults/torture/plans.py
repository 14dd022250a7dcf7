"""Plans of the torture: drawn from a seed, they wait, sleep, send effects, fail once, share units and have children.

What it does: makes the same plans in every process from the same seed, and lets their handlers note what they do to
the outside in files. What it does not do: it starts and checks nothing.

Rules: a line of a log is one write to the end of a file; an effect of a program is noted by the program itself, with
the key that it was given; whoever handles says from which process, so that a journal shows who wrote into it.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from interlock import Context, Flow, Io, IoCall, Plan, Recorder, RetryPolicy, StateFailure
from interlock.base.canonical import Json

PLANS = 6
STATES_MAX = 4
UNITS = 2
"""Attempts of states with the key `hot` that may be under way at once."""

HOT = Flow(key="hot", limit=UNITS)
BIG_BYTES = 90_000
"""An artifact that stands in a file, or in parts."""

ACTS = (
    "keyed",
    "unkeyed",
    "unkeyed",
    "called",
    "ask",
    "late",
    "deadlines",
    "nap",
    "child",
    "fail",
    "write",
    "big",
    "slow",
)
AGAIN = RetryPolicy.fixed(20, 40)
PROGRAM = """#!/bin/sh
printf '%s\\n' "$1 $2 ${INTERLOCK_IDEMPOTENCY_KEY:--}" >> "$3"
[ "$4" = 0 ] || sleep "$4"
"""
"""Notes that it was called for whom, about what and under which key; then it may take its time to answer."""


class Scene:
    """Where the outside is: a program to call, and the logs."""

    def __init__(self, folder: Path) -> None:
        self.program = folder / "effect"
        self.effects = folder / "effects.log"
        self.units = folder / "units.log"
        self.told = folder / "told.log"
        self.beats = folder / "beats.log"

    def set_up(self) -> None:
        """Put the program there."""
        self.program.write_text(PROGRAM)
        self.program.chmod(0o755)
        for log in (self.effects, self.units, self.told, self.beats):
            log.touch()


def note(log: Path, line: str) -> None:
    """Append one line: one write, so that lines of several processes do not mix."""
    with log.open("ab", buffering=0) as file:
        file.write(line.encode() + b"\n")


def acts_of(seed: int, number: int) -> list[tuple[str, ...]]:
    """What the states of a plan do, one after the other. Every act stands in one of the plans."""
    draw = random.Random(seed * 1000 + number)  # noqa: S311 - it draws a plan
    due = [act for at, act in enumerate(ACTS) if at % PLANS == number]
    states = [tuple(draw.choices(ACTS, k=draw.randint(1, 2))) for _ in range(draw.randint(1, STATES_MAX - 1))]
    states.insert(draw.randint(0, len(states)), tuple(due))
    return states


def asked(seed: int, number: int) -> list[tuple[str, str]]:
    """The steps of a plan that wait for an answer, and the names of their waits."""
    return [
        (f"s{at}", f"ask-{at}-{place}")
        for at, acts in enumerate(acts_of(seed, number))
        for place, act in enumerate(acts)
        if act == "ask"
    ]


def plans_of(seed: int, scene: Scene) -> list[Plan]:
    """All plans of a seed; the child of them stands last."""
    plans = [_plan(seed, number, scene) for number in range(PLANS)]
    return [*plans, _kid(scene)]


def functions_of(scene: Scene) -> dict[str, Callable[[Any], Json]]:
    """What plans call in their own process."""

    def effect(given: Any) -> Json:
        note(scene.effects, f"{given['label']} {given['fact']} {given['key']}")
        return {"accepted": given["key"]}

    return {"effect": effect}


def _plan(seed: int, number: int, scene: Scene) -> Plan:
    """Sequential plans stand in a row; every second plan has branches."""
    plan, draw = Plan(f"t{number}"), random.Random(seed * 77 + number)  # noqa: S311 - it draws a plan
    for at, acts in enumerate(acts_of(seed, number)):
        after = [f"s{at - 1}"] if at and (number % 2 == 0 or draw.random() < 0.4) else []
        flow = HOT if draw.random() < 0.15 or "slow" in acts else None
        options: dict[str, Any] = {"name": f"s{at}", "after": after, "retry": AGAIN, "flow": flow}
        plan.state(**options, side_effects="apply_side_effect")(_handler(scene, at, acts, hot=flow is not None))
    return plan


def _kid(scene: Scene) -> Plan:
    """A child that sleeps, sends an effect, and asks: it ends once it is answered, or with its parent."""
    plan = Plan("kid")

    @plan.state(side_effects="apply_side_effect", retry=AGAIN)
    async def work(io: Io, rec: Recorder, label: str) -> object:
        await rec.emit("wrote", {"by": os.getpid()})
        await io.sleep("nap", 60)
        await io.call(_call(scene, label, "kid-effect", f"{label}:kid"))
        return await io.wait("ask-kid", int)

    return plan


def _handler(scene: Scene, at: int, acts: tuple[str, ...], *, hot: bool) -> Callable[..., Awaitable[None]]:
    async def handle(ctx: Context, io: Io, rec: Recorder, label: str) -> None:
        if hot:
            _unit(scene, "begin", label, at)
        try:
            for place, act in enumerate(acts):
                note(scene.beats, act)
                await rec.emit("wrote", {"by": os.getpid()})
                await _act(scene, act, f"{at}-{place}", label, io, rec)
        finally:
            if hot:
                _unit(scene, "end", label, at)
        ctx.write(f"k{at}", list(acts))

    return handle


def _unit(scene: Scene, what: str, label: str, at: int) -> None:
    """Say that an attempt that holds a unit begins or ends; one whose process is killed does not say so."""
    note(scene.units, f"{what} {time.monotonic_ns()} {time.time_ns() // 1_000_000} {os.getpid()} {label} s{at}")


def _call(scene: Scene, label: str, fact: str, key: str | None, seconds: float = 0) -> IoCall:
    argv = [label, fact, str(scene.effects), str(seconds)]
    request = {"kind": "run_program_v1", "program_path": str(scene.program), "argv": argv, "timeout_ms": 60_000}
    return IoCall("exec", request, fact, key)


async def _act(scene: Scene, act: str, name: str, label: str, io: Io, rec: Recorder) -> None:
    fact = f"{act}-{name}"
    match act:
        case "keyed":
            await io.call(_call(scene, label, fact, f"{label}:{name}", 0.02))
        case "unkeyed":
            await io.call(_call(scene, label, fact, None, 0.25))
        case "called":
            given = {"label": label, "fact": fact, "key": f"{label}:{name}"}
            request = {"kind": "call_function_v1", "function": "effect", "input": given}
            await io.call(IoCall("python", request, fact, f"{label}:{name}"))
        case "ask":
            await io.wait(f"ask-{name}", int)
        case "late":
            await io.wait(f"late-{name}", int, timeout_ms=0, default=1)
        case "deadlines":
            times = {"a": 240, "b": 80, "c": 160}
            await asyncio.gather(*(io.wait(f"{each}-{name}", timeout_ms=ms, default=ms) for each, ms in times.items()))
        case "nap":
            await io.sleep(f"nap-{name}", 150)
        case "child":
            await io.child(_kid(scene), {"label": f"{label}.{name}"}, name=name)
        case "big":
            await rec.artifact("Output", (label + name).encode() * (BIG_BYTES // len(label + name)))
        case "fail":
            await _once(io, f"tried-{name}")
        case "slow":
            await asyncio.sleep(0.12)
        case _:
            await rec.emit_many([])


async def _once(io: Io, key: str) -> None:
    if await io.get_recorded_fact(key) is None:
        await io.record_value(key, value=True)
        raise StateFailure("once", "it works the second time", retryable=True)
