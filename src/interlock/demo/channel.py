"""A release channel in a folder: the outside system of the demonstration, as a program.

What it does: takes a wheel once per idempotency key and answers with a receipt, the same one for a repetition; it notes
every delivery. What it does not do: it knows nothing of runs.

Rule: the publication is one rename, so it has happened or it has not.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

from interlock.demo.crash import crash_once
from interlock.engine.io.transports.exec import IDEMPOTENCY_KEY_VARIABLE


def publish(channel: Path, wheel: Path, name: str, version: str, key: str) -> dict[str, object]:
    """Publish `wheel`, or give back the receipt of the publication that `key` names."""
    entry = channel / "published" / hashlib.sha256(key.encode()).hexdigest()[:16]
    entry.parent.mkdir(parents=True, exist_ok=True)
    with (channel / "deliveries.log").open("a", encoding="utf-8") as log:
        log.write(key + "\n")
    receipt = entry / "receipt.json"
    if not entry.exists():
        draft = entry.with_suffix(".draft")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        shutil.copy2(wheel, draft / wheel.name)
        content = {"name": name, "version": version, "file": wheel.name, "place": entry.name}
        (draft / receipt.name).write_text(json.dumps(content, sort_keys=True), encoding="utf-8")
        draft.rename(entry)
    answer: dict[str, object] = json.loads(receipt.read_text(encoding="utf-8"))
    return answer


def main() -> None:
    """`channel.py CHANNEL WHEEL NAME VERSION`, with the key in the environment."""
    channel, wheel, name, version = sys.argv[1:5]
    answer = publish(Path(channel), Path(wheel), name, version, os.environ[IDEMPOTENCY_KEY_VARIABLE])
    # The worst instant to lose the caller: it is published, and nobody has heard.
    crash_once(channel, "unheard", os.getppid())
    print(json.dumps(answer))  # noqa: T201 - the answer is what this program writes


if __name__ == "__main__":
    main()
