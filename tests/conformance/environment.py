"""An environment of its own under the cache for a tool of others, made once for its lock.

What it does: makes what a caller needs where it is missing or its locks have changed, one process at a time. What it
does not do: it puts nothing into the environment of the project.

Rules: packages come with hashes and as wheels; what is there already, by the same locks, is left alone.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
INSTALL_S_MAX = 500


def made_once(home: Path, locks: Sequence[Path], make: Callable[[], None]) -> None:
    """Make what `home` is to hold, unless it is there by these very locks."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = hashlib.sha256(b"".join(file.read_bytes() for file in locks)).hexdigest()
        kept = home / ".installed"
        if not kept.exists() or kept.read_text(encoding="utf-8") != stamp:
            kept.unlink(missing_ok=True)
            make()
            kept.write_text(stamp, encoding="utf-8")


def packages(folder: Path, lock: Path) -> None:
    """Make an environment of Python in `folder` with what a lock says, and nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    done([sys.executable, "-m", "venv", str(folder)])
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done([*pip, "--require-hashes", "--only-binary", ":all:", "-r", str(lock)])


def done(line: Sequence[str], folder: Path = ROOT) -> None:
    """Run a program that installs something, and say what it said where it could not."""
    ended = subprocess.run(line, cwd=folder, check=False, capture_output=True, text=True, timeout=INSTALL_S_MAX)
    told = ended.stderr[-2000:]
    assert ended.returncode == 0, f"{Path(line[0]).name} could not install it from its registry:\n{told}"
