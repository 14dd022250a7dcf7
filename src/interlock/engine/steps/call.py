"""What the handler of a step is given beside its parameters.

What it does: declares `StepCall` and the registry `StepHandlers`. What it does not do: it runs no step (`step` does).

Rule: a handler is found by its name, and a name belongs to one part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from interlock.base.part import StepHandler
from interlock.engine.attempt import Recorder
from interlock.engine.io.surface import Io


@dataclass(frozen=True, slots=True)
class StepCall:
    """One attempt at a step.

    `folder` is that of the document, to which its relative paths belong. `idempotency_key` is the rendered one of the
    step, if it has any; `children` are the plans of the documents that it starts, by their path as written.
    """

    io: Io
    rec: Recorder
    step: str
    state_id: str
    folder: str
    idempotency_key: str | None = None
    timeout_ms: int | None = None
    children: Mapping[str, Any] = field(default_factory=dict)

    def fact_key(self, what: str) -> str:
        """The key under which the step's one call of a kind is recorded."""
        return f"{what}:{self.state_id}"


class StepHandlers:
    """The handlers of an application, by name."""

    def __init__(self, handlers: Iterable[StepHandler] = ()) -> None:
        self._by_name = {handler.name: handler for handler in handlers}

    def get(self, name: str) -> StepHandler | None:
        """The handler of that name, if there is one."""
        return self._by_name.get(name)

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in the order in which the parts list them."""
        return tuple(self._by_name)

    def __iter__(self) -> Any:
        return iter(self._by_name.values())
