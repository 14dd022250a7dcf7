"""Saga: three bookings, and if one is refused, those before it are undone in reverse order.

    RUN=e4000000-0000-4000-8000-000000000004
    echo "book car" > trip.txt.refused
    interlock run start examples/saga.py:plan --run-id $RUN
    cat trip.txt
    interlock run output $RUN

Each booking and each undoing is a state with one effect under a key of its own, so a crash anywhere repeats none of
them. That a booking was refused is an answer (`ok_codes`), hence a fact: no later attempt may find it otherwise.
"""

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from interlock import Context, Io, IoCall, Plan

plan = Plan("trip", version="1")
OUTSIDE = Path(__file__).with_name("outside.py")
THINGS = ("flight", "hotel", "car")


async def ask(io: Io, text: str) -> bool:
    """Ask the outside for something; whether it agreed."""
    request = {
        "kind": "run_program_v1",
        "program_path": sys.executable,
        "argv": [str(OUTSIDE), "trip.txt", text],
        "ok_codes": [0, 1],
    }
    call = IoCall("exec", request, fact_key=f"trip:{text}", idempotency_key=f"trip:{text}")
    answer = await io.call(call)
    return bool(answer.response["exit_code"] == 0)


def booking(thing: str, before: str | None) -> Callable[..., Awaitable[bool]]:
    """Book a thing, unless the one before it could not be booked."""

    async def book(ctx: Context, io: Io) -> bool:
        if before is not None and not await ctx.require(before, bool):
            return False
        return await ask(io, f"book {thing}")

    return book


def undoing(thing: str) -> Callable[..., Awaitable[bool]]:
    """Undo a booking that was made, if the last one could not be."""

    async def undo(ctx: Context, io: Io) -> bool:
        whole = await ctx.require(f"book_{THINGS[-1]}", bool)
        if whole or not await ctx.require(f"book_{thing}", bool):
            return False
        return await ask(io, f"undo {thing}")

    return undo


previous: str | None = None
for name in THINGS:
    add = plan.state(name=f"book_{name}", after=[previous] if previous else [], side_effects="apply_side_effect")
    add(booking(name, previous))
    previous = f"book_{name}"
for name in reversed(THINGS):
    plan.state(name=f"undo_{name}", after=[str(previous)], side_effects="apply_side_effect")(undoing(name))
    previous = f"undo_{name}"
