"""Where expressions are evaluated: whoever else needs threads has them, however many expressions wait."""

from __future__ import annotations

import asyncio
import threading

import pytest

from interlock.base.canonical import Json
from interlock.engine.document import evaluate
from interlock.engine.document.expressions import Evaluation, ExpressionTransport
from interlock.engine.io.transports.cel_worker import Data, Worker
from interlock.engine.io.transports.port import TransportContext

CONTEXT = TransportContext("01890a5d-ac96-774b-bcce-b302099a8057", "a.b.main", 0)
ORDER: Json = {"kind": "render_v1", "step": "a", "field": "with", "template": "${{ 1 + 1 }}", "data": {}}


class Held(Worker):
    """A worker that evaluates once it may, and notes on which thread."""

    def __init__(self) -> None:
        super().__init__()
        self.may = threading.Event()
        self.threads: list[str] = []

    def evaluated(self, source: str, data: Data) -> Json:
        self.threads.append(threading.current_thread().name)
        assert self.may.wait(60)
        return super().evaluated(source, data)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Held:
    found = Held()
    monkeypatch.setattr(evaluate, "WORKER", found)
    return found


def test_expressions_that_wait_take_no_thread_from_others(worker: Held) -> None:
    """The threads of the loop read and write artifacts; with more expressions than threads they have to be free."""

    async def main() -> None:
        transport = ExpressionTransport()
        calls = [asyncio.create_task(transport.call(ORDER, CONTEXT)) for _ in range(100)]
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            assert await asyncio.to_thread(int) == 0
        worker.may.set()
        assert [answer["value"] for answer in await asyncio.gather(*calls) if isinstance(answer, dict)] == [2] * 100
        await transport.close()

    asyncio.run(main())
    assert set(worker.threads) == {"interlock-expressions_0"}
    worker.close()


def test_what_waits_when_the_application_closes_is_begun_no_more(worker: Held) -> None:
    async def main() -> None:
        transport = ExpressionTransport()
        calls = [asyncio.create_task(transport.call(ORDER, CONTEXT)) for _ in range(10)]
        while not worker.threads:
            await asyncio.sleep(0.001)
        await transport.close()
        worker.may.set()
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert [isinstance(each, asyncio.CancelledError) for each in answers] == [False] + [True] * 9

    asyncio.run(main())
    worker.close()


def test_in_place_an_expression_is_evaluated_by_who_asks(worker: Held) -> None:
    worker.may.set()

    answer = asyncio.run(ExpressionTransport(Evaluation(in_place=True)).call(ORDER, CONTEXT))

    assert isinstance(answer, dict)
    assert (answer["value"], worker.threads) == (2, [threading.current_thread().name])
    worker.close()
