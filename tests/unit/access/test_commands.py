"""The verbs about principals, roles and tenants: what each kind of principal sees of them."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.app import App
from interlock.base.errors import InterlockError
from interlock.base.principal import Principal, local_principal
from interlock.testing.loop import run
from tests.unit.access.people import LOCAL, app_of, somebody


async def call(app: App, name: str, principal: Principal = LOCAL, /, **given: Any) -> Any:
    return await app.client(principal).call(name, given)


async def two_tenants() -> App:
    """Something in two tenants."""
    app = app_of()
    for tenant in ("default", "staging"):
        await call(app, "token.new", local_principal("ada", tenant), name="ci", role=["viewer"])
    return app


def test_anybody_who_may_look_sees_who_they_are() -> None:
    async def main() -> None:
        app = app_of()
        shown = await call(app, "principal.show", somebody("viewer", groups=("keepers",), tenant="staging"))

        assert (shown.id, shown.kind, shown.tenant) == ("token:zoe", "token", "staging")
        assert (shown.roles, shown.groups) == (("viewer",), ("keepers",))
        assert {"run.start", "scenario.run", "run.read"} <= set(shown.permissions)
        assert "token.new" not in shown.permissions
        assert (await call(app, "principal.show")).permissions == list(app.access.table.names)

    run(main())


def test_the_list_of_principals_ends_at_the_tenant() -> None:
    async def main() -> None:
        app = app_of()
        assert [(row.name, row.tenant) for row in (await call(app, "principal.list")).items] == [
            ("bob", "default"),
            ("cleo", "staging"),
            ("eve", "default"),
        ]
        assert [row.name for row in (await call(app, "principal.list", somebody("viewer"))).items] == ["bob", "eve"]

    run(main())


def test_roles_of_other_tenants_are_not_shown() -> None:
    async def main() -> None:
        app = app_of()
        listed = await call(app, "role.list")
        built_in = [("viewer", True), ("operator", True), ("admin", True)]
        assert [(row.name, row.built_in) for row in listed.items[:3]] == built_in
        assert [row.tenants for row in listed.items if row.name == "stager"] == [("staging",)]
        assert listed.groups == {"watchers": ("viewer",), "keepers": ("gatekeeper", "stager")}

        here = await call(app, "role.list", somebody("viewer"))
        assert "stager" not in [row.name for row in here.items]
        assert here.groups["keepers"] == ("gatekeeper",)
        with pytest.raises(InterlockError) as fault:
            await call(app, "role.show", somebody("viewer"), name="stager")
        assert fault.value.code == "role_unknown"
        there = await call(app, "role.show", somebody("viewer", tenant="staging"), name="stager")
        assert there.tenants == ("staging",)

    run(main())


def test_a_role_is_shown_with_all_that_it_permits() -> None:
    async def main() -> None:
        shown = await call(app_of(), "role.show", name="gatekeeper")

        assert (shown.patterns, shown.namespaces, shown.built_in) == (("scenario.*", "run.read"), (7, 8), False)
        asked = {row.permission: (row.effects, row.commands) for row in shown.permissions}
        assert [*asked] == ["run.read", "scenario.define", "scenario.read", "scenario.run"]
        assert asked["scenario.define"] == (("changes",), ("scenario.define",))

    run(main())


def test_an_unknown_role_is_told_with_the_nearest_one() -> None:
    async def main() -> None:
        with pytest.raises(InterlockError, match=r"no role is called gatekeper; did you mean gatekeeper\?"):
            await call(app_of(), "role.show", name="gatekeper")

    run(main())


def test_the_user_of_the_machine_sees_every_tenant_page_by_page() -> None:
    async def main() -> None:
        app = await two_tenants()
        whole = await call(app, "tenant.list")
        assert ([row.tenant for row in whole.items], whole.whole, whole.next) == (["default", "staging"], True, None)
        page = await call(app, "tenant.list", limit=1)
        rest = await call(app, "tenant.list", limit=1, cursor=page.next)
        assert [row.tenant for row in (*page.items, *rest.items)] == ["default", "staging"]
        assert rest.next is None
        shown = await call(app, "tenant.show", tenant="staging")
        assert (shown.tenant, shown.events, shown.principals) == ("staging", 1, ["cleo"])
        assert "stager" in shown.roles

    run(main())


def test_anybody_else_sees_their_own_tenant_and_of_another_not_whether_it_is_there() -> None:
    async def main() -> None:
        app = await two_tenants()
        viewer = somebody("viewer", tenant="staging")
        listed = await call(app, "tenant.list", viewer)
        assert ([row.tenant for row in listed.items], listed.whole) == (["staging"], False)
        assert (await call(app, "tenant.show", viewer)).tenant == "staging"
        told = set()
        for other in ("default", "nowhere"):
            with pytest.raises(InterlockError) as fault:
                await call(app, "tenant.show", viewer, tenant=other)
            told.add((fault.value.code, fault.value.message))
        assert told == {("tenant_not_found", "there is no such tenant, or it is not yours")}

    run(main())
