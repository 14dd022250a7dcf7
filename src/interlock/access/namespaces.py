"""In which namespace of gates a call is.

What it does: reads the namespace that a call names, and says where its command has it. What it does not do: it permits
nothing, and knows no namespace.

Rules: a call names one in a member of its own, or in the one place of a document that its command declares; whatever
is no number there is none; a call that names none is in none.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from interlock.base.part import Command

MEMBERS: Final = ("namespace", "namespace_id")
"""Members of an input that are a namespace."""


def namespace_of(command: Command, given: Struct) -> int | None:
    """The namespace that a call of a command names, None where it names none."""
    if command.namespace is not None:
        return command.namespace.read(given)
    return next((getattr(given, name) for name in MEMBERS if hasattr(given, name)), None)


def place_of(command: Command) -> str | None:
    """Where calls of a command name their namespace, None where they cannot."""
    if command.namespace is not None:
        return command.namespace.place
    return next((name for name in MEMBERS if name in command.input.__struct_fields__), None)
