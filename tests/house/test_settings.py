"""Every setting that a part declares is read somewhere: a knob that turns nothing is a lie."""

from __future__ import annotations

import ast

from tests.house.project import python_files, tree

NODES = [node for path in python_files("src") for node in ast.walk(tree(path))]


def test_every_setting_is_used() -> None:
    read = {node.attr for node in NODES if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)}

    assert [f"{record}.{member}" for record in records() for member in members(record) if member not in read] == []


def records() -> set[str]:
    """The record of every `SettingsSection(name, record)` of the package."""
    calls = [node for node in NODES if isinstance(node, ast.Call) and ast.unparse(node.func) == "SettingsSection"]
    return {ast.unparse(call.args[1]) for call in calls}


def members(record: str) -> list[str]:
    """The annotated members of the class that has this name."""
    [found] = [node for node in NODES if isinstance(node, ast.ClassDef) and node.name == record]
    return [ast.unparse(item.target) for item in found.body if isinstance(item, ast.AnnAssign)]
