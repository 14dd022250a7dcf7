"""The application in memory on virtual time: it runs whatever the product runs, documents with expressions too."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from interlock.testing.app import dump, memory_app
from interlock.testing.loop import run

RUN = "11111111-1111-4111-8111-111111111111"
DOCUMENT = """
pipeline: virtual
version: "1"
input: {n: 20}
steps:
  - {name: ask, handler: wait, with: {timeout: 2h, default: {n: "${{ input.n + 1 }}"}}}
  - name: tell
    handler: wait
    needs: [ask]
    skip_when: steps.ask.output.n > 100
    with: {timeout: 1h, default: "${{ steps.ask.output.n * 2 }}"}
"""


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_a_document_with_expressions_runs_and_is_replayed_on_virtual_time(tmp_path: Path, seed: int | None) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(DOCUMENT)

    async def lived() -> list[tuple[str, bytes]]:
        app = memory_app()
        plan = app.runs.plans.load(str(path))
        await app.runs.start(plan, run_id=RUN)
        for _ in range(2):
            await asyncio.sleep(7_200)
            await app.runs.worker.work(until_idle=True)
        assert (await app.runs.read.result(RUN)).phase == "completed"
        assert await app.runs.read.output(RUN, "tell") == 42
        assert (await app.runs.replay(RUN)).identical
        return await dump(app.store)

    assert run(lived(), seed=seed) == run(lived(), seed=seed)
