"""What the measurement of peers counts and reads, without a peer."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.house.project import ROOT

FOLDER = ROOT / "benchmarks" / "peers"


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs of that folder import their neighbours by name, as when they are run by path."""
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in [path.stem for path in FOLDER.glob("*.py")]:
        monkeypatch.delitem(sys.modules, name, raising=False)


def program(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


TRACE = """\
7 10.000000 fdatasync(5) = 0
7 10.100000 fsync(1073741824) = -1 EBADF (Bad file descriptor)
7 10.200000 fdatasync(5 <unfinished ...>
8 10.210000 fsync(9) = 0
7 10.220000 <... fdatasync resumed>) = 0
7 10.400000 fsync(1073741824) = -1 EBADF (Bad file descriptor)
7 10.500000 fsync(5) = 0
"""
SERVER = "20 10.050000 fdatasync(3) = 0\n21 10.300000 fdatasync(3) = 0\n21 11.000000 +++ exited with 0 +++\n"


@pytest.mark.usefixtures("beside")
def test_flushes_count_between_the_marks_in_every_log_and_a_resumed_one_counts_once() -> None:
    assert program("processes").flushes_between_marks([TRACE, SERVER]) == 3


@pytest.mark.usefixtures("beside")
def test_without_both_marks_nothing_is_counted() -> None:
    processes = program("processes")

    assert processes.flushes_between_marks([SERVER]) is None
    assert processes.flushes_between_marks([TRACE.replace("10.400000 fsync(1073741824)", "10.4 fsync(4)")]) is None


@pytest.mark.usefixtures("beside")
def test_a_family_holds_every_generation_but_the_trees_that_are_left_out() -> None:
    parents = {2: 1, 3: 2, 4: 2, 5: 4, 6: 1, 7: 6, 90: 80}

    assert sorted(program("processes").below(1, parents)) == [2, 3, 4, 5, 6, 7]
    assert sorted(program("processes").below(1, parents, {6})) == [2, 3, 4, 5]


@pytest.mark.usefixtures("beside")
def test_pins_are_read_from_a_lock() -> None:
    lock = "Alpha_x==1.2 \\\n    --hash=sha256:00\nbeta==3.0rc1 ; python_version < '4' \\\n    --hash=sha256:11\n"

    assert program("install").pins(lock) == {"alpha_x": "1.2", "beta": "3.0rc1"}


@pytest.mark.usefixtures("beside")
def test_every_contender_has_its_program_its_lock_and_its_versions() -> None:
    contenders, install = program("contenders"), program("install")

    for each in contenders.CONTENDERS:
        assert (FOLDER / each.program).is_file()
        assert not each.environment or each.lock.is_file()
        assert list(install.versions(each))[: len(each.packages)] == list(each.packages)
    assert len({each.key for each in contenders.CONTENDERS}) == len(contenders.CONTENDERS)


@pytest.mark.usefixtures("beside")
def test_a_run_has_the_same_id_after_a_restart_and_another_in_another_workload() -> None:
    run_id = program("protocol").run_id

    assert run_id("W4", "work", 255) == run_id("W4", "work", 255) == "000000ff-0000-4000-8004-000000000000"
    assert len({run_id(w, p, 1) for w in ("W1", "W2") for p in ("warm", "work")}) == 4


@pytest.mark.usefixtures("beside")
def test_ports_stay_the_same_on_the_same_folder(tmp_path: Path) -> None:
    given = program("protocol").Given(tmp_path, "", "", noted=False)

    assert len(set(given.ports(3))) == 3
    assert given.ports(3) == given.ports(3)


@pytest.mark.usefixtures("beside")
def test_a_state_notes_that_it_ran_only_where_a_kill_is_judged(tmp_path: Path) -> None:
    protocol = program("protocol")

    protocol.Given(tmp_path, "", "", noted=False).note("r", 1)
    assert not (tmp_path / protocol.NOTES).exists()
    protocol.Given(tmp_path, "", "", noted=True).note("r", 1)
    assert (tmp_path / protocol.NOTES).read_text() == "r 1\n"
