"""The one check: who passes it, and what the others are told."""

from __future__ import annotations

import pytest

from interlock.access.check import Access
from interlock.base.errors import InterlockError, Refused
from interlock.base.principal import ENGINE, Principal, PrincipalKind
from interlock.testing.loop import run
from tests.unit.access.people import LOCAL, app_of, refusals, somebody


async def code_of(access: Access, principal: Principal, permission: str) -> str | None:
    try:
        await access.check(principal, permission, command="thing.do")
    except InterlockError as fault:
        return fault.code
    return None


@pytest.mark.parametrize("principal", [LOCAL, ENGINE])
def test_the_user_of_the_machine_and_the_engine_may_do_everything(principal: Principal) -> None:
    async def main() -> None:
        access = app_of().access

        assert access.permits(principal, "what.ever", namespace=3)
        assert await code_of(access, principal, "token.new") is None
        assert access.permissions(principal) == list(access.table.names)

    run(main())


@pytest.mark.parametrize("kind", [kind for kind in PrincipalKind if kind not in {"local", "system"}])
def test_everybody_else_may_nothing_by_default(kind: PrincipalKind) -> None:
    async def main() -> None:
        access = app_of().access
        nobody = Principal(id="x:y", kind=kind)

        assert access.permissions(nobody) == []
        assert await code_of(access, nobody, "run.read") == "permission_denied"

    run(main())


def test_an_error_names_the_permission_and_nothing_else() -> None:
    async def main() -> None:
        app = app_of()
        with pytest.raises(Refused) as fault:
            await app.access.check(somebody("viewer"), "run.start", command="run.start")

        assert fault.value.message == "the permission run.start is missing"
        assert fault.value.details == {"permission": "run.start"}
        [refused] = await refusals(app)
        assert (refused.command, refused.permission, refused.principal) == ("run.start", "run.start", "token:zoe")

    run(main())


def test_a_declared_principal_has_what_the_settings_say() -> None:
    async def main() -> None:
        access = app_of().access

        cleo = access.declared("cleo")
        assert (cleo.id, cleo.kind, cleo.tenant) == ("local_declared:cleo", PrincipalKind.LOCAL_DECLARED, "staging")
        assert (cleo.roles, cleo.groups) == (("gatekeeper",), ())
        assert [*access.principals()] == ["bob", "cleo", "eve"]
        with pytest.raises(Refused, match=r"no principal claeo is declared; did you mean cleo\?"):
            access.declared("claeo")

    run(main())


def test_permissions_are_those_that_are_good_in_the_tenant() -> None:
    async def main() -> None:
        access = app_of().access

        assert access.permissions(somebody("stager")) == []
        assert "run.start" in access.permissions(somebody("stager", tenant="staging"))
        assert "scenario.run" in access.permissions(somebody("gatekeeper"))

    run(main())
