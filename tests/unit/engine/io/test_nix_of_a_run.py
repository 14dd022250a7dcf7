"""Apps of Nix flakes inside of runs: the manifest of the run says which flakes it may resolve."""

from __future__ import annotations

import asyncio
from pathlib import Path

from interlock.app import App
from interlock.engine import events as e
from interlock.engine.authoring import Plan
from interlock.engine.config import RunConfig
from interlock.engine.io.live import LiveIo
from interlock.engine.io.surface import IoCall
from interlock.parts import PARTS, sections_of
from interlock.settings import Settings, load
from interlock.stores.memory import MemoryStore
from interlock.testing.app import read_run
from tests.unit.engine.io.transports.nix_stand_in import PROGRAM, StandIn

RUN_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
OURS = "github:acme/tools"


def plan_for(app: str) -> Plan:
    plan = Plan("tools")

    @plan.state
    async def where(io: LiveIo) -> str:
        request = {"kind": "resolve_flake_app_v1", "app": app}
        answer = await io.call(IoCall("nix.exec", request, fact_key="tools:where"))
        return str(answer.response["program_path"])

    return plan


def settings_for(stand_in: StandIn) -> Settings:
    arguments = {"nix": {"program": stand_in.program}}
    return load(sections_of(PARTS), arguments=arguments, environ={}, folder=stand_in.folder)


def phase_of(stand_in: StandIn, app: str, config: RunConfig | None) -> tuple[str, str | None]:
    """How a run ends that resolves an app, and the code of its failure."""

    async def scenario() -> tuple[str, str | None]:
        async with App.open(settings=settings_for(stand_in), parts=PARTS) as opened:
            result = await opened.runs.start(plan_for(app), run_id=RUN_ID, config=config)
            log = [event.record for event in await read_run(opened, RUN_ID)]
            failed = [record.error.info.code for record in log if isinstance(record, e.StateFailed)]
            return result.phase, failed[0] if failed else None

    return asyncio.run(scenario())


def test_a_run_resolves_what_its_manifest_allows(tmp_path: Path) -> None:
    config = RunConfig(nix_flake_allowlist=(OURS,))

    assert phase_of(StandIn(tmp_path), f"{OURS}#deploy", config) == ("completed", None)


def test_a_run_without_a_word_about_flakes_resolves_those_of_the_contract(tmp_path: Path) -> None:
    stand_in = StandIn(tmp_path)

    assert phase_of(stand_in, "github:willyrgf/mfm#x", None) == ("completed", None)
    assert phase_of(stand_in, "github:willyrgf/mfm-evil#x", None) == ("failed", "nix_app_not_allowed")
    assert phase_of(stand_in, f"{OURS}#deploy", None) == ("failed", "nix_app_not_allowed")


def test_a_run_that_allows_no_flake_resolves_none(tmp_path: Path) -> None:
    stand_in = StandIn(tmp_path)

    assert phase_of(stand_in, "github:willyrgf/mfm#x", RunConfig(nix_flake_allowlist=())) == (
        "failed",
        "nix_app_not_allowed",
    )
    assert stand_in.arguments("nix") is None


def test_whoever_goes_on_with_a_run_takes_the_list_from_its_manifest(tmp_path: Path) -> None:
    """Nothing of the process that started the run is left when another one drives it."""
    stand_in = StandIn(tmp_path)

    async def scenario() -> None:
        store = MemoryStore()
        config = RunConfig(nix_flake_allowlist=(OURS,))
        async with App.open(store, settings=settings_for(stand_in), parts=PARTS) as first:
            await first.runs.start(plan_for(f"{OURS}#deploy"), run_id=RUN_ID, config=config, detach=True)
        async with App.open(store.reopen(), settings=settings_for(stand_in), parts=PARTS) as second:
            result = await second.runs.resume(RUN_ID, plan=plan_for(f"{OURS}#deploy"))
            assert result.phase == "completed"
            assert await second.runs.read.output(RUN_ID, "where") == PROGRAM

    asyncio.run(scenario())
