"""Hostile plan documents (docs/threats.md): bombs, paths that lead away, expressions that explode, secrets."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from interlock.base.canonical import Json
from interlock.base.errors import InterlockError
from interlock.engine.document import cel, evaluate
from interlock.engine.document.evaluate import EvaluationFault, Renderer
from interlock.engine.document.expressions import ExpressionTransport
from interlock.engine.document.lint import Linted, Linter
from interlock.engine.io.transports import cel_worker
from interlock.engine.io.transports.cel_worker import Data, Worker
from interlock.engine.io.transports.exec import ExecSettings, ExecTransport
from interlock.engine.io.transports.port import TransportContext
from interlock.engine.io.transports.python import PythonFunctions, PythonTransport
from interlock.engine.io.transports.requests import local_secret
from interlock.engine.part import PART
from interlock.engine.steps.call import StepHandlers

SECONDS_MAX = 5.0
CONTEXT = TransportContext("01890a5d-ac96-774b-bcce-b302099a8057", "a.b.main", 0, local_plan=False)
LINTER = Linter(StepHandlers(PART.steps))
LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(20)
)
BOMBS = {
    "aliases": LAUGHS,
    "itself": "a: &a\n  b: *a\n",
    "brackets": "[" * 100_000,
    "braces": "{" * 100_000,
    "dashes": "- " * 100_000,
    "keys": "? " * 50_000,
    "quotes": '"' + "\\x41" * 60_000,
    "block": "a: |\n" + " x\n" * 60_000,
    "colons": "a:" * 100_000,
    "comments": "#\n" * 120_000,
    "digits": "a: " + "9" * 200_000,
    "tags": "!<tag:yaml.org,2002:python/object/apply:os.system> [true]\n",
    "directives": "%TAG ! tag:x,2000:\n" * 10_000,
    "anchors": "".join(f"a{n}: &b{n} 1\n" for n in range(9_000)),
    "json": '{"a":' * 100_000,
    "unclosed": "pipeline: '" + "x\n" * 100_000,
}


def lint(text: str, name: str = "x.yaml") -> Linted:
    begun = time.monotonic()
    linted = LINTER.content(text.encode(), name)
    assert time.monotonic() - begun < SECONDS_MAX
    return linted


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_a_finding_in_a_moment(name: str) -> None:
    linted = lint(BOMBS[name], "x.json" if name == "json" else "x.yaml")

    assert linted.document is None
    assert linted.findings


@pytest.mark.parametrize(
    "path", ["../outside.yaml", "/etc/passwd", "below/../../outside.yaml", "link.yaml", "folder/outside.yaml"]
)
def test_a_child_stands_below_its_parent_whatever_leads_to_it(tmp_path: Path, path: str) -> None:
    here = tmp_path / "here"
    (here / "below").mkdir(parents=True)
    outside = tmp_path / "outside.yaml"
    outside.write_text('pipeline: x\nversion: "1"\nsteps:\n  - {name: a, handler: wait}\n')
    (here / "link.yaml").symlink_to(outside)
    (here / "folder").symlink_to(tmp_path)
    parent = here / "parent.yaml"
    parent.write_text(
        f'pipeline: p\nversion: "1"\nsteps:\n  - {{name: a, handler: child, with: {{document: {path}}}}}\n'
    )

    assert {each.rule for each in LINTER.file(parent).findings} == {"child_path"}
    if path.startswith("/"):
        return
    assert Linter(StepHandlers(PART.steps), anywhere=True).file(parent).document is not None


NESTED = "1"
for _number in range(7):
    NESTED = f"[0,1,2,3,4,5,6,7,8,9].map(x{_number}, {NESTED})"
EXPLOSIONS = {
    "nested": NESTED,
    "squared": "input.list.map(x, input.list.map(y, input.list))",
    "doubled": "[1,2,3,4,5,6,7,8,9].map(a, input.text + input.text)" + " + [input.text + input.text]" * 40,
    "deep": "(" * 900 + "1" + ")" * 900,
    "long": "+".join(["1"] * 900),
    "lists": "[" * 500 + "]" * 500,
    "pattern": "input.text.matches('(a+)+$')",
    "chain": "[input.text]" + ".map(a,a+a)" * 26,
    "chain of lists": "[input.text]" + ".map(a,[a,a])" * 26,
    "chain of mappings": "[input.text]" + ".map(a,{'x':a,'y':a})" * 22,
    "chain of choices": "[input.text]" + ".map(a,true?a+a:a)" * 26,
    "chain behind a filter": "[input.text].filter(a,true)" + ".map(a,a+a)" * 26 + ".size()",
    "chain of texts": "[input.text]" + ".map(a,string(a+a))" * 26,
    "comment": "input.list.//\nmap(x, input.text+input.text).size()",
    "comment with a quote": "input.list.// '\nmap(x, input.text+input.text)//'\n.size()",
    "comment before the call": "input.list.map//\n(x, input.text+input.text).size()",
    "comment in a text": "['//'].map(y, input.list.map(x, input.text+input.text)).size()",
    "sums in an element": "input.list.map(x, [input.text+input.text, input.text+input.text]).size()",
    "looks": "input.list.all(x, !input.text.contains('b' + input.text))",
}
GROWING = tuple(name for name in EXPLOSIONS if "chain" in name or "comment" in name or name in {"squared", "looks"})


@pytest.mark.parametrize("name", EXPLOSIONS)
def test_an_expression_that_explodes_is_stopped_in_a_moment(name: str) -> None:
    data: dict[str, Json] = {"input": {"list": list(range(5_000)), "text": "a" * 100_000 + "b"}, "steps": {}}
    begun = time.monotonic()
    try:
        Renderer(data).expression(EXPLOSIONS[name], "with")
    except EvaluationFault as fault:
        assert "aaaa" not in str(fault)
    assert time.monotonic() - begun < SECONDS_MAX


@pytest.mark.parametrize("name", GROWING)
def test_an_expression_that_grows_is_refused_before_it_is_evaluated(name: str) -> None:
    data: dict[str, Json] = {"input": {"list": list(range(5_000)), "text": "a" * 100_000 + "b"}, "steps": {}}

    with pytest.raises(EvaluationFault) as refused:
        Renderer(data).expression(EXPLOSIONS[name], "with")

    assert refused.value.reason in {cel.TOO_LARGE, cel.TOO_LARGE_ALWAYS}


def test_an_expression_that_grows_on_any_data_is_a_finding() -> None:
    expression = EXPLOSIONS["chain"].replace("input.text", "input.s")
    text = (
        'pipeline: x\nversion: "1"\ninput: {s: a}\nsteps:\n  - {name: a, handler: exec, '
        f'side_effects: read_only_io, with: {{argv: [echo, "${{{{ {expression} }}}}"]}}}}\n'
    )

    assert [each.rule for each in lint(text).findings] == ["expression_invalid"]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("input.list.filter(x, x > 2500).map(x, x * 2).size()", 2499),
        ("input.list.map(x, string(x)).exists(y, y == '4')", True),
        ("input.list.all(x, x < 5000) && input.text.contains('b')", True),
        ("input.text + input.text + string(size(input.list))", "a" * 10_000 + "b" + "a" * 10_000 + "b5000"),
        ("input.items.map(i, {'name': i.name, 'text': input.text}).size()", 500),
    ],
)
def test_what_people_write_is_within_the_bound(expression: str, value: Json) -> None:
    items: list[Json] = [{"name": f"n{number}", "tags": ["x"] * 20} for number in range(500)]
    data: dict[str, Json] = {"input": {"list": list(range(5_000)), "text": "a" * 10_000 + "b", "items": items}}

    assert Renderer(data).expression(expression, "with").value == value


def test_what_needs_too_much_memory_ends_its_own_process_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker()
    monkeypatch.setattr(cel_worker, "MEMORY_BYTES_MAX", 32 * 1024 * 1024)
    data = Data({"input": {"list": list(range(300)), "text": "a" * 100_000}})

    with pytest.raises(cel.CelFault, match="too much memory or time"):
        worker.evaluated("input.list.map(x, input.text + input.text)", data)
    assert worker.evaluated("1 + 1", data) == 2
    assert worker.started == 2
    worker.close()


def test_what_takes_too_much_time_is_ended_by_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker()
    monkeypatch.setattr(cel_worker, "CPU_SECONDS_MAX", 0.02)
    data = Data({"input": {"list": list(range(6_000))}})

    with pytest.raises(cel.CelFault, match="too much memory or time"):
        worker.evaluated("input.list.filter(x, x > 1).map(x, x).filter(x, x > 2)", data)
    worker.close()


def test_a_process_that_somebody_ended_is_replaced() -> None:
    worker = Worker()
    data = Data({"input": {"a": 20}})
    assert worker.evaluated("input.a + 1", data) == 21
    assert worker.process_id is not None
    os.kill(worker.process_id, signal.SIGKILL)
    os.waitid(os.P_PID, worker.process_id, os.WEXITED | os.WNOWAIT)

    assert worker.evaluated("input.a + 2", data) == 22
    assert worker.started == 2
    worker.close()


class Killed(Worker):
    """A worker whose process somebody ends when it is asked for a value, so many times."""

    def __init__(self, times: int, sign: signal.Signals = signal.SIGKILL) -> None:
        super().__init__()
        self.times = times
        self.sign = sign

    def _asked(self, kind: bytes, content: bytes, seconds_max: float) -> tuple[bytes, bytes]:
        if kind == b"E" and self.times and self.process_id is not None:
            self.times -= 1
            os.kill(self.process_id, self.sign)
            os.waitid(os.P_PID, self.process_id, os.WEXITED | os.WNOWAIT)
        return super()._asked(kind, content, seconds_max)


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_an_evaluation_that_somebody_ended_is_tried_once_more(sign: signal.Signals) -> None:
    worker = Killed(1, sign)

    assert worker.evaluated("input.a + 1", Data({"input": {"a": 20}})) == 21
    assert worker.started == 2
    worker.close()


def test_an_evaluation_that_is_ended_again_and_again_is_trouble_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Killed(2)
    monkeypatch.setattr(evaluate, "WORKER", worker)
    order: Json = {"kind": "render_v1", "step": "a", "field": "with", "template": "1 + 1", "data": {}, "bare": True}

    async def main() -> None:
        transport = ExpressionTransport()
        with pytest.raises(InterlockError) as fault:
            await transport.call(order, CONTEXT)
        assert (fault.value.code, fault.value.retryable) == ("expression_unavailable", True)
        answer = await transport.call(order, CONTEXT)
        assert isinstance(answer, dict)
        assert answer["value"] == 2
        await transport.close()

    asyncio.run(main())
    assert worker.started == 3
    worker.close()


def test_a_process_that_cannot_be_started_is_trouble_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", "/nonexistent")
        with pytest.raises(cel.CelTroubleError, match="cannot be started"):
            worker.evaluated("1 + 1", Data({}))

    assert worker.evaluated("1 + 1", Data({})) == 2
    worker.close()


def test_data_for_which_there_is_no_memory_is_at_fault_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker()
    monkeypatch.setattr(cel_worker, "MEMORY_BYTES_MAX", 16 * 1024 * 1024)

    with pytest.raises(cel.CelFault, match="its data takes too much memory"):
        worker.evaluated("1 + 1", Data({"input": {"list": ["a" * 100_000] * 400}}))
    worker.close()


def test_one_process_serves_all_threads_and_all_data() -> None:
    worker = Worker()

    def computed(number: int) -> Json:
        return worker.evaluated("input.a + 1", Data({"input": {"a": number}}))

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(computed, range(200))) == list(range(1, 201))
    assert worker.started == 1
    worker.close()


@pytest.mark.parametrize(
    "expression", ["now()", "env('HOME')", "getenv('HOME')", "__import__('os')", "input.__class__"]
)
def test_an_expression_reaches_nothing_outside(expression: str) -> None:
    with pytest.raises(EvaluationFault):
        Renderer({"input": {}, "steps": {}}).expression(expression, "with")


def test_an_expression_in_data_is_never_evaluated() -> None:
    data: dict[str, Json] = {"input": {"text": "${{ input.other }}", "other": "no"}, "steps": {}}

    found = Renderer(data).rendered({"a": "<${{ input.text }}>", "b": "${{ input.text }}"}, "with")

    assert found.value == {"a": "<${{ input.other }}>", "b": "${{ input.other }}"}


def test_cel_is_not_loaded_and_no_process_started_for_paths() -> None:
    code = """
import sys
from interlock.engine.document.evaluate import Renderer
from interlock.engine.io.transports.cel_worker import WORKER
Renderer({"input": {"a": 1}}).rendered({"b": "${{ input.a }}", "c": "<${{ input.a }}>"}, "with")
assert WORKER.started == 0 and "cel_expr_python" not in sys.modules
Renderer({"input": {"a": 1}}).rendered("${{ input.a + 1 }}", "with")
assert WORKER.started == 1 and "cel_expr_python" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "secret",
    [
        "authorization: Bearer Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MGFiY2Rl",
        "x-note: " + "ghp" + "_" + "a1B2c3D4e5F6" * 3,
        "password: correct-horse-1",
    ],
)
def test_a_document_that_holds_a_secret_is_refused_without_repeating_it(secret: str) -> None:
    text = f"""
pipeline: x
version: "1"
steps:
  - name: a
    handler: http
    with:
      url: http://example.org
      headers:
        {secret}
"""

    linted = lint(text)

    assert linted.document is None
    assert [each.rule for each in linted.findings] == ["secret_in_document"]
    assert secret.split(": ")[1] not in str(linted.findings)


def test_a_plan_from_elsewhere_names_no_program_and_no_module() -> None:
    programs = ExecTransport(ExecSettings(), local_secret)
    functions = PythonTransport(PythonFunctions({}))

    with pytest.raises(InterlockError, match="exec_program_not_allowed"):
        asyncio.run(programs.call({"kind": "run_named_program_v1", "program_path": "sh"}, CONTEXT))
    with pytest.raises(InterlockError, match="python_function_refused"):
        asyncio.run(functions.call({"kind": "call_function_v1", "function": "os:getcwd"}, CONTEXT))
