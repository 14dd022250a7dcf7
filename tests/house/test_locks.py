"""The locks are whole: they satisfy `pyproject.toml`, pin what a pin needs, and name no package index.

It asks no registry, so it cannot say that a newer version exists; `make upgrade` finds those. It reads what
the installed packages declare, and `make setup` installs exactly the locks.
"""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from itertools import chain

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.project import ROOT

LOCKS = ROOT / "requirements"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
Pins = dict[str, str]


def test_the_lock_of_the_runtime_is_what_the_package_and_its_extras_ask_for() -> None:
    assert_whole(pins("runtime.txt"), runtime())


def test_the_lock_of_the_developer_adds_the_tools_and_changes_no_pin_of_the_runtime() -> None:
    tools = [*PROJECT["dependency-groups"]["dev"], *PROJECT["build-system"]["requires"]]

    assert pins("runtime.txt").items() <= pins("dev.txt").items()
    assert_whole(pins("dev.txt"), [*runtime(), *tools])


def test_every_pin_carries_hashes_and_no_lock_names_an_index() -> None:
    locks = sorted(LOCKS.glob("*.txt"))
    assert {path.name for path in locks} >= {"bootstrap.txt", "dev.txt", "runtime.txt"}
    for path in locks:
        text = path.read_text(encoding="utf-8")
        entries = text.replace("\\\n", " ").splitlines()

        assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == [], path.name
        assert not re.search(r"https?:|file:|--(extra-)?index-url|--find-links", text), path.name


def runtime() -> list[str]:
    """What the package and every extra of it ask for."""
    extras: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
    return [*PROJECT["project"]["dependencies"], *chain.from_iterable(extras.values())]


def pins(lock: str) -> Pins:
    """The pins of a lock that apply to this interpreter, by normal name."""
    entries = (LOCKS / lock).read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    found = [Requirement(re.sub(r"\s+--hash=\S+", "", entry)) for entry in entries]
    return {canonicalize_name(pin.name): str(pin.specifier)[2:] for pin in found if applies(pin)}


def applies(requirement: Requirement, extra: str = "") -> bool:
    """Whether the marker of a requirement holds on this interpreter."""
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def assert_whole(locked: Pins, asked: list[str]) -> None:
    """Walk from what is asked to all that it needs: each is pinned as asked, and nothing else is pinned."""
    reached: set[tuple[str, str]] = set()
    waiting = [Requirement(text) for text in asked]
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        assert name in locked, f"{wanted} is not locked; run: make lock"
        assert wanted.specifier.contains(locked[name], prereleases=True), f"{wanted} is not met; run: make lock"
        for extra in {"", *wanted.extras}:
            if (name, extra) not in reached:
                reached.add((name, extra))
                needs = map(Requirement, importlib.metadata.requires(name) or [])
                waiting += [need for need in needs if applies(need, extra)]
    assert set(locked) == {name for name, _ in reached}, "a pin that nothing needs; run: make lock"
