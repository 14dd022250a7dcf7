"""`interlock doctor` as people and scripts use it: real processes on whole, damaged, busy and absent stores."""

from __future__ import annotations

import shutil
from pathlib import Path

import apsw
import pytest

from tests.surfaces.process import PRODUCT, SECONDS_MAX, run
from tests.surfaces.product import RUN, answer, begun, prepare, start_hello, start_waiting


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store that holds one finished run."""
    folder = prepare(tmp_path_factory.mktemp("whole"))
    start_hello(folder, "--run-id", RUN, "--store", "store.db")
    answer(folder, "run", "list", "--store", "store.db")
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    shutil.copy2(whole / "store.db", tmp_path)
    return tmp_path


MANIFEST_LOST = "UPDATE artifact SET content = zeroblob(bytes) WHERE kind = 'Manifest'"


def change(folder: Path, statement: str) -> None:
    """Damage the store by a statement."""
    connection = apsw.Connection(str(folder / "store.db"))
    connection.execute(statement)
    connection.close()


def manifest_of(folder: Path) -> str:
    connection = apsw.Connection(str(folder / "store.db"))
    identity = str(connection.execute("SELECT id FROM artifact WHERE kind = 'Manifest'").get)
    connection.close()
    return identity


def test_a_sound_store_is_said_to_be_healthy_and_counted(folder: Path) -> None:
    before = (folder / "store.db").read_bytes()

    report = answer(folder, "doctor", "--store", "store.db")

    assert (report["healthy"], report["complete"], report["findings"]) == (True, True, [])
    assert report["counts"]["streams"] == 1
    assert report["counts"]["events"] > 5
    assert report["counts"]["artifacts"] > 2
    assert (folder / "store.db").read_bytes() == before


@pytest.mark.parametrize(
    ("statement", "place"),
    [
        ("UPDATE event SET data = CAST(replace(data, 'find', 'fund') AS BLOB) WHERE seq = 5", f"default/run/{RUN}#5"),
        ("UPDATE stream SET seq = seq + 1", f"default/run/{RUN}"),
        (MANIFEST_LOST, "manifest"),
        ("UPDATE view_row SET document = CAST(replace(document, 'completed', 'computed!') AS BLOB)", "runs@3"),
    ],
)
def test_damage_exits_7_and_is_named_by_its_place(folder: Path, statement: str, place: str) -> None:
    """P20, F20: for programs and for people."""
    place = manifest_of(folder) if place == "manifest" else place
    change(folder, statement)

    report = answer(folder, "doctor", "--store", "store.db", code=7)
    shown = run("doctor", "--store", "store.db", program=PRODUCT, folder=folder)

    assert not report["healthy"]
    assert any(place in finding["place"] for finding in report["findings"]), report["findings"]
    assert shown.code == 7
    assert place[:30] in shown.text


@pytest.mark.parametrize("verb", ["status", "output", "why", "events", "graph"])
def test_an_artifact_that_is_lost_is_damage_for_every_verb_that_needs_it_and_is_named(folder: Path, verb: str) -> None:
    """Exit 3 means that there is no such run; this one is there, and something that it names is not."""
    lost = manifest_of(folder) if verb == "status" else ""
    change(folder, f"DELETE FROM artifact WHERE id = '{lost}'" if lost else "DELETE FROM artifact")

    if verb in ("why", "events"):
        answer(folder, "run", verb, RUN, "--store", "store.db")  # its record alone answers these
        return
    error = answer(folder, "run", verb, RUN, "--store", "store.db", code=7)["error"]

    assert error["code"] == "artifact_not_found"
    assert error["details"]["artifact"] in error["message"]
    assert lost in error["message"]


@pytest.mark.parametrize("lost", ["1 = 1", "seq > 3", "seq = 1"])
@pytest.mark.parametrize("line", [["status"], ["events"], ["events", "--contract"]])
def test_events_that_are_lost_are_damage_for_every_verb_that_reads_them(
    folder: Path, line: list[str], lost: str
) -> None:
    change(folder, f"DELETE FROM event WHERE {lost}")

    error = answer(folder, "run", *line, RUN, "--store", "store.db", code=7)["error"]

    assert error["category"] == "corrupt"
    assert error["code"] != "run_not_found"


def test_one_damage_hides_no_other(folder: Path) -> None:
    change(folder, "UPDATE event SET envelope = zeroblob(10) WHERE seq = 5")
    change(folder, MANIFEST_LOST)

    places = {finding["place"] for finding in answer(folder, "doctor", "--store", "store.db", code=7)["findings"]}

    assert f"default/run/{RUN}#5" in places
    assert any(manifest_of(folder) in place for place in places)


def test_a_file_cut_short_is_named_and_not_mended(folder: Path) -> None:
    """S2: what cannot be opened at all is itself the finding."""
    store = folder / "store.db"
    store.write_bytes(store.read_bytes()[: 3 * 4096])
    before = store.read_bytes()

    report = answer(folder, "doctor", "--store", "store.db", code=7)

    assert report["findings"]
    assert store.read_bytes() == before


@pytest.mark.parametrize(("content", "code"), [(None, 3), (b"", 3), (b"no database at all, but text " * 40, 7)])
def test_what_is_no_store_is_an_error_and_nothing_is_made(tmp_path: Path, content: bytes | None, code: int) -> None:
    if content is not None:
        (tmp_path / "store.db").write_bytes(content)

    error = answer(tmp_path, "doctor", "--store", "store.db", code=code)["error"]

    assert error["code"] == ("store_foreign" if content else "store_not_found")
    assert [path.name for path in tmp_path.iterdir()] == ([] if content is None else ["store.db"])


def test_a_store_in_use_can_be_examined(tmp_path: Path) -> None:
    folder = prepare(tmp_path)
    owner = begun(folder, *start_waiting(folder))

    report = answer(folder, "doctor")

    assert report["healthy"]
    (folder / "open").touch()
    owner.communicate(timeout=SECONDS_MAX)
    assert owner.returncode == 0
