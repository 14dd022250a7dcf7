"""The values that cross the wire of gates: ids, times, digests, and the JSON that carries them.

What it does: declares the small records that scenario documents, evidence and run state are made of, reads JSON of the
contract, and writes its canonical bytes. What it does not do: it knows no scenario, and it never reads a clock: every
time is given by a caller.

Rules (seed 000): an integer that 64 bits hold stays one, and a larger one is a double; canonical bytes are RFC 8785,
where an integer beyond 2^53 is spelled as its double; members that a record does not know are ignored, and what is
missing or of another type is refused with its place.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from interlock.base.bounds import INTEGER_MAX
from interlock.base.canonical import JSON_INTEGER_RANGE, Json, canonical, digest, parse
from interlock.base.errors import InterlockError
from interlock.gates.errors import GATE_INPUT_INVALID
from interlock.gates.logic.tree import Requirement, requirement_of

U64_MAX = 2**64 - 1
I64_MIN, I64_MAX = -(2**63), 2**63 - 1

TenantId = Annotated[int, Meta(ge=1, description="A tenant, from 1.")]
NamespaceId = Annotated[int, Meta(ge=1, description="A namespace, from 1.")]
Record = TypeVar("Record")


class UnixMillis(Struct, frozen=True, tag="unix_millis", tag_field="kind"):
    """A time in milliseconds since 1970."""

    value: int


class Logical(Struct, frozen=True, tag="logical", tag_field="kind"):
    """A place in an order that the caller counts."""

    value: Annotated[int, Meta(ge=0)]


Timestamp = UnixMillis | Logical


class HashDigest(Struct, frozen=True):
    """The digest of bytes. SHA-256 is the only algorithm."""

    algorithm: Literal["sha256"]
    value: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class JsonValue(Struct, frozen=True, tag="json", tag_field="kind"):
    """A JSON value of evidence or of a payload."""

    value: Any


class BytesValue(Struct, frozen=True, tag="bytes", tag_field="kind"):
    """Bytes of evidence, as the list of their values."""

    value: list[Annotated[int, Meta(ge=0, le=255)]]


Value = JsonValue | BytesValue


def hash_of(content: bytes) -> HashDigest:
    """The digest of bytes, as the contract spells it."""
    return HashDigest("sha256", digest(content))


def read(content: bytes | str, record: type[Record], *, bytes_max: int) -> Record:
    """A record of a JSON text. Raises: as `base.canonical.parse`; `gate_input_invalid`."""
    return converted(parse(content, bytes_max=bytes_max, wide=True), record)


def converted(value: Json, record: type[Record]) -> Record:
    """A record of a JSON value. Raises: `gate_input_invalid` with the place."""
    try:
        return msgspec.convert(value, record, strict=True, dec_hook=_decoded)
    except msgspec.ValidationError as fault:
        raise GATE_INPUT_INVALID.error(f"not as the contract has it: {fault}") from None


def plain(record: Any) -> Any:
    """The JSON value of a record."""
    return msgspec.to_builtins(record)


def wire(record: Any) -> bytes:
    """The canonical bytes of a record or JSON value."""
    value = plain(record)
    try:
        return canonical(value)
    except InterlockError as fault:
        if fault.kind is not JSON_INTEGER_RANGE:
            raise
        return canonical(_spelled(value))


def _spelled(value: Any) -> Any:
    """A JSON value whose integers beyond 2^53 are doubles, as RFC 8785 spells every number."""
    kind = type(value)
    if kind is int:
        return value if -INTEGER_MAX <= value <= INTEGER_MAX else float(value)
    if kind is dict:
        return {key: _spelled(item) for key, item in value.items()}
    if kind is list or kind is tuple:
        return [_spelled(item) for item in value]
    return value


def _decoded(kind: type, value: Any) -> Any:
    if kind is Requirement:
        return requirement_of(value)
    raise NotImplementedError(f"no record holds a {kind.__name__}")
