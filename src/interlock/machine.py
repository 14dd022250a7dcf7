"""Verbs about the machine's own store: `work`, `doctor`, `backup` and `demo`.

What it does: opens a store for these verbs without a running application, and hands over to the code that does the
work. What it does not do: it has no route and needs no server; nothing here writes to a stream.

Rule: `doctor` never mends and never stops at the first damage; `backup` never overwrites.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import asdict

from interlock.base.part import CallContext, Command, Effect, Part
from interlock.demo.errors import ERRORS as DEMO_ERRORS
from interlock.journal.errors import BACKUP_OF_A_FILE
from interlock.journal.store_name import is_url, shown_store, store_name
from interlock.surfaces.narration import Narrator

EXIT_CORRUPT = 7


class DoctorInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which store to examine; the command line names it with --store."""

    store: Annotated[str, Meta(description="The store's path or URL.")]


class DoctorFinding(Struct, frozen=True):
    """One damage: what kind, exactly where, and what is wrong with it."""

    kind: str
    place: str
    message: str


class DoctorReport(Struct, frozen=True):
    """What was examined and what is damaged; `healthy` only if nothing is, `complete` unless there is too much."""

    store: str
    healthy: bool
    counts: dict[str, int]
    complete: bool
    findings: list[DoctorFinding]


class BackupInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which store to copy, and where to."""

    store: Annotated[str, Meta(description="The store's path or URL.")]
    target: Annotated[str, Meta(description="The file to write; it must not exist yet.")]


class BackupReport(Struct, frozen=True):
    """A backup that is complete and durable."""

    store: str
    target: str
    bytes: int
    artifact_files: int


class CopyInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which store to copy, and where to; each is a path or a URL."""

    source: Annotated[str, Meta(description="The store to copy: a path, or postgresql://….")]
    target: Annotated[str, Meta(description="The store to make: a path, or postgresql://…; it must not exist yet.")]


class CopyReport(Struct, frozen=True):
    """A copy that is complete, durable and was compared with its source."""

    source: str
    target: str
    partitions: int
    streams: int
    events: int
    artifacts: int
    index_rows: int
    timers: int
    activations: int


class WorkReport(Struct, frozen=True):
    """What a worker did, and why it ended: `idle`, or the signal that it was sent.

    `driven` counts runs, `fired` timers, and `delivered` events that went out to subscriptions.
    """

    driven: int
    fired: int
    delivered: int
    ended: str


class DemoInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to release, and where to leave everything for a look."""

    project: Annotated[str, Meta(description="The Python project to release.")] = "."
    folder: Annotated[str, Meta(description="Where the demo works; emptied first if it is a demo's.")] = (
        ".interlock/demo"
    )


class DemoReport(Struct, frozen=True):
    """What the demo showed: every claim is checked before it is printed."""

    run_id: str
    phase: str
    crashes: int
    approved_by: str
    repeated_steps: list[str]
    publications: int
    deliveries: int
    replayed_attempts: int
    pack: str
    change_named: str
    store: str


class WorkInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which store to work on, and how much at once."""

    store: Annotated[str, Meta(description="The store's path or URL.")]
    config: Annotated[str | None, Meta(description="The settings file.")] = None
    until_idle: Annotated[bool, Meta(description="End when nothing is due and nothing is being driven.")] = False
    concurrency: Annotated[int, Meta(ge=1, le=10_000, description="Runs that are driven at once.")] = 64


Port = Annotated[int, Meta(ge=0, le=65_535, description="The port; 0 takes one that is free.")]


class ServeInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which store to serve, where, and to whom."""

    store: Annotated[str, Meta(description="The store's path or URL.")]
    config: Annotated[str | None, Meta(description="The settings file.")] = None
    host: Annotated[str, Meta(min_length=1, max_length=64, description="The address to listen at.")] = "127.0.0.1"
    port: Port = 8470
    beyond_this_machine: Annotated[
        bool, Meta(description="Others may reach the address; they need tokens and TLS.")
    ] = False
    certificate: Annotated[str | None, Meta(description="A PEM file with the certificate chain for TLS.")] = None
    key: Annotated[str | None, Meta(description="A PEM file with the certificate's private key.")] = None
    tls_upstream: Annotated[bool, Meta(description="TLS ends at a proxy before this server.")] = False


class ServeReport(Struct, frozen=True):
    """Where a server listened, and why it ended."""

    url: str
    ended: str


class UpInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which store to bring up, and on which port."""

    store: Annotated[str, Meta(description="The store's path or URL.")]
    config: Annotated[str | None, Meta(description="The settings file.")] = None
    port: Port = 8470


class UpReport(Struct, frozen=True):
    """What was kept alive, how often each was started, and why it ended."""

    store: str
    ended: str
    starts: dict[str, int]


async def _serve(ctx: CallContext, given: ServeInput) -> ServeReport:
    from interlock.serving import serve

    return await serve(store_name(given.store), given, ctx.principal, ctx.services.get(Narrator))


async def _up(ctx: CallContext, given: UpInput) -> UpReport:
    from interlock.up import up

    return await up(store_name(given.store), given, ctx.services.get(Narrator))


async def _work(ctx: CallContext, given: WorkInput) -> WorkReport:
    from interlock.working import work

    return await work(
        store_name(given.store),
        None if given.config is None else Path(given.config),
        ctx.services.get(Narrator),
        concurrency=given.concurrency,
        until_idle=given.until_idle,
    )


async def _doctor(_ctx: CallContext, given: DoctorInput) -> DoctorReport:
    from interlock.doctor import examine

    report = await examine(store_name(given.store), _progress if sys.stderr.isatty() else None)
    findings = [DoctorFinding(finding.kind, finding.place, finding.message) for finding in report.findings]
    return DoctorReport(
        shown_store(store_name(given.store)),
        healthy=not findings,
        counts=report.counts,
        complete=report.complete,
        findings=findings,
    )


def _progress(what: str, done: int, total: int | None, verb: str = "examining ") -> None:
    """One line on a terminal, written over itself; nothing elsewhere."""
    amount = f"{done}" if total is None else f"{done} of {total}"
    print(f"\r\x1b[2K{verb}{what}: {amount}", end="\r", file=sys.stderr, flush=True)  # noqa: T201


def _stages() -> Callable[[str, int, int | None], None]:
    """Where nobody looks at a terminal: one line for each thing that is begun."""
    begun: set[str] = set()

    def progress(what: str, _done: int, total: int | None) -> None:
        if what not in begun:
            begun.add(what)
            print(what if total is None else f"{what}: {total}", file=sys.stderr, flush=True)  # noqa: T201

    return progress


async def _backup(_ctx: CallContext, given: BackupInput) -> BackupReport:
    from interlock.stores.sqlite import backup

    store, target = store_name(given.store), store_name(given.target)
    for name in (store, target):
        if is_url(name):
            raise BACKUP_OF_A_FILE.error(f"{shown_store(name)} is a database: a backup is of a file, into a file")
    made = await backup(Path(store), Path(target))
    return BackupReport(given.store, given.target, made.bytes, made.artifact_files)


async def _copy(_ctx: CallContext, given: CopyInput) -> CopyReport:
    from interlock.copying import copy

    source, target = store_name(given.source), store_name(given.target)
    copied = await copy(source, target, _stages() if not sys.stderr.isatty() else partial(_progress, verb=""))
    return CopyReport(shown_store(source), shown_store(target), **asdict(copied))


async def _demo(_ctx: CallContext, given: DemoInput) -> DemoReport:
    from interlock.demo.show import show

    return await show(Path(given.project), Path(given.folder))


PART = Part(
    name="machine",
    errors=DEMO_ERRORS,
    commands=(
        Command(
            "",
            "work",
            WorkInput,
            WorkReport,
            _work,
            "Drive every run that wants an owner, fire timers and deliver to subscriptions, until told to stop.",
            "interlock work --until-idle",
            "machine",
            Effect.STARTS,
            machine=True,
        ),
        Command(
            "",
            "up",
            UpInput,
            UpReport,
            _up,
            "Run engine and server on this machine, each in a process of its own, until told to stop.",
            "interlock up",
            "machine",
            Effect.STARTS,
            machine=True,
        ),
        Command(
            "",
            "serve",
            ServeInput,
            ServeReport,
            _serve,
            "Answer over HTTP and MCP on a store, until told to stop.",
            "interlock serve --port 8470",
            "machine",
            Effect.STARTS,
            machine=True,
        ),
        Command(
            "",
            "doctor",
            DoctorInput,
            DoctorReport,
            _doctor,
            "Examine a store: chains, feed, artifacts, index and views; name what is damaged.",
            "interlock doctor --store .interlock/store.db",
            "machine",
            Effect.READS,
            machine=True,
            exit_code=lambda report: 0 if report.healthy else EXIT_CORRUPT,
        ),
        Command(
            "",
            "backup",
            BackupInput,
            BackupReport,
            _backup,
            "Copy a store while it is in use.",
            "interlock backup /var/backups/store.db",
            "machine",
            Effect.READS,
            machine=True,
            positional=("target",),
        ),
        Command(
            "store",
            "copy",
            CopyInput,
            CopyReport,
            _copy,
            "Copy a store into a new one, of either kind, and compare the two.",
            "interlock store copy .interlock/store.db postgresql://ada@db/ops",
            "machine",
            Effect.READS,
            machine=True,
            positional=("source", "target"),
        ),
        Command(
            "",
            "demo",
            DemoInput,
            DemoReport,
            _demo,
            "Release a real project through two crashes, and prove what happened.",
            "interlock demo",
            "machine",
            Effect.STARTS,
            machine=True,
            positional=("project",),
        ),
    ),
)
