"""`interlock pack` and `interlock key` as people and auditors use them: real processes, real files, no store."""

from __future__ import annotations

import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from interlock import App
from interlock.base.errors import Refused
from interlock.base.principal import Principal, PrincipalKind
from tests.surfaces.process import PRODUCT, Ended, run, run_on_terminal
from tests.surfaces.product import RUN, answer, prepare, start_hello


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store that holds one finished run, a key, and the signed pack of the run."""
    folder = prepare(tmp_path_factory.mktemp("lived"))
    start_hello(folder, "--run-id", RUN)
    answer(folder, "key", "new", "--out", "mine.key")
    answer(folder, "pack", "export", "--run", RUN, "--out", "run.pack", "--contract", "--sign", "mine.key")
    return folder


@pytest.fixture
def away(lived: Path, tmp_path: Path) -> Path:
    """Another machine, as it were: the pack, its signature and the public key, and no store."""
    for name in ("run.pack", "run.pack.sig", "mine.key.pub"):
        (tmp_path / name).write_bytes((lived / name).read_bytes())
    return tmp_path


def said(folder: Path, *line: str) -> Ended:
    return run(*line, program=PRODUCT, folder=folder)


def test_a_pack_is_exported_and_says_what_it_holds(lived: Path) -> None:
    made = answer(lived, "pack", "export", "--run", RUN, "--out", "again.pack", "--contract")

    assert made["runs"] == 1
    assert made["signature"] is None
    assert made["unsealed"] == made["left_out"] == []
    assert made["bytes"] == (lived / "again.pack").stat().st_size
    assert (lived / "again.pack").read_bytes() == (lived / "run.pack").read_bytes()
    assert {path.suffix for path in lived.glob("*.part")} == set()


def test_an_auditor_needs_the_file_and_the_key_and_nothing_else(away: Path) -> None:
    found = answer(away, "pack", "verify", "run.pack", "--trust", "mine.key.pub")

    assert (found["status"], found["signature"], found["errors"]) == ("pass", "trusted", [])
    assert found["run_id"] == RUN
    assert sorted(path.name for path in away.iterdir()) == ["mine.key.pub", "run.pack", "run.pack.sig"]


def test_a_pack_is_verified_where_nothing_can_be_written_and_no_network_is(away: Path) -> None:
    away.chmod(0o500)
    try:
        done = run("pack", "verify", "run.pack", program=PRODUCT, folder=away, environ={"HOME": "/nonexistent"})
    finally:
        away.chmod(0o700)
    assert (done.code, done.err) == (0, "")
    assert "pass" in done.text


def test_a_folder_that_tar_unpacked_is_verified(away: Path) -> None:
    (away / "run").mkdir()
    subprocess.run(["tar", "-xf", "run.pack", "-C", "run"], cwd=away, check=True)  # noqa: S607
    (away / "run.sig").write_bytes((away / "run.pack.sig").read_bytes())

    assert answer(away, "pack", "verify", "run", "--trust", "mine.key.pub")["status"] == "pass"
    line = ["sha256sum", "--check", "manifest.sha256"]
    done = subprocess.run(line, cwd=away / "run", check=True, capture_output=True)
    assert done.stdout == b"manifest.json: OK\n"


def test_a_flipped_byte_fails_with_the_place_and_the_code_of_damage(away: Path) -> None:
    content = bytearray((away / "run.pack").read_bytes())
    begins = content.index(b"streams/000001.events\0")
    at = content.index(b"greeting.greet.main", begins)
    content[at] ^= 1
    (away / "run.pack").write_bytes(content)

    found = answer(away, "pack", "verify", "run.pack", code=7)
    assert found["status"] == "fail"
    assert ("event_corrupt", "streams/000001.events") in {(e["code"], e["member"]) for e in found["errors"]}
    assert {e["seq"] for e in found["errors"] if e["code"] == "event_corrupt"} != {None}
    shown = said(away, "pack", "verify", "run.pack")
    assert shown.code == 7
    assert "fail" in shown.text
    assert shown.text.index("fail") < shown.text.index("event_corrupt") < shown.text.index("signature")
    assert shown.err == "next: do not rely on it; ask for the pack again\n"


def test_a_pack_that_is_cut_is_not_said_to_be_complete(away: Path) -> None:
    (away / "run.pack").write_bytes((away / "run.pack").read_bytes()[:-600])

    found = answer(away, "pack", "verify", "run.pack", code=7)
    assert (found["status"], found["complete"], found["views_compared"]) == ("fail", False, False)
    shown = said(away, "pack", "verify", "run.pack").text
    assert "complete" in shown
    assert "yes" not in shown
    assert "views compared" not in shown


def test_a_damaged_event_leaves_views_that_were_not_compared(away: Path) -> None:
    content = bytearray((away / "run.pack").read_bytes())
    content[content.index(b"state_completed")] ^= 1
    (away / "run.pack").write_bytes(content)

    found = answer(away, "pack", "verify", "run.pack", code=7)
    assert (found["complete"], found["views_compared"]) == (False, False)


def test_a_file_and_a_folder_that_are_no_packs_are_told_as_that(away: Path) -> None:
    (away / "notes.txt").write_text("hello\n" * 500)
    (away / "empty").write_bytes(b"")
    (away / "folder").mkdir()
    (away / "folder" / "A file.txt").write_text("hello")

    for name in ("notes.txt", "empty", "folder"):
        assert "this is not a pack" in said(away, "pack", "verify", name).text
        assert "this is not a pack" in said(away, "pack", "show", name).err


@pytest.mark.parametrize("gone", [True, False])
def test_a_verdict_about_a_signature_says_what_is_missing(away: Path, *, gone: bool) -> None:
    answer(away, "key", "new", "--out", "other.key")
    if gone:
        (away / "run.pack.sig").unlink()

    told = said(away, "pack", "verify", "run.pack", "--trust", "other.key.pub").err
    assert ("ask for its signature" if gone else "find out whose key signed it") in told


def test_a_pack_that_nobody_signed_passes_and_says_so(away: Path) -> None:
    (away / "run.pack.sig").unlink()

    assert answer(away, "pack", "verify", "run.pack")["signature"] == "none"
    found = answer(away, "pack", "verify", "run.pack", "--trust", "mine.key.pub", code=7)
    assert [each["code"] for each in found["errors"]] == ["pack_unsigned"]


def test_a_pack_that_somebody_else_signed_fails(away: Path) -> None:
    answer(away, "key", "new", "--out", "other.key")

    found = answer(away, "pack", "verify", "run.pack", "--trust", "other.key.pub", code=7)
    assert [each["code"] for each in found["errors"]] == ["pack_signer_untrusted"]
    signed = answer(away, "pack", "sign", "run.pack", "--key", "other.key", "--force")
    assert answer(away, "pack", "verify", "run.pack", "--trust", signed["signed_by"])["signature"] == "trusted"


def test_only_a_pack_that_verifies_is_signed(away: Path) -> None:
    answer(away, "key", "new")
    taken = said(away, "pack", "sign", "run.pack", "--key", "interlock.key")
    assert (taken.code, "[pack_signed]" in taken.err, "another file" in taken.err) == (4, True, False)
    with (away / "run.pack").open("ab") as file:
        file.write(b"\0")
    (away / "run.pack.sig").unlink()

    assert said(away, "pack", "sign", "run.pack", "--key", "interlock.key").code == 7
    assert not (away / "run.pack.sig").exists()


def test_a_signature_that_no_longer_fits_can_be_replaced(away: Path) -> None:
    answer(away, "key", "new")
    (away / "run.pack.sig").write_bytes(b"{}")

    answer(away, "pack", "sign", "run.pack", "--key", "interlock.key", "--force")
    assert answer(away, "pack", "verify", "run.pack", "--trust", "interlock.key.pub")["status"] == "pass"


def test_what_is_in_a_pack_is_shown(away: Path) -> None:
    shown = said(away, "pack", "show", "run.pack")
    found = answer(away, "pack", "show", "run.pack")

    assert shown.code == 0
    assert "streams/000001.events" in shown.text
    assert "interlock.pack/1" in shown.text
    assert [each["status"] for each in found["runs"]] == ["completed"]
    assert any(name.endswith("/contract.jsonl") for name in found["views"])


def test_a_pack_that_is_none_is_not_shown(away: Path) -> None:
    (away / "x").write_bytes(b"hello")

    assert said(away, "pack", "show", "x").code == 7
    assert said(away, "pack", "show", "nowhere").code == 3
    assert said(away, "pack", "verify", "nowhere").code == 3
    assert answer(away, "pack", "verify", "x", code=7)["errors"][0]["code"] == "pack_container_invalid"


def test_nothing_is_written_over(lived: Path) -> None:
    (lived / "mine.txt").write_text("mine")
    refused = said(lived, "pack", "export", "--run", RUN, "--out", "mine.txt")

    assert (refused.code, (lived / "mine.txt").read_text()) == (4, "mine")
    assert said(lived, "key", "new", "--out", "mine.key").code == 4
    assert "pack_exists" in refused.err
    assert said(lived, "pack", "export", "--run", RUN, "--out", "run.pack").code == 4


def test_a_pack_that_is_replaced_takes_its_old_signature_with_it(lived: Path) -> None:
    answer(lived, "pack", "export", "--run", RUN, "--out", "twice.pack", "--sign", "mine.key")
    answer(lived, "pack", "export", "--run", RUN, "--out", "twice.pack", "--contract", "--force")

    assert not (lived / "twice.pack.sig").exists()
    assert answer(lived, "pack", "verify", "twice.pack")["signature"] == "none"


def test_a_run_that_is_not_there_and_a_key_that_is_none_leave_nothing(lived: Path) -> None:
    before = sorted(path.name for path in lived.iterdir())

    assert said(lived, "pack", "export", "--run", RUN[:-1] + "8", "--out", "a.pack").code == 3
    assert said(lived, "pack", "export", "--run", RUN, "--out", "a.pack", "--sign", "mine.key.pub").code in (2, 5)
    assert said(lived, "pack", "export", "--run", RUN, "--out", "a.pack", "--sign", "nowhere").code == 3
    assert sorted(path.name for path in lived.iterdir()) == before


def test_an_export_needs_a_store_and_makes_none(tmp_path: Path) -> None:
    assert said(tmp_path, "pack", "export", "--run", RUN, "--out", "a.pack").code == 3
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_others_may_read_signs_nothing(lived: Path) -> None:
    (lived / "open.key").write_bytes((lived / "mine.key").read_bytes())
    (lived / "open.key").chmod(0o644)

    assert said(lived, "pack", "export", "--run", RUN, "--out", "open.pack", "--sign", "open.key").code == 5
    assert not (lived / "open.pack").exists()


def test_nothing_of_a_private_key_is_shown(tmp_path: Path) -> None:
    done = said(tmp_path, "key", "new", "--json")
    secret = (tmp_path / "interlock.key").read_text().splitlines()[1]

    assert secret not in done.text + done.err
    assert json.loads(done.out)["key"].startswith("ed25519:")


def test_only_the_user_of_the_machine_has_files_written(lived: Path) -> None:
    import asyncio

    async def scenario() -> None:
        async with App.open(lived / ".interlock" / "store.db") as app:
            client = app.client(Principal(id="token:remote", kind=PrincipalKind.TOKEN, roles=("admin",)))
            with pytest.raises(Refused, match="pack_place_refused"):
                await client.call("pack.export", {"run": RUN, "out": str(lived / "remote.pack")})

    asyncio.run(scenario())
    assert not (lived / "remote.pack").exists()


def test_a_terminal_shows_how_far_a_long_export_is(lived: Path) -> None:
    code, shown = run_on_terminal("pack", "export", "--run", RUN, "--out", "shown.pack", program=PRODUCT, folder=lived)

    assert code == 0
    assert "artifacts: " in shown


def test_a_hostile_archive_reaches_nothing_outside(away: Path) -> None:
    with tarfile.open(away / "evil.pack", "w", format=tarfile.USTAR_FORMAT) as archive:
        info = tarfile.TarInfo("../escaped")
        archive.addfile(info)
    done = said(away, "pack", "verify", "evil.pack")

    assert done.code == 7
    assert not (away.parent / "escaped").exists()


def test_a_fork_says_what_it_took_over_from_a_run_that_the_pack_does_not_hold(lived: Path) -> None:
    fork = answer(lived, "run", "fork", RUN, "--from", "greet", "--absorb-all")["run_id"]
    answer(lived, "pack", "export", "--run", fork, "--out", "fork.pack")

    found = answer(lived, "pack", "verify", "fork.pack")

    assert found["status"] == "pass"
    [taken] = found["inherited"]
    assert (taken["run_id"], taken["source_run_id"], taken["states"]) == (fork, RUN, 1)
    assert answer(lived, "pack", "verify", "run.pack")["inherited"] == []
    [entry] = answer(lived, "pack", "show", "fork.pack")["runs"]
    assert entry["inherits"]["run_id"] == RUN


def test_a_folder_is_verified_from_within(away: Path) -> None:
    inside = away / "unpacked"
    with tarfile.open(away / "run.pack") as archive:
        archive.extractall(inside, filter="data")

    found = answer(inside, "pack", "verify", ".")

    assert (found["status"], found["signature"]) == ("pass", "none")


@pytest.mark.parametrize("out", ["/", "."])
def test_a_pack_cannot_be_called_like_no_file(lived: Path, out: str) -> None:
    done = said(lived, "pack", "export", "--run", RUN, "--out", out, "--force", "--json")

    assert (done.code, json.loads(done.out)["error"]["code"]) == (1, "pack_unwritable")
