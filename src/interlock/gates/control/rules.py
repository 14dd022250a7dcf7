"""The rules of an installation that decisions rest on: to whom packets may go, and how far evidence is believed.

What it does: holds the disclosure policy and what is asked of each provider's evidence, and says when a run has to
record them. What it does not do: it reads no configuration and judges nothing.

Rule: a run names the rules when it begins, and whenever a decision rests on others than the one before, so that every
decision can be made again from the run's events alone. They are an artifact, which runs under the same rules share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec import Struct

from interlock.base.canonical import digest
from interlock.base.part import Artifact
from interlock.gates.control import events as e
from interlock.gates.control.policy import DisclosurePolicy
from interlock.gates.evidence.trust import ProviderRules
from interlock.gates.values import wire

RULES_KIND = "ScenarioRules"


class Rules(Struct, frozen=True):
    """A disclosure policy, and what is asked of each provider that a scenario asks."""

    policy: DisclosurePolicy
    providers: Mapping[str, ProviderRules]


@dataclass(frozen=True)
class InForce:
    """Rules with their bytes and the id of those."""

    rules: Rules
    content: bytes
    rules_id: str

    @classmethod
    def of(cls, rules: Rules) -> InForce:
        """These rules."""
        content = wire(rules)
        return cls(rules, content, digest(content))

    def unless(self, rules_id: str) -> tuple[list[e.RulesApplied], list[Artifact]]:
        """What records them, for a run that rests on the rules of that id; nothing where they are the same."""
        if rules_id == self.rules_id:
            return [], []
        return [e.RulesApplied(self.rules_id)], [Artifact(RULES_KIND, self.content)]
