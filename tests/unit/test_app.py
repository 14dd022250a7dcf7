"""The application: what it wires, what it refuses, and what it leaves open."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from interlock import App, InterlockError, Io, IoCall, Plan
from interlock.app import APPLICATION, open_store
from interlock.base.part import Part
from interlock.base.principal import local_principal
from interlock.engine.decide import EngineSettings
from interlock.engine.runs import Runs
from interlock.journal.journal import Journal
from interlock.parts import PARTS, sections_of
from interlock.settings import Settings, load
from interlock.stores.sqlite import open_sqlite
from interlock.surfaces.catalogue import Catalogue
from interlock.testing.app import memory_app, read_run
from interlock.testing.loop import run

plan = Plan("greeting")


@plan.state
async def greet(name: str) -> str:
    return f"Hello {name}"


calling = Plan("calling")


@calling.state(side_effects="read_only_io")
async def ask(io: Io) -> object:
    request = {"kind": "call_function_v1", "function": "double", "input": 21}
    return (await io.call(IoCall("python", request, "doubled"))).response


def code_of(caught: pytest.ExceptionInfo[InterlockError]) -> str:
    return caught.value.code


def test_without_a_path_the_store_is_in_memory_and_ends_with_the_application() -> None:
    async def main() -> None:
        async with App.open() as app:
            result = await app.runs.start(plan, {"name": "Ada"})
            assert await app.runs.read.output(result.run_id, "greet") == "Hello Ada"
        async with App.open() as again:
            assert await again.store.events.partitions() == []

    asyncio.run(main())


def test_a_path_keeps_what_was_done_for_the_next_application(tmp_path: Path) -> None:
    async def main() -> None:
        async with App.open(tmp_path / "store.db") as app:
            result = await app.runs.start(plan, {"name": "Ada"})
        async with App.open(str(tmp_path / "store.db"), create=False) as again:
            assert await again.runs.read.output(result.run_id, "greet") == "Hello Ada"
            assert await again.runs.resume(result.run_id) == result

    asyncio.run(main())


def test_an_application_that_cannot_be_put_together_lets_go_of_its_store(tmp_path: Path) -> None:
    async def main() -> None:
        async with App.open(tmp_path / "store.db", parts=[*PARTS, PARTS[0]], settings=load(sections_of(PARTS))):
            pass

    with pytest.raises(Exception, match=PARTS[0].name):
        asyncio.run(main())

    assert list((tmp_path / "store.db.owners").iterdir()) == []
    assert not (tmp_path / "store.db-wal").exists()


def test_a_store_that_is_not_to_be_made_must_be_there(tmp_path: Path) -> None:
    async def main() -> None:
        async with App.open(tmp_path / "store.db", create=False):
            pass

    with pytest.raises(InterlockError) as caught:
        asyncio.run(main())

    assert code_of(caught) == "store_not_found"
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_was_given_stays_open(tmp_path: Path) -> None:
    async def main() -> None:
        store = await open_sqlite(tmp_path / "store.db")
        for _ in range(2):
            async with App.open(store) as app:
                await app.runs.start(plan, {"name": "Ada"})
        assert await store.events.partitions() == ["default"]
        await store.close()

    asyncio.run(main())


def test_what_was_opened_is_closed_when_the_block_fails(tmp_path: Path) -> None:
    async def main() -> None:
        async with App.open(tmp_path / "store.db") as app:
            await app.runs.start(plan, {"name": "Ada"})
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        asyncio.run(main())
    assert list((tmp_path / "store.db.owners").iterdir()) == []


def test_settings_that_are_wrong_are_refused_before_a_store_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERLOCK_ENGINE__CRASH_BUDGET", "many")

    async def main() -> None:
        async with App.open(tmp_path / "store.db"):
            pass

    with pytest.raises(InterlockError) as caught:
        asyncio.run(main())

    assert code_of(caught) == "setting_invalid"
    assert list(tmp_path.iterdir()) == []


def test_settings_of_the_environment_reach_their_section(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERLOCK_ENGINE__CRASH_BUDGET", "7")

    async def main() -> EngineSettings:
        async with App.open() as app:
            return app.get(EngineSettings)

    assert asyncio.run(main()).crash_budget == 7


def test_services_are_found_by_their_kind_and_others_are_not() -> None:
    async def main() -> None:
        app = memory_app()
        assert app.get(Runs) is app.runs
        assert app.get(Journal) is app.journal
        assert app.get(Catalogue) is app.catalogue
        assert isinstance(app.get(Settings), Settings)
        with pytest.raises(KeyError, match="Path"):
            app.get(Path)

    run(main())


@pytest.mark.parametrize("again", ["part", "error", "view", "decider", "timers of"])
def test_two_parts_may_not_name_the_same_thing(again: str) -> None:
    twin = {
        "part": Part("engine"),
        "error": Part("twin", errors=PARTS[0].errors[:1]),
        "view": Part("twin", views=next(part.views for part in PARTS if part.views)),
        "timers of": Part("twin", timers=next(part.timers for part in PARTS if part.timers)),
        "decider": Part("twin", deciders=next(part.deciders for part in PARTS if part.deciders)),
    }[again]

    async def main() -> None:
        async with App.open(parts=[*PARTS, twin], settings=load(sections_of(PARTS), environ={}, folder=Path("/dev"))):
            pass

    with pytest.raises(ValueError, match=f"declared twice: {again} "):
        asyncio.run(main())


def test_plans_call_the_functions_that_were_given_and_no_others() -> None:
    async def main(functions: dict[str, object]) -> tuple[str, object]:
        async with App.open(functions=functions) as app:  # type: ignore[arg-type]
            result = await app.runs.start(calling)
            return result.phase, await app.runs.read.output(result.run_id, "ask")

    def double(given: object) -> object:
        return 2 * given if isinstance(given, int) else None

    assert asyncio.run(main({"double": double})) == ("completed", 42)
    assert asyncio.run(main({"triple": double})) == ("failed", None)


def test_a_client_acts_for_its_principal_alone() -> None:
    async def main() -> list[str]:
        app = memory_app()
        app.runs.plans.add(plan)
        client = app.client(local_principal("ada"))
        await app.runs.start(
            plan,
            {"name": "Ada"},
            run_id="01890a5d-ac96-774b-bcce-b302099a8057",
            detach=True,
            principal=client.principal,
        )
        events = await read_run(app, "01890a5d-ac96-774b-bcce-b302099a8057")
        return [event.envelope.actor for event in events]

    assert set(run(main())) == {"local:ada"}


def test_every_command_of_every_part_is_in_the_one_catalogue() -> None:
    async def main() -> set[str]:
        return {command.name for command in memory_app().catalogue}

    assert run(main()) == {command.name for part in PARTS for command in part.commands}


def test_what_a_surface_starts_is_the_same_product(tmp_path: Path) -> None:
    async def main() -> object:
        async with APPLICATION.open(store=tmp_path / "store.db", config=None, create=True) as opened:
            return await opened.client(local_principal("ada")).call("run.list", {})

    assert getattr(asyncio.run(main()), "items", None) == []
    assert {part.name for part in APPLICATION.parts()} >= {"engine", "journal", "machine", "surfaces", "settings"}


def test_a_store_is_opened_by_its_name(tmp_path: Path) -> None:
    async def main() -> list[str]:
        settings = load(sections_of(PARTS), environ={}, folder=tmp_path)
        stores = [await open_store(name, settings) for name in (":memory:", tmp_path / "store.db")]
        kinds = [type(store).__name__ for store in stores]
        for store in stores:
            await store.close()
        return kinds

    assert asyncio.run(main()) == ["MemoryStore", "SqliteStore"]
