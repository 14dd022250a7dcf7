"""The people and programs of the torture, each a process of its own, and the process that forks them.

What it does: a worker drives whatever is due; a starter starts the runs; a teller answers waits, attaches a file to
each run, cancels, and decides what is parked. Each notes what was acknowledged once it was, and goes on where its
predecessor was killed. What it does not do: it kills nobody (`storm`) and checks nothing.

Rules: everything can be told again: run ids and command ids come from the seed; a process ends with whoever forked it,
and that one with whoever started it, whatever happens to them.

An order on standard input is one JSON line: `{"do": "fork", "role", …}`, `{"do": "reap"}` or `{"do": "leave"}`; the
answers are `{"pid"}`, `{"ended": {pid: code}}` and `{}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import random
import signal
import sys
import traceback
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from interlock import App, RunConfig
from interlock.base.errors import InterlockError, StorageFailure
from interlock.base.principal import local_principal
from interlock.engine.attachments import label
from interlock.engine.config import FanOutJoin
from interlock.engine.events import Resolution
from interlock.engine.flow.limits import Flow
from interlock.engine.run_state import RunState
from interlock.parts import installed_parts, sections_of
from interlock.settings import load
from tests.faults.torture.plans import PLANS, Scene, asked, functions_of, note, plans_of

PERSON = local_principal("ada")
LOOK_SECONDS = 0.1
BROKEN = 3
"""How a process ends that cannot go on with its store: whoever keeps it alive starts another."""

_PR_SET_PDEATHSIG = 1
_DECISIONS = (None, None, Resolution.RETRY, Resolution.ADOPT, Resolution.ABANDON)


class Cast:
    """What every actor is given: the store, the seed, how many runs there are, and how fast they come."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.store: str = order["store"]
        self.seed: int = order["seed"]
        self.runs: int = order["runs"]
        self.pause_ms: int = order["pause_ms"]
        self.scene = Scene(Path(order["folder"]))
        self.settings: dict[str, dict[str, object]] = {
            "engine": {
                "claim_lease_ms": order["lease_ms"],
                "watch_interval_ms": 50,
                "inbox_poll_ms": 50,
                "crash_budget": 2,
            },
            "exec": {"allowed_paths": [order["folder"]]},
            **order.get("settings", {}),
        }

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[App]:
        """The application on the store, with all plans."""
        settings = load(sections_of(installed_parts()), arguments=self.settings, environ={}, folder=Path(os.devnull))
        async with App.open(self.store, settings=settings, functions=functions_of(self.scene)) as app:
            for plan in plans_of(self.seed, self.scene):
                app.runs.plans.add(plan)
            yield app

    def run_id(self, number: int) -> str:
        """The id of a run."""
        return str(UUID(bytes=random.Random(f"{self.seed} {number}").randbytes(16), version=4))  # noqa: S311 - a name

    def told(self) -> set[tuple[str, ...]]:
        """What has come of what: the first words of each line."""
        return {tuple(line.split()[:4]) for line in self.scene.told.read_text("utf-8").splitlines()}

    def tell(self, *words: str) -> None:
        """Note what was acknowledged, or refused."""
        note(self.scene.told, " ".join(words))


async def work(cast: Cast) -> None:
    """Drive whatever is due until this process is ended."""
    async with cast.opened() as app:
        task = asyncio.ensure_future(app.runs.worker.work(concurrency=12))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def start(cast: Cast) -> None:
    """Start every run that nobody has acknowledged yet, one after the other."""
    done = cast.told()
    async with cast.opened() as app:
        plans = plans_of(cast.seed, cast.scene)
        for number in range(cast.runs):
            run_id = cast.run_id(number)
            if ("start", "yes", run_id, "-") in done:
                continue
            config = RunConfig(execution_mode=FanOutJoin.of(3)) if number % PLANS % 2 else None
            flow = Flow(key="lane", limit=3) if number % 4 == 1 else None
            timeout_ms = 3_600_000 if number % 3 == 0 else None
            await app.runs.start(
                plans[number % PLANS], {"label": run_id}, run_id=run_id, config=config, flow=flow,
                timeout_ms=timeout_ms, detach=True, principal=PERSON,
            )  # fmt: skip
            cast.tell("start", "yes", run_id, "-")
            await asyncio.sleep(cast.pause_ms / 1000)


class Teller:
    """Tells runs what they wait for, once each: a line for each that was acknowledged, or refused for good."""

    def __init__(self, cast: Cast, app: App) -> None:
        self._cast = cast
        self._app = app
        self._done = cast.told()
        self._ended: set[str] = set()

    async def look(self) -> bool:
        """Tell every run what there is to be told; whether nothing is left to be told."""
        left = False
        for number in range(self._cast.runs):
            run_id = self._cast.run_id(number)
            if run_id not in self._ended:
                left = True
                await self._run(run_id, number)
        return not left

    async def _run(self, run_id: str, number: int) -> None:
        try:
            state = await self._app.runs.read.state(run_id)
        except InterlockError as fault:
            if isinstance(fault, StorageFailure) or fault.code != "run_not_found":
                raise
            return
        draw = random.Random(f"{self._cast.seed} {run_id}")  # noqa: S311 - it draws what is told
        for step, name in asked(self._cast.seed, number % PLANS):
            if draw.random() < 0.5 or f"t{number % PLANS}.{step}.main" in state.waits:
                await self._answer(run_id, step, name)
        await self._family(run_id, state)
        attaching = self._app.runs.control.attach(
            run_id, label("file"), file_of(run_id), principal=PERSON, command_id=f"{run_id}:file"
        )
        await self._once("attach", run_id, "file", attaching)
        if draw.random() < 0.06:
            await self._once("cancel", run_id, "-", self._app.runs.control.cancel(run_id, "torture", principal=PERSON))
        if state.status is not None:
            self._ended.add(run_id)

    async def _family(self, run_id: str, state: RunState) -> None:
        """Decide what is parked, and see to the children."""
        await self._decide(run_id, state)
        for child_id in list(state.children):
            if child_id in self._ended:
                continue
            child = await self._app.runs.read.state(child_id)
            await self._answer(child_id, "work", "ask-kid")
            await self._decide(child_id, child)
            if child.status is not None:
                self._ended.add(child_id)

    async def _answer(self, run_id: str, step: str, name: str) -> None:
        command, value = f"{run_id}:{name}", answer_of(run_id, name)
        signal_ = self._app.runs.control.signal
        sent = signal_(run_id, step, name, value, early=True, principal=PERSON, command_id=command)
        await self._once("answer", run_id, name, sent)

    async def _decide(self, run_id: str, state: RunState) -> None:
        for state_id, parked in list(state.parked.items()):  # what is told moves the state
            draw = random.Random(f"{self._cast.seed} {run_id} {state_id}")  # noqa: S311 - it draws a decision
            action, step = draw.choice(_DECISIONS), state_id.split(".")[1]
            if action is Resolution.ADOPT and parked.fact_key is None:
                action = Resolution.RETRY
            if action is None or self._is_done("resolve", run_id, step):
                continue
            adopt = {"adopted": True} if action is Resolution.ADOPT else None
            resolving = self._app.runs.control.resolve(
                run_id, step, action, "torture", adopt=adopt, principal=PERSON, command_id=f"{run_id}:{step}:resolve"
            )
            await self._once("resolve", run_id, step, resolving)

    def _is_done(self, what: str, run_id: str, name: str) -> bool:
        return any((what, how, run_id, name) in self._done for how in ("yes", "no"))

    async def _once(self, what: str, run_id: str, name: str, telling: Any) -> None:
        if self._is_done(what, run_id, name):
            telling.close()
            return
        try:
            await telling
            how, code = "yes", "-"
        except StorageFailure:
            raise
        except InterlockError as fault:
            if fault.retryable:
                return
            how, code = "no", fault.code
        self._cast.tell(what, how, run_id, name, code)
        self._done.add((what, how, run_id, name))


def answer_of(run_id: str, name: str) -> int:
    """What a wait is answered with: a number that no other wait is."""
    return random.Random(f"{run_id} {name}").randrange(2**50)  # noqa: S311 - a value


def file_of(run_id: str) -> bytes:
    """What is attached to a run."""
    return f"the file of {run_id}".encode()


async def tell(cast: Cast) -> None:
    """Tell runs what they wait for until this process is ended, or nothing is left."""
    async with cast.opened() as app:
        teller = Teller(cast, app)
        while not await teller.look():
            await asyncio.sleep(LOOK_SECONDS)


ROLES = {"worker": work, "starter": start, "teller": tell}


def _ends_with(parent: int) -> None:
    """Let the kernel end this process with its parent, also one that stands still."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def act(order: dict[str, Any]) -> int:
    """Play a role to its end; the code of the process."""
    try:
        asyncio.run(ROLES[order["role"]](Cast(order)))
    except InterlockError as fault:
        note(Path(order["folder"]) / "faults.log", f"{order['role']} {fault.code}")
        return BROKEN
    except BaseException:  # noqa: BLE001 - whatever it is has to be seen
        note(Path(order["folder"]) / "broken.log", f"{order['role']}\n{traceback.format_exc()}")
        return 1
    return 0


def fork(order: dict[str, Any]) -> int:
    """Start an actor; its process."""
    parent = os.getpid()
    process = os.fork()
    if process == 0:
        _ends_with(parent)
        os.close(0)
        null = os.open(os.devnull, os.O_RDWR)
        said = os.open(Path(order["folder"]) / "said.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for number, place in ((0, null), (1, null), (2, said)):
            os.dup2(place, number)
        os._exit(act(order))
    return process


def reaped(actors: set[int]) -> dict[int, int]:
    """The actors that have ended, and how."""
    ended = {}
    for process in list(actors):
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            ended[process] = os.waitstatus_to_exitcode(status)
            actors.discard(process)
    return ended


def main(arguments: Sequence[str]) -> None:
    """Take orders until there are no more; then end everybody. Whoever gave them is dead if it did not say `leave`."""
    actors: set[int] = set()
    left = False
    try:
        for line in sys.stdin:
            order = json.loads(line)
            answer: dict[str, Any] = {}
            if order["do"] == "fork":
                answer = {"pid": fork(order)}
                actors.add(answer["pid"])
            elif order["do"] == "reap":
                answer = {"ended": reaped(actors)}
            else:
                left = True
            print(json.dumps(answer), flush=True)
    finally:
        for process in actors:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
        if arguments and not left:
            crash(Path(arguments[0]))


def crash(lock: Path) -> None:
    """End a server of PostgreSQL that nobody else will end any more."""
    with contextlib.suppress(OSError, ValueError):
        os.kill(int(lock.read_text("ascii").split()[0]), signal.SIGQUIT)


if __name__ == "__main__":
    main(sys.argv[1:])
