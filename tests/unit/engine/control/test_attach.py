"""Files that are attached to a run: what the run says of them, when it takes them, and what they do not touch."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import msgspec
import pytest

from interlock import App, Io, Plan, Recorder
from interlock.base.canonical import canonical, digest
from interlock.base.errors import InterlockError
from interlock.base.principal import local_principal
from interlock.engine import events as e
from interlock.engine.attachments import Label, label
from interlock.engine.budget import BudgetSettings
from interlock.engine.config import FanOutJoin, FanOutLimit, RunConfig
from interlock.engine.contract import records_of
from interlock.engine.control.inbox_events import ArtifactAttached
from interlock.engine.reports.artifacts import artifacts_of, check_named
from interlock.settings import Settings
from interlock.testing.app import memory_app, read_run
from interlock.testing.checker import check_artifacts, check_run
from interlock.testing.loop import run

ADA = local_principal("ada")
RUN = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"
STREAM = f"default/run/{RUN}"
REPORT = b"all is well\n"
NAMED = label("report.txt", "Report", "text/plain")


def waiting() -> Plan:
    plan = Plan("ask")

    @plan.state
    async def wait(io: Io, rec: Recorder) -> Any:
        await rec.artifact("Note", b"of the state", {"name": "note"})
        return await io.wait("go")

    @plan.state(after=["wait"])
    async def last() -> str:
        return "done"

    return plan


async def attach(app: App, said: Label = NAMED, content: bytes = REPORT, **more: Any) -> str:
    return await app.runs.control.attach(RUN, said, content, **{"principal": ADA, **more})


async def written(app: App, run_id: str = RUN) -> list[e.ArtifactWritten]:
    """The attachments that a run names."""
    records = [event.record for event in await read_run(app, run_id)]
    return [each for each in records if isinstance(each, e.ArtifactWritten) and each.state_id is None]


async def entries(app: App) -> list[Any]:
    return [each.record for each in await app.journal.tail(f"{STREAM}/inbox", 0)]


def test_a_run_that_waits_takes_a_file_at_once_and_names_it() -> None:
    async def main() -> None:
        app = memory_app()
        await app.runs.start(waiting(), run_id=RUN)
        found = await attach(app)

        assert found == hashlib.sha256(REPORT).hexdigest()
        [event] = await written(app)
        meta = {"attached_by": "local:ada", "media_type": "text/plain", "name": "report.txt"}
        assert event == e.ArtifactWritten(found, "Report", msgspec.Raw(canonical(meta)), None)
        assert await app.journal.store.artifacts.get([found]) == [REPORT]
        rows = (await artifacts_of(app.journal, STREAM, 0, 50)).items
        assert [(row.step, row.kind, row.name, row.media_type, row.bytes) for row in rows] == [
            ("wait", "Note", "note", None, 12),
            (None, "Report", "report.txt", "text/plain", 12),
        ]

    run(main())


def test_a_run_under_way_takes_a_file_while_its_state_goes_on_and_replays_without_a_difference() -> None:
    begun, go = asyncio.Event(), asyncio.Event()
    plan = Plan("busy")

    @plan.state
    async def work(rec: Recorder) -> str:
        begun.set()
        await go.wait()
        await rec.artifact("Note", b"of the state")
        return "done"

    async def main() -> None:
        app = memory_app()
        driving = asyncio.create_task(app.runs.start(plan, run_id=RUN))
        await begun.wait()
        found = await attach(app)
        await check_named(app.journal, STREAM, found)  # at once, although its owner takes it between attempts
        assert await written(app) == []
        go.set()
        assert (await driving).phase == "completed"
        assert len(await written(app)) == 1
        await app.runs.start(plan, run_id=OTHER)

        report = await app.runs.replay(RUN)
        assert (report.identical, report.warnings) == (True, [])
        assert (await app.runs.diff(RUN, OTHER)).is_same
        events = await read_run(app, RUN)
        await check_artifacts(events, app.journal.store.artifacts)
        check_run(events, plan=plan.build())

    run(main())


def test_a_file_that_is_taken_while_a_state_is_open_is_none_of_what_that_state_did() -> None:
    begun, go = asyncio.Event(), asyncio.Event()
    plan = Plan("beside")

    @plan.state
    async def work(rec: Recorder) -> str:
        begun.set()
        await go.wait()
        await rec.artifact("Note", b"of the state")
        return "done"

    @plan.state
    async def beside() -> None:
        await go.wait()

    async def main() -> None:
        app = memory_app()
        config = RunConfig(execution_mode=FanOutJoin(FanOutLimit(2)))
        driving = asyncio.create_task(app.runs.start(plan, run_id=RUN, config=config))
        await begun.wait()
        await attach(app)
        while not await written(app):
            await asyncio.sleep(0.1)
        assert (await app.runs.read.state(RUN)).open
        go.set()
        assert (await driving).phase == "completed"

        assert (await app.runs.replay(RUN)).identical
        check_run(await read_run(app, RUN), plan=plan.build())

    run(main())


def test_the_same_file_under_the_same_name_is_attached_once_and_another_name_is_another() -> None:
    async def main() -> None:
        app = memory_app()
        await app.runs.start(waiting(), run_id=RUN)
        for said in (NAMED, NAMED, label("again.txt"), NAMED, label("report.txt")):
            await attach(app, said)

        assert [(each.kind, msgspec.json.decode(each.meta)["name"]) for each in await written(app)] == [
            ("Report", "report.txt"),
            ("Attachment", "again.txt"),
            ("Attachment", "report.txt"),
        ]

    run(main())


def test_a_command_that_is_repeated_is_carried_out_once_also_after_the_run_has_ended() -> None:
    async def main() -> None:
        app = memory_app()
        control = app.runs.control
        await app.runs.start(waiting(), run_id=RUN)
        first = await attach(app, command_id="upload-1")
        with pytest.raises(InterlockError) as conflict:
            await attach(app, content=b"other bytes", command_id="upload-1")
        assert conflict.value.code == "command_id_conflict"
        assert await app.journal.store.artifacts.exists([digest(b"other bytes")]) == [False]
        await control.signal(RUN, "wait", "go", 1, principal=ADA)
        await app.runs.resume(RUN)

        await control.check_attachable(RUN, principal=ADA, command_id="upload-1")
        assert await attach(app, command_id="upload-1") == first
        assert await attach(app) == first, "what is there already is no order any more"
        for refused in (
            control.check_attachable(RUN, principal=ADA),
            attach(app, content=b"too late"),
            attach(app, content=b"too late", command_id="upload-2"),
        ):
            with pytest.raises(InterlockError) as ended:
                await refused
            assert ended.value.code == "run_ended"
        assert await app.journal.store.artifacts.exists([digest(b"too late")]) == [False]
        assert len(await written(app)) == 1

    run(main())


def test_what_comes_as_the_run_ends_is_not_said_to_be_attached() -> None:
    """The owner has looked into the inbox for the last time when the file is put there."""

    async def main() -> None:
        app = memory_app()
        await app.runs.start(waiting(), run_id=RUN)
        control = app.runs.control

        async def ends_first(_stream: str, run_id: str, _loaded: Any) -> None:
            # As another process does whose owner looked a moment before: without this entry.
            await app.runs.cancel_now(run_id, "over", principal=ADA)

        async def blind(_session: Any) -> None:
            return None

        control._settle = ends_first
        app.runs._driver._take_inbox = blind  # type: ignore[method-assign,assignment]
        with pytest.raises(InterlockError) as ended:
            await attach(app)

        assert ended.value.code == "run_ended"
        assert await written(app) == []
        assert [type(each) for each in await entries(app)] == [ArtifactAttached]

    run(main())


def test_nobody_attaches_to_a_run_that_there_is_not_or_that_is_another_tenants() -> None:
    async def main() -> None:
        app = memory_app()
        await app.runs.start(waiting(), run_id=RUN)
        stranger = msgspec.structs.replace(ADA, tenant="other")
        for refused in (
            attach(app, principal=stranger),
            app.runs.control.check_attachable(RUN, principal=stranger),
            app.runs.control.attach(OTHER, NAMED, REPORT, principal=ADA),
        ):
            with pytest.raises(InterlockError) as missing:
                await refused
            assert missing.value.code == "run_not_found"
        assert await app.journal.store.artifacts.exists([digest(REPORT)]) == [False]

    run(main())


def test_a_file_is_bounded_by_what_an_artifact_and_the_run_may_hold_and_is_counted() -> None:
    async def main() -> None:
        app = memory_app(settings={"engine": {"artifact_bytes_max": 100_000}, "run_budget": {"bytes_max": 2_600_000}})
        await app.runs.start(waiting(), run_id=RUN)
        with pytest.raises(InterlockError) as large:
            await attach(app, content=bytes(100_001))
        assert large.value.code == "artifact_too_large"
        codes = []
        for number in range(30):
            try:
                await attach(app, content=bytes([number]) * 100_000)
            except InterlockError as fault:
                codes.append(fault.code)
                break
        assert codes == ["run_budget_exceeded"]
        report = await app.runs.read.report(RUN)
        kept = len(await written(app))
        assert kept > 0
        assert 100_000 * kept <= report.usage.bytes <= app.get(Settings).get(BudgetSettings).bytes_max

        assert (await app.runs.control.signal(RUN, "wait", "go", 1, principal=ADA)) is True
        assert (await app.runs.resume(RUN)).phase == "completed", "what is full of files still ends in order"

    run(main())


def test_a_fork_does_not_take_the_files_of_its_source_along() -> None:
    async def main() -> None:
        app = memory_app()
        await app.runs.start(waiting(), run_id=RUN)
        await attach(app)
        await app.runs.control.signal(RUN, "wait", "go", 1, principal=ADA)
        await app.runs.resume(RUN)
        await app.runs.fork(RUN, "last", run_id=OTHER, principal=ADA)

        assert await written(app, OTHER) == []
        assert len(await written(app)) == 1

    run(main())


def test_the_contract_tells_of_a_file_and_reads_it_back() -> None:
    async def main() -> None:
        app = memory_app()
        await app.runs.start(waiting(), run_id=RUN)
        await attach(app)
        told = (await app.client(ADA).call("run.events", {"run": RUN, "contract": True})).items  # type: ignore[attr-defined]
        back = list(records_of(msgspec.json.decode(msgspec.json.encode(told))))
        [event] = [each for each in back if isinstance(each, e.ArtifactWritten) and each.state_id is None]

        assert [event] == await written(app)

    run(main())


@pytest.mark.parametrize(
    "name",
    ["", " ", "a/b", "..", ".", "a\\b", "/etc/passwd", "a\nb", "a\x1b[31m", "a\u202eb", "x" * 201, " a", "\ud800"],
)
def test_a_name_is_that_of_a_file(name: str) -> None:
    with pytest.raises(InterlockError) as refused:
        label(name)
    assert refused.value.code == "attachment_invalid"


@pytest.mark.parametrize(
    "kind", ["SecretPayload", "ContextSnapshot", "ExecStderr", "Fact", "1st", "a b", "a/b", "x" * 65, "é"]
)
def test_a_kind_is_a_word_and_none_of_the_engines(kind: str) -> None:
    with pytest.raises(InterlockError) as refused:
        label("a", kind)
    assert refused.value.code == "attachment_invalid"


@pytest.mark.parametrize(
    "media_type", ["text", "text/", "/plain", "text/plain\r\nX: y", "a/b; c", 'a/b; c="d\x00"', "é/a", f"a/{'b' * 200}"]
)
def test_a_media_type_has_the_form_of_one(media_type: str) -> None:
    with pytest.raises(InterlockError) as refused:
        label("a", None, media_type)
    assert refused.value.code == "attachment_invalid"


@pytest.mark.parametrize("media_type", ["text/plain", "text/html; charset=utf-8", 'a/b;c="d e"; f=g'])
def test_a_media_type_may_have_parameters(media_type: str) -> None:
    assert label("a", None, media_type).media_type == media_type


def test_what_is_said_of_a_file_holds_no_secret() -> None:
    with pytest.raises(InterlockError) as refused:
        label("ghp_" + "0123456789abcdefghijABCDEFGHIJ012345")
    assert refused.value.code == "secrets_detected"


def test_an_owner_looks_once_more_before_the_run_ends() -> None:
    """What was put into the inbox without waking the owner is taken by the append that ends the run."""
    begun, go = asyncio.Event(), asyncio.Event()
    plan = Plan("deaf")

    @plan.state
    async def work() -> None:
        begun.set()
        await go.wait()

    async def main() -> None:
        app = memory_app()
        driving = asyncio.create_task(app.runs.start(plan, run_id=RUN))
        await begun.wait()

        async def unheard(*_given: Any) -> None:
            go.set()

        app.runs.control._settle = unheard
        await attach(app)
        assert (await driving).phase == "completed"
        assert len(await written(app)) == 1

    run(main())
