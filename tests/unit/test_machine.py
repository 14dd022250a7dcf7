"""The verbs about the machine's own store, as a client calls them: records in, records out, exit codes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec import Struct

from interlock import App, InterlockError, Plan
from interlock.base.part import Effect
from interlock.base.principal import local_principal
from interlock.machine import EXIT_CORRUPT, PART, BackupReport, DoctorReport
from interlock.surfaces.catalogue import Catalogue
from interlock.surfaces.client import Client
from tests.faults.halting import sql

plan = Plan("greeting")


@plan.state
async def greet(name: str) -> str:
    return f"Hello {name}"


class NoServices:
    """What these verbs get: no application is open."""

    def get(self, kind: type) -> object:
        raise KeyError(kind.__name__)


def call(name: str, **given: object) -> Struct:
    client = Client(Catalogue(PART.commands), local_principal("ada"), NoServices())  # type: ignore[arg-type]
    return asyncio.run(client.call(name, given))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with one finished run."""

    async def main() -> None:
        async with App.open(tmp_path / "store.db") as app:
            await app.runs.start(plan, {"name": "Ada"})

    asyncio.run(main())
    return tmp_path / "store.db"


def test_they_need_no_application_and_have_no_route() -> None:
    assert {command.name for command in PART.commands} == {
        "work",
        "up",
        "serve",
        "doctor",
        "backup",
        "store.copy",
        "demo",
    }
    assert all(command.machine for command in PART.commands)


def test_looking_and_copying_change_nothing_and_worker_and_demonstration_start_something() -> None:
    assert {command.name: command.effect for command in PART.commands} == {
        "work": Effect.STARTS,
        "up": Effect.STARTS,
        "serve": Effect.STARTS,
        "doctor": Effect.READS,
        "backup": Effect.READS,
        "store.copy": Effect.READS,
        "demo": Effect.STARTS,
    }


def test_doctor_answers_what_it_counted(store: Path) -> None:
    report = call("doctor", store=str(store))

    assert isinstance(report, DoctorReport)
    assert (report.store, report.healthy, report.findings) == (str(store), True, [])
    assert report.counts["events"] > 0


@pytest.mark.unproved("it damages its store, to see the damage named")
@pytest.mark.parametrize(("damaged", "code"), [(False, 0), (True, EXIT_CORRUPT)])
def test_the_exit_code_of_doctor_follows_from_what_it_found(store: Path, damaged: bool, code: int) -> None:
    if damaged:
        sql(store, "UPDATE stream SET seq = seq + 1")
    [command] = [command for command in PART.commands if command.name == "doctor"]
    assert command.exit_code is not None

    report = call("doctor", store=str(store))

    assert command.exit_code(report) == code == (7 if damaged else 0)
    assert isinstance(report, DoctorReport)
    assert bool(report.findings) == damaged


def test_backup_answers_what_it_wrote(store: Path) -> None:
    target = store.with_name("copy.db")

    made = call("backup", store=str(store), target=str(target))

    assert made == BackupReport(str(store), str(target), target.stat().st_size, 0)


@pytest.mark.parametrize(
    ("name", "given", "code"),
    [
        ("doctor", {"store": "absent.db"}, "store_not_found"),
        ("backup", {"store": "absent.db", "target": "copy.db"}, "store_not_found"),
        ("doctor", {}, "input_invalid"),
        ("backup", {"store": "absent.db"}, "input_invalid"),
        ("demo", {"project": ".", "colour": "red"}, "input_invalid"),
    ],
)
def test_what_cannot_be_done_is_an_error_and_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, given: dict[str, object], code: str
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InterlockError) as caught:
        call(name, **given)

    assert caught.value.code == code
    assert list(tmp_path.iterdir()) == []
