"""The rules that decisions rest on are named by the run, and again where they change."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from interlock.gates.control import events as e
from interlock.gates.control.keys import run_stream
from interlock.gates.control.policy import DisclosurePolicy
from interlock.gates.control.rules import InForce, Rules
from interlock.gates.evidence.config import AnchorRequirement
from interlock.gates.evidence.trust import ProviderRules
from interlock.testing.app import memory_app
from interlock.testing.loop import run
from tests.unit.gates.control.scenes import Said, Scene, spec, stage

ASKED = ProviderRules("verified", AnchorRequirement(provider_id="said", anchor_type="row"), {"a.pub": bytes(range(32))})


class Asking(Said):
    """Evidence of which an installation asks something."""

    asked_of_all = ProviderRules("asserted")

    def rules(self, _spec: Any) -> dict[str, ProviderRules]:
        return {"said": self.asked_of_all}


async def named(scene: Scene) -> list[tuple[str, Rules | None]]:
    """The events of a run in their order, and the rules that some of them name."""
    found: list[tuple[str, Rules | None]] = []
    async for page in scene.app.journal.read(run_stream("default", 1, 2, "r1")):
        for event in page:
            rules = None
            if isinstance(event.record, e.RulesApplied):
                [content] = await scene.app.store.artifacts.get([event.record.rules_id])
                rules = msgspec.json.decode(content, type=Rules)
            found.append((event.envelope.type.removeprefix("gates."), rules))
    return found


def test_a_run_names_its_rules_at_its_start_and_again_where_they_change() -> None:
    async def main() -> None:
        said = Asking(a=True)
        scene = Scene(memory_app(), said)
        await scene.begun(spec(stage("one", "a", "b")))
        await scene.trigger("t1", 1)
        said.asked_of_all = ASKED
        scene = Scene(scene.app, said)  # opened anew, with other settings
        await scene.trigger("t2", 2)
        await scene.trigger("t2", 3)

        found = await named(scene)
        call = ["triggered", "gate_evaluated", "gate_evaluated", "decided", "tool_called"]
        kinds = ["run_started", "rules_applied", *call, "rules_applied", *call, "tool_called"]
        assert [kind for kind, _ in found] == kinds
        lenient, strict = (rules for _, rules in found if rules is not None)
        assert lenient == Rules(DisclosurePolicy(), {"said": ProviderRules("asserted")})
        assert strict == Rules(DisclosurePolicy(), {"said": ASKED})

    run(main())


@pytest.mark.parametrize(
    "rules", [Rules(DisclosurePolicy(), {}), Rules(DisclosurePolicy(engine="deny_all"), {"x": ASKED})]
)
def test_rules_are_known_by_their_bytes(rules: Rules) -> None:
    in_force = InForce.of(rules)
    assert msgspec.json.decode(in_force.content, type=Rules) == rules
    assert in_force.unless(in_force.rules_id) == ([], [])
    [event], [artifact] = in_force.unless("")
    assert (event.rules_id, artifact.content) == (in_force.rules_id, in_force.content)
