"""Draws inputs of commands: values that the types of a record allow, for properties over the whole catalogue."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from msgspec import Struct, inspect


def _texts(low: int, high: int) -> st.SearchStrategy[str]:
    wild = st.text(st.characters(exclude_categories=["Cs"]), min_size=low, max_size=high)
    return wild | st.text("./%?#&=+ a", min_size=low, max_size=high)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | _texts(0, 20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts(0, 8), inner, max_size=3),
    max_leaves=8,
)


def inputs(record: type[Struct]) -> st.SearchStrategy[dict[str, Any]]:
    """Mappings of members, with those left out that may be."""
    shape = inspect.type_info(record)
    assert isinstance(shape, inspect.StructType)
    needed = {field.encode_name: _values(field.type) for field in shape.fields if field.required}
    others = {field.encode_name: _values(field.type) for field in shape.fields if not field.required}
    return st.fixed_dictionaries(needed, optional=others)


def _values(shape: inspect.Type) -> st.SearchStrategy[Any]:  # noqa: PLR0911 - one for each kind
    match shape:
        case inspect.Metadata(type=inner):
            return _values(inner)
        case inspect.UnionType(types=options):
            return st.one_of([_values(each) for each in options])
        case inspect.NoneType():
            return st.none()
        case inspect.BoolType():
            return st.booleans()
        case inspect.IntType(ge=low, le=high):
            return st.integers(-(2**53) + 1 if low is None else low, min(high or 2**53 - 1, 2**53 - 1))
        case inspect.StrType(pattern=str(pattern)):
            return st.from_regex(pattern, fullmatch=True)
        case inspect.StrType(min_length=low, max_length=high):
            return _texts(low or 0, min(high or 40, 40))
        case inspect.EnumType(cls=kind):
            return st.sampled_from([each.value for each in kind])
        case inspect.LiteralType(values=values):
            return st.sampled_from(list(values))
        case inspect.ListType(item_type=item, min_length=low) | inspect.VarTupleType(item_type=item, min_length=low):
            return st.lists(_values(item), min_size=low or 0, max_size=(low or 0) + 3)
        case inspect.DictType(key_type=key, value_type=value):
            return st.dictionaries(_values(key), _values(value), max_size=3)
        case inspect.StructType(cls=kind):
            return inputs(kind)
        case _:
            return JSON
