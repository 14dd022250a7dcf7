"""The demonstration as a person sees it: what is done, what was found, and nothing that was not checked.

What it does: runs the release plan in processes that kill themselves, answers its question from another one, resumes
it, compares what happened outside with what is recorded, and damages a copy of the store to see it named. What it does
not do: it never touches the project, and it empties a folder only if an earlier demonstration made it.

Rule: each claim is computed from files and stores after the fact; one that does not hold ends the demonstration as
`demo_claim_failed`.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import cast
from uuid import uuid4

from interlock.base.principal import ENGINE
from interlock.demo.crash import arm, armed
from interlock.demo.damage import flip_one_byte
from interlock.demo.errors import DEMO_CLAIM_FAILED, DEMO_FOLDER_TAKEN, DEMO_FOLDER_UNWRITABLE, DEMO_PROJECT_INVALID
from interlock.doctor import examine
from interlock.engine.commands import EXIT_WAITING, RunEvents
from interlock.engine.events import SignalReceived
from interlock.engine.replay.report import ReplayReport
from interlock.engine.reports.records import RunReport
from interlock.engine.sources import load_plan
from interlock.machine import DemoReport
from interlock.stores.sqlite import backup
from interlock.surfaces.cli.text import cell

MARKER = ".interlock-demo"
PLAN = "interlock.demo.release:plan"
SECONDS_MAX = 180
REASON = "the checks hold"


class Stage:
    """Writes the story to standard error, one line a fact."""

    def __init__(self) -> None:
        self._number = 0
        self._bold = ("\x1b[1m", "\x1b[0m") if sys.stderr.isatty() else ("", "")

    def act(self, title: str) -> None:
        """A new part of the story."""
        self._number += 1
        start, end = self._bold
        print(f"\n{start}{self._number}. {title}{end}", file=sys.stderr)  # noqa: T201

    def say(self, line: str) -> None:
        """One fact."""
        print(f"   {line}".rstrip(), file=sys.stderr)  # noqa: T201

    def claim(self, line: str, *, holds: bool) -> None:
        """A fact that was checked. Raises: `demo_claim_failed`."""
        if not holds:
            raise DEMO_CLAIM_FAILED.error(f"this does not hold: {line}")
        self.say(f"✓ {line}")


class Place:
    """The folder of a demonstration and what stands in it."""

    def __init__(self, project: Path, folder: Path) -> None:
        self.project = project.resolve()
        self.folder = folder.resolve()
        self.work = self.folder / "work"
        self.channel = self.folder / "channel"
        self.store = self.folder / "store.db"
        self.run_id = str(uuid4())

    def prepare(self) -> str:
        """Make the folder anew and return the path of git.

        Raises: `demo_folder_taken`, `demo_folder_unwritable`, `demo_project_invalid`.
        """
        git = shutil.which("git")
        if git is None or not (self.project / "pyproject.toml").is_file() or not (self.project / ".git").exists():
            raise DEMO_PROJECT_INVALID.error("there is no Python project under git in that folder")
        try:
            self._make_anew()
        except OSError as fault:
            why = f"the folder {self.folder} cannot be used: {fault.strerror}"
            raise DEMO_FOLDER_UNWRITABLE.error(why) from None
        return git

    def _make_anew(self) -> None:
        if self.folder.exists() and any(self.folder.iterdir()):
            if not (self.folder / MARKER).is_file():
                raise DEMO_FOLDER_TAKEN.error("the folder has other content", folder=self.folder.name)
            shutil.rmtree(self.folder)
        for path in (self.work, self.channel):
            path.mkdir(parents=True)
        (self.folder / MARKER).touch()

    def handlers(self) -> Counter[str]:
        """How often each handler began."""
        return Counter((self.work / "handlers.log").read_text("utf-8").split())


async def show(project: Path, folder: Path) -> DemoReport:
    """Run the demonstration. Side effects: writes to `folder` alone, and tells the story on standard error."""
    place, stage = Place(project, folder), Stage()
    git = place.prepare()
    arm(place.work, "half-way")
    arm(place.channel, "unheard")
    first = await _lost_half_way(place, stage, git)
    await _waiting(place, stage)
    person = await _answered(place, stage)
    second = await _lost_unheard(place, stage)
    last, repeated, published = await _ended(place, stage, [first, second])
    replayed = await _replayed(place, stage)
    named = await _examined(place, stage)
    stage.say("")
    stage.say("The store is left for a look:")
    stage.say(f"  {_program()} run status {place.run_id} --store {_shown(place.store)}")
    return DemoReport(
        run_id=place.run_id,
        phase=last.phase,
        crashes=sum(step.crashes for step in last.steps),
        approved_by=person,
        repeated_steps=repeated,
        publications=published[0],
        deliveries=published[1],
        replayed_attempts=replayed.attempts,
        damage_named=named,
        store=str(place.store),
    )


async def _lost_half_way(place: Place, stage: Stage, git: str) -> RunReport:
    """The first process: it dies while it lists materials."""
    stage.act("Release a real project, and lose the process half-way")
    given = {"project": str(place.project), "git": git, "work": str(place.work), "channel": str(place.channel)}
    code = await _interlock(place, "run", "start", PLAN, "--run-id", place.run_id, "--input", json.dumps(given))
    stage.say(f"run {place.run_id}")
    report = await _report(place)
    _refuse_broken(report, code)
    stage.claim(
        "the process was killed by SIGKILL while it listed materials",
        holds=code == -signal.SIGKILL and _running(report) == "materials" and not armed(place.work, "half-way"),
    )
    _steps(stage, report)
    return report


async def _waiting(place: Place, stage: Stage) -> None:
    """The second process: it ends by itself, because the run waits for a person."""
    stage.act("Resume it: it checks the release, and waits for a person")
    code = await _interlock(place, "run", "resume", place.run_id)
    report = await _report(place)
    _refuse_broken(report, code)
    waiting = report.waiting
    stage.claim(
        "the process has ended, and the run waits to be told whether to publish",
        holds=code == EXIT_WAITING and waiting is not None and waiting.kind == "suspended" and report.owner is None,
    )
    stage.claim("nothing is published yet", holds=not (place.channel / "published").exists())
    _steps(stage, report)


async def _answered(place: Place, stage: Stage) -> str:
    """A person's process: it answers and drives nothing. Returns who answered, as the record says."""
    stage.act("A person says yes, from a process of their own, while nobody drives the run")
    answer = json.dumps({"approved": True, "reason": REASON})
    code = await _interlock(place, "run", "signal", place.run_id, "approve", "publish", "--value", answer)
    persons = await _who_answered(place)
    stage.claim("the answer is on record, under one name", holds=code == 0 and len(persons) == 1)
    stage.say(f"{persons[0]} let it go on: {REASON}")
    return persons[0]


async def _lost_unheard(place: Place, stage: Stage) -> RunReport:
    """The next process: it dies after the channel took the wheel."""
    stage.act("Resume it, and lose the process again: published, and nobody heard")
    code = await _interlock(place, "run", "resume", place.run_id)
    report = await _report(place)
    _refuse_broken(report, code)
    stage.claim(
        "the channel killed the process after it took the wheel",
        holds=code == -signal.SIGKILL
        and _running(report) == "publish"
        and not armed(place.channel, "unheard")
        and _published(place) == (1, 1),
    )
    _steps(stage, report)
    return report


async def _ended(place: Place, stage: Stage, crashes: list[RunReport]) -> tuple[RunReport, list[str], tuple[int, int]]:
    """The last process. Returns the report, the steps that ran again, and publications with deliveries."""
    stage.act("Resume it to its end")
    code = await _interlock(place, "run", "resume", place.run_id)
    report = await _report(place)
    _steps(stage, report)
    stage.claim("the run has completed", holds=code == 0 and report.phase == "completed")
    repeated = _repeated(place, crashes)
    stage.claim("no completed step ran again", holds=not repeated)
    publications, deliveries = _published(place)
    stage.claim(f"{deliveries} deliveries under one key made {publications} publication", holds=publications == 1)
    return report, repeated, (publications, deliveries)


async def _replayed(place: Place, stage: Stage) -> ReplayReport:
    """Drive the record anew, offline, in this process: nothing is sent and nothing is written."""
    from interlock.app import App

    stage.act("Replay it from its record alone: no program, no server, no clock")
    before = _published(place), place.store.read_bytes()
    async with App.open(place.store, create=False) as app:
        report = await app.runs.replay(place.run_id, load_plan(PLAN))
    stage.claim(
        f"{report.attempts} attempts came to the very same snapshots, and nothing was published or written",
        holds=report.identical and (_published(place), place.store.read_bytes()) == before,
    )
    return report


async def _examined(place: Place, stage: Stage) -> str:
    """Examine the store and a damaged copy. Returns the place of the damage, as the examination names it."""
    stage.act("Examine the store, then damage a copy")
    report = await examine(place.store)
    stage.claim(
        f"every chain, artifact and index row verifies: {cell('counts', report.counts)}", holds=not report.findings
    )
    return await _damage(place, stage)


async def _interlock(place: Place, *arguments: str) -> int:
    """Run the command line in a process of its own; return its exit code, negative for a signal."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "interlock.surfaces.cli.main",
        *arguments,
        "--store",
        str(place.store),
        "--json",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(SECONDS_MAX):
        return await process.wait()


async def _who_answered(place: Place) -> list[str]:
    """Who answered the run's questions, as its events say."""
    from interlock.app import App

    async with App.open(place.store, create=False) as app:
        page = cast("RunEvents", await app.client(ENGINE).call("run.events", {"run": place.run_id}))
        return [event.data.actor for event in page.items if isinstance(event.data, SignalReceived)]


async def _report(place: Place) -> RunReport:
    from interlock.app import App
    from interlock.engine.sources import load_plan

    async with App.open(place.store, create=False) as app:
        app.runs.plans.add(load_plan(PLAN))
        return await app.runs.read.report(place.run_id)


def _running(report: RunReport) -> str | None:
    """The step that a dead process left open."""
    return next((step.name for step in report.steps if step.status == "running"), None)


def _refuse_broken(report: RunReport, code: int) -> None:
    """A project whose release fails is its owner's affair, and named as that. Raises: `demo_project_invalid`."""
    failed = next((step for step in report.steps if step.status == "failed"), None)
    if code != -signal.SIGKILL and failed is not None:
        raise DEMO_PROJECT_INVALID.error(f"{failed.name} of this project failed: {failed.error_message}")


def _steps(stage: Stage, report: RunReport) -> None:
    """The steps of the run, a line for each status."""
    by_status: dict[str, list[str]] = {}
    for step in report.steps:
        shown = f"{step.name} ({step.attempts} attempts)" if step.attempts > 1 else step.name
        by_status.setdefault(step.status, []).append(shown)
    for status, names in by_status.items():
        stage.say(f"{status:<10} {', '.join(names)}")


def _repeated(place: Place, crashes: list[RunReport]) -> list[str]:
    """Steps that had completed when a process died and whose handler began again afterwards.

    A handler may begin once for each attempt that its step had at the crash before it completed.
    """
    began = place.handlers()
    repeated = set()
    for report in crashes:
        for step in report.steps:
            if step.status == "completed" and began[step.name] > step.attempts:
                repeated.add(step.name)
    return sorted(repeated)


def _published(place: Place) -> tuple[int, int]:
    publications = len(list((place.channel / "published").iterdir()))
    keys = (place.channel / "deliveries.log").read_text("utf-8").split()
    if len(set(keys)) != 1:
        raise DEMO_CLAIM_FAILED.error("deliveries carried different keys")
    return publications, len(keys)


async def _damage(place: Place, stage: Stage) -> str:
    """Flip one byte of a stored event in a copy, and return what the examination names."""
    copy = place.folder / "damaged.db"
    await backup(place.store, copy)
    where = flip_one_byte(copy)
    stage.say(f"one byte of event {where} is flipped in {copy.name}")
    report = await examine(copy)
    named = next((finding for finding in report.findings if finding.place == where), None)
    stage.claim("the examination names that event", holds=named is not None)
    stage.say(named.message if named else "")
    return where


def _program() -> str:
    """How the program is called from here: by its name if that finds it, else by its path."""
    return "interlock" if shutil.which("interlock") else _shown(Path(sys.executable).with_name("interlock"))


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
