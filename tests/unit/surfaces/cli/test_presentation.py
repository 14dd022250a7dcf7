"""Presentation of nouns: only members that exist are shown, and only queries that exist are asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec import Struct, inspect

from interlock.base.part import Effect
from interlock.surfaces.application import load
from interlock.surfaces.catalogue import Catalogue
from interlock.surfaces.cli.presentation import Presentation, presentation_of

CATALOGUE: Catalogue = load().catalogue()
NOUNS = [*CATALOGUE.nouns(), ""]


def test_a_noun_without_a_module_is_shown_plainly() -> None:
    assert presentation_of("no-such-noun") == Presentation()


@pytest.mark.parametrize("noun", NOUNS)
def test_every_verb_that_is_presented_exists(noun: str) -> None:
    presentation = presentation_of(noun)
    verbs = {command.verb for command in CATALOGUE.verbs(noun)}

    named = {key.partition(".")[0] for key in presentation.columns}
    assert named | set(presentation.text) | set(presentation.progress) <= verbs


@pytest.mark.parametrize("noun", NOUNS)
def test_every_column_is_a_member_of_its_rows(noun: str) -> None:
    for key, columns in presentation_of(noun).columns.items():
        verb, _, member = key.partition(".")
        [command] = [each for each in CATALOGUE.verbs(noun) if each.verb == verb]
        assert set(columns) <= set(row_members(command.output, member)), key


@pytest.mark.parametrize("noun", NOUNS)
def test_progress_asks_a_query_for_what_the_verb_drives(noun: str) -> None:
    for verb, progress in presentation_of(noun).progress.items():
        [command] = [each for each in CATALOGUE.verbs(noun) if each.verb == verb]
        query = CATALOGUE.get(progress.query)
        assert command.effect is Effect.STARTS
        assert query.effect is Effect.READS
        assert progress.key in command.input.__struct_encode_fields__
        assert progress.asks in query.input.__struct_encode_fields__


def row_members(output: type[Struct], member: str) -> Iterator[str]:
    """Dotted names of the members of the records in the list `member`."""
    shape = inspect.type_info(output)
    assert isinstance(shape, inspect.StructType)
    [field] = [each for each in shape.fields if each.name == member]
    assert isinstance(field.type, inspect.ListType | inspect.VarTupleType)
    yield from dotted(field.type.item_type, "")


def dotted(shape: inspect.Type, prefix: str) -> Iterator[str]:
    assert isinstance(shape, inspect.StructType)
    for field in shape.fields:
        yield f"{prefix}{field.name}"
        for option in getattr(field.type, "types", (field.type,)):
            if isinstance(option, inspect.StructType):
                yield from dotted(option, f"{prefix}{field.name}.")
