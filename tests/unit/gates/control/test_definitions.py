"""Scenarios that are defined: once, for a namespace, and only for the tenant that they name."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.base.errors import InterlockError
from interlock.base.principal import Principal, local_principal
from interlock.gates.control.definitions import Definitions
from interlock.gates.spec import spec_hash
from interlock.testing.app import memory_app
from interlock.testing.loop import run
from tests.unit.gates.control.scenes import ADA, Said, Scene, spec, stage


def names(listed: list[Any]) -> list[str]:
    return [each.scenario_id for each in listed]


def test_the_same_document_again_is_the_one_that_is_there() -> None:
    async def main() -> None:
        scene = Scene(memory_app(), Said())
        document = spec(stage("one", "a"))
        first = await scene.definitions.define(document, principal=ADA)
        again = await scene.definitions.define(document, principal=ADA)
        assert (first.fresh, again.fresh) == (True, False)
        assert first.spec_hash == again.spec_hash == spec_hash(document)
        with pytest.raises(InterlockError) as fault:
            await scene.definitions.define(spec(stage("one", "b")), principal=ADA)
        assert fault.value.code == "scenario_conflict"

    run(main())


def test_a_definition_outlives_the_process_that_made_it() -> None:
    async def main() -> None:
        app = memory_app()
        document = spec(stage("one", "a"))
        await Scene(app, Said()).definitions.define(document, principal=ADA)
        other = memory_app(app.store.reopen())  # type: ignore[attr-defined]
        found = await Definitions(other.journal, other.runner).find(2, "release", 1, principal=ADA)
        assert (found.spec, found.spec_hash) == (document, spec_hash(document))

    run(main())


def test_definitions_are_listed_in_the_order_of_their_ids_page_by_page() -> None:
    async def main() -> None:
        scene = Scene(memory_app(), Said())
        for name in ("d", "b", "a", "c"):
            given = {"default_tenant_id": 7} if name == "b" else {}
            await scene.definitions.define(spec(stage("one"), scenario_id=name, **given), principal=ADA)
        await scene.definitions.define(spec(stage("one"), scenario_id="e", namespace_id=3), principal=ADA)
        listed = scene.definitions.listed
        assert names(await listed(2, 7, "", 50, principal=ADA)) == ["a", "b", "c", "d"]
        assert names(await listed(2, 1, "", 2, principal=ADA)) == ["a", "c"]
        assert names(await listed(2, 1, "c", 2, principal=ADA)) == ["d"]
        assert names(await listed(3, 1, "", 2, principal=ADA)) == ["e"]
        assert await listed(4, 1, "", 2, principal=ADA) == []

    run(main())


@pytest.mark.parametrize(
    ("namespace_id", "tenant_id", "principal"),
    [
        (3, 7, ADA),
        (2, 8, ADA),
        (2, 7, Principal(id="local:eve", tenant="elsewhere")),
    ],
)
def test_nobody_finds_a_definition_of_another_namespace_or_tenant(
    namespace_id: int, tenant_id: int, principal: Principal
) -> None:
    async def main() -> None:
        scene = Scene(memory_app(), Said())
        await scene.definitions.define(spec(stage("one"), default_tenant_id=7), principal=ADA)
        await scene.definitions.find(2, "release", 7, principal=local_principal("bob"))
        with pytest.raises(InterlockError) as fault:
            await scene.definitions.find(namespace_id, "release", tenant_id, principal=principal)
        assert fault.value.code == "scenario_not_found"

    run(main())
