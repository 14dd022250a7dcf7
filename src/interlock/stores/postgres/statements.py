"""SQL from named files: `stores/sql/postgres/*.sql`, where `-- name: x` begins the statement `x`.

What it does: reads them. What it does not do: it runs nothing and puts no value into SQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "sql" / "postgres"


@cache
def statements(name: str) -> Mapping[str, bytes]:
    """The statements of `<name>.sql` by their names, as the driver takes them."""
    found: dict[str, bytes] = {}
    for section in (FOLDER / f"{name}.sql").read_text(encoding="utf-8").split("-- name: ")[1:]:
        title, _, body = section.partition("\n")
        found[title.strip()] = body.strip().encode()
    return found
