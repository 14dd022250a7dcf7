"""The demonstration as a person sees it: what is done, what was found, and nothing that was not checked.

What it does: runs the release document in processes that are killed, answers its question from another one, resumes
it, compares what happened outside with what is recorded, and exports it as a signed pack, of which a changed copy is
refused. What it does not do: it never touches the project, and it empties a folder only if an earlier demonstration
made it.

Rule: each claim is computed from files and stores after the fact; one that does not hold ends the demonstration as
`demo_claim_failed`.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import sys
from pathlib import Path
from typing import Any, cast

from interlock.base.principal import ENGINE
from interlock.demo.crash import arm, armed
from interlock.demo.errors import DEMO_CLAIM_FAILED, DEMO_PROJECT_INVALID
from interlock.demo.place import Place, Stage
from interlock.demo.project import EVIDENCE
from interlock.doctor import examine
from interlock.engine.commands import EXIT_WAITING, RunEvents
from interlock.engine.events import ArtifactWritten, SignalReceived
from interlock.engine.replay.report import ReplayReport
from interlock.engine.reports.records import RunReport
from interlock.machine import EXIT_CORRUPT, DemoReport
from interlock.surfaces.cli.text import cell

DOCUMENT = Path(__file__).with_name("release.yaml")
SECONDS_MAX = 180
REASON_CHARACTERS_MAX = 300
_STYLE = re.compile(r"\x1b\[[0-9;]*m")
REASON = "the checks hold"


async def show(project: Path, folder: Path) -> DemoReport:
    """Run the demonstration. Side effects: writes to `folder` alone, and tells the story on standard error."""
    place, stage = Place(project, folder), Stage()
    git = place.prepare()
    stage.say(f"Everything happens in {_shown(place.folder)}; the next demonstration replaces what is there.")
    if place.replaced:
        stage.say("What an earlier demonstration had left there is gone.")
    arm(place.work, "half-way")
    arm(place.channel, "unheard")
    first = await _lost_half_way(place, stage, git)
    built = place.wheels()
    await _waiting(place, stage)
    person = await _answered(place, stage)
    second = await _lost_unheard(place, stage)
    last, repeated, published = await _ended(place, stage, [first, second], built)
    replayed = await _replayed(place, stage)
    await _examined(place, stage)
    await _exported(place, stage)
    named = await _refused(place, stage)
    stage.say("")
    stage.say("The store and the pack are left for a look:")
    stage.say(f"  {_program()} run status {place.run_id} --store {_shown(place.store)}")
    stage.say(f"  {_program()} scenario explain release-checks {place.run_id} --store {_shown(place.store)}")
    stage.say(f"  {_program()} pack show {_shown(place.pack)}")
    stage.say(f"  {_program()} pack verify {_shown(place.changed)}")
    stage.say("")
    return DemoReport(
        run_id=place.run_id,
        phase=last.phase,
        crashes=sum(step.crashes for step in last.steps),
        approved_by=person,
        repeated_steps=repeated,
        publications=published[0],
        deliveries=published[1],
        replayed_attempts=replayed.attempts,
        pack=str(place.pack),
        change_named=named,
        store=str(place.store),
    )


async def _lost_half_way(place: Place, stage: Stage, git: str) -> RunReport:
    """The first process: it dies while it lists materials."""
    stage.act("Release a real project, and lose the process half-way")
    given = {
        "project": place.project,
        "tests": place.tests(),
        "git": git,
        "python": sys.executable,
        "work": place.work,
        "channel": place.channel,
        "release": place.run_id,
    }
    told = json.dumps({name: str(value) for name, value in given.items()})
    code = await _interlock(place, "run", "start", str(DOCUMENT), "--run-id", place.run_id, "--input", told)
    stage.say(f"run {place.run_id}")
    report = await _report(place)
    await _refuse_broken(place, report, code)
    stage.claim(
        "the process was killed by SIGKILL while it listed materials",
        holds=code == -signal.SIGKILL and _running(report) == "materials" and not armed(place.work, "half-way"),
    )
    _steps(stage, report)
    return report


async def _waiting(place: Place, stage: Stage) -> None:
    """The second process: it ends by itself, because the run waits for a person."""
    stage.act("Resume it: its gate opens on evidence, and it waits for a person")
    code = await _interlock(place, "run", "resume", place.run_id)
    report = await _report(place)
    await _refuse_broken(place, report, code)
    waiting = report.waiting
    stage.claim(
        "the process has ended, and the run waits to be told whether to publish",
        holds=code == EXIT_WAITING and waiting is not None and waiting.kind == "suspended" and report.owner is None,
    )
    await _gated(place, stage)
    stage.claim("nothing is published yet", holds=not (place.channel / "published").exists())
    _steps(stage, report)


async def _gated(place: Place, stage: Stage) -> None:
    """What the gate found, as the run keeps it beside the evidence that its steps left."""
    from interlock.app import App

    async with App.open(place.store, create=False) as app:
        found = cast("dict[str, Any]", await app.runs.read.output(place.run_id, "checks"))
    tests = json.loads((place.work / EVIDENCE / "test.json").read_text("utf-8"))
    held = [gate["gate_id"].replace("-", " ") for gate in found["gates"] if gate["explanation"]["status"] == "True"]
    stage.claim(
        f"{len(held)} gates opened on evidence: {', '.join(held)}",
        holds=len(held) == len(found["gates"]) > 0 and found["decision"]["outcome"]["kind"] == "complete",
    )
    stage.claim(
        f"{tests['passed']} tests of the project passed on the very wheel, and none failed",
        holds=tests["passed"] > 0 and tests["failed"] == 0,
    )


async def _answered(place: Place, stage: Stage) -> str:
    """A process in the place of a person: it answers and drives nothing. Returns who answered, as the record says."""
    stage.act("A person says yes, while nobody drives the run")
    stage.say("(simulated: a second process answers as a person would)")
    answer = json.dumps({"refused": False, "reason": REASON})
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
    await _refuse_broken(place, report, code)
    stage.claim(
        "the channel killed the process after it took the wheel",
        holds=code == -signal.SIGKILL
        and _running(report) == "publish"
        and not armed(place.channel, "unheard")
        and _published(place) == (1, 1),
    )
    _steps(stage, report)
    return report


async def _ended(
    place: Place, stage: Stage, crashes: list[RunReport], built: list[tuple[str, int, int]]
) -> tuple[RunReport, list[str], tuple[int, int]]:
    """The last process. Returns the report, the steps that ran again, and publications with deliveries."""
    stage.act("Resume it to its end")
    code = await _interlock(place, "run", "resume", place.run_id)
    report = await _report(place)
    _steps(stage, report)
    stage.claim("the run has completed", holds=code == 0 and report.phase == "completed")
    repeated = _repeated(place, crashes)
    stage.claim("no completed step ran again", holds=not repeated and place.wheels() == built)
    publications, deliveries = _published(place)
    stage.claim(f"{deliveries} deliveries under one key made {publications} publication", holds=publications == 1)
    return report, repeated, (publications, deliveries)


async def _replayed(place: Place, stage: Stage) -> ReplayReport:
    """Drive the record anew, offline, in this process: nothing is sent and nothing is written."""
    from interlock.app import App

    stage.act("Replay it from its record alone: no program, no server, no clock")
    before = _published(place), place.store.read_bytes()
    async with App.open(place.store, create=False) as app:
        report = await app.runs.replay(place.run_id)
    stage.claim(
        f"{report.attempts} attempts came to the very same snapshots, and nothing was published or written",
        holds=report.identical and (_published(place), place.store.read_bytes()) == before,
    )
    return report


async def _examined(place: Place, stage: Stage) -> None:
    """Examine the whole store."""
    stage.act("Examine the store")
    report = await examine(place.store)
    stage.claim(
        f"every chain, artifact and index row verifies: {cell('counts', report.counts)}", holds=not report.findings
    )


async def _exported(place: Place, stage: Stage) -> None:
    """Write the run into one signed file, and verify that without the store."""
    stage.act("Give it away: one signed file that proves itself offline")
    made = await _interlock(place, "key", "new", "--out", str(place.key), at_store=False)
    sign = ("--sign", str(place.key))
    written = await _interlock(place, "pack", "export", "--run", place.run_id, "--out", str(place.pack), *sign)
    code, verdict = await _verified(place, place.pack)
    stage.claim(
        f"{place.pack.name} ({place.pack.stat().st_size} bytes) verifies: chains, folds, facts, views and signature",
        holds=(made, written, code) == (0, 0, 0) and verdict["status"] == "pass",
    )


async def _refused(place: Place, stage: Stage) -> str:
    """Flip one byte of a copy; return what the verification names."""
    stage.act("Change one byte of a copy")
    content = bytearray(place.pack.read_bytes())
    at = content.index(b"state_completed")  # in the history of the run
    content[at] ^= 1
    place.changed.write_bytes(content)
    shutil.copy(f"{place.pack}.sig", f"{place.changed}.sig")
    code, verdict = await _verified(place, place.changed)
    errors = verdict["errors"]
    stage.claim(
        f"byte {at} of {place.changed.name} is flipped, and the pack is refused",
        holds=code == EXIT_CORRUPT and verdict["status"] == "fail" and bool(errors),
    )
    # A member that differs from its digest is named, too; where an event is, that says more.
    named = _place_of(next((error for error in errors if error["seq"] is not None), errors[0]))
    stage.say(named)
    return named


def _place_of(error: dict[str, Any]) -> str:
    """An error of a verdict in one line: the code, the member, the event, and what is wrong."""
    event = "" if error["seq"] is None else f", event {error['seq']} of {error['stream']}"
    return f"{error['code']} in {error['member']}{event}: {error['what']}"


async def _verified(place: Place, pack: Path) -> tuple[int, Any]:
    """Verify a pack in a process of its own; its exit code and its verdict."""
    trust = ("--trust", f"{place.key}.pub")
    process = await _process("pack", "verify", str(pack), *trust, "--json", answers=True)
    async with asyncio.timeout(SECONDS_MAX):
        out, _ = await process.communicate()
    return process.returncode or 0, json.loads(out)


async def _interlock(place: Place, *arguments: str, at_store: bool = True) -> int:
    """Run the command line in a process of its own; return its exit code, negative for a signal."""
    store = ("--store", str(place.store), "--config", str(place.settings)) if at_store else ()
    process = await _process(*arguments, *store, "--json")
    async with asyncio.timeout(SECONDS_MAX):
        return await process.wait()


async def _process(*arguments: str, answers: bool = False) -> asyncio.subprocess.Process:
    """The command line as a process; only an answer that is wanted is read."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "interlock.surfaces.cli.main",
        *arguments,
        stdout=asyncio.subprocess.PIPE if answers else asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )


async def _who_answered(place: Place) -> list[str]:
    """Who answered the run's questions, as its events say."""
    from interlock.app import App

    async with App.open(place.store, create=False) as app:
        page = cast("RunEvents", await app.client(ENGINE).call("run.events", {"run": place.run_id}))
        return [event.data.actor for event in page.items if isinstance(event.data, SignalReceived)]


async def _report(place: Place) -> RunReport:
    from interlock.app import App

    async with App.open(place.store, create=False) as app:
        return await app.runs.read.report(place.run_id)


def _running(report: RunReport) -> str | None:
    """The step that a dead process left open."""
    return next((step.name for step in report.steps if step.status == "running"), None)


async def _refuse_broken(place: Place, report: RunReport, code: int) -> None:
    """A project whose release fails is its owner's affair, and named as that. Raises: `demo_project_invalid`."""
    failed = next((step for step in report.steps if step.status == "failed"), None)
    if code != -signal.SIGKILL and failed is not None:
        why = _reason(await _written(place, failed.state_id)) or failed.error_message
        raise DEMO_PROJECT_INVALID.error(f"{failed.name} of this project failed: {why}")


async def _written(place: Place, state_id: str) -> str:
    """What the program of a step wrote, as the run keeps it."""
    from interlock.app import App

    async with App.open(place.store, create=False) as app:
        page = cast("RunEvents", await app.client(ENGINE).call("run.events", {"run": place.run_id}))
        data = [event.data for event in page.items]
        ids = [each.artifact_id for each in data if isinstance(each, ArtifactWritten) and each.state_id == state_id]
        contents = await app.journal.store.artifacts.get(ids) if ids else []
    return "\n".join(content.decode("utf-8", "replace") for content in contents)


def _reason(output: str) -> str:
    """What a program says last of why it gave up: its own line of an error if it has one."""
    lines = [line.strip() for line in _STYLE.sub("", output).splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return (errors or lines or [""])[-1][:REASON_CHARACTERS_MAX]


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

    A program may begin once for each attempt that its step had at the crash before it completed.
    """
    began = place.began()
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


def _program() -> str:
    """How the program is called from here: by its name if that finds it, else by its path."""
    return "interlock" if shutil.which("interlock") else _shown(Path(sys.executable).with_name("interlock"))


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
