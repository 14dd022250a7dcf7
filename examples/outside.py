"""Plays the outside for the other examples: `outside.py LIST TEXT` writes a line to the file LIST.

It knows idempotency keys: what comes again under a known key is not written again. It refuses, with exit code 1, a TEXT
that stands in the file LIST.refused. It answers with the number of the line, as JSON.
"""

import json
import os
import sys
from pathlib import Path


def main(place: str, text: str) -> int:
    """Write the line unless it is refused or known."""
    file, refused = Path(place), Path(f"{place}.refused")
    if refused.exists() and text in refused.read_text("utf-8").splitlines():
        return 1
    mark = f"[{os.environ.get('INTERLOCK_IDEMPOTENCY_KEY', 'no key')}]"
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    known = [number for number, line in enumerate(lines, 1) if line.endswith(mark)]
    if not known:
        with file.open("a", encoding="utf-8") as out:
            out.write(f"{text} {mark}\n")
    print(json.dumps({"line": known[0] if known else len(lines) + 1}))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
