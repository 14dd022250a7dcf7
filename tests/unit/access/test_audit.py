"""Refused attempts are recorded, in bounds, and without what they were about."""

from __future__ import annotations

import pytest

from interlock.access import audit
from interlock.access.audit import INTERVAL_MS, AccessRefused
from interlock.base.errors import InterlockError, Refused
from interlock.journal.errors import STORE_UNWRITABLE
from interlock.stores.memory import MemoryStore
from interlock.testing.app import dump
from interlock.testing.clock import VirtualClock
from interlock.testing.loop import run
from tests.unit.access.people import app_of, refusals, somebody

ZOE = somebody()


def test_of_one_principal_and_permission_one_attempt_a_minute_is_recorded() -> None:
    async def main() -> None:
        clock = VirtualClock()
        app = app_of(clock=clock)
        for _ in range(100):
            with pytest.raises(Refused):
                await app.access.check(ZOE, "run.read", command="run.list")
        assert len(await refusals(app)) == 1

        clock.jump(INTERVAL_MS - 1)
        with pytest.raises(Refused):
            await app.access.check(ZOE, "run.read", command="run.why")
        assert len(await refusals(app)) == 1

        clock.jump(1)
        with pytest.raises(Refused):
            await app.access.check(ZOE, "run.read", command="run.why")
        assert [each.command for each in await refusals(app)] == ["run.list", "run.why"]

    run(main())


def test_each_principal_permission_and_tenant_counts_for_itself() -> None:
    async def main() -> None:
        app = app_of()
        for principal in (ZOE, somebody(name="yan"), somebody(tenant="staging")):
            for permission in ("run.read", "run.start"):
                with pytest.raises(Refused):
                    await app.access.check(principal, permission, command="some.thing")

        seen = [(each.principal, each.permission) for each in await refusals(app)]
        assert seen == [(f"token:{who}", f"run.{what}") for who in ("zoe", "yan") for what in ("read", "start")]
        assert len(await refusals(app, "staging")) == 2

    run(main())


def test_many_principals_fill_no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "PAIRS_MAX", 5)

    async def main() -> None:
        clock = VirtualClock()
        app = app_of(clock=clock)
        for turn in (1, 2):
            for number in range(20):
                with pytest.raises(Refused):
                    await app.access.check(somebody(name=f"n{number}"), "run.read", command="run.list")
            assert len(await refusals(app)) == 5 * turn
            clock.jump(INTERVAL_MS)

    run(main())


def test_what_one_tenant_is_refused_keeps_no_attempt_of_another_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "PAIRS_MAX", 5)

    async def main() -> None:
        app = app_of()
        for number in range(20):
            with pytest.raises(Refused):
                await app.access.check(somebody(name=f"n{number}", tenant="noisy"), "run.read", command="run.list")
        with pytest.raises(Refused):
            await app.access.check(ZOE, "run.read", command="run.list")
        assert len(await refusals(app)) == 1

    run(main())


def test_a_clock_that_was_set_back_silences_nothing() -> None:
    async def main() -> None:
        clock = VirtualClock()
        app = app_of(clock=clock)
        for _ in range(2):
            with pytest.raises(Refused):
                await app.access.check(ZOE, "run.read", command="run.list")
            clock.jump(-10 * INTERVAL_MS)

        assert len(await refusals(app)) == 2

    run(main())


def test_nothing_of_the_input_of_an_attempt_is_stored() -> None:
    async def main() -> None:
        store = MemoryStore()
        app = app_of(store=store)
        with pytest.raises(Refused):
            await app.client(ZOE).call("run.list", {"op": "canary7731"}, command_id="canary7732")

        assert await refusals(app) == [AccessRefused("run.list", "run.read", "token:zoe")]
        assert [name for name, content in await dump(store) if b"canary" in content] == []

    run(main())


def test_an_attempt_that_cannot_be_recorded_is_refused_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        app = app_of()

        async def full(*_given: object) -> None:
            raise STORE_UNWRITABLE.error("nothing can be written")

        monkeypatch.setattr(app.runner, "execute", full)
        with pytest.raises(InterlockError) as fault:
            await app.access.check(ZOE, "run.read", command="run.list")
        assert fault.value.code == "permission_denied"

    run(main())
