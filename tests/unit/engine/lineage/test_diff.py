"""Two runs beside each other: every kind of difference is found, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.app import App
from interlock.base.errors import InterlockError
from interlock.base.principal import local_principal
from interlock.engine.attempt import Recorder
from interlock.engine.authoring import Plan
from interlock.engine.config import RetryPolicy, RunConfig
from interlock.engine.context import Context
from interlock.engine.errors import StateFailure
from interlock.engine.io.live import LiveIo
from interlock.engine.lineage.diff import HIDDEN, VALUE_CHARACTERS_MAX, Change, CountChange, RunDifference, shown_value
from interlock.engine.lineage.diffing import compare_runs
from interlock.testing.app import memory_app
from interlock.testing.loop import run

A, B = "01890a5d-ac96-774b-bcce-b302099a8057", "01890a5d-ac96-774b-bcce-b302099a8058"
ADA, BOB = local_principal("ada"), local_principal("bob")


def plan_of(**marks: Any) -> Plan:
    """A plan whose behaviour the marks change, without changing its outline."""
    plan = Plan("made", version=marks.get("version", "1"))

    @plan.state(retry=RetryPolicy.fixed(2))
    async def first(name: str, ctx: Context, rec: Recorder, io: LiveIo) -> str:
        if marks.pop("fail_once", False):
            raise StateFailure("busy", "once", retryable=True)
        await io.record_value("noted", marks.get("note", 1))
        for _ in range(marks.get("events", 1)):
            await rec.emit("looked")
        ctx.write("large", marks.get("large", "l") * 5000)
        ctx.write("small", marks.get("small", {"n": 1}))
        return name

    @plan.state
    async def last(first: str, io: LiveIo) -> str:
        if marks.get("waits"):
            return await io.wait("word", str)
        if marks.get("broken"):
            raise StateFailure("broken", "it broke")
        return first

    return plan


async def two(a: dict[str, Any], b: dict[str, Any], **options: Any) -> tuple[App, RunDifference]:
    """Two runs of the same plan, with other marks."""
    app = memory_app()
    for run_id, marks in ((A, dict(a)), (B, dict(b))):
        given = {"name": marks.pop("name", "Ada"), **marks.pop("input", {})}
        await app.runs.start(plan_of(**marks), given, run_id=run_id, config=marks.get("config"), **options)
    return app, await difference(app)


async def difference(app: App, a: str = A, b: str = B) -> RunDifference:
    return await compare_runs(app.journal, app.runs.read, a, b, "default")


def of(a: dict[str, Any], b: dict[str, Any]) -> RunDifference:
    return run(two(a, b))[1]


def lists(found: RunDifference) -> set[str]:
    """The names of the lists that hold something."""
    names = ("manifest", "steps", "context", "facts", "events", "answers")
    return {name for name in names if getattr(found, name)}


def test_two_runs_that_did_the_same_are_the_same() -> None:
    found = of({}, {})
    assert (found.is_same, lists(found), found.plan.is_same) == (True, set(), True)
    assert (found.a.run_id, found.b.run_id, found.a.phase) == (A, B, "completed")


def test_another_input_shows_in_manifest_and_context_by_its_path() -> None:
    found = of({}, {"name": "Bob", "input": {"deep": {"n": [1]}}})
    assert found.manifest == [
        Change("input_params.name", '"Ada"', '"Bob"'),
        Change("input_params.deep.n", None, "[1]"),
    ]
    assert [each.name for each in found.context] == ["deep", "first", "last", "name"]


def test_another_configuration_shows_in_the_manifest_alone() -> None:
    found = of({}, {"config": RunConfig(retry_policy=RetryPolicy.fixed(3))})
    assert [each.name for each in found.manifest] == ["run_config.retry_policy.max_attempts"]
    assert (found.is_same, lists(found)) == (False, {"manifest"})


def test_another_attempt_shows_in_its_step() -> None:
    found = of({}, {"fail_once": True})
    [step] = found.steps
    assert step.a is not None
    assert step.b is not None
    assert (step.step, step.a.attempts, step.b.attempts) == ("first", 1, 2)
    assert lists(found) == {"steps"}


def test_a_step_that_failed_shows_with_its_code() -> None:
    found = of({}, {"broken": True})
    assert [(each.step, each.b.status, each.b.error_code) for each in found.steps if each.b is not None] == [
        ("last", "failed", "broken")
    ]
    assert (found.a.phase, found.b.phase, found.is_same) == ("completed", "failed", False)


def test_values_show_by_key_and_large_ones_by_their_artifact() -> None:
    found = of({}, {"large": "m", "small": {"n": 2}})
    small, large = found.context[1], found.context[0]
    assert small == Change("small", '{"n":1}', '{"n":2}')
    assert large.name == "large"
    assert [str(each)[:9] for each in (large.a, large.b)] == ["artifact ", "artifact "]


def test_a_fact_shows_with_what_it_holds() -> None:
    [fact] = of({}, {"note": 2}).facts
    assert fact.key == "noted"
    assert fact.payload_a != fact.payload_b


def test_domain_events_are_counted() -> None:
    assert of({}, {"events": 3}).events == [CountChange("looked", 1, 3)]


def test_another_plan_shows_with_its_version() -> None:
    found = of({}, {"version": "2"})
    assert (found.plan.is_same, found.plan.version_a, found.plan.version_b) == (False, "1", "2")
    assert [each.name for each in found.manifest] == ["op_version"]


def test_who_answered_a_wait_shows() -> None:
    async def scenario() -> None:
        app, found = await two({"waits": True}, {"waits": True})
        assert found.is_same
        for run_id, who in ((A, ADA), (B, BOB)):
            await app.runs.control.signal(run_id, "last", "word", "yes", principal=who)
            await app.runs.resume(run_id)
        found = await difference(app)
        assert found.answers == [Change("last word", ADA.id, BOB.id)]
        assert lists(found) == {"answers"}

    run(scenario())


def test_a_fork_that_did_the_same_is_the_same_and_says_whose_it_is() -> None:
    async def scenario() -> None:
        app, _ = await two({"waits": True}, {"waits": True})
        await app.runs.control.signal(A, "last", "word", "yes", principal=ADA)
        await app.runs.resume(A)
        fork = await app.runs.fork(A, "last", plan=plan_of(waits=True))
        await app.runs.control.signal(fork.run_id, "last", "word", "yes", principal=ADA)
        await app.runs.resume(fork.run_id)
        found = await difference(app, A, fork.run_id)
        assert (found.is_same, lists(found)) == (True, set())
        assert (found.a.forked_from, found.b.forked_from) == (None, A)

    run(scenario())


@pytest.mark.parametrize(
    ("name", "content", "shown"),
    [
        ("a", None, None),
        ("a", b'"text"', '"text"'),
        ("password", b'"correct horse 17"', HIDDEN),
        ("input_params.password", b'"correct horse 17"', HIDDEN),
        ("a", b'{"password":"correct horse 17"}', HIDDEN),
    ],
)
def test_what_looks_like_a_secret_is_not_shown(name: str, content: bytes | None, shown: str | None) -> None:
    assert shown_value(name, content) == shown


def test_a_long_value_is_cut_and_its_size_is_told() -> None:
    text = shown_value("a", b'"' + b"x" * 1000 + b'"')
    assert text is not None
    assert text.endswith("… (1002 bytes)")
    assert len(text) < VALUE_CHARACTERS_MAX + 20


def test_a_run_that_is_not_there_is_not_compared() -> None:
    async def scenario() -> None:
        with pytest.raises(InterlockError) as caught:
            await difference(memory_app())
        assert caught.value.code == "run_not_found"

    run(scenario())
