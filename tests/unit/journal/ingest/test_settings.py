"""Whose events are taken: the entry that a source falls under, and the types that it knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.base.errors import Invalid
from interlock.base.secrets import SecretRef
from interlock.journal.ingest import EventSettings
from interlock.journal.ingest.settings import EventSource
from interlock.parts import PARTS, sections_of
from interlock.settings import load

FILE = """
[events]
signature_tolerance_seconds = 60

[events.sources.forge]
source = "https://forge.example/*"
types = ["forge.*"]
secret = "env:FORGE_SECRET"
"""


def test_sources_are_tables_of_the_settings_file(tmp_path: Path) -> None:
    (tmp_path / "interlock.toml").write_text(FILE)

    settings = load(sections_of(PARTS), environ={}, folder=tmp_path).get(EventSettings)

    forge = settings.source("https://forge.example/hooks")
    assert forge == EventSource(
        source="https://forge.example/*", types=("forge.*",), secret=SecretRef("env:FORGE_SECRET")
    )
    assert (settings.signature_tolerance_seconds, settings.allow_unlisted) == (60, False)


@pytest.mark.parametrize(
    "entry",
    ['{source = ""}', '{source = "a*b"}', '{source = "a", secret = "plain"}', '{types = ["x"]}', '{sauce = "a"}'],
)
def test_an_entry_that_means_nothing_is_refused(tmp_path: Path, entry: str) -> None:
    (tmp_path / "interlock.toml").write_text(f"[events.sources]\nforge = {entry}\n")

    with pytest.raises(Invalid, match="events"):
        load(sections_of(PARTS), environ={}, folder=tmp_path)


def test_nothing_is_taken_without_a_list() -> None:
    assert EventSettings().source("https://forge.example/hooks") is None


def test_the_exact_entry_counts_then_the_one_with_the_longest_beginning() -> None:
    patterns = ("*", "/a*", "/a/b*", "/a/b", "/c")
    settings = EventSettings(sources={str(n): EventSource(source=each) for n, each in enumerate(patterns)})
    found = {source: settings.source(source) for source in ("/a/b", "/a/bc", "/a", "/d")}

    assert {source: each and each.source for source, each in found.items()} == {
        "/a/b": "/a/b",
        "/a/bc": "/a/b*",
        "/a": "/a*",
        "/d": "*",
    }


def test_a_source_without_types_knows_none() -> None:
    assert not EventSource(source="*").knows("forge.pushed")
    assert EventSource(source="*", types=("forge.p*", "x")).knows("forge.pushed")
    assert not EventSource(source="*", types=("forge.p*", "x")).knows("xy")
