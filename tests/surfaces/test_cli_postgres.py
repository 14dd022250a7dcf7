"""The command line on a store in PostgreSQL, as real processes: work, worker, doctor, and no password anywhere."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import msgspec
import pytest

from tests.postgres import PASSWORD, fresh_schema
from tests.surfaces.process import PRODUCT, Ended, run

PLAN = """
from interlock import Plan
plan = Plan("hello")

@plan.state
async def greet(name: str) -> str:
    return f"hi {name}"

slow = Plan("slow")

@slow.state
async def wait() -> None:
    import asyncio
    await asyncio.sleep(60)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hello.py").write_text(PLAN)
    return tmp_path


def call(folder: Path, url: str, *line: str) -> Ended:
    """Run a line on the store; nothing that it says shows the password."""
    done = run(*line, "--store", url, program=PRODUCT, folder=folder)
    assert PASSWORD.encode() not in done.out
    assert PASSWORD not in done.err
    return done


def test_a_run_is_started_listed_driven_and_examined_by_processes(folder: Path, postgres_url: str) -> None:
    """Each line is a process of its own; the worker drives what another process only started."""
    url = fresh_schema(postgres_url)

    started = call(folder, url, "run", "start", "hello.py:plan", "--input", '{"name":"Ada"}', "--json")
    assert started.code == 0, started.err
    assert msgspec.json.decode(started.out)["phase"] == "completed"
    detached = call(folder, url, "run", "start", "hello.py:plan", "--input", '{"name":"Bob"}', "--detach")
    assert detached.code == 0
    worked = call(folder, url, "work", "--until-idle", "--json")
    assert worked.code == 0, worked.err
    listed = call(folder, url, "run", "list").out.decode()
    assert listed.count("completed") == 2
    examined = call(folder, url, "doctor", "--json")
    report = msgspec.json.decode(examined.out)
    assert (examined.code, report["healthy"], report["counts"]["streams"]) == (0, True, 2)
    assert report["store"] == url.replace(f":{PASSWORD}", "")


def test_a_store_that_is_named_by_the_environment_is_used(folder: Path, postgres_url: str) -> None:
    """INTERLOCK_STORE keeps the URL out of the command line; hints then need not name it."""
    url = fresh_schema(postgres_url)
    environ = {"INTERLOCK_STORE": url}

    done = run(
        "run", "start", "hello.py:plan", "--input", '{"name":"A"}', program=PRODUCT, folder=folder, environ=environ
    )

    assert done.code == 0
    assert "--store" not in done.err
    assert not (folder / ".interlock").exists()


def test_the_password_leaves_the_list_of_processes(folder: Path, postgres_url: str) -> None:
    """What `ps` shows of a program that runs has no password, however the URL was given."""
    url = fresh_schema(postgres_url)
    process = subprocess.Popen(
        [*PRODUCT, "run", "start", "hello.py:slow", "--store", url],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        line = Path(f"/proc/{process.pid}/cmdline")
        ends = time.monotonic() + 30
        while b"slow" not in line.read_bytes() or PASSWORD.encode() in line.read_bytes():
            assert time.monotonic() < ends, "the password is still there"
            assert process.poll() is None
            time.sleep(0.02)
        assert b"x" * len(PASSWORD) in line.read_bytes()
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()


def test_a_backup_of_a_database_names_the_tool_for_it(folder: Path, postgres_url: str) -> None:
    done = call(folder, fresh_schema(postgres_url), "backup", "copy.db", "--json")

    error = msgspec.json.decode(done.out)["error"]
    assert (done.code, error["code"], "pg_dump" in error["advice"]) == (2, "backup_of_a_file", True)


def test_doctor_names_what_is_damaged_in_a_database(folder: Path, postgres_url: str) -> None:
    """An envelope that was changed by hand breaks the chain, and the stream is named."""
    import psycopg

    url = fresh_schema(postgres_url)
    call(folder, url, "run", "start", "hello.py:plan", "--input", '{"name":"Ada"}')
    server, _, schema = url.partition("?schema=")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"UPDATE {schema}.event SET data = data || ' '::bytea WHERE seq = 2")

    done = call(folder, url, "doctor", "--json")

    report = msgspec.json.decode(done.out)
    assert (done.code, report["healthy"]) == (7, False)
    assert any("/run/" in finding["place"] for finding in report["findings"]), report


def test_a_store_is_copied_to_a_database_and_back(folder: Path, postgres_url: str) -> None:
    """Progress goes to standard error; the answer counts what was compared, and shows no password."""
    url = fresh_schema(postgres_url)
    line = ("run", "start", "hello.py:plan", "--input", '{"name":"Ada"}', "--store", "a.db")
    assert run(*line, program=PRODUCT, folder=folder).code == 0

    there = run("store", "copy", "a.db", url, "--json", program=PRODUCT, folder=folder)
    back = run("store", "copy", url, "b.db", program=PRODUCT, folder=folder)
    again = run("store", "copy", "a.db", url, "--json", program=PRODUCT, folder=folder)

    assert (there.code, back.code, again.code) == (0, 0, 4), (there.err, back.err)
    report = msgspec.json.decode(there.out)
    assert (report["streams"], report["source"]) == (1, "a.db")
    assert report["target"] == url.replace(f":{PASSWORD}", "")
    assert msgspec.json.decode(again.out)["error"]["code"] == "copy_target_exists"
    for done in (there, back, again):
        assert PASSWORD.encode() not in done.out
        assert PASSWORD not in done.err
    assert run("doctor", "--store", "b.db", program=PRODUCT, folder=folder).code == 0
