"""The reference pages: made of what parts declare, and the committed ones are the generated ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
from msgspec import Meta, Struct

from interlock.base.errors import Category, ErrorCode
from interlock.base.part import Part, SettingsSection
from interlock.surfaces.application import load
from interlock.surfaces.catalogue import Catalogue
from interlock.surfaces.reference import pages, write
from tests.surfaces.toy import TOY

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "reference"


class Limits(Struct, frozen=True):
    """What is too much."""

    entries_max: Annotated[int, Meta(ge=1, le=9, description="Entries | at once.")] = 4
    strict: bool = True


PART = Part(
    name="limits",
    errors=(
        ErrorCode("zebra", Category.INVALID, "Use a horse."),
        ErrorCode("ape", Category.UNAVAILABLE, "Wait | a while.", retryable=True),
    ),
    settings=(SettingsSection("limits", Limits),),
)


def test_each_verb_stands_on_the_page_of_the_command_line() -> None:
    page = pages((TOY,))["cli.md"]

    for line in (
        "## counter",
        "### counter add",
        "Let a counter add. Example: `interlock counter add apples --by 3`",
        "Permission `counter.add`; changes something; may be repeated safely.",
        "| `NAME` | text, 1 to 20 characters | required | The name of a counter. |",
        "| `--by` | integer, 1 to 100 | `1` | How many to add. |",
        "| `--mode` | `fast`, `safe` | `safe` | How carefully to add. |",
        "| `--dry-run` | flag | | Change nothing. |",
        "| `--labels` | text; may be given again | | A label; may be given again. |",
        "Answers with `name`, `count`, `changed_at_ms`, `note`.",
        "## This machine",
        "### where",
    ):
        assert line in page.splitlines()


def test_members_that_options_of_every_verb_fill_are_not_listed_again() -> None:
    page = pages((TOY,))["cli.md"]

    assert "--store" not in page.partition("### where")[2]


def test_error_codes_are_sorted_and_safe_inside_a_table() -> None:
    rows = [line for line in pages((PART,))["errors.md"].splitlines() if line.startswith("| `")]

    assert rows == [
        r"| `ape` | unavailable | yes | Wait \| a while. |",
        "| `zebra` | invalid | no | Use a horse. |",
    ]


def test_settings_show_their_bounds_and_defaults() -> None:
    page = pages((PART,))["settings.md"]

    assert "## [limits]\n\nWhat is too much.\n" in page
    assert r"| `entries_max` | integer, 1 to 9 | `4` | Entries \| at once. |" in page
    assert "| `strict` | flag | `yes` | |" in page


def test_the_same_parts_give_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path / "one", (TOY, PART))
    write(tmp_path / "two", (TOY, PART))

    for name in ("cli.md", "errors.md", "permissions.md", "settings.md"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize("name", ["cli.md", "errors.md", "permissions.md", "settings.md"])
def test_the_committed_page_is_the_generated_one(name: str) -> None:
    committed = (FOLDER / name).read_text(encoding="utf-8")

    assert committed == pages(load().parts())[name], f"docs/reference/{name} is out of date: run `make docs`"


def test_every_schema_of_the_product_can_be_made() -> None:
    for command in load().catalogue():
        assert Catalogue.input_schema(command)["$defs"], command.name
        assert Catalogue.output_schema(command)["$defs"], command.name
