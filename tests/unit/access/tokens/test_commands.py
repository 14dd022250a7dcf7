"""The verbs about tokens, through the client: what is shown, and what never is."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from interlock.access.tokens.commands import lifetime_ms
from interlock.access.tokens.decide import DAY_MS
from interlock.app import App
from interlock.base.bounds import PAGE_ITEMS_MAX
from interlock.base.errors import InterlockError
from interlock.base.principal import Principal
from interlock.testing.clock import VirtualClock
from interlock.testing.loop import START_MS, run
from tests.unit.access.people import LOCAL, app_of, somebody


async def call(
    app: App, name: str, principal: Principal = LOCAL, /, *, command_id: str | None = None, **given: Any
) -> Any:
    return await app.client(principal).call(name, given, command_id=command_id)


@pytest.mark.parametrize(("text", "ms"), [("1m", 60_000), ("12h", 12 * 3_600_000), ("90d", 90 * DAY_MS)])
def test_a_lifetime_is_a_number_and_a_unit(text: str, ms: int) -> None:
    assert lifetime_ms(text) == ms


@pytest.mark.parametrize("text", ["", "d", "0d", "1", "1w", "1.5d", "-1d", "1d ", "1D", "١d", "99999999d"])
def test_another_form_of_a_lifetime_is_refused(text: str) -> None:
    with pytest.raises(InterlockError) as fault:
        lifetime_ms(text)
    assert (fault.value.code, fault.value.details) == ("token_unsound", {"place": "expires"})


def test_a_new_token_shows_its_secret_once_and_says_so() -> None:
    async def main() -> None:
        app = app_of()
        first = await call(app, "token.new", command_id="once", name="ci", role=["viewer"])
        again = await call(app, "token.new", command_id="once", name="ci", role=["viewer"])

        assert first.token.startswith(f"ilk_default.{first.id}.")
        assert first.expires_ms == START_MS + 90 * DAY_MS
        assert (first.secret, again.secret) == ("shown once: keep it now", "given before, and never again")
        assert msgspec.structs.replace(again, token=first.token, secret=first.secret) == first

    run(main())


def test_the_list_shows_who_made_a_token_and_how_it_stands() -> None:
    async def main() -> None:
        clock = VirtualClock()
        app = app_of(clock=clock)
        await call(app, "token.new", somebody("admin", name="boss"), name="brief", role=["viewer"], expires="1m")
        clock.jump(1)
        gone = await call(app, "token.new", name="gone", group=["watchers"])
        clock.jump(1)
        kept = await call(app, "token.new", name="kept", role=["viewer"])
        assert (await call(app, "token.revoke", id=gone.id, reason="lost")).changed
        assert not (await call(app, "token.revoke", id=gone.id, reason="again")).changed
        clock.jump(60_000)

        listed = await call(app, "token.list")
        assert [(row.name, row.state, row.created_by, row.reason) for row in listed.items] == [
            ("kept", "good", "local:ada", ""),
            ("gone", "revoked", "local:ada", "lost"),
            ("brief", "expired", "token:boss", ""),
        ]
        named = await call(app, "token.list", name="gone")
        assert [(row.id, row.groups, row.revoked_ms) for row in named.items] == [(gone.id, ("watchers",), START_MS + 2)]
        page = await call(app, "token.list", limit=1)
        rest = await call(app, "token.list", limit=5, cursor=page.next)
        assert [row.name for row in (*page.items, *rest.items)] == ["kept", "gone", "brief"]
        content = msgspec.json.encode(listed)
        assert b"digest" not in content
        assert kept.token.rpartition(".")[2].encode() not in content

    run(main())


def test_a_revocation_tells_what_ends_with_it_and_the_list_shows_it_so() -> None:
    async def main() -> None:
        clock = VirtualClock()
        app = app_of(clock=clock)

        async def child(of: Any, **given: Any) -> Any:
            clock.jump(1)
            bearer = LOCAL if of is None else await app.tokens.verify(of.token)
            return await call(app, "token.new", bearer, name="ci", role=["issuer"], **given)

        root = await child(None)
        one, brief, two = await child(root), await child(root, expires="1m"), await child(root)
        beyond, gone = await child(one), await child(two)
        last = await child(gone)
        beside = await child(None)
        await call(app, "token.revoke", id=gone.id, reason="first")
        clock.jump(60_000)
        ended = await call(app, "token.revoke", id=root.id, reason="lost")

        assert (ended.changed, ended.with_it, ended.more) == (True, [two.id, one.id, beyond.id], False)
        listed = {row.id: row for row in (await call(app, "token.list")).items}
        assert {listed[each.id].state for each in (root, one, brief, two, beyond, gone, last)} == {"revoked"}
        assert listed[beside.id].state == "good"
        assert [listed[each.id].made_with for each in (root, one, beyond)] == [None, root.id, one.id]
        reasons = [listed[each.id].reason for each in (root, beyond, gone, last)]
        assert reasons == ["lost", "lost", "first", "first"]
        assert listed[beyond.id].revoked_ms == listed[root.id].revoked_ms
        again = await call(app, "token.revoke", id=root.id, reason="again")
        assert (again.changed, again.with_it) == (False, ended.with_it)
        assert (await call(app, "token.revoke", id=beside.id, reason="x")).with_it == []

    run(main())


def test_more_than_a_page_of_tokens_that_end_is_said_to_be_more() -> None:
    async def main() -> None:
        app = app_of()
        root = await call(app, "token.new", name="root", role=["issuer"])
        bearer = await app.tokens.verify(root.token)
        for _ in range(PAGE_ITEMS_MAX + 1):
            await app.tokens.new("ci", roles=["issuer"], groups=(), lifetime_ms=None, principal=bearer)
        ended = await call(app, "token.revoke", id=root.id, reason="lost")
        assert (len(set(ended.with_it)), ended.more) == (PAGE_ITEMS_MAX, True)

    run(main())


def test_a_token_that_is_not_there_cannot_be_revoked() -> None:
    async def main() -> None:
        for wrong in ("0123456789abcdef", "..%2f", "a/b", "é"):
            with pytest.raises(InterlockError) as fault:
                await call(app_of(), "token.revoke", id=wrong, reason="lost")
            assert fault.value.code == "token_not_found"

    run(main())


def test_who_may_only_look_makes_and_revokes_none() -> None:
    async def main() -> None:
        app = app_of()
        token = await call(app, "token.new", name="ci", role=["viewer"])
        for name, given in (
            ("token.new", {"name": "x", "role": ["viewer"]}),
            ("token.revoke", {"id": token.id, "reason": "x"}),
        ):
            with pytest.raises(InterlockError) as fault:
                await call(app, name, somebody("operator"), **given)
            assert fault.value.code == "permission_denied"
        assert [row.id for row in (await call(app, "token.list", somebody("viewer"))).items] == [token.id]

    run(main())
