"""Names that would be paths, or second spellings of other names (T2): no file is reached by them."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.base.clock import SystemEntropy
from interlock.base.errors import InterlockError
from interlock.journal.streams import parse_stream
from interlock.stores.files import ArtifactFiles
from interlock.stores.sqlite.owners import Owners
from tests.surfaces.process import PRODUCT, run
from tests.surfaces.product import RUN, prepare, start_hello

PATHS = ["../secret", "/etc/passwd", "a/../../secret", "..", ".", "~", "secret\x00.txt", "ab" * 31 + "..", "%2e%2e%2f"]


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "secret\x00.txt", RUN.upper(), RUN.replace("-", "")])
def test_a_run_id_that_is_a_path_or_another_spelling_reaches_nothing(tmp_path: Path, name: str) -> None:
    folder = prepare(tmp_path)
    start_hello(folder, "--store", "s.db")
    (tmp_path / "secret").write_text("it is a secret")
    before = sorted(tmp_path.rglob("*"))
    if "\x00" in name:
        name = name.replace("\x00", "\x01")  # the system lets no other through as an argument

    for line in (["events"], ["resume"], ["cancel", "--reason", "r"]):
        done = run("run", line[0], name, *line[1:], "--store", "s.db", program=PRODUCT, folder=folder)
        assert done.code == 2, (line, done.text, done.err)
        assert "it is a secret" not in done.text + done.err
    done = run("run", "start", "hello:plan", "--run-id", name, "--store", "s.db", program=PRODUCT, folder=folder)
    assert done.code == 2
    assert [path for path in sorted(tmp_path.rglob("*")) if "__pycache__" not in str(path)] == [
        path for path in before if "__pycache__" not in str(path)
    ]


@pytest.mark.parametrize("name", [*PATHS, "A" * 64, "g" * 64, "a" * 63, "a" * 65, "a" * 64 + "\n", "ａ" * 64])
def test_an_artifact_id_that_is_no_digest_becomes_no_path(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("it is a secret")
    files = ArtifactFiles(tmp_path / "artifacts")

    with pytest.raises(InterlockError):
        files.path(name)
    with pytest.raises(InterlockError) as caught:
        files.read(name)

    assert caught.value.code == "artifact_not_found"
    assert not files.exists(name)
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("name", PATHS)
def test_an_owner_in_a_store_that_is_a_path_has_no_lock_file(tmp_path: Path, name: str) -> None:
    """A free file at such a path would prove a death that nobody died: such an owner is only believed dead by time."""
    (tmp_path / "secret").touch()
    (tmp_path / "secret.lock").touch()
    owners = Owners(tmp_path / "owners", SystemEntropy(), lock=True)

    assert owners.is_alive(name)
    owners.close()


@pytest.mark.parametrize(
    "name",
    [
        "default/run/../run/x",
        "default//run/x",
        "/default/run/x",
        "default/run/x/",
        "default/run/x/inbox/inbox",
        "default/RUN/01890a5d-ac96-774b-bcce-b302099a8057",
        "default/run/01890a5d-ac96-774b-bcce-b302099a8057\n",
        "dеfault/run/01890a5d-ac96-774b-bcce-b302099a8057",  # the second letter is Cyrillic
    ],
)
def test_a_stream_has_one_spelling(name: str) -> None:
    with pytest.raises(InterlockError):
        parse_stream(name)
