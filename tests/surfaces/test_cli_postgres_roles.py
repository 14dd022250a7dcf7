"""Roles with the grants that the page names, as processes on a real server: what a reader can do, and what it is told.

The server writes every statement of ours into its log, so that what only reads can be seen to write nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from tests.postgres import PASSWORD, Server
from tests.surfaces.process import PRODUCT, run
from tests.surfaces.test_cli_postgres import PLAN

RUN = "60000000-0000-4000-8000-000000000001"
GONE_ON = "60000000-0000-4000-8000-000000000002"
LATER = "60000000-0000-4000-8000-000000000003"
READER_SECRET, WORKER_SECRET = "of-the-reader-5Kd", "of-the-worker-8Qm"
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "postgresql.md"
SAID = re.compile(r"nextval\('stream_no'|UPDATE (?!view\b)\w+|INSERT INTO (?!view)|DELETE FROM|pg_notify")
"""What changes something else than a view; functions of ours are called by name."""


def start(run_id: str) -> tuple[str, ...]:
    return "run", "start", "hello.py:plan", "--input", '{"name":"Ada"}', "--run-id", run_id


class Place:
    """A server with a store that its owner made and drove a run on, and with the roles of the page."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder = folder
        self.server = server
        self.owner = f"{server.url}?schema=ops"
        self.reader = self.owner.replace(f"interlock:{PASSWORD}@", f"reader:{READER_SECRET}@")
        self.worker = self.owner.replace(f"interlock:{PASSWORD}@", f"worker:{WORKER_SECRET}@")

    def call(self, url: str, *line: str, code: int = 0, by_option: bool = True) -> Any:
        """The answer to a line on the store as the role of `url`; no secret is in it."""
        store = ("--store", url) if by_option else ()
        done = run(*line, "--json", *store, program=PRODUCT, folder=self.folder)
        assert done.code == code, (line, done.text, done.err)
        for secret in (PASSWORD, READER_SECRET, WORKER_SECRET):
            assert secret not in done.text + done.err
        return msgspec.json.decode(done.out)

    def error(self, url: str, *line: str, code: int = 5) -> tuple[str, str]:
        fault = self.call(url, *line, code=code)["error"]
        return fault["code"], fault["message"]

    def sql(self, *statements: str) -> None:
        with psycopg.connect(self.server.url, autocommit=True) as connection:
            connection.execute("SET search_path = ops")
            for statement in statements:
                connection.execute(statement.encode())

    @property
    def log(self) -> str:
        return (self.server.data / "log").read_text("utf-8")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A server of its own: roles belong to a whole server, and its log is read."""
    server = Server(options="-c log_statement=all -c log_min_messages=log")
    server.make()
    (tmp_path / "hello.py").write_text(PLAN)
    made = Place(tmp_path, server)
    try:
        made.call(made.owner, *start(RUN))
        # What the page makes for people, with passwords and a schema of this test.
        grants = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("GRANT ")]
        made.sql(f"CREATE ROLE reader LOGIN PASSWORD '{READER_SECRET}'")
        made.sql(f"CREATE ROLE worker LOGIN PASSWORD '{WORKER_SECRET}'")
        made.sql(*(re.sub(r"SCHEMA \w+", "SCHEMA ops", grant) for grant in grants))
        yield made
    finally:
        server.remove()


def test_a_reader_with_the_grants_of_the_page_can_use_every_verb_that_looks(place: Place) -> None:
    """Also where views are behind: they are then built beside the store. Nothing is written, not even at the end."""
    place.call(place.worker, *start(GONE_ON))
    place.call(place.worker, "filter", "save", "good", "--state", "completed")
    before = len(place.log)

    def read(*line: str) -> Any:
        return place.call(place.reader, *line)

    assert {each["run_id"] for each in read("run", "list")["items"]} == {RUN, GONE_ON}
    assert len(read("run", "list", "--filter", "good")["items"]) == 2
    assert read("run", "status", RUN)["phase"] == "completed"
    assert read("run", "output", RUN, "greet")["values"] == {"greet": "hi Ada"}
    assert read("run", "events", RUN)["items"]
    for line in (("run", "why", RUN), ("run", "graph", RUN), ("lease", "list"), ("batch", "list")):
        read(*line)
    assert [each["name"] for each in read("filter", "list")["items"]] == ["good"]
    read("pack", "export", "--run", RUN, "--out", "run.pack")
    assert read("doctor")["healthy"] is True
    place.call(place.reader, "store", "copy", place.reader, "copy.db", by_option=False)

    said = place.log[before:]
    assert "FROM migration" in said
    assert SAID.findall(said) == []
    assert "denied" not in said


def test_who_may_write_and_only_looks_draws_no_number_and_ends_no_claim(place: Place) -> None:
    place.call(place.worker, "run", "list")
    before = len(place.log)

    for line in (("run", "list"), ("run", "status", RUN), ("lease", "list")):
        place.call(place.worker, *line)

    assert SAID.findall(place.log[before:]) == []


def test_what_a_role_lacks_is_named_with_its_object(place: Place) -> None:
    """What a verb of a reader would write is refused, and a reader without its grants is told which."""
    lacks = "the role lacks INSERT on table event"
    for line in (start(LATER), ("filter", "save", "mine", "--state", "failed")):
        code, message = place.error(place.reader, *line)
        assert (code, lacks in message) == ("postgres_refused", True), (line, message)

    place.sql("REVOKE USAGE ON SEQUENCE stream_no FROM worker")
    assert place.error(place.worker, *start(LATER))[1].endswith("the role lacks USAGE on sequence stream_no")
    place.sql("GRANT USAGE ON SEQUENCE stream_no TO worker", "REVOKE UPDATE ON partition FROM worker")
    assert place.error(place.worker, *start(LATER))[1].endswith("the role lacks UPDATE on table partition")
    place.sql("REVOKE SELECT ON event, timer FROM reader")
    for verb in ("list", "status"):
        message = place.error(place.reader, "run", verb, *([RUN] if verb == "status" else []))[1]
        assert message.endswith("the role lacks SELECT on table event; SELECT on table timer"), message
    place.sql("REVOKE USAGE ON SCHEMA ops FROM reader")
    for line in (("run", "list"), ("doctor",)):
        code, message = place.error(place.reader, *line)
        assert (code, message.endswith("the role lacks USAGE on schema ops")) == ("postgres_refused", True), message


def test_a_role_that_may_make_no_schema_is_told_what_it_lacks(place: Place) -> None:
    other = place.worker.replace("schema=ops", "schema=elsewhere")

    code, message = place.error(other, *start(LATER))

    assert (code, message.endswith("the role lacks CREATE on database interlock")) == ("postgres_refused", True)


def test_a_store_of_an_earlier_version_is_left_to_its_owner(place: Place) -> None:
    """The last migration is taken back; a worker may not apply it, and a reader does not try."""
    place.sql(
        "DROP INDEX activation_anywhere",
        "DROP INDEX timer_anywhere",
        "DELETE FROM migration WHERE number = 4",
    )

    assert place.error(place.reader, "run", "list", code=1)[0] == "store_unwritable"
    code, message = place.error(place.worker, "run", "list")
    assert (code, "let their owner open it once" in message) == ("postgres_refused", True)
    assert place.call(place.owner, "run", "list")["items"]
    assert place.call(place.reader, "run", "status", RUN)["phase"] == "completed"
