"""The steps `http`, `python`, `wait` and `child`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from interlock import App
from interlock.base.principal import local_principal
from interlock.engine import events as e
from interlock.parts import installed_parts, sections_of
from interlock.settings import load
from tests.unit.engine.document.documents import Lived, live, lived, run_document, written

ADA = local_principal("ada")


class _Echo(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer(b'{"path": "%s"}' % self.path.encode())

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["content-length"]))
        key = (self.headers.get("idempotency-key") or "").encode()
        self._answer(b'{"got": %s, "key": "%s"}' % (content, key))

    def _answer(self, content: bytes) -> None:
        self.send_response(404 if self.path == "/none" else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the base class
        pass


@pytest.fixture
def server() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def run_with_network(folder: Path, text: str) -> Lived:
    async def main() -> Lived:
        arguments = {"http": {"allow_private_networks": True}}
        settings = load(sections_of(installed_parts()), arguments=arguments, environ={}, folder=folder)
        async with App.open(folder / "store.db", settings=settings) as app:
            return await live(app, written(folder, text))

    return asyncio.run(main())


def test_http_reads_and_writes(tmp_path: Path, server: str) -> None:
    text = f"""
        pipeline: calls
        version: "1"
        input: {{base: "{server}"}}
        steps:
          - name: look
            handler: http
            with: {{url: "${{{{ input.base }}}}/a"}}
          - name: tell
            handler: http
            needs: [look]
            side_effects: apply_side_effect
            idempotency_key: tell-1
            with: {{url: "{server}/b", method: POST, json: {{seen: "${{{{ steps.look.output.json.path }}}}"}}}}
    """

    done = run_with_network(tmp_path, text)

    assert done.values["look"]["json"] == {"path": "/a"}
    assert done.values["tell"]["json"] == {"got": {"seen": "/a"}, "key": "tell-1"}


def test_http_that_is_refused_fails_the_step(tmp_path: Path, server: str) -> None:
    text = f"""
        pipeline: calls
        version: "1"
        steps:
          - {{name: look, handler: http, with: {{url: "{server}/none"}}}}
    """

    done = run_with_network(tmp_path, text)

    assert done.result.error is not None
    assert done.result.error.code.startswith("http_")


def python(function: str) -> str:
    return f"""
        pipeline: calls
        version: "1"
        steps:
          - {{name: only, handler: python, with: {{function: "{function}", input: [3, 4]}}}}
    """


def test_python_calls_a_function_beside_the_document(tmp_path: Path) -> None:
    (tmp_path / "functions_of_a_step.py").write_text(
        "class Deep:\n    @staticmethod\n    def total(numbers):\n        return sum(numbers)\n"
    )

    assert run_document(tmp_path, python("functions_of_a_step:Deep.total")).values["only"] == 7


def test_python_calls_a_function_that_the_application_registers(tmp_path: Path) -> None:
    async def main() -> Lived:
        async with App.open(tmp_path / "store.db", functions={"total": sum}) as app:
            return await live(app, written(tmp_path, python("total")))

    assert asyncio.run(main()).values["only"] == 7


@pytest.mark.parametrize(
    ("function", "code"),
    [
        ("no_such_module_here:x", "python_import_failed"),
        ("json:no_such_name", "python_import_failed"),
        ("json:__name__", "python_import_failed"),
        ("unregistered", "python_function_unknown"),
    ],
)
def test_a_function_that_is_not_there_is_named(tmp_path: Path, function: str, code: str) -> None:
    error = run_document(tmp_path, python(function)).result.error

    assert error is not None
    assert error.code == code


WAITING = """
    pipeline: waiting
    version: "1"
    steps:
      - name: ask
        handler: wait
        with: {signal: approve, schema: {type: object, required: [ok]}, timeout: TIME, default: {ok: false}}
      - name: say
        handler: exec
        side_effects: read_only_io
        needs: [ask]
        with: {argv: [echo, "${{ steps.ask.output.ok ? 'yes' : 'no' }}"]}
"""


def test_a_wait_is_answered_from_outside(tmp_path: Path) -> None:
    async def main() -> Lived:
        async with App.open(tmp_path / "store.db") as app:
            waiting = await live(app, written(tmp_path, WAITING.replace("TIME", "2h")))
            assert waiting.result.waiting is not None
            await app.runs.control.signal(waiting.result.run_id, "ask", "approve", {"ok": True}, principal=ADA)
            return await lived(app, await app.runs.resume(waiting.result.run_id))

    assert asyncio.run(main()).values["say"]["stdout"] == "yes\n"


def test_a_wait_ends_with_its_default(tmp_path: Path) -> None:
    async def main() -> Lived:
        async with App.open(tmp_path / "store.db") as app:
            result = (await live(app, written(tmp_path, WAITING.replace("TIME", "300ms")))).result
            while result.phase == "running":
                result = await app.runs.resume(result.run_id)
            return await lived(app, result)

    assert asyncio.run(main()).values["say"]["stdout"] == "no\n"


PARENT = """
    pipeline: parent
    version: "1"
    input: {who: Ada}
    steps:
      - name: sub
        handler: child
        with: {document: below/child.yaml, input: {whom: "${{ input.who }}"}, outputs: [greet] FAILURE}
      - name: say
        handler: exec
        side_effects: read_only_io
        needs: [sub]
        with: {argv: [echo, "${{ steps.sub.output.status }}: ${{ steps.sub.output.outputs.greet }}"]}
"""
CHILD = """
    pipeline: child
    version: "1"
    input: {whom: x}
    steps:
      - name: greet
        handler: exec
        side_effects: read_only_io
        with: {argv: [sh, -c, "basename $PWD; echo ${{ input.whom }}; exit CODE"]}
        outputs: {text: "${{ output.stdout }}"}
"""


def family(folder: Path, code: str = "0", failure: str = "") -> Lived:
    written(folder, CHILD.replace("CODE", code), "below/child.yaml")

    async def main() -> Lived:
        async with App.open(folder / "store.db") as app:
            done = await live(app, written(folder, PARENT.replace("FAILURE", failure)))
            for event in done.events:
                if isinstance(event.record, e.ChildRunSpawned):
                    assert (await app.runs.replay(event.record.child_run_id)).divergence is None
            return done

    return asyncio.run(main())


def test_a_child_document_runs_in_its_own_folder_and_gives_outputs(tmp_path: Path) -> None:
    done = family(tmp_path)

    assert done.values["sub"]["outputs"] == {"greet": {"text": "below\nAda\n"}}
    assert done.values["say"]["stdout"] == 'completed: {"text":"below\\nAda\\n"}\n'


def test_a_child_that_fails_fails_its_step(tmp_path: Path) -> None:
    error = family(tmp_path, "1").result.error

    assert error is not None
    assert error.code == "child_not_completed"
    assert "below/child.yaml" in error.message


def test_a_child_that_fails_is_an_answer_where_that_is_asked_for(tmp_path: Path) -> None:
    assert family(tmp_path, "1", ", failure: keep").values["say"]["stdout"] == "failed: \n"


def test_a_run_that_waits_for_its_child_goes_on_without_any_file(tmp_path: Path) -> None:
    async def main() -> Lived:
        written(tmp_path, CHILD.replace("CODE", "0").replace("handler: exec", "handler: wait"), "unused.yaml")
        child = """
            pipeline: child
            version: "1"
            input: {whom: x}
            steps:
              - {name: greet, handler: wait, with: {signal: go}}
              - name: after
                handler: exec
                side_effects: read_only_io
                needs: [greet]
                with: {argv: [echo, "${{ input.whom }}"]}
        """
        below = written(tmp_path, child, "below/child.yaml")
        parent = written(tmp_path, PARENT.replace("FAILURE", ""))
        async with App.open(tmp_path / "store.db") as app:
            started = await live(app, parent)
            [kid] = (await app.runs.read.state(started.result.run_id)).children
        below.unlink()
        parent.unlink()
        async with App.open(tmp_path / "store.db") as app:  # another process
            await app.runs.control.signal(kid, "greet", "go", "well", principal=ADA)
            assert (await app.runs.resume(kid)).phase == "completed"
            return await lived(app, await app.runs.resume(started.result.run_id))

    assert asyncio.run(main()).values["say"]["stdout"] == "completed: well\n"
