"""What a run records does not depend on the machine that it runs on (P22)."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.house.project import ROOT

PROGRAM = """
from interlock.testing.loop import run
from tests.simulation.crashes import World
from tests.simulation.plans import release

async def scenario():
    world = World(release)
    await world.live(11)
    await world.live()
    return [event.digest for event in world.log], world.result.final_snapshot_id

print(run(scenario(), seed=1))
"""
ENVIRONMENTS = [
    {"PYTHONHASHSEED": "1", "TZ": "UTC", "LC_ALL": "C"},
    {"PYTHONHASHSEED": "4242", "TZ": "Pacific/Kiritimati", "LC_ALL": "C.UTF-8", "PYTHONUTF8": "0"},
    {"PYTHONHASHSEED": "77", "TZ": "America/St_Johns", "PYTHONOPTIMIZE": "2"},
]


def recorded(environment: dict[str, str]) -> str:
    """The digests of every event of a run, which cover every byte of it."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "PYTHONPATH", "HOME"}}
    path = os.pathsep.join(part for part in (str(ROOT), kept.get("PYTHONPATH", "")) if part)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=kept | environment | {"PYTHONPATH": path},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("environment", ENVIRONMENTS[1:], ids=["hash seed, zone and locale", "optimised"])
def test_hash_seed_time_zone_and_locale_change_no_byte_of_a_run(environment: dict[str, str]) -> None:
    """P22."""
    assert recorded(environment) == recorded(ENVIRONMENTS[0])
