"""Documents of gates under roles of namespaces: kept in the namespace that was permitted, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.app import App
from interlock.base.errors import InterlockError
from interlock.base.principal import Principal
from interlock.gates.control.namespaces import proved
from interlock.surfaces.client import Client
from interlock.testing.loop import run
from tests.surfaces.mcp import conversation
from tests.unit.access.people import LOCAL, app_of, refusals, somebody

KEEPER = {
    "roles": {
        "definer": {"permissions": ["scenario.define", "scenario.read", "shape.*"], "namespaces": [7, 2**53 - 1]},
        "reader": {"permissions": ["scenario.define", "shape.register"]},
    }
}


async def told(app: App, principal: Principal, name: str, given: dict[str, Any]) -> str:
    """`ok`, or the code of the error."""
    try:
        await Client(app.catalogue, principal, app).call(name, given)
    except InterlockError as fault:
        return fault.code
    return "ok"


def documents(namespace: object) -> list[tuple[str, dict[str, Any]]]:
    spec = {**conversation.scenario(), "namespace_id": namespace}
    record = {**conversation.SHAPE_RECORD, "namespace_id": namespace}
    return [("scenario.define", {"spec": spec}), ("shape.register", {"record": record})]


def test_who_keeps_a_namespace_defines_and_registers_there_and_nowhere_else() -> None:
    async def main() -> None:
        app, keeper = app_of(KEEPER), somebody("definer")
        for namespace, answer in ((7, "ok"), (9, "permission_denied"), (1, "permission_denied")):
            for name, given in documents(namespace):
                assert await told(app, keeper, name, given) == answer, (namespace, name)
        for namespace, count in ((7, 1), (9, 0), (1, 0)):
            listed = await Client(app.catalogue, LOCAL, app).call("scenario.list", {"namespace": namespace})
            assert len(listed.items) == count  # type: ignore[attr-defined]
            place = {"tenant_id": 1, "namespace_id": namespace}
            shapes = await Client(app.catalogue, LOCAL, app).call("shape.list", place)
            assert len(shapes.items) == count  # type: ignore[attr-defined]
        assert {each.permission for each in await refusals(app)} == {"scenario.define", "shape.register"}

    run(main())


@pytest.mark.parametrize("namespace", [2**53, 2**53 + 1, 2**63, 2**64, 2.0**53, -7, 0, 7.5, "7", None])
def test_no_spelling_of_a_number_is_taken_for_one_that_is_permitted(namespace: object) -> None:
    async def main() -> None:
        app = app_of(KEEPER)
        for name, given in documents(namespace):
            assert await told(app, somebody("definer"), name, given) in {"permission_denied", "json_integer_range"}

    run(main())


@pytest.mark.parametrize("named", [None, 8])
def test_a_document_is_never_taken_for_one_of_another_namespace_than_it_names(named: int | None) -> None:
    with pytest.raises(InterlockError) as fault:
        proved(named, 7)
    assert fault.value.code == "gate_input_invalid"
    proved(7, 7)


def test_a_file_is_not_looked_at_for_a_namespace() -> None:
    async def main() -> None:
        app = app_of(KEEPER)
        given: dict[str, Any] = {"document": "/etc/hostname"}
        assert await told(app, somebody("definer"), "scenario.define", given) == "permission_denied"
        assert await told(app, somebody("reader"), "scenario.define", given) == "lint_refused"
        both = {**given, **documents(7)[0][1]}
        assert await told(app, somebody("definer"), "scenario.define", both) == "gate_input_invalid"

    run(main())


def test_a_role_without_namespaces_defines_in_any() -> None:
    async def main() -> None:
        app = app_of(KEEPER)
        for namespace in (7, 9):
            for name, given in documents(namespace):
                assert await told(app, somebody("reader"), name, given) == "ok", name

    run(main())
