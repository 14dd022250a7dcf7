"""What an answer says of what was made: its status, and a place that is there."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from interlock.base.part import Effect
from interlock.surfaces.http.examples import Examples
from interlock.surfaces.http.made import statuses_of
from interlock.surfaces.http.requests import parts_of
from interlock.surfaces.http.routes import Routes
from tests.surfaces.http.callers import SETTINGS
from tests.surfaces.http.serving import Asking, serving
from tests.surfaces.http.test_api import PLAN, over
from tests.surfaces.http.test_permissions import given_to
from tests.surfaces.mcp import conversation
from tests.unit.gates.control.test_verbs import document as scenario

RUN = "01890a5d-ac96-774b-bcce-b302099a8057"
SHOWN = {"run.start", "run.fork", "run.resume", "scenario.start", "shape.register", "subscription.add"}


def test_every_place_that_is_named_is_there(tmp_path: Path) -> None:
    (tmp_path / "ship.py").write_text(PLAN)
    plan = f"{tmp_path}/ship.py:plan"
    given: dict[str, dict[str, Any]] = {
        "run.start": {"plan": plan, "input": {"item": "a lamp"}, "run_id": RUN},
        "run.resume": {"run": RUN, "plan": plan},
        "run.fork": {"run": RUN, "from": "pack", "plan": plan, "again_all": True},
        "scenario.define": {"spec": json.loads(Path(scenario(tmp_path / "release.json")).read_text())},
        "scenario.start": {"scenario": "release", "run": "r 1/a", "namespace": 1},
        "shape.register": {"record": conversation.SHAPE_RECORD},
    }

    async def main() -> None:
        async with serving(tmp_path, SETTINGS) as asking:
            routes, examples = Routes(asking.app.catalogue), Examples(asking.app.catalogue)
            followed = set()
            for name in [*given, *(name for name in routes.by_name if name not in given)]:
                route = routes.by_name[name]
                if route.command.effect is Effect.READS:
                    continue
                parts = parts_of(route, given.get(name) or given_to(route.command, examples.of(route.command))[0])
                more: dict[str, Any] = {} if parts.body is None else {"json": parts.body}
                answer = await asking.ask(route.method, parts.path, **more)
                if answer.status_code < 300:
                    assert answer.status_code in statuses_of(route), name
                if name == "run.start":
                    await asking.app.runs.worker.work(partition="default", concurrency=2, until_idle=True)
                if "location" in answer.headers:
                    assert answer.status_code in {201, 202}
                    shown = await asking.ask("GET", answer.headers["location"])
                    assert shown.status_code == 200, (name, answer.headers["location"], shown.text)
                    followed.add(name)
            assert followed == SHOWN

    asyncio.run(main())


def test_created_is_said_only_of_what_was_made(tmp_path: Path) -> None:
    spec = json.loads(Path(scenario(tmp_path / "release.json")).read_text())
    made: list[tuple[str, dict[str, Any]]] = [
        ("subscriptions", {"name": "audit", "sink": "log"}),
        ("filters", {"name": "stuck", "state": "parked"}),
        ("scenario-specs", {"spec": spec}),
    ]

    async def check(asking: Asking) -> None:
        for path, body in made:
            first, again = [await asking.post(f"/api/v1/{path}", **body) for _ in range(2)]
            assert (first.status_code, again.status_code) == (201, 200), path
            assert "location" not in again.headers
        token = await asking.post("/api/v1/tokens", name="ci", role=["viewer"])
        assert (token.status_code, "location" in token.headers) == (201, False)

    over(tmp_path, check)
