"""Measures every contender beside ours in one go: `make bench-peers`, or with `--only NAME` and `--workload W1` a part.

Ours runs before and after each round of another, so that a ratio compares two neighbours in time whatever else the
machine does. It installs, runs, counts, kills and writes `results.json`; how a contender works is in its own program.
Rules: what fails or takes too long is said in its place and stops nothing; nothing is left running.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]

from contenders import CONTENDERS, OURS, ROOT, Contender, missing  # noqa: E402
from install import NotInstalledError, install, restate_server, versions  # noqa: E402
from postgres import Database, fresh_database  # noqa: E402
from processes import adopt_orphans, flushes_between_marks, kill_all, memory_mb, tracer  # noqa: E402
from protocol import NOTES, RESULT, WORKLOADS  # noqa: E402
from run import conditions  # noqa: E402

RESULTS = HERE / "results.json"
ROUNDS_MAX = 5
ROUNDS_S_MAX = 60  # after so much of a contender's own time it gets no further round
NOT_REACHED = "the measurement was ended before its turn"
SAMPLE_S = 0.25
COUNTED = ("W1", "W2")  # the workloads whose flushes are counted
FLUSHES_TRIED = 200
Figures = dict[str, Any]


class UnfinishedError(Exception):
    """Why a contender has no figure for a workload."""


@dataclass(frozen=True)
class Ours:
    """What ours did beside the others: seconds by workload, and what each kill cost."""

    seconds: dict[str, list[float]]
    kills: list[dict[str, float]]


@dataclass(frozen=True)
class Bench:
    """How a measurement is made: the interpreters, the limit, and where servers of npm are."""

    limit_s: int
    pythons: dict[str, Path]
    restate: str

    def seconds(self, contender: Contender, workload: str) -> float:
        """One round, as its own clock tells it; W3 counts from the start of the process."""
        return self.round(contender, workload)["seconds"]

    def round(self, contender: Contender, workload: str) -> dict[str, float]:
        with fresh(contender) as (folder, database):
            began = time.perf_counter()
            with self.started(contender, workload, folder, database) as process:
                told = self.told(process, folder)
                elapsed = time.perf_counter() - began
                peak = max(told["peak_mb"], memory_mb(os.getpid()))
        return {"seconds": elapsed if workload == "W3" else told["seconds"], "peak_mb": peak}

    def flushes(self, contender: Contender, workload: str) -> float | None:
        """Flushes for each state, counted in a round of its own, which is not timed."""
        if not tracer(Path()):
            return None
        with fresh(contender, traced=True) as (folder, database):
            log = folder / "trace"
            with self.started(contender, workload, folder, database, tracer(log)) as process:
                self.told(process, folder)
            logs = [log, *([database.trace] if database else [])]
            counted = flushes_between_marks(each.read_text(errors="replace") for each in logs)
        runs, states = WORKLOADS[workload]
        return None if counted is None else round(counted / (runs * states), 4)

    def killed(self, contender: Contender) -> dict[str, float]:
        """W4: everything but a PostgreSQL beside it is killed half-way, and the same program started again."""
        runs, states = WORKLOADS["W4"]
        with fresh(contender) as (folder, database):
            notes = folder / NOTES
            with self.started(contender, "W4", folder, database) as process:
                until = time.monotonic() + self.limit_s
                while _lines(notes) < runs * states // 2:
                    if process.poll() is not None or time.monotonic() > until:
                        raise UnfinishedError(_why(folder, "did not come half-way"))
                    time.sleep(0.002)
                kill_all({database.pid} if database else ())
            done = set(notes.read_text().splitlines())
            began = time.perf_counter()
            with self.started(contender, "W4", folder, database) as process:
                self.told(process, folder)
                seconds = time.perf_counter() - began
            counts = Counter(notes.read_text().splitlines())
        return {
            "left": runs * states - len(done),
            "recover_s": seconds,
            "lost": runs * states - len(counts),
            "twice": sum(1 for count in counts.values() if count > 1),
            "most_times": max(counts.values()),
        }

    @contextmanager
    def started(
        self,
        contender: Contender,
        workload: str,
        folder: Path,
        database: Database | None,
        before: Sequence[str] = (),
    ) -> Iterator[subprocess.Popen[bytes]]:
        """The program of a contender; at the end it is let go, and whatever does not go is killed."""
        command = [*before, str(self.pythons[contender.key]), str(HERE / contender.program), workload, str(folder)]
        command += ["--variant", contender.variant] if contender.variant else []
        command += ["--database", database.url] if database else []
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "DO_NOT_TRACK": "1", "LC_ALL": "C.UTF-8"}
        environment |= {"RESTATE_SERVER": self.restate}
        with (folder / "errors.log").open("ab") as errors:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment, cwd=folder
            )
        try:
            yield process
            process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            pass  # it has told its result, and is killed
        finally:
            kill_all({database.pid} if database else ())
            process.wait()

    def told(self, process: subprocess.Popen[bytes], folder: Path) -> dict[str, float]:
        """What the program tells at its end, and the most memory that was seen until then."""
        output = process.stdout
        if output is None:
            raise UnfinishedError("its output is not read")
        until, text, peak = time.monotonic() + self.limit_s, b"", 0.0
        while True:
            ready, _, _ = select.select([output], [], [], SAMPLE_S)
            peak = max(peak, memory_mb(os.getpid()))
            if ready:
                more = os.read(output.fileno(), 65536)
                text += more
                for line in text.decode(errors="replace").splitlines():
                    if line.startswith(RESULT) and line.endswith("}"):
                        return {**json.loads(line.removeprefix(RESULT)), "peak_mb": peak}
                if not more:
                    raise UnfinishedError(_why(folder, "ended early"))
            if time.monotonic() > until:
                raise UnfinishedError(f"did not finish in {self.limit_s} s")

    def beside(self, contender: Contender, workload: str, ours: list[float]) -> Figures:
        """Rounds of a contender, each between two of ours."""
        theirs: list[dict[str, float]] = []
        neighbours = [self.seconds(OURS, workload)]
        while len(theirs) < ROUNDS_MAX and sum(each["seconds"] for each in theirs) < ROUNDS_S_MAX:
            theirs.append(self.round(contender, workload))
            neighbours.append(self.seconds(OURS, workload))
        ours += neighbours
        pairs = zip(theirs, neighbours, neighbours[1:], strict=False)
        ratios = [2 * each["seconds"] / (before + after) for each, before, after in pairs]
        return {
            "rounds": len(theirs),
            **_rate(workload, [each["seconds"] for each in theirs]),
            "ours_is_faster": round(statistics.median(ratios), 2),
            "ours_is_faster_from_to": [round(min(ratios), 2), round(max(ratios), 2)],
            "memory_mb": round(max(each["peak_mb"] for each in theirs)),
        }

    def recovery(self, contender: Contender, ours: list[dict[str, float]]) -> Figures:
        """W4 once, between two of ours."""
        before, told, after = self.killed(OURS), self.killed(contender), self.killed(OURS)
        ours += [before, after]
        ratio = 2 * told["recover_s"] / (before["recover_s"] + after["recover_s"])
        return {**_recovered([told]), "ours_is_faster": round(ratio, 2)}


def _recovered(rounds: list[dict[str, float]]) -> Figures:
    return {
        "rounds": len(rounds),
        "left": round(statistics.median(each["left"] for each in rounds)),
        "recover_s": round(statistics.median(each["recover_s"] for each in rounds), 2),
        "lost": int(sum(each["lost"] for each in rounds)),
        "twice": int(max(each["twice"] for each in rounds)),
        "most_times": int(max(each["most_times"] for each in rounds)),
    }


def _rate(workload: str, seconds: list[float]) -> Figures:
    runs, states = WORKLOADS[workload]
    middle = statistics.median(seconds)
    if workload == "W3":
        return {"ms": round(1000 * middle)}
    return {"states_per_second": round(runs * states / middle, 1 if runs * states / middle < 100 else None)}


def _lines(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.exists() else 0


def _why(folder: Path, what: str) -> str:
    errors = (folder / "errors.log").read_text(errors="replace").strip().splitlines()
    print(*errors[-15:], sep="\n", file=sys.stderr)
    # Only the kind of fault: the rest of its line may name a place of this machine.
    return f"{what}: {errors[-1].partition(':')[0][:80]}" if errors else what


@contextmanager
def fresh(contender: Contender, *, traced: bool = False) -> Iterator[tuple[Path, Database | None]]:
    """A new folder, and a new database where the contender wants one."""
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="peer-", ignore_cleanup_errors=True)))
        yield folder, held.enter_context(fresh_database(traced=traced)) if contender.postgres else None


def attempted(measure: Callable[[], Figures]) -> Figures:
    """The figures, or why there are none."""
    try:
        return measure()
    except (UnfinishedError, RuntimeError) as fault:
        kill_all()
        return {"failed": str(fault)}
    except (OSError, subprocess.SubprocessError) as fault:
        kill_all()
        return {"failed": type(fault).__name__}


def measured(bench: Bench, contender: Contender, workloads: Sequence[str], ours: Ours) -> Figures:
    """Every figure of one contender."""
    found: Figures = about(contender)
    for workload in workloads:
        print(f"{contender.label} {workload} …", file=sys.stderr, flush=True)
        found[workload] = one(bench, contender, workload, ours)
        print(json.dumps(found[workload]), file=sys.stderr, flush=True)
    return found


def one(bench: Bench, contender: Contender, workload: str, ours: Ours) -> Figures:
    """One workload of one contender; what ours did beside it is noted for our own row."""
    if workload in contender.skipped:
        return {"skipped": contender.skipped[workload]}
    if workload == "W4":
        return attempted(lambda: bench.recovery(contender, ours.kills))
    figures = attempted(lambda: bench.beside(contender, workload, ours.seconds[workload]))
    if workload in COUNTED and "failed" not in figures:
        figures |= attempted(lambda: {"flushes_per_state": bench.flushes(contender, workload)})
    return figures


def own_row(bench: Bench, workloads: Sequence[str], ours: Ours) -> Figures:
    """Ours: the medians over everything that ran beside another."""
    row = about(OURS)
    for workload in [each for each in workloads if ours.seconds[each]]:
        row[workload] = {"rounds": len(ours.seconds[workload]), **_rate(workload, ours.seconds[workload])}
        row[workload] |= attempted(partial(_own_extras, bench, workload))
    if ours.kills:
        row["W4"] = _recovered(ours.kills)
    return row


def _own_extras(bench: Bench, workload: str) -> Figures:
    found: Figures = {"memory_mb": round(bench.round(OURS, workload)["peak_mb"])}
    return {**found, "flushes_per_state": bench.flushes(OURS, workload)} if workload in COUNTED else found


def about(contender: Contender) -> Figures:
    return {
        "label": contender.label,
        "versions": versions(contender),
        "durability": contender.durability,
        "persists_before_next": contender.persists,
        "engine": contender.engine,
    }


def all_measured(workloads: Sequence[str], chosen: Sequence[Contender], limit_s: int) -> Iterator[Figures]:
    """Conditions, ours, and the contenders so far, after each of them."""
    start: Figures = {**conditions(), "limit_s": limit_s}
    start["machine"] |= {"flush_ms_before": flush_ms()}
    pythons, absent = installed(chosen)
    bench = Bench(limit_s, pythons, absent.pop("restate-server", ""))
    ours = Ours({workload: [] for workload in WORKLOADS}, [])
    rows: Figures = {}
    for contender in chosen:
        if contender.key in absent:
            rows[contender.key] = {**about(contender), "absent": absent[contender.key]}
        else:
            rows[contender.key] = measured(bench, contender, workloads, ours)
        end = {"load_after": round(os.getloadavg()[0], 1), "flush_ms_after": flush_ms()}
        left = {each.key: {**about(each), "absent": NOT_REACHED} for each in chosen if each.key not in rows}
        contenders = {OURS.key: own_row(bench, workloads, ours), **rows, **left}
        yield {**start, "machine": {**start["machine"], **end}, "contenders": contenders}


def installed(chosen: Sequence[Contender]) -> tuple[dict[str, Path], dict[str, str]]:
    """The interpreter of each contender, and why one has none; Restate's server among the second by its name."""
    pythons, absent = {OURS.key: install(OURS)}, {}
    for contender in chosen:
        print(f"{contender.label}: installing …", file=sys.stderr, flush=True)
        if why := missing(contender):
            absent[contender.key] = why
            continue
        try:
            pythons[contender.key] = install(contender)
            if contender.postgres:
                install(next(each for each in CONTENDERS if each.environment == "dbos"))
            if contender.npm:
                absent["restate-server"] = str(restate_server())
        except NotInstalledError as fault:
            absent[contender.key] = str(fault)
    return pythons, absent


def flush_ms() -> float:
    """What one flush of a page costs where the measurements write."""
    with tempfile.NamedTemporaryFile() as file:
        began = time.perf_counter()
        for _ in range(FLUSHES_TRIED):
            os.write(file.fileno(), b"\0" * 4096)
            os.fdatasync(file.fileno())
        return round(1000 * (time.perf_counter() - began) / FLUSHES_TRIED, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the peers beside ours.")
    keys = [each.key for each in CONTENDERS]
    parser.add_argument("--only", action="append", choices=keys, metavar="NAME", help=f"one of {', '.join(keys)}")
    parser.add_argument("--workload", action="append", choices=WORKLOADS, help="default: all")
    parser.add_argument("--limit", type=int, default=180, metavar="SECONDS", help="for one round (default: 180)")
    given = parser.parse_args()
    adopt_orphans()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    chosen = [each for each in CONTENDERS if not given.only or each.key in given.only]
    part = bool(given.only or given.workload)
    figures: Figures = {}
    try:
        for figures in all_measured(given.workload or list(WORKLOADS), chosen, given.limit):
            if not part:
                RESULTS.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    finally:
        kill_all()
    if part:
        print(json.dumps(figures, indent=2))
        return
    subprocess.run([sys.executable, "-m", "scripts.peers"], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
