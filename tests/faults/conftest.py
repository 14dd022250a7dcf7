"""Fixtures of the fault tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.durable import EVERY_PLACE, POSTGRESQL, SQLITE, Durable
from tests.faults.killing import Zygote

SLOW = [pytest.mark.slow, pytest.mark.timeout(6_000)]


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    zygote = Zygote()
    yield zygote
    zygote.close()


@pytest.fixture(scope="module")
def other() -> Iterator[Zygote]:
    """A second process beside the first."""
    zygote = Zygote()
    yield zygote
    zygote.close()


def durable_of(request: pytest.FixtureRequest) -> Durable:
    url = None if request.param == SQLITE else request.getfixturevalue("postgres_url")
    return Durable(url, sampled=request.param == POSTGRESQL)


@pytest.fixture(scope="module", params=[SQLITE, POSTGRESQL])
def durable(request: pytest.FixtureRequest) -> Durable:
    """Each durable store."""
    return durable_of(request)


@pytest.fixture(params=[SQLITE, POSTGRESQL, pytest.param(EVERY_PLACE, marks=SLOW)])
def swept(request: pytest.FixtureRequest) -> Durable:
    """Each durable store, for sweeps over all places of a run; of PostgreSQL some places, and all by the marker."""
    return durable_of(request)
