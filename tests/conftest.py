"""What holds for every test: no setting leaks in, a failing example can be found again, what it leaves is sound.

It declares no fixture that hides a fake: a test makes what it needs from `interlock.testing`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests import postgres
from tests.witness import Witness, checks_of

# A slow machine is not a wrong result, so no example has a deadline.
settings.register_profile("default", deadline=None, max_examples=50, print_blob=True)
settings.register_profile("long", parent=settings.get_profile("default"), max_examples=2_000)
# One verdict for one commit: CI draws the same examples each time; `default` explores.
settings.register_profile(
    "ci",
    parent=settings.get_profile("default"),
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "default"))


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every INTERLOCK_ variable, and a person's profiles, from the test and from the programs it starts."""
    monkeypatch.setenv("XDG_CONFIG_HOME", "/nowhere")
    for name in [name for name in os.environ if name.startswith("INTERLOCK_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A real PostgreSQL server: the one that the environment names, or one of this worker."""
    yield from postgres.shared()


WITNESS = Witness()
WITNESS.watch()


@pytest.fixture(autouse=True)
def _stores_are_sound(request: pytest.FixtureRequest) -> Iterator[None]:
    """Prove every store that the test used, as far as its mark `unproved` lets it (see `tests.proof`)."""
    WITNESS.forget()
    yield
    checks = checks_of(request.node)
    wrong = WITNESS.findings(checks) if checks else []
    assert not wrong, "the test left a store that is not sound:\n" + "\n".join(wrong[:20])
