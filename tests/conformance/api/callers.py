"""Has the fuzzing ask as several principals in turn. Schemathesis loads it, in its own environment.

What it does: gives each request of an operation the token of the next one in a list, and writes down who asked and what
the answer was. What it does not do: it judges nothing; the test does, by what is written.

Rules: each operation is asked as everybody as often; who has no token is nobody.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import schemathesis  # type: ignore[import-not-found]  # it is installed where this runs

TOKENS: dict[str, str | None] = json.loads(os.environ["INTERLOCK_FUZZ_CALLERS"])
NAMES = {f"Bearer {token}": name for name, token in TOKENS.items()}
LOG = Path("asked.jsonl")
NOBODY = "nobody"
_turns: Counter[str] = Counter()


def _bearer(token: str) -> Callable[[Any], Any]:
    def signed(request: Any) -> Any:
        request.headers["Authorization"] = f"Bearer {token}"
        return request

    return signed


@schemathesis.hook  # type: ignore[untyped-decorator]
def before_call(_context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    label = case.operation.label
    token = list(TOKENS.values())[_turns[label] % len(TOKENS)]
    _turns[label] += 1
    if token is not None:
        kwargs["auth"] = _bearer(token)


@schemathesis.hook  # type: ignore[untyped-decorator]
def after_call(_context: Any, case: Any, response: Any) -> None:
    name = NAMES.get(response.request.headers.get("Authorization", ""), NOBODY)
    guarded = case.operation.definition.raw.get("security") != []
    line = {"as": name, "operation": case.operation.label, "guarded": guarded, "status": response.status_code}
    with LOG.open("a", encoding="utf-8") as log:
        log.write(json.dumps(line) + "\n")
