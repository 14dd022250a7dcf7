"""Packs that earlier versions wrote are verified by today's code, byte for byte.

The files are never written again: what was recorded is the proof. `scripts/record_packs.py` adds those of a new
version. Where a view of today differs, `VIEWS_VERSION` has to rise, and its packs are recorded anew.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock import __version__
from interlock.packs.manifest import VIEWS_VERSION
from tests.histories.packs.lives import FOLDER, KEY_ID, LIVES
from tests.unit.packs.making import verdict

FILES = sorted(FOLDER.glob("*/*.pack"))
NAMES = [f"{path.parent.name}/{path.stem}" for path in FILES]
BYTES_MAX = 300_000


def test_every_life_is_recorded_by_this_version_and_takes_little_room() -> None:
    assert {path.stem for path in (FOLDER / __version__).glob("*.pack")} == set(LIVES)
    assert sum(path.stat().st_size for path in FILES if path.parent.name == __version__) < BYTES_MAX


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_recorded_pack_passes_with_its_signature(path: Path) -> None:
    found = verdict(path, trusted=[KEY_ID])

    assert found.errors == [], "a view changed? raise VIEWS_VERSION"
    assert found.signature.state == "trusted"
    assert found.manifest is not None
    assert found.views_compared is (found.manifest.views.version == VIEWS_VERSION)


def test_some_recorded_pack_is_open_and_some_leaves_children_out() -> None:
    manifests = [found.manifest for found in map(verdict, FILES) if found.manifest is not None]

    assert any(manifest.unsealed for manifest in manifests)
    assert any(manifest.left_out for manifest in manifests)
