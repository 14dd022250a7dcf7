"""Searching documentation: the scores of the contract, over pages of a test."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.surfaces.mcp.search import ROLES, Library, Page

GUIDE = Page("guide", "Guide", "pattern", "# Guide\nAbout orders.\n## Replay\nruns again\n### Orders\nreplay\n", "")
WHY = Page("why", "Why it holds", "reasoning", "intro orders\n## Chain\nevery head\n", "")
CODES = Page("codes", "Codes", "ontology", "## Replay\nruns\n# not a section\n", "")
ALL = Library([GUIDE, WHY, CODES])


def headings(query: str, most: int | None = None, library: Library = ALL) -> list[tuple[str, str]]:
    return [(each.doc_id, each.heading) for each in library.search(query, most).sections]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("replay", [("guide", "Replay"), ("codes", "Replay"), ("guide", "Orders")]),  # 3, 3, 1: ties by page
        ("REPLAY runs", [("guide", "Replay"), ("codes", "Replay"), ("guide", "Orders")]),
        ("orders replay", [("guide", "Orders"), ("guide", "Replay"), ("codes", "Replay")]),
        (
            "replay format",
            [("codes", "Replay"), ("guide", "Replay"), ("guide", "Orders")],
        ),  # hints at ontology
        ("why orders", [("why", "Why it holds"), ("guide", "Orders"), ("guide", "Guide")]),
        ("head", [("why", "Chain")]),
        ("nothing of that", []),
    ],
)
def test_headings_count_more_than_bodies_and_the_role_that_is_hinted_at_a_little(
    query: str, found: list[tuple[str, str]]
) -> None:
    assert headings(query) == found


def test_the_role_with_the_most_hints_counts_more_than_the_others() -> None:
    pages = [Page(role, role, role, "## Word\nx", "") for role in ROLES]
    assert headings("word why trust schema", 4, Library(pages)) == [
        ("reasoning", "Word"),
        ("ontology", "Word"),
        ("decision", "Word"),
        ("pattern", "Word"),
    ]


def test_an_empty_query_gives_the_beginning_of_a_page_of_each_role() -> None:
    found = ALL.search("  ", 10)
    assert [(each.rank, each.doc_id, each.content) for each in found.sections] == [
        (0, "why", "intro orders"),
        (1, "codes", ""),
        (2, "guide", "# Guide\nAbout orders."),
    ]
    assert len(found.docs_covered) == 3
    assert len(found.suggested_followups) == 1


@pytest.mark.parametrize(("most", "count"), [(None, 3), (0, 1), (-5, 1), (1, 1), (2, 2), (10, 3), (11, 3)])
def test_so_many_sections_are_given_as_were_asked_for_within_the_bounds(most: int | None, count: int) -> None:
    assert len(headings("replay", most)) == count


def test_an_installation_may_give_fewer() -> None:
    assert len(headings("replay", 10, Library([GUIDE, CODES], sections_max=2))) == 2


def test_what_was_found_names_its_pages_once_and_what_else_could_be_asked() -> None:
    found = ALL.search("replay")
    assert [(each.doc_id, each.doc_title, each.doc_role) for each in found.docs_covered] == [
        ("guide", "Guide", "pattern"),
        ("codes", "Codes", "ontology"),
    ]
    assert len(found.suggested_followups) == 2
    assert ALL.search("zzz").suggested_followups == []


@given(st.text(max_size=40), st.integers(-3, 20))
def test_the_same_query_gets_the_same_answer_and_only_sections_with_one_of_its_words(query: str, most: int) -> None:
    found = ALL.search(query, most)
    assert found == Library([GUIDE, WHY, CODES]).search(query, most)
    words = query.lower().split()
    for each in found.sections:
        text = f"{each.heading}\n{each.content}".lower()
        assert not words or any(word in text for word in words)
