"""Many runs, many processes, one store, and a storm: killed, stopped, without room, without a server; then the truth.

What is proved stands in `torture.prove`, which shares no line with the product.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from interlock.doctor import examine
from tests.faults.torture.actors import answer_of
from tests.faults.torture.prove import proved
from tests.faults.torture.storm import torture
from tests.postgres import Server, fresh_schema

pytestmark = pytest.mark.unproved(
    "what a killed owner had put before the event that would have named it stays", but=["no_orphan"]
)

SEED = 118
"""Its storms have strikes of every kind."""

ON_FILE, ON_SERVER = (16, 26), (9, 14)
"""Strikes and runs of the default suite: each of the two takes some ten seconds, and a server more than a file."""

LONG = 5
"""How many times as many a long sweep has."""

SEEDS = range(1, 21)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server of one's own, to be crashed."""
    server = Server()
    server.make()
    try:
        yield server
    finally:
        server.remove()


def proved_to_hold(store: str, folder: Path, seed: int, server: Server | None, *, long: bool = False) -> None:
    strikes, runs = (count * (LONG if long else 1) for count in (ON_FILE if server is None else ON_SERVER))
    print(f"torture of {'SQLite' if server is None else 'PostgreSQL'} with seed {seed}")
    evidence, figures = torture(store, folder, seed, strikes=strikes, runs=runs, server=server)
    print(figures)
    wrong = proved(evidence, answer_of)
    assert not wrong, f"seed {seed}: {figures}\n" + "\n".join(f"{rule}: {what}" for rule, what in wrong[:30])
    findings = asyncio.run(examine(Path(store) if server is None else store)).findings
    assert findings == [], f"seed {seed}: {findings}"


def test_a_store_in_a_file_comes_through_a_storm(tmp_path: Path) -> None:
    proved_to_hold(str(tmp_path / "store.db"), tmp_path, SEED, None)


def test_a_store_on_a_server_comes_through_a_storm(tmp_path: Path, server: Server) -> None:
    proved_to_hold(fresh_schema(server.url), tmp_path, SEED, server)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_store_in_a_file_comes_through_any_storm(tmp_path: Path, seed: int) -> None:
    proved_to_hold(str(tmp_path / "store.db"), tmp_path, seed, None, long=True)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_store_on_a_server_comes_through_any_storm(tmp_path: Path, server: Server, seed: int) -> None:
    proved_to_hold(fresh_schema(server.url), tmp_path, seed, server, long=True)
