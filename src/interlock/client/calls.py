"""A call as a request: what of an input is sent, where, and under which key.

What it does: knows the routes of the catalogue and the codes of every part, and makes the request of a call. What it
does not do: it sends nothing.

Rules: only members that the caller gave are sent, so that a server of another version uses its own defaults; a call
that changes something has an idempotency key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode
from uuid import uuid4

import msgspec
from msgspec import Struct

from interlock.base import ids
from interlock.base.errors import Category, ErrorCode, InterlockError
from interlock.base.part import Command, Effect
from interlock.client.errors import CLIENT_COMMAND_LOCAL
from interlock.client.exchange import Sending
from interlock.surfaces.application import Application
from interlock.surfaces.client import checked_input
from interlock.surfaces.errors import INPUT_INVALID
from interlock.surfaces.http.errors import SERVER_DRAINING
from interlock.surfaces.http.requests import parts_of
from interlock.surfaces.http.routes import Route, Routes
from interlock.surfaces.members import members_of

IDEMPOTENCY_KEY: Final = "idempotency-key"
_KEY: Final = re.compile(r"[!-~](?:[ -~]*[!-~])?")
_NO_SEGMENTS: Final = {".", ".."}
"""What every reader of an address takes for a step, however it is written."""


class Known:
    """What this installation knows of every server: the routes of commands, and the codes of errors."""

    def __init__(self, application: Application) -> None:
        self._catalogue = application.catalogue()
        self.routes = Routes(self._catalogue)
        self.codes: dict[str, ErrorCode] = {code.code: code for part in application.parts() for code in part.errors}

    def commands(self) -> tuple[Command, ...]:
        """The commands that have a route."""
        return tuple(route.command for route in self.routes.by_name.values())

    def carrying(self, name: str) -> Command | None:
        """The command of a name that has its file on this machine; None for any other. Raises: `command_unknown`."""
        if name in self.routes.by_name:
            return None
        command = self._catalogue.get(name)
        return command if command.carries else None

    def route(self, name: str) -> Route:
        """The route of a command. Raises: `command_unknown`, `client_command_local`."""
        found = self.routes.by_name.get(name)
        if found is None:
            command = self._catalogue.get(name)
            raise CLIENT_COMMAND_LOCAL.error(f"no server runs {command.name} for another machine", command=command.name)
        return found


def request_of(route: Route, given: Struct | Mapping[str, object], command_id: str | None) -> Sending:
    """The request of a call. Raises: what checking the input raises, before anything is sent."""
    record = checked_input(route.command, given)
    headers = {} if command_id is None else {IDEMPOTENCY_KEY: key_of(command_id)}
    if command_id is None and changes(route.command):
        headers[IDEMPOTENCY_KEY] = str(uuid4())
    values = _sent(given, record)
    for key in route.keys:
        if values.get(key) in _NO_SEGMENTS:
            raise INPUT_INVALID.error(f"`{key}`: nothing has this name", place=key)
    parts = parts_of(route, values)
    if parts.body is None:
        return Sending(route.method, parts.path, urlencode(parts.query), headers)
    headers["content-type"] = "application/json"
    return Sending(route.method, parts.path, "", headers, msgspec.json.encode(parts.body))


def changes(command: Command) -> bool:
    """Whether a call of the command is more than a question."""
    return command.effect is not Effect.READS


def may_repeat(command: Command, refusal: InterlockError) -> bool:
    """Whether a call that the server has refused for now may be sent again.

    What is only asked, and what a decider keeps under its key, always may; else only what was not even begun.
    """
    if not changes(command) or (command.effect is Effect.CHANGES and command.idempotent):
        return True
    return refusal.category is Category.OVERLOADED or refusal.kind is SERVER_DRAINING


def key_of(command_id: str) -> str:
    """The command id as a header carries it. Raises: `id_invalid`, `input_invalid`."""
    ids.command_id(command_id)
    if _KEY.fullmatch(command_id) is None:
        raise INPUT_INVALID.error("a command id that is sent has visible ASCII characters", place="command_id")
    return command_id


def _sent(given: Struct | Mapping[str, object], record: Struct) -> dict[str, Any]:
    """The members that the caller gave, as the record has them, in JSON values; free JSON in its bytes."""
    fields = dict(zip(record.__struct_encode_fields__, record.__struct_fields__, strict=True))
    free = {member.name for member in members_of(type(record)) if member.raw}
    found = {name: getattr(record, fields[name]) for name in (fields if isinstance(given, Struct) else given)}
    return {
        name: value if name in free else msgspec.to_builtins(value)
        for name, value in found.items()
        if value is not None or name not in free
    }
