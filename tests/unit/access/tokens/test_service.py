"""Tokens on a store: made once, shown once, proved, expired, revoked, and never worth more than their maker."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.access.tokens.decide import DAY_MS, GENERATIONS_MAX
from interlock.access.tokens.service import NewToken
from interlock.app import App
from interlock.base.errors import InterlockError, Refused
from interlock.base.principal import Principal, PrincipalKind, local_principal
from interlock.stores.memory import MemoryStore
from interlock.testing.app import dump
from interlock.testing.clock import VirtualClock
from interlock.testing.loop import START_MS, over_seeds, run
from tests.unit.access.people import LOCAL, app_of, somebody


async def made(app: App, principal: Principal = LOCAL, command_id: str | None = None, **changed: Any) -> NewToken:
    usual: dict[str, Any] = {"roles": ("viewer",), "groups": (), "lifetime_ms": DAY_MS, **changed}
    return await app.tokens.new(usual.pop("name", "ci"), **usual, principal=principal, command_id=command_id)


async def text_of(app: App, **changed: Any) -> str:
    text = (await made(app, **changed)).text
    assert text is not None
    return text


async def refusal(app: App, text: str) -> tuple[str, str, dict[str, Any]]:
    with pytest.raises(Refused) as fault:
        await app.tokens.verify(text)
    return fault.value.code, fault.value.message, fault.value.details


def test_a_token_proves_who_its_bearer_is() -> None:
    async def main() -> None:
        app = app_of()
        text = await text_of(app, roles=("viewer", "operator"), groups=("watchers",))

        assert await app.tokens.verify(text) == Principal(
            id="token:ci",
            kind=PrincipalKind.TOKEN,
            roles=("viewer", "operator"),
            groups=("watchers",),
            token=text.split(".")[1],
        )

    run(main())


def test_another_process_knows_a_token_and_its_revocation() -> None:
    async def main() -> None:
        store = MemoryStore()
        one, other = app_of(store=store), app_of(store=store.reopen(), seed=5)
        token = await made(one)
        assert token.text is not None
        assert (await other.tokens.verify(token.text)).id == "token:ci"

        assert await one.tokens.revoke(token.id, "lost", principal=LOCAL)
        assert (await refusal(other, token.text))[0] == "token_invalid"

    run(main())


def test_whatever_is_wrong_with_a_token_is_told_in_one_way() -> None:
    async def main() -> None:
        clock = VirtualClock()
        app = app_of(clock=clock)
        good, brief = await text_of(app), await text_of(app, lifetime_ms=60_000)
        revoked = await made(app)
        await app.tokens.revoke(revoked.id, "lost", principal=LOCAL)
        clock.jump(60_000)
        head, _, secret = good.rpartition(".")
        wrong = [
            "",
            "ilk_default",
            "Bearer " + good,
            good[:-1],
            f"{head}.{'A' * 43}",
            f"{head.replace('default', 'staging')}.{secret}",
            f"ilk_default.{'0' * 16}.{secret}",
            brief,
            str(revoked.text),
        ]

        told = {
            (code, message, str(details)) for code, message, details in [await refusal(app, text) for text in wrong]
        }
        assert told == {("token_invalid", "the token is not valid", "{}")}
        assert (await app.tokens.verify(good)).id == "token:ci"

    run(main())


def test_a_token_ends_on_the_millisecond() -> None:
    async def main() -> None:
        clock = VirtualClock()
        app = app_of(clock=clock)
        text = await text_of(app)
        clock.jump(DAY_MS - 1)
        await app.tokens.verify(text)
        clock.jump(1)
        await refusal(app, text)

    run(main())


def test_the_secret_of_one_token_is_none_of_another() -> None:
    async def main() -> None:
        app = app_of()
        one, other = await text_of(app), await text_of(app)
        assert one.rpartition(".")[2] != other.rpartition(".")[2]

        await refusal(app, f"{one.rpartition('.')[0]}.{other.rpartition('.')[2]}")

    run(main())


def test_a_token_is_good_in_its_own_tenant_alone() -> None:
    async def main() -> None:
        app = app_of()
        text = await text_of(app, principal=local_principal("ada", "staging"), roles=("admin",))
        bearer = await app.tokens.verify(text)
        assert bearer.tenant == "staging"
        moved = text.replace("ilk_staging.", "ilk_default.")
        await refusal(app, moved)

        here = await made(app)
        for client in (app.client(bearer), app.client(local_principal("ada", "staging"))):
            with pytest.raises(InterlockError) as fault:
                await client.call("token.revoke", {"id": here.id, "reason": "mine"})
            assert fault.value.code == "token_not_found"
            listed: Any = await client.call("token.list", {})
            assert here.id not in [row.id for row in listed.items]

    run(main())


def test_neither_the_secret_nor_its_text_is_stored() -> None:
    async def main() -> None:
        store = MemoryStore()
        app = app_of(store=store)
        text = await text_of(app, command_id="once")
        await app.tokens.verify(text)
        secret = text.rpartition(".")[2].encode()

        assert [name for name, content in await dump(store) if secret in content] == []

    run(main())


def test_the_same_command_again_tells_of_the_first_token_without_its_secret() -> None:
    async def main() -> None:
        store = MemoryStore()
        app, later = app_of(store=store), app_of(store=store.reopen(), seed=9)
        first = await made(app, command_id="once")
        again = await made(later, command_id="once")

        assert first.text is not None
        assert (again.id, again.created, again.text) == (first.id, first.created, None)
        await app.tokens.verify(first.text)
        with pytest.raises(InterlockError) as fault:
            await made(app, command_id="once", roles=("operator",))
        assert fault.value.code == "command_id_conflict"

    run(main())


def test_a_command_id_of_another_command_makes_no_token() -> None:
    async def main() -> None:
        app = app_of()
        token = await made(app)
        await app.tokens.revoke(token.id, "lost", principal=LOCAL, command_id="once")
        with pytest.raises(InterlockError) as fault:
            await made(app, command_id="once")
        assert fault.value.code == "command_id_conflict"

    run(main())


@over_seeds(20)
async def test_of_two_that_send_the_same_command_at_once_one_gets_the_secret() -> None:
    store = MemoryStore()
    apps = app_of(store=store), app_of(store=store.reopen(), seed=9)
    both = await asyncio.gather(*(made(app, command_id="once") for app in apps))

    assert len({token.id for token in both}) == 1
    [text] = [token.text for token in both if token.text is not None]
    for app in apps:
        assert (await app.tokens.verify(text)).id == "token:ci"


@pytest.mark.parametrize(
    ("maker", "roles", "groups", "outcome"),
    [
        (LOCAL, ("admin",), (), "made"),
        (somebody("admin"), ("admin",), (), "made"),
        (somebody("issuer"), ("issuer",), (), "made"),
        (somebody("issuer"), ("viewer",), (), "token_exceeds"),
        (somebody("issuer"), (), ("watchers",), "token_exceeds"),
        (somebody("issuer", "viewer"), (), ("watchers",), "made"),
        (somebody("issuer", "operator"), ("admin",), (), "token_exceeds"),
        (somebody("issuer"), ("nobody",), (), "role_unknown"),
        (LOCAL, (), ("nobody",), "group_unknown"),
        (LOCAL, (), (), "token_unsound"),
    ],
)
def test_a_token_is_worth_at_most_its_maker(
    maker: Principal, roles: tuple[str, ...], groups: tuple[str, ...], outcome: str
) -> None:
    async def main() -> str:
        app = app_of()
        try:
            token = await made(app, maker, roles=roles, groups=groups)
        except InterlockError as fault:
            return fault.code
        assert token.text is not None
        bearer = await app.tokens.verify(token.text)
        assert set(app.access.permissions(bearer)) <= set(app.access.permissions(maker))
        return "made"

    assert run(main()) == outcome


async def line_of(app: App, length: int) -> list[tuple[str, str]]:
    """Ids and texts of tokens, each made by who was there by the one before it; the first by the user."""
    maker, line = LOCAL, []
    for _ in range(length):
        token = await made(app, maker, roles=("issuer",), lifetime_ms=None)
        assert token.text is not None
        line.append((token.id, token.text))
        maker = await app.tokens.verify(token.text)
    return line


def test_a_token_lives_no_longer_than_the_one_that_made_it() -> None:
    async def main() -> None:
        clock = VirtualClock()
        app = app_of(clock=clock)
        maker = await app.tokens.verify(await text_of(app, roles=("issuer",), lifetime_ms=DAY_MS))
        with pytest.raises(Refused) as fault:
            await made(app, maker, roles=("issuer",), lifetime_ms=DAY_MS + 1)
        expected = {"place": "expires", "expires_ms_max": START_MS + DAY_MS}
        assert (fault.value.code, fault.value.details) == ("token_outlives", expected)

        child = await made(app, maker, roles=("issuer",), lifetime_ms=None)
        assert (child.created.expires_ms, child.created.makers) == (START_MS + DAY_MS, (maker.token,))
        clock.jump(DAY_MS - 1)
        late = await made(app, maker, roles=("issuer",), lifetime_ms=None)
        for text in (str(child.text), str(late.text)):
            await app.tokens.verify(text)
        clock.jump(1)
        for text in (str(child.text), str(late.text)):
            assert (await refusal(app, text))[0] == "token_invalid"
        with pytest.raises(Refused) as fault:
            await made(app, maker, roles=("issuer",), lifetime_ms=None)
        assert fault.value.code == "token_invalid"
        assert (await made(app, lifetime_ms=None)).created.expires_ms == START_MS + 91 * DAY_MS

    run(main())


@pytest.mark.parametrize("at", range(4))
def test_a_revocation_ends_whatever_goes_back_to_the_token_and_nothing_else(at: int) -> None:
    async def main() -> None:
        store = MemoryStore()
        app, other = app_of(store=store), app_of(store=store.reopen(), seed=5)
        line, beside = await line_of(app, 4), await text_of(app)
        bearers = [await other.tokens.verify(text) for _, text in line]
        assert await app.tokens.revoke(line[at][0], "lost", principal=LOCAL)

        for process in (app, other):
            for _, text in line[:at]:
                await process.tokens.verify(text)
            for _, text in line[at:]:
                assert await refusal(process, text) == ("token_invalid", "the token is not valid", {})
            await process.tokens.verify(beside)
        # Who was let in before the revocation makes no token that is good after it.
        for bearer in bearers[at:]:
            with suppress(Refused):
                late = await made(other, bearer, roles=("issuer",), lifetime_ms=None)
                await refusal(app, str(late.text))

    run(main())


def test_a_line_of_tokens_has_an_end() -> None:
    async def main() -> None:
        app = app_of()
        line = await line_of(app, GENERATIONS_MAX + 1)
        with pytest.raises(Refused) as fault:
            await made(app, await app.tokens.verify(line[-1][1]), roles=("issuer",), lifetime_ms=None)
        assert fault.value.code == "token_generations"

    run(main())


@over_seeds(20)
async def test_a_token_that_is_made_while_its_makers_is_revoked_is_never_good() -> None:
    store = MemoryStore()
    one, other = app_of(store=store), app_of(store=store.reopen(), seed=9)
    maker = await made(one, roles=("issuer",))
    bearer = await other.tokens.verify(str(maker.text))
    child, _ = await asyncio.gather(
        made(other, bearer, roles=("issuer",), lifetime_ms=None),
        one.tokens.revoke(maker.id, "lost", principal=LOCAL),
        return_exceptions=True,
    )
    if not isinstance(child, NewToken):
        assert isinstance(child, Refused)
        assert child.code == "token_invalid"
        return
    for app in (one, other):
        assert (await refusal(app, str(child.text)))[0] == "token_invalid"


NAMES = st.lists(st.sampled_from(["viewer", "operator", "admin", "gatekeeper", "stager", "issuer"]), max_size=3)


@given(NAMES, NAMES, st.sampled_from(["default", "staging"]))
def test_tokens_of_tokens_never_come_to_more(first: list[str], second: list[str], tenant: str) -> None:
    async def main() -> None:
        app, maker = app_of(), somebody(*first, tenant=tenant)
        try:
            bearer = await app.tokens.verify(await text_of(app, principal=maker, roles=second))
        except InterlockError as fault:
            assert fault.code in {"token_exceeds", "token_unsound"}
            return
        for permission in app.access.table.names:
            for namespace in (None, 1, 7):
                given, has = (app.access.permits(each, permission, namespace=namespace) for each in (bearer, maker))
                assert given <= has

    run(main())
