"""The walk over the table: every command with every kind of principal, through the client, does what the table says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from msgspec import Struct

from interlock.access.namespaces import place_of
from interlock.app import App
from interlock.base.errors import InterlockError
from interlock.base.part import CallContext, Command, Effect
from interlock.base.principal import ENGINE, Principal, PrincipalKind
from interlock.parts import PARTS
from interlock.surfaces.catalogue import Catalogue
from interlock.surfaces.client import Client
from interlock.testing.loop import run
from tests.unit.access.people import LOCAL, app_of, somebody

COMMANDS = [command for part in PARTS for command in part.commands]
EFFECTS = {
    each.permission: {other.effect for other in COMMANDS if other.permission == each.permission} for each in COMMANDS
}
ACCESS = {"token.new", "token.revoke"}
CUSTOM = {"custom": {"permissions": ["run.*", "lease.read"]}}


class Done(Struct, frozen=True):
    """That a handler ran."""


class Empty(Struct, frozen=True, forbid_unknown_fields=True):
    """A call that gives nothing."""


class InNamespace(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call that names a namespace as most do."""

    namespace: int = 1


class InNamespaceId(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call that names a namespace as shapes do."""

    namespace_id: int


async def _ran(_ctx: CallContext, _given: Struct) -> Done:
    return Done()


def hollow(command: Command, given: type[Struct] = Empty) -> Command:
    """A command with its name, permission and effect, whose handler only says that it ran."""
    return replace(command, input=given, output=Done, handler=_ran, positional=(), reads_store=None, namespace=None)


HOLLOW = Catalogue(hollow(command) for command in COMMANDS)


def by_effect(*effects: Effect) -> Callable[[Command], bool]:
    """Expected by what the commands of a permission do, and not by the code that is tested."""
    return lambda command: EFFECTS[command.permission] <= {*effects} and command.permission not in ACCESS


TABLE: dict[str, tuple[Principal, Callable[[Command], bool]]] = {
    "no role": (somebody(), lambda _command: False),
    "a role that is gone": (somebody("gone"), lambda _command: False),
    "viewer": (somebody("viewer"), by_effect(Effect.READS)),
    "operator": (somebody("operator"), by_effect(*Effect)),
    "admin": (somebody("admin"), lambda _command: True),
    "viewer by a group": (somebody(groups=("watchers",)), by_effect(Effect.READS)),
    "viewer elsewhere": (somebody("viewer", tenant="staging"), by_effect(Effect.READS)),
    "custom": (
        somebody("custom"),
        lambda command: command.permission.startswith("run.") or command.permission == "lease.read",
    ),
    "custom and viewer": (
        somebody("custom", "viewer"),
        lambda command: command.permission.startswith("run.") or EFFECTS[command.permission] == {Effect.READS},
    ),
    "declared viewer": (
        Principal(id="local_declared:x", kind=PrincipalKind.LOCAL_DECLARED, roles=("viewer",)),
        by_effect(Effect.READS),
    ),
}


async def outcome(app: App, principal: Principal, command: Command, catalogue: Catalogue = HOLLOW) -> str:
    """`ran`, or the code of the error."""
    try:
        answer = await Client(catalogue, principal, app).call(command.name, {})
    except InterlockError as fault:
        return fault.code
    assert answer == Done()
    return "ran"


def walked(principal: Principal, commands: Iterable[Command]) -> dict[str, str]:
    async def main() -> dict[str, str]:
        app = app_of({"roles": CUSTOM, "groups": {"watchers": ["viewer"]}})
        return {command.name: await outcome(app, principal, command) for command in commands}

    return run(main())


@pytest.mark.parametrize("who", TABLE)
def test_every_command_gives_what_the_table_says(who: str) -> None:
    principal, may = TABLE[who]

    assert walked(principal, COMMANDS) == {
        command.name: "ran" if not command.machine and may(command) else "permission_denied" for command in COMMANDS
    }


def test_the_user_of_the_machine_may_call_every_command() -> None:
    assert set(walked(LOCAL, COMMANDS).values()) == {"ran"}


def test_the_engine_may_all_but_use_the_machine() -> None:
    assert walked(ENGINE, COMMANDS) == {
        command.name: "permission_denied" if command.machine else "ran" for command in COMMANDS
    }


def test_every_permission_is_in_the_table() -> None:
    async def main() -> None:
        asked = {command.permission for command in COMMANDS if not command.machine}
        asked |= {way.permission for part in PARTS for way in part.ways}
        assert set(app_of().access.table.names) == asked

    run(main())


@pytest.mark.parametrize(
    ("given", "members", "answer"),
    [
        (InNamespace, {"namespace": 7}, "ran"),
        (InNamespace, {"namespace": 9}, "permission_denied"),
        (InNamespace, {}, "permission_denied"),
        (InNamespaceId, {"namespace_id": 8}, "ran"),
        (InNamespaceId, {"namespace_id": 1}, "permission_denied"),
        (Empty, {}, "permission_denied"),
        (InNamespace, {"namespace": "7"}, "input_invalid"),
    ],
)
def test_a_role_of_namespaces_permits_calls_that_name_one_of_them(
    given: type[Struct], members: dict[str, object], answer: str
) -> None:
    command = next(each for each in COMMANDS if each.name == "scenario.start")
    catalogue = Catalogue([hollow(command, given)])

    async def main() -> str:
        try:
            await Client(catalogue, somebody("gatekeeper"), app_of()).call("scenario.start", members)
        except InterlockError as fault:
            return fault.code
        return "ran"

    assert run(main()) == answer


@pytest.mark.parametrize(
    ("document", "answer"),
    [
        ({"namespace_id": 7}, "ran"),
        ({"namespace_id": 8, "anything": {"namespace_id": 9}}, "ran"),
        ({"namespace_id": 9}, "permission_denied"),
        ({"anything": {"namespace_id": 7}}, "permission_denied"),
        ({"namespace": 7}, "permission_denied"),
        ({}, "permission_denied"),
        *[({"namespace_id": each}, "permission_denied") for each in ("7", None, [7], 7.5, True, {"namespace_id": 7})],
        *[(each, "permission_denied") for each in (7, "7", None, [], [{"namespace_id": 7}])],
    ],
    ids=repr,
)
@pytest.mark.parametrize(("name", "member"), [("scenario.define", "spec"), ("shape.register", "record")])
def test_a_role_of_namespaces_permits_documents_that_name_one_of_them(
    name: str, member: str, document: object, answer: str
) -> None:
    real = next(each for each in COMMANDS if each.name == name)
    catalogue = Catalogue([replace(real, output=Done, handler=_ran, positional=())])
    keepers = {"roles": {"definer": {"permissions": ["scenario.*", "shape.*"], "namespaces": [7, 8]}}}

    async def main() -> str:
        try:
            await Client(catalogue, somebody("definer"), app_of(keepers)).call(name, {member: document})
        except InterlockError as fault:
            return fault.code
        return "ran"

    assert run(main()) == answer


def test_every_command_with_a_document_of_gates_says_where_its_namespace_stands() -> None:
    places = {command.name: place for command in COMMANDS if (place := place_of(command)) and "." in place}

    assert places == {"scenario.define": "spec.namespace_id", "shape.register": "record.namespace_id"}


class _Nothing:
    def get(self, kind: type[object]) -> object:
        raise KeyError(kind.__name__)


def test_where_there_is_nobody_to_ask_only_the_user_of_the_machine_passes() -> None:
    async def main() -> None:
        services = _Nothing()
        local = Client(HOLLOW, LOCAL, services)  # type: ignore[arg-type]
        assert await local.call("run.list", {}) == Done()
        for principal in (somebody("admin"), ENGINE):
            with pytest.raises(InterlockError) as fault:
                await Client(HOLLOW, principal, services).call("run.list", {})  # type: ignore[arg-type]
            assert fault.value.code == "permission_denied"

    run(main())


def test_input_is_checked_before_the_permission_and_the_handler_after_it() -> None:
    async def main() -> None:
        app = app_of()
        client = app.client(somebody())
        with pytest.raises(InterlockError) as fault:
            await client.call("run.status", {})
        assert fault.value.code == "input_invalid"
        with pytest.raises(InterlockError) as fault:
            await client.call("run.status", {"run": "01890a5d-ac96-774b-bcce-b302099a8057"})
        assert fault.value.code == "permission_denied"

    run(main())
