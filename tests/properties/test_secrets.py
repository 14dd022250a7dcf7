"""P17 (the scan): a canary is found wherever it is planted, and ordinary text is not taken for one (D15)."""

from __future__ import annotations

import pydoc_data.topics
from importlib import metadata

from hypothesis import given
from hypothesis import strategies as st

from interlock.base.canonical import Json, canonical, parse
from interlock.base.secret_scan import find_secret, redact_error_message, scan_bytes
from tests.house.project import pages

LETTERS = st.characters(codec="utf-8")
WORD = st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=2, max_size=9)
KEY = st.text(alphabet="bcdfgh_", max_size=8)
CLEAN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(alphabet="bcdfgh ,.", max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEY, inner, max_size=3),
    max_leaves=8,
)
BASE64 = st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", min_size=36, max_size=36)
CANARY = st.one_of(
    BASE64.map(lambda text: "ghp" + "_" + text),
    BASE64.map(lambda text: "glpat" + "-" + text),
    BASE64.map(lambda text: f"Bearer Aa1{text}"),
    BASE64.map(lambda text: "https://ada:" + f"p1{text}@example.com/"),
    BASE64.map(lambda text: f"password=a1{text}"),
    BASE64.map(lambda text: ".".join(["eyJ" + text, "eyJ" + text, text])),
    st.just("-----BEGIN " + "PRIVATE KEY-----"),
)


@st.composite
def planted(draw: st.DrawFn) -> tuple[Json, str]:
    """A JSON value, and a canary that stands somewhere in it, as a string, a part of one, or a key."""
    canary = draw(CANARY)
    around = draw(st.sampled_from(["{}", "see {}", "{}\n", '"{}"', "\\ {}", "é {} é"]))
    value: Json = around.format(canary)
    if draw(st.booleans()):
        value = {str(value): draw(CLEAN)}
    for _ in range(draw(st.integers(0, 5))):
        beside: Json = draw(CLEAN)
        value = [beside, value] if draw(st.booleans()) else {"b": beside, draw(KEY) + "c": value}
    return value, canary


@given(planted())
def test_a_canary_is_found_wherever_it_is_planted(case: tuple[Json, str]) -> None:
    value, canary = case
    finding = scan_bytes(canonical(value))

    assert finding is not None
    assert canary not in finding.pointer
    assert redact_error_message(f"failed: {canary}") == "error details redacted"


@given(
    st.recursive(
        st.none() | st.text(LETTERS) | CANARY | WORD,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(["password", "token", "seed", "note", "API-Key"]), inner)
            | st.dictionaries(st.text(LETTERS, max_size=12), inner, max_size=3)
        ),
        max_leaves=12,
    )
)
def test_the_fast_path_over_bytes_finds_exactly_what_the_search_finds(value: Json) -> None:
    found = scan_bytes(canonical(value))

    assert (found is None) == (find_secret(value) is None)
    assert found == find_secret(parse(canonical(value)))


@given(st.lists(WORD, min_size=12, max_size=24).map(" ".join))
def test_a_dozen_words_are_no_mnemonic_by_themselves(text: str) -> None:
    assert find_secret({"note": text, "words": tuple(text.split())}) is None


def test_ordinary_prose_is_not_taken_for_a_secret() -> None:
    paragraphs = [text for topic in pydoc_data.topics.topics.values() for text in topic.split("\n\n")]
    paragraphs += [text for page in pages() for text in page.read_text(encoding="utf-8").split("\n\n")]

    assert len(paragraphs) > 1_000
    assert [text for text in paragraphs if find_secret({"note": text})] == []


def test_the_metadata_of_installed_packages_is_not_taken_for_secrets() -> None:
    inventory: list[dict[str, Json]] = [
        {name: found.metadata[name] for name in found.metadata} for found in metadata.distributions()
    ]

    found = {content["Name"]: secret for content in inventory if (secret := find_secret(content))}
    # Two descriptions show what a secret looks like: `"api_key": "secret_key_123"`, and a whole token.
    shown = {"jsonschema_rs": "assignment", "PyJWT": "json_web_token"}

    assert len(inventory) > 10
    assert {name: secret.kind for name, secret in found.items()} == shown
    assert {secret.pointer for secret in found.values()} == {"/Description"}
    others = [{**content, "Description": ""} if content["Name"] in shown else content for content in inventory]
    assert [content for content in others if find_secret(content)] == []


def test_hostile_text_is_searched_in_linear_time() -> None:
    # Each beginning is one that a careless pattern would read on from to the very end, every time.
    for beginning in (
        "eyJ",
        "eyJa.",
        "password=",
        "bearer ",
        "basic ",
        "a://b:",
        "seed phrase: ab ",
        "sk-a-",
    ):
        text = beginning * (400_000 // len(beginning))

        assert find_secret(text) is None
