"""Ids and tags of a scenario document that say nothing.

What it does: finds blank ones. What it does not do: it says nothing of providers and checks (`validate` does), and
looks into no value that is the scenario's own affair, such as parameters and payloads.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from interlock.gates.scenario import rules
from interlock.gates.scenario.flaw import Flaw, Path
from interlock.gates.scenario.outline import items

_IDS: Final[tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]] = (
    ((), ("scenario_id", "spec_version")),
    (("stages",), ("stage_id",)),
    (("stages", "gates"), ("gate_id",)),
    (("stages", "entry_packets"), ("packet_id", "schema_id", "content_type")),
    (("conditions",), ("condition_id",)),
    (("policies",), ("policy_id",)),
    (("schemas",), ("schema_id",)),
)
"""Lists within lists, and the ids of what stands in them."""

_TAGS: Final[tuple[tuple[tuple[str, ...], str], ...]] = (
    (("conditions",), "policy_tags"),
    (("stages", "entry_packets"), "policy_tags"),
    (("stages", "entry_packets"), "visibility_labels"),
)


def name_flaws(document: Any) -> Iterator[Flaw]:
    """Every id and tag of a document's JSON value that is blank."""
    for lists, members in _IDS:
        for value, path in _objects(document, lists, ()):
            for member in members:
                if _is_blank(value.get(member)):
                    yield Flaw(rules.ID_BLANK, (*path, member), f"`{member}` is blank")
    for lists, member in _TAGS:
        for value, path in _objects(document, lists, ()):
            yield from _blank_tags(value, member, path)
    for stage, path in items(document, "stages", ()):
        yield from _blank_tags(stage.get("timeout"), "policy_tags", (*path, "timeout"))


def _objects(value: Any, lists: tuple[str, ...], path: Path) -> Iterator[tuple[dict[str, Any], Path]]:
    if lists:
        for item, below in items(value, lists[0], path):
            yield from _objects(item, lists[1:], below)
    elif isinstance(value, dict):
        yield value, path


def _blank_tags(value: Any, member: str, path: Path) -> Iterator[Flaw]:
    tags = value.get(member) if isinstance(value, dict) else None
    for index, tag in enumerate(tags if isinstance(tags, list) else ()):
        if _is_blank(tag):
            yield Flaw(rules.TAG_BLANK, (*path, member, index), f"a text of `{member}` is blank")


def _is_blank(value: Any) -> bool:
    return isinstance(value, str) and not value.strip()
