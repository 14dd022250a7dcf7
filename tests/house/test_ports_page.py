"""The page of decisions lists the ports as they are."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from interlock.journal import ports
from tests.house.project import ROOT

PAGE = (ROOT / "docs" / "decisions" / "0001-interfaces.md").read_text("utf-8")
SECTION = PAGE.partition("## 7. Ports")[2].partition("\n## ")[0]
ROWS = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", SECTION, re.MULTILINE))
PORTS = {
    name: kind
    for name, kind in vars(ports).items()
    if getattr(kind, "__module__", "") == ports.__name__ and getattr(kind, "_is_protocol", False) and name != "Store"
}


def test_every_port_is_listed_and_no_other() -> None:
    assert sorted(ROWS) == sorted(PORTS)


@pytest.mark.parametrize(("name", "port"), PORTS.items(), ids=PORTS)
def test_every_method_of_a_port_is_listed_and_no_other(name: str, port: Any) -> None:
    methods = {each for each, value in vars(port).items() if inspect.isfunction(value) and not each.startswith("_")}
    listed = set(re.findall(r"`(\w+)(?:\(|`)", ROWS[name]))

    assert methods <= listed
    assert set(re.findall(r"`(\w+)\(", ROWS[name])) <= methods | {"Appended"}
