"""One torture: a store, processes that work on it, a storm of strikes drawn from a seed, and the calm behind it.

What it does: draws who is struck when and how, strikes, lets fresh processes finish everything, and gives the evidence.
What it does not do: it judges nothing (`prove`).

Rules: the seed settles the plans, the runs, what is told, and the schedule of strikes; what processes make of it is
theirs. A storm ends when it has struck, or takes too long, and the calm fails when it lasts too long.
"""

from __future__ import annotations

import heapq
import random
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.torture.evidence import Evidence, read
from tests.faults.torture.plans import Scene
from tests.faults.torture.prove import settled, told_of
from tests.faults.torture.troupe import CODES, Troupe
from tests.postgres import Server

ACTORS = {"w1": "worker", "w2": "worker", "w3": "worker", "starter": "starter", "teller": "teller"}
STRIKES_PER_SECOND = 5
"""At most: a strike waits for work, so that it hits somebody who works, however slow the machine is."""

PATIENCE_SECONDS = 3
STORM_SECONDS_MAX = 20
"""Beyond the pauses of its strikes, however slow the machine is."""

LEASE_MS = 1_500
PAUSE_MS = 60
"""Between two starts, so that there are some all through the storm."""

CALM_SECONDS_MAX, RUN_SECONDS_MAX = 45, 1
"""How long fresh processes may take to finish everything, and as much more for each run."""

LOOKS = 3
"""Looks at a store in a row that have to find it at rest."""

LOOK_SECONDS = 0.15
ROOM_BYTES = 128 * 1024
"""A full disk leaves at least so much, so that logs, which are small, go on."""


@dataclass(frozen=True)
class Strike:
    """What befalls whom, how long after the strike before it, and for how long."""

    pause: float
    kind: str
    who: str
    lasts: float
    size: int


def drawn(seed: int, count: int, *, kinds: Mapping[str, int]) -> list[Strike]:
    """The schedule of a storm: first one strike of each kind that it has, then the others."""
    draw = random.Random(f"storm {seed}")  # noqa: S311 - it draws a schedule
    strikes = []
    for _ in range(count):
        [kind] = draw.choices(list(kinds), list(kinds.values()))
        who = draw.choice(["w1", "w2", "w3", "w1", "w2", "w3", "starter", "teller"])
        lasts = draw.uniform(0.05, 2.5 * LEASE_MS / 1000 if draw.random() < 0.4 else 0.5)
        strikes.append(Strike(draw.expovariate(STRIKES_PER_SECOND), kind, who, lasts, draw.randrange(64 * 1024)))
    firsts = list({each.kind: each for each in reversed(strikes)}.values())
    return firsts + [each for each in strikes if each not in firsts]


ON_FILE = {"kill": 8, "stop": 6, "full": 2, "full_all": 1, "kill_all": 1}
ON_SERVER = {"kill": 10, "stop": 6, "crash": 2, "kill_all": 1}


class Storm:
    """The strikes of one schedule on one troupe. A strike waits until work has gone on since the one before it."""

    def __init__(self, troupe: Troupe, store: str, scene: Scene, server: Server | None) -> None:
        self._troupe = troupe
        self._store = store
        self._scene = scene
        self._server = server
        self._later: list[tuple[float, int, Callable[[], object]]] = []
        self._undone = 0
        self.struck: dict[str, int] = {}

    def blow(self, strikes: list[Strike]) -> None:
        """Strike, one after the other; whatever is stopped, full or down is well again behind it."""
        ends = time.monotonic() + STORM_SECONDS_MAX + sum(each.pause for each in strikes)
        kinds = {each.kind for each in strikes}
        for strike in strikes:
            self._wait(strike.pause, ends)
            if time.monotonic() > ends and self.struck.keys() >= kinds:
                break
            if self._strike(strike):
                self.struck[strike.kind] = self.struck.get(strike.kind, 0) + 1
        for _, _, undo in sorted(self._later, key=lambda each: each[:2]):
            undo()

    def _wait(self, pause: float, ends: float) -> None:
        """Let time pass, and then until somebody has worked; undo what is over meanwhile, and keep everybody alive."""
        begun, beats = time.monotonic(), self._beats()
        while (now := time.monotonic()) < ends:
            while self._later and self._later[0][0] <= now:
                heapq.heappop(self._later)[2]()
            self._troupe.tend()
            worked = self._beats() > beats or now > begun + PATIENCE_SECONDS
            if now >= begun + pause and worked:
                break
            time.sleep(0.01)

    def _beats(self) -> int:
        return self._scene.beats.stat().st_size

    def _after(self, seconds: float, undo: Callable[[], object]) -> None:
        """What ends a strike; it is done also where the storm ends first."""
        self._undone += 1
        heapq.heappush(self._later, (time.monotonic() + seconds, self._undone, undo))

    def _strike(self, strike: Strike) -> bool:
        """Strike whom it is meant for, or another who lives; whether anybody was struck."""
        troupe, alive = self._troupe, sorted(self._troupe.alive)
        if strike.kind == "crash":
            return self._crash(strike.lasts)
        if not alive:
            return False
        who = strike.who if strike.who in alive else alive[0]
        match strike.kind:
            case "kill_all":
                for each in alive:
                    troupe.kill(each)
            case "full_all":
                self._fill(alive, strike)
            case "kill":
                troupe.kill(who)
            case "stop":
                process = troupe.stop(who)
                self._after(strike.lasts, lambda: troupe.wake(who, process))
            case _:
                self._fill([who], strike)
        return True

    def _fill(self, names: list[str], strike: Strike) -> None:
        log = Path(self._store + "-wal")
        size = log.stat().st_size if log.exists() else 0
        for name in names:
            self._troupe.limit(name, max(ROOM_BYTES, size + strike.size))
        self._after(min(strike.lasts, 1), lambda: self._empty(names))

    def _empty(self, names: list[str]) -> None:
        for name in names:
            if name in self._troupe.alive:
                self._troupe.limit(name, None)

    def _crash(self, lasts: float) -> bool:
        assert self._server is not None
        if not self._server.is_up:
            return False
        self._server.stop("immediate")
        self._after(min(lasts, 1.5), self._server.start)
        return True


def torture(
    store: str, folder: Path, seed: int, *, strikes: int, runs: int, server: Server | None = None
) -> tuple[Evidence, dict[str, Any]]:
    """Let a storm of so many strikes blow over a store; everything that is left of it, and figures."""
    scene = Scene(folder)
    scene.set_up()
    order = {
        "store": store, "folder": str(folder), "seed": seed, "runs": runs, "lease_ms": LEASE_MS,
        "pause_ms": PAUSE_MS,
    }  # fmt: skip
    schedule = drawn(seed, strikes, kinds=ON_FILE if server is None else ON_SERVER)
    with Troupe(order, None if server is None else server.lock) as troupe:
        for name, role in ACTORS.items():
            troupe.enter(name, role)
        storm = Storm(troupe, store, scene, server)
        try:
            storm.blow(schedule)
            assert storm.struck.keys() == {each.kind for each in schedule}, storm.struck
            troupe.end(signal.SIGKILL)
        finally:
            if server is not None and not server.is_up:
                server.start()
        took = _calm(troupe, store, folder)
    broken = folder / "broken.log"
    assert not broken.exists(), broken.read_text("utf-8")
    assert set(troupe.codes.values()) <= CODES, troupe.codes
    evidence = read(store, folder, troupe.deaths)
    figures = {"seed": seed, "struck": storm.struck, "calm_seconds": round(took, 1), "events": len(evidence.entries)}
    return evidence, figures


def _calm(troupe: Troupe, store: str, folder: Path) -> float:
    """Fresh processes finish everything; how long that took."""
    begun = time.monotonic()
    ends = begun + CALM_SECONDS_MAX + RUN_SECONDS_MAX * int(troupe.order["runs"])
    fresh = {"w4": "worker", "w5": "worker", "starter": "starter", "teller": "teller"}
    for name, role in fresh.items():
        troupe.enter(name, role)
    quiet, seen = 0, 0
    while quiet < LOOKS:
        time.sleep(LOOK_SECONDS)
        troupe.tend()
        if "starter" not in troupe.done:
            assert time.monotonic() < ends, "the starter never came to an end"
            continue
        evidence = read(store, folder, troupe.deaths)
        is_quiet = seen == len(evidence.entries) and settled(evidence, told_of(evidence))
        quiet, seen = quiet + 1 if is_quiet else 0, len(evidence.entries)
        if time.monotonic() > ends:
            break  # the checker says what is wrong
    troupe.end(signal.SIGTERM)
    return time.monotonic() - begun
