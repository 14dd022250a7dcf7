"""A small application for tests of the command line: counters in a JSON file, and runs that only pretend.

Run as a program it is `interlock` with the toy's parts: `python toy.py counter add apples`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from msgspec import Meta, Raw, Struct

from interlock.base.errors import Category, ErrorCode
from interlock.base.ids import RunId
from interlock.base.part import CallContext, Command, Effect, Part
from interlock.base.principal import Principal
from interlock.engine.budget import RunUsage
from interlock.engine.reports.records import RunReport, RunResult, StepReport
from interlock.surfaces.application import Application
from interlock.surfaces.catalogue import Catalogue
from interlock.surfaces.cli.main import main
from interlock.surfaces.client import Client
from interlock.surfaces.part import PART as SURFACES

Service = TypeVar("Service")
Name = Annotated[str, Meta(min_length=1, max_length=20, description="The name of a counter.")]

CODES = {category.value: ErrorCode(f"toy_{category.value}", category, "Do it differently.") for category in Category}


class Counter(Struct, frozen=True):
    name: str
    count: int
    changed_at_ms: int = 1_700_000_000_123
    note: str | None = None


class AddInput(Struct, frozen=True):
    name: Name
    by: Annotated[int, Meta(ge=1, le=100, description="How many to add.")] = 1
    note: Annotated[Raw | None, Meta(description="Any JSON that belongs to it.")] = None
    labels: Annotated[tuple[str, ...], Meta(description="A label; may be given again.")] = ()
    mode: Annotated[Literal["fast", "safe"], Meta(description="How carefully to add.")] = "safe"
    dry_run: Annotated[bool, Meta(description="Change nothing.")] = False


class Nothing(Struct, frozen=True):
    pass


class ListOutput(Struct, frozen=True):
    counters: tuple[Counter, ...]


class FailInput(Struct, frozen=True):
    category: Annotated[str, Meta(description="The category of the error to raise.")]


class TouchInput(Struct, frozen=True):
    run_id: Annotated[RunId, Meta(description="The id of a run: a UUID in lower case with hyphens.")]


class EndInput(Struct, frozen=True):
    code: Annotated[int, Meta(description="The exit code to end with.")]


class WhereInput(Struct, frozen=True):
    store: str
    config: str | None = None


class WhereOutput(Struct, frozen=True):
    store: str
    config: str | None = None
    actor: str | None = None


class Counters:
    """The file that stands for a store."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def exist(self) -> bool:
        return self.path.exists()

    def read(self) -> dict[str, int]:
        found: dict[str, int] = json.loads(self.path.read_text()) if self.exist() else {}
        return found

    def write(self, counts: dict[str, int]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(counts))


async def add(ctx: CallContext, given: AddInput) -> Counter:
    counters = ctx.services.get(Counters)
    counts = counters.read()
    counts[given.name] = counts.get(given.name, 0) + given.by
    if not given.dry_run:
        counters.write(counts)
    note = bytes(given.note).decode() if given.note is not None else None
    return Counter(name=given.name, count=counts[given.name], note=note)


async def listing(ctx: CallContext, _given: Nothing) -> ListOutput:
    counts = ctx.services.get(Counters).read()
    return ListOutput(tuple(Counter(name=name, count=count) for name, count in sorted(counts.items())))


async def fail(_ctx: CallContext, given: FailInput) -> Nothing:
    if given.category == "fault":
        raise RuntimeError("not foreseen")
    raise CODES[given.category].error("the toy does \x1b[31mnot\x1b[0m like it", limit=3)


async def touch(_ctx: CallContext, _given: TouchInput) -> Nothing:
    return Nothing()


async def end(_ctx: CallContext, given: EndInput) -> EndInput:
    return given


async def sleep(_ctx: CallContext, _given: Nothing) -> Nothing:
    sys.stderr.write("asleep\n")
    sys.stderr.flush()
    await asyncio.sleep(100)
    return Nothing()


async def whoami(ctx: CallContext, _given: Nothing) -> WhereOutput:
    toy = ctx.services.get(Toy)
    return WhereOutput(str(toy.counters.path), None if toy.config is None else str(toy.config), ctx.principal.id)


async def where(_ctx: CallContext, given: WhereInput) -> WhereOutput:
    return WhereOutput(store=given.store, config=given.config)


PROGRESS = (("running", "pending"), ("completed", "running"), ("completed", "completed"))


class StartInput(Struct, frozen=True):
    plan: str
    run_id: str | None = None


class StatusInput(Struct, frozen=True):
    run: str


class Runs:
    """Two steps of a moment each, in no store; `unseen` cannot be asked about, `broken` fails."""

    def __init__(self) -> None:
        self.reports: dict[str, RunReport] = {}

    async def start(self, given: StartInput, begun: Callable[[str], None]) -> RunResult:
        run_id = given.run_id or "made-by-the-handler"
        begun(run_id)
        print("a plan talks")
        for done in (0, 1, 2):
            await asyncio.sleep(0.15)
            self.reports[run_id] = report(run_id, given.plan, done)
            await asyncio.sleep(0.25)
        if given.plan == "broken":
            raise CODES["failed"].error("it broke")
        return RunResult(run_id, "completed", None, None)

    def status(self, run_id: str) -> RunReport:
        found = self.reports.get(run_id)
        if found is None:
            raise CODES["not_found"].error("no such run")
        if found.op_id == "unseen":
            raise CODES["unavailable"].error("nobody may look")
        return found


def report(run_id: str, plan: str, done: int) -> RunReport:
    steps = [
        StepReport(name, f"toy.{name}.run", status, 1, started_ms=1, ended_ms=9)
        for name, status in zip(("first", "second"), PROGRESS[done], strict=True)
    ]
    return RunReport(
        run_id=run_id,
        op_id=plan,
        phase="running",
        waiting=None,
        final_snapshot_id=None,
        manifest_id="",
        started_ms=1,
        updated_ms=2,
        events=3,
        usage=RunUsage(3, 1000, 500, 10_000, warned=False),
        owner=None,
        input={},
        steps=steps,
    )


async def run_start(ctx: CallContext, given: StartInput) -> RunResult:
    return await ctx.services.get(Runs).start(given, ctx.begun)


async def run_status(ctx: CallContext, given: StatusInput) -> RunReport:
    return ctx.services.get(Runs).status(given.run)


def command(verb: str, **more: object) -> Command:
    """A toy command; what is not given is plain."""
    plain: dict[str, object] = {
        "noun": "counter",
        "input": Nothing,
        "output": Nothing,
        "summary": f"Let a counter {verb}.",
        "example": f"interlock counter {verb}",
        "permission": f"counter.{verb}",
        "effect": Effect.READS,
    }
    return Command(verb=verb, **(plain | more))  # type: ignore[arg-type]


TOY = Part(
    name="toy",
    commands=(
        command(
            "add",
            input=AddInput,
            output=Counter,
            handler=add,
            positional=("name",),
            effect=Effect.CHANGES,
            creates=True,
            example="interlock counter add apples --by 3",
        ),
        command("list", output=ListOutput, handler=listing),
        command(
            "fail",
            input=FailInput,
            handler=fail,
            positional=("category",),
            example="interlock counter fail corrupt",
        ),
        command(
            "touch",
            input=TouchInput,
            handler=touch,
            positional=("run_id",),
            example="interlock counter touch 01890a5d-ac96-774b-bcce-b302099a8057",
        ),
        command(
            "end",
            input=EndInput,
            output=EndInput,
            handler=end,
            positional=("code",),
            exit_code=lambda out: out.code,
            example="interlock counter end 8",
        ),
        command("sleep", handler=sleep, effect=Effect.STARTS),
        command("whoami", output=WhereOutput, handler=whoami),
        command(
            "start",
            noun="run",
            input=StartInput,
            output=RunResult,
            handler=run_start,
            effect=Effect.STARTS,
            positional=("plan",),
            creates=True,
            example="interlock run start toy",
        ),
        command(
            "status",
            noun="run",
            input=StatusInput,
            output=RunReport,
            handler=run_status,
            positional=("run",),
            example="interlock run status a",
        ),
        command(
            "where",
            noun="",
            machine=True,
            input=WhereInput,
            output=WhereOutput,
            handler=where,
            example="interlock where",
        ),
    ),
    errors=tuple(CODES.values()),
)


class Toy:
    """The open toy application."""

    def __init__(self, counters: Counters, config: Path | None) -> None:
        self.config = config
        self.counters = counters
        self.runs = Runs()

    def get(self, kind: type[Service]) -> Service:
        for service in (self, self.counters, self.runs):
            if isinstance(service, kind):
                return service
        raise KeyError(kind.__name__)

    def client(self, principal: Principal) -> Client:
        return Client(Catalogue(TOY.commands), principal, self)


@asynccontextmanager
async def opened(*, store: Path | str, config: Path | None, create: bool) -> AsyncIterator[Toy]:
    counters = Counters(Path(store))
    if not create and not counters.exist():
        raise CODES["not_found"].error("no such store")
    yield Toy(counters, config)


APPLICATION = Application(parts=lambda: (TOY, SURFACES), open=opened)

if __name__ == "__main__":
    sys.exit(main(application=APPLICATION))
