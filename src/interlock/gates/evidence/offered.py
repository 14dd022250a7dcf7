"""Which providers of evidence a caller may have asked: those that the installation offers, and for its own user any.

What it does: holds the one rule for a single query and for the document of a scenario. What it does not do: it asks
nobody, and looks at no scenario that is defined already: to define it was to choose what it asks, and whoever may
trigger it has no more asked than that.

Rules: a provider reads files, variables and servers of this machine, or has a program run, so that only its user opens
one to others (docs/threats.md, T64); those that look at the clock and the caller's own runs alone are open unless they
are closed; a provider that is not configured is offered to nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from msgspec import Struct

from interlock.base.ids import shown
from interlock.base.principal import TRUSTED, Principal
from interlock.gates.errors import PROVIDER_NOT_OFFERED
from interlock.gates.evidence.config import ProviderSettings
from interlock.gates.spec import ScenarioSpec

WITHIN = frozenset({"time", "run"})
"""Built-in providers that look at the clock, and at runs of the caller's tenant, and at nothing else."""

NAMES_TOLD_MAX = 10


class OfferedProviders(Struct, frozen=True):
    """The providers that callers may have asked who are not the user of this machine."""

    names: frozenset[str] = WITHIN

    @classmethod
    def of(cls, providers: Iterable[ProviderSettings]) -> Self:
        """Those that the settings offer."""
        said = {each.name: each.offered for each in providers if each.offered is not None}
        return cls(frozenset(each for each in WITHIN | said.keys() if said.get(each, True)))

    def check(self, principal: Principal, provider_id: str) -> None:
        """Refuse a provider that a caller may not have asked. Raises: `provider_not_offered`."""
        if principal.kind in TRUSTED or provider_id in self.names:
            return
        offered = ", ".join(shown(each) for each in sorted(self.names)[:NAMES_TOLD_MAX])
        told = f"; there are {offered}" if offered else ""
        raise PROVIDER_NOT_OFFERED.error(f"the provider {shown(provider_id)} is not offered{told}")

    def check_spec(self, principal: Principal, spec: ScenarioSpec) -> None:
        """Refuse a document of a caller that asks such a provider. Raises: `provider_not_offered`."""
        for condition in spec.conditions:
            self.check(principal, condition.query.provider_id)
