"""Documents that run: steps with real programs, expressions, skipping, outputs, and what a run records of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from interlock import App
from interlock.base.errors import InterlockError
from interlock.engine import events as e
from interlock.engine.document import cel
from interlock.engine.document.compiled import read_compiled
from interlock.engine.document.source import document_path
from interlock.engine.io.transports.cel_worker import WORKER
from interlock.engine.plan import read_outline
from interlock.engine.sources import Plans
from interlock.testing.app import read_run
from tests.unit.engine.document.documents import Lived, live, lived, run_document, written

HELLO = """
    pipeline: hello
    version: "1"
    input: {who: Ada, times: 2}
    steps:
      - name: greet
        handler: exec
        side_effects: read_only_io
        with: {argv: [echo, "Hello, ${{ input.who }}"]}
      - name: count
        handler: exec
        side_effects: read_only_io
        needs: [greet]
        with: {argv: [echo, '{"n": ${{ input.times * 21 }}, "after": "${{ steps.greet.output.exit_code }}"}']}
"""


def one_step(body: str, *, given: str = "{}", more: str = "") -> str:
    return f"pipeline: one\nversion: '1'\ninput: {given}\nsteps:\n{more}  - name: only\n{body}"


def failing(lived: Lived) -> tuple[str, str]:
    error = lived.result.error
    assert error is not None
    return error.code, error.message


def test_a_document_runs_with_the_input_that_it_declares(tmp_path: Path) -> None:
    done = run_document(tmp_path, HELLO, {"who": "Bob"})

    assert done.result.phase == "completed"
    assert done.values["greet"] == {"exit_code": 0, "stdout": "Hello, Bob\n", "stderr": "", "json": None}
    assert done.values["count"]["json"] == {"n": 42, "after": "0"}
    assert (done.values["who"], done.values["times"]) == ("Bob", 2)


def test_the_states_of_a_document_are_named_after_it(tmp_path: Path) -> None:
    done = run_document(tmp_path, HELLO)

    entered = [event.record.state_id for event in done.events if isinstance(event.record, e.StateEntered)]
    assert entered == ["hello.greet.main", "hello.count.main"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"whom": "Bob"}, "no input whom; did you mean who?"),
        ({"times": "many"}, "times is not a number"),
        ({"who": 3}, "who is not a text"),
    ],
)
def test_an_input_that_the_document_does_not_take_is_refused(
    tmp_path: Path, given: dict[str, Any], expected: str
) -> None:
    with pytest.raises(InterlockError, match="run_input_invalid") as refused:
        run_document(tmp_path, HELLO, given)

    assert expected in refused.value.message


def test_a_text_for_an_input_of_another_kind_is_read(tmp_path: Path) -> None:
    assert run_document(tmp_path, HELLO, {"times": "3"}).values["times"] == 3


def test_a_value_that_is_one_expression_keeps_its_type(tmp_path: Path) -> None:
    body = """    handler: python
    with: {function: "kinds:same", input: {whole: "${{ input.list }}", text: "<${{ input.list }}>", not: "$${{ x }}"}}
"""
    (tmp_path / "kinds.py").write_text("def same(value):\n    return value\n")

    done = run_document(tmp_path, one_step(body, given="{list: [1, {a: null}]}"))

    assert done.values["only"] == {"whole": [1, {"a": None}], "text": '<[1,{"a":null}]>', "not": "${{ x }}"}


def test_what_steers_a_run_is_recorded_with_its_engine(tmp_path: Path) -> None:
    done = run_document(tmp_path, HELLO)

    async def answers() -> list[dict[str, Any]]:
        async with App.open(tmp_path / "store.db") as app:
            facts = [each.record for each in done.events if isinstance(each.record, e.FactRecorded)]
            ids = [fact.payload_id for fact in facts if fact.key.startswith("expression:")]
            import msgspec

            return [msgspec.json.decode(each) for each in await app.store.artifacts.get(ids)]

    by_path, by_cel = asyncio.run(answers())
    assert (by_path["engine"], by_path["version"]) == ("path", "1")
    assert (by_cel["engine"], by_cel["version"]) == ("cel-expr-python", cel.version())
    assert by_cel["value"]["argv"][1] == '{"n": 42, "after": "0"}'


def test_a_replay_needs_neither_cel_nor_the_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run_document(tmp_path, HELLO)
    (tmp_path / "plan.yaml").unlink()

    def none(*_given: object) -> None:
        raise AssertionError("CEL was asked")

    monkeypatch.setattr(WORKER, "evaluated", none)
    monkeypatch.setattr(cel, "compiled", none)

    async def main() -> None:
        async with App.open(tmp_path / "store.db") as app:
            report = await app.runs.replay(done.result.run_id)
            assert report.identical
            assert report.compared == 2

    asyncio.run(main())


def test_the_document_is_kept_with_the_run_and_names_no_path(tmp_path: Path) -> None:
    done = run_document(tmp_path, HELLO)

    async def main() -> bytes:
        async with App.open(tmp_path / "store.db") as app:
            state = await app.runs.read.state(done.result.run_id)
            assert document_path(state.plan_source) == str(tmp_path / "plan.yaml")
            [content] = await app.store.artifacts.get([state.fingerprint])
            return content

    content = asyncio.run(main())
    document = read_outline(content).document
    assert read_compiled(bytes(document)).pipeline == "hello"
    assert str(tmp_path).encode() not in content


def test_two_documents_of_one_name_and_version_run_side_by_side(tmp_path: Path) -> None:
    ask = "    handler: wait\n"

    async def main() -> list[dict[str, Any]]:
        async with App.open(tmp_path / "store.db") as app:
            runs = []
            for word in ("one", "two"):
                body = f"""  - name: say
    handler: exec
    side_effects: read_only_io
    needs: [only]
    with: {{argv: [echo, {word}]}}
"""
                path = written(tmp_path, one_step(ask) + body, f"{word}.yaml")
                plan = app.runs.plans.load(str(path))
                runs.append((await app.runs.start(plan, source=str(path))).run_id)
            for run_id in runs:
                await app.runs.control.signal(run_id, "only", "answer", 1, principal=_ada())
                await app.runs.resume(run_id)
            return [(await app.runs.read.context(run_id))["say"] for run_id in runs]

    assert [each["stdout"] for each in asyncio.run(main())] == ["one\n", "two\n"]


def _ada() -> Any:
    from interlock.base.principal import local_principal

    return local_principal("ada")


def test_a_step_is_skipped_where_its_condition_is_true(tmp_path: Path) -> None:
    text = """
        pipeline: skipping
        version: "1"
        input: {fast: true, level: 3}
        steps:
          - {name: slow, handler: exec, side_effects: read_only_io, skip_when: input.fast, with: {argv: [echo, no]}}
          - name: after
            handler: exec
            side_effects: read_only_io
            needs: [slow]
            skip_when: steps.slow.output != null || input.level > 5
            with: {argv: [echo, "${{ steps.slow.output == null ? 'skipped' : 'ran' }}"]}
    """

    done = run_document(tmp_path, text)

    assert "slow" not in done.values
    assert done.values["after"]["stdout"] == "skipped\n"
    assert done.emitted("step_skipped") == [{"step": "slow", "skip_when": "input.fast"}]


def test_a_condition_that_is_no_boolean_fails_and_says_where(tmp_path: Path) -> None:
    body = "    handler: wait\n    skip_when: input.n\n"

    code, message = failing(run_document(tmp_path, one_step(body, given="{n: null}"), {"n": 3}))

    assert code == "skip_when_invalid"
    assert "only" in message


def test_outputs_are_all_that_later_steps_see(tmp_path: Path) -> None:
    text = """
        pipeline: outputs
        version: "1"
        input: {unit: s}
        steps:
          - name: measure
            handler: exec
            side_effects: read_only_io
            with: {argv: [echo, '{"took": 21}']}
            outputs: {took: "${{ output.json.took * 2 }}", text: "${{ output.json.took }}${{ input.unit }}", n: 1}
          - name: say
            handler: exec
            side_effects: read_only_io
            needs: [measure]
            with: {argv: [echo, "${{ steps.measure.output.text }}"]}
    """

    done = run_document(tmp_path, text)

    assert done.values["measure"] == {"took": 42, "text": "21s", "n": 1}
    assert done.values["say"]["stdout"] == "21s\n"


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("input.m.x.y", "there is no x in it"),
        ("input.n / 0", "divide by zero"),
        ("input.m.x + 1", "Key not found"),
        ("timestamp('2026-01-01T00:00:00Z')", "not JSON"),
        ("[1, 2][input.n]", "it has no value on this data"),
    ],
)
def test_an_expression_that_has_no_value_names_step_and_field_and_no_value(
    tmp_path: Path, expression: str, reason: str
) -> None:
    body = f"""    handler: exec
    side_effects: read_only_io
    with: {{argv: [echo, "${{{{ {expression} }}}}"]}}
"""

    done = run_document(tmp_path, one_step(body, given="{n: 7411, m: {}}"))

    code, message = failing(done)
    assert code == "expression_failed"
    assert "step only, with.argv[1]" in message
    assert reason in message
    assert "7411" not in message


def test_a_value_of_another_form_names_its_place(tmp_path: Path) -> None:
    body = """    handler: exec
    side_effects: read_only_io
    with: {argv: [echo, "${{ input.n }}"]}
"""

    code, message = failing(run_document(tmp_path, one_step(body, given="{n: 3}")))

    assert code == "step_parameters_invalid"
    assert "with.argv[" in message


def test_steps_that_do_not_need_each_other_may_run_at_once(tmp_path: Path) -> None:
    from interlock.engine.config import FanOutJoin, RunConfig

    text = """
        pipeline: wide
        version: "1"
        steps:
          - {name: a, handler: exec, side_effects: read_only_io, with: {argv: [echo, a]}}
          - {name: b, handler: exec, side_effects: read_only_io, with: {argv: [echo, b]}}
          - name: c
            handler: exec
            side_effects: read_only_io
            needs: [a, b]
            with: {argv: [echo, "${{ steps.a.output.stdout + steps.b.output.stdout }}"]}
    """

    done = run_document(tmp_path, text, config=RunConfig(execution_mode=FanOutJoin.of(4)))

    assert done.values["c"]["stdout"] == "a\nb\n\n"


def test_a_json_document_is_the_same_plan_as_a_yaml_document(tmp_path: Path) -> None:
    yaml = written(tmp_path, 'pipeline: x\nversion: "1"\nsteps:\n  - {name: a, handler: wait}\n')
    same = written(
        tmp_path, '{"pipeline":\t"x", "version": "1", "steps": [{"name": "a", "handler": "wait"}]}', "p.json"
    )
    other = written(tmp_path / "sub", yaml.read_text())
    plans = _plans()

    one, two, three = (plans.load(str(path)) for path in (yaml, same, other))

    assert one.fingerprint == two.fingerprint == three.fingerprint
    assert one.document is not None
    assert two.document is not None
    assert one.document.source != two.document.source


def _plans() -> Plans:
    from interlock.engine.part import PART
    from interlock.engine.steps.call import StepHandlers

    return Plans(StepHandlers(PART.steps))


def test_a_document_with_errors_is_refused_with_its_findings(tmp_path: Path) -> None:
    path = written(tmp_path, "pipeline: x\nversion: 1\nsteps: []\n")

    with pytest.raises(InterlockError, match="document_invalid") as refused:
        _plans().load(str(path))

    assert refused.value.details["errors"] == 2
    assert ":2:10: error[wrong_type]" in str(refused.value.details["findings"])


def test_a_step_is_tried_as_often_as_it_says(tmp_path: Path) -> None:
    body = """    handler: exec
    side_effects: read_only_io
    retry: {max_attempts: 3, backoff: {kind: fixed, delay_ms: 1}}
    with: {argv: [sh, -c, "echo x >> tried; test $(wc -l < tried) = 3"]}
"""

    done = run_document(tmp_path, one_step(body))

    assert done.result.phase == "completed"
    assert (tmp_path / "tried").read_text() == "x\nx\nx\n"


def test_a_step_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    body = """    handler: exec
    side_effects: read_only_io
    timeout: 200ms
    with: {argv: [sleep, "60"]}
"""

    assert failing(run_document(tmp_path, one_step(body)))[0] in {"exec_timeout", "state_timeout"}


def test_an_effect_has_the_key_that_is_rendered_once(tmp_path: Path) -> None:
    body = """    handler: exec
    side_effects: apply_side_effect
    idempotency_key: "release-${{ input.n }}"
    with: {argv: [sh, -c, "echo $INTERLOCK_IDEMPOTENCY_KEY"]}
"""

    done = run_document(tmp_path, one_step(body, given="{n: 7}"))

    assert done.values["only"]["stdout"] == "release-7\n"
    intents = [event.record for event in done.events if isinstance(event.record, e.EffectIntended)]
    assert [each.idempotency_key for each in intents] == ["release-7"]


def test_a_dry_run_applies_nothing(tmp_path: Path) -> None:
    from interlock.engine.config import RunConfig

    body = """    handler: exec
    side_effects: apply_side_effect
    idempotency_key: k
    with: {argv: [touch, done]}
"""

    done = run_document(tmp_path, one_step(body), config=RunConfig(skip_tags=("apply_side_effect",)))

    assert done.result.phase == "completed"
    assert not (tmp_path / "done").exists()


def test_a_run_goes_on_with_a_changed_document_where_it_is_migrated(tmp_path: Path) -> None:
    before = one_step("    handler: wait\n    with: {signal: go}\n")
    after = """  - name: say
    handler: exec
    side_effects: read_only_io
    needs: [only]
    with: {argv: [echo, "${{ steps.only.output }} ${{ input.more }}"]}
"""

    async def main() -> Lived:
        async with App.open(tmp_path / "store.db") as app:
            path = written(tmp_path, before)
            started = await app.runs.start(app.runs.plans.load(str(path)), source=str(path))
            changed = before.replace("version: '1'", "version: '2'").replace("input: {}", "input: {more: new}") + after
            plan = app.runs.plans.load(str(written(tmp_path, changed)))
            shown = await app.runs.migration(started.run_id, plan)
            await app.runs.control.migrate(
                started.run_id, plan, expect=shown.fingerprint, reason="more to say", source=str(path), principal=_ada()
            )
            path.unlink()
            await app.runs.control.signal(started.run_id, "only", "go", "well", principal=_ada())
        async with App.open(tmp_path / "store.db") as app:  # another process, without the file
            return await lived(app, await app.runs.resume(started.run_id))

    assert asyncio.run(main()).values["say"]["stdout"] == "well new\n"


def test_a_fork_of_a_document_inherits_what_completed(tmp_path: Path) -> None:
    async def main() -> list[str]:
        async with App.open(tmp_path / "store.db") as app:
            path = written(tmp_path, HELLO)
            done = await live(app, path)
            path.unlink()
            forked = await app.runs.fork(done.result.run_id, "count")
            assert forked.phase == "completed"
            events = await read_run(app, forked.run_id)
            assert "exec:hello.count.main" in Lived(done.result, {}, events).facts("exec:")
            return [each.step for each in forked.inherited]

    assert asyncio.run(main()) == ["greet"]
