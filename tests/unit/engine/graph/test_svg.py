"""The SVG: read by a strict parser, measured, and searched for what must not be in it."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import combinations
from typing import NamedTuple

import pytest

from interlock.engine.graph.commands import drawn
from interlock.engine.graph.looks import LOOKS
from interlock.engine.graph.model import Graph
from interlock.engine.graph.paint import ICONS
from tests.unit.engine.graph.pictures import PICTURES, graph, node, siblings

NS = "{http://www.w3.org/2000/svg}"
NAME_CHARACTER, SMALL_CHARACTER = 13 * 0.602, 11 * 0.602  # what common fixed-width fonts take


class Rect(NamedTuple):
    """A box in the coordinates of the picture."""

    x: float
    y: float
    width: float
    height: float

    def overlaps(self, other: Rect) -> bool:
        return (
            self.x < other.x + other.width
            and other.x < self.x + self.width
            and self.y < other.y + other.height
            and other.y < self.y + self.height
        )

    def holds(self, other: Rect) -> bool:
        return (
            self.x <= other.x
            and self.y <= other.y
            and other.x + other.width <= self.x + self.width
            and other.y + other.height <= self.y + self.height
        )


def read(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314 - the text is our own


def moved(element: ET.Element) -> tuple[float, float]:
    x, y = element.attrib["transform"].removeprefix("translate(").rstrip(")").split()
    return float(x), float(y)


def cards(root: ET.Element) -> list[tuple[ET.Element, Rect]]:
    """Every drawn node with the outline of its boxes."""
    [body] = root.findall(f"{NS}g")
    left, top = moved(body)
    found = []
    for card in body.findall(f"{NS}g"):
        x, y = moved(card)
        rects = card.findall(f"{NS}rect")
        width = max(float(each.get("x", 0)) + float(each.attrib["width"]) for each in rects)
        height = max(float(each.get("y", 0)) + float(each.attrib["height"]) for each in rects)
        found.append((card, Rect(left + x, top + y, width, height)))
    return found


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("name", PICTURES)
def test_boxes_do_not_overlap_and_lie_within_the_picture(name: str, full: bool) -> None:
    root = read(drawn(PICTURES[name], "svg", full=full))
    found = cards(root)
    canvas = Rect(*map(float, root.attrib["viewBox"].split()))
    frames = [box for card, box in found if card.find(f"{NS}rect[@class='box frame']") is not None]
    boxes = [box for _, box in found if box not in frames]

    assert boxes
    assert all(canvas.holds(box) for box in [*boxes, *frames])
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert all(frame.holds(box) or not frame.overlaps(box) for frame in frames for box in boxes)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("name", PICTURES)
def test_texts_lie_within_their_boxes(name: str, full: bool) -> None:
    for card, box in cards(read(drawn(PICTURES[name], "svg", full=full))):
        for text in card.findall(f"{NS}text"):
            character = NAME_CHARACTER if text.attrib["class"] == "name" else SMALL_CHARACTER
            assert float(text.attrib["x"]) + len(text.text or "") * character <= box.width
            assert float(text.attrib["y"]) <= box.height


def test_a_picture_shows_each_state_with_its_word_and_a_tooltip() -> None:
    root = read(drawn(PICTURES["fan_out"], "svg"))
    tooltips = [card.findtext(f"{NS}title") for card, _ in cards(root)]

    assert tooltips[1] == "op.lint.main\nfailed · 2.0 s · 3 attempts\nlint_errors_found"
    assert [card.attrib["class"] for card, _ in cards(root)] == ["completed", "failed", "backoff", "completed", "other"]
    assert len(root.findall(f".//{NS}path[@class='edge']") + root.findall(f".//{NS}path[@class='edge ahead']")) == 6


def test_a_picture_says_what_it_is_to_those_who_do_not_see_it() -> None:
    root = read(drawn(PICTURES["chain"], "svg"))

    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"].startswith("nightly: run ")
    assert root.attrib["aria-label"].endswith("5 states")


def test_a_picture_needs_nothing_from_elsewhere_and_runs_nothing() -> None:
    for text in (drawn(each, "svg", full=True) for each in PICTURES.values()):
        assert re.findall(r"<(script|image|use|a|foreignObject|link)\b", text) == []
        assert re.findall(r"\b(?:href|src|on\w+)=|url\(|@import", text) == []
        assert re.findall(r"https?://[^\"]+", text) == ["http://www.w3.org/2000/svg"]
        assert "@media (prefers-color-scheme:dark)" in text


def test_every_rule_of_the_style_sheet_is_for_this_picture_only() -> None:
    sheet = read(drawn(PICTURES["release"], "svg")).findtext(f"{NS}style") or ""
    rules = [line for line in sheet.strip().splitlines() if "{" in line and not line.startswith("@media")]

    selectors = [each for rule in rules for each in rule.partition("{")[0].split(",")]
    assert [each for each in selectors if not each.startswith(".run-graph")] == []


def test_a_name_stays_a_name() -> None:
    hostile = "</text><script>alert(1)</script>&\"'\x00\x1b\ud800￾]]>"
    root = read(drawn(graph(hostile, [node(hostile, hostile, None, 1, hostile)], []), "svg"))

    assert root.findall(f".//{NS}script") == []
    [(card, _)] = cards(root)
    assert (card.findtext(f"{NS}title") or "").count("<script>alert(1)</script>&\"'??") == 3
    assert card.attrib["class"] == "other"


def test_a_long_name_is_cut_in_its_middle_and_whole_in_the_tooltip() -> None:
    name = "x" * 60 + "_17"
    [(card, _)] = cards(read(drawn(graph("long", [node(name, "pending")], []), "svg")))

    shown = card.findtext(f"{NS}text") or ""
    assert re.fullmatch(r"x+…x*_17", shown)
    assert name in (card.findtext(f"{NS}title") or "")


def test_many_siblings_are_one_box_and_full_opens_it() -> None:
    assert len(cards(read(drawn(siblings(), "svg")))) == 4
    assert len(cards(read(drawn(siblings(), "svg", full=True)))) == 64


def test_beyond_the_bound_full_is_not_followed() -> None:
    assert len(cards(read(drawn(siblings(500), "svg", full=True)))) == 4


def test_a_graph_without_states_is_a_picture_too() -> None:
    assert cards(read(drawn(Graph(title="none", summary="", nodes=()), "svg"))) == []


def test_each_look_has_an_icon_and_colours_with_enough_contrast() -> None:
    """WCAG asks for 4.5 to 1 between small text and its ground."""
    assert set(ICONS) == set(LOOKS)
    for name, look in LOOKS.items():
        for line, ground in (look.light, look.dark):
            one, other = sorted((luminance(line), luminance(ground)))
            assert (other + 0.05) / (one + 0.05) >= 4.5, name


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
