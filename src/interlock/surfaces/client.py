"""The client: the only way by which a surface reaches the product.

What it does: takes the name of a command and its input, checks the input by the command's record, and runs
the handler for one principal. What it does not do: it decides no permission (`access` does)
and keeps no state between calls.

Rules: a client acts for the principal it was made for and for no other; under one command id of a principal one call
takes effect, once, and is answered the same whenever it is sent again (`receipts`), save what only reads; every call
but those of the user of this machine passes the one check, and where there is none to ask, is refused; an unknown
member is refused, never dropped; what a handler gets is JSON that `canonical` accepts, with free JSON as its canonical
bytes (`msgspec.Raw`); an error names the place and never the value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw, Struct, ValidationError

from interlock.base import ids
from interlock.base.bounds import JSON_BYTES_MAX
from interlock.base.canonical import JSON_TOO_LARGE, canonical, digest, parse
from interlock.base.errors import InterlockError
from interlock.base.nearest import suggestion
from interlock.base.part import CallContext, Command, Effect, Services, unheard
from interlock.base.principal import Principal, PrincipalKind
from interlock.surfaces.catalogue import Catalogue
from interlock.surfaces.errors import INPUT_INVALID
from interlock.surfaces.members import Member, members_of

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from interlock.access.check import Access

_FAULT = re.compile(r"(?P<reason>.*?)(?: - at `\$\.?(?P<path>.*)`)?", re.DOTALL)
_OUT_OF_BOUNDS = re.compile(r"Expected `\w+` (?:of length )?[<>]=? ")
_FIELD = re.compile(r"Object (?:missing required|contains unknown) field `(?P<name>.*)`", re.DOTALL)


class Client:
    """Runs commands of one catalogue for one principal.

    `loop` is the running loop of the application's services; `call_sync` needs it where they live on one.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        principal: Principal,
        services: Services,
        *,
        loop: AbstractEventLoop | None = None,
    ) -> None:
        self.catalogue = catalogue
        self.principal = principal
        self._services = services
        self._loop = loop

    async def call(
        self,
        name: str,
        given: Struct | Mapping[str, object],
        *,
        command_id: str | None = None,
        begun: Callable[[str], None] = unheard,
    ) -> Struct:
        """Run the command `name` and return its output; one that drives tells `begun` what, before it does.

        Under a `command_id` that was used for the same call, nothing is done and the first answer is the answer.
        Raises: `command_unknown`, `input_invalid` (with the place), `json_…`, `id_invalid`, `permission_denied` and
        `command_id_conflict` (the id was used for another call) before anything is done; else what the handler raises.
        """
        command = self.catalogue.get(name)
        record = checked_input(command, given)
        if command_id is not None:
            command_id = own_id(self.principal, ids.command_id(command_id))
        if self.principal.kind is not PrincipalKind.LOCAL:
            await self._check(command, record)
        context = CallContext(self.principal, self._services, command_id, begun)
        if command_id is None or command.effect is Effect.READS or command.machine:
            return await command.handler(context, record)
        return await self._once(command, record, context, command_id)

    async def _once(self, command: Command, record: Struct, context: CallContext, command_id: str) -> Struct:
        """Have the call take effect once under its id."""
        from interlock.surfaces.receipts.service import Receipts

        async def run() -> Struct:
            return await command.handler(context, record)

        receipts = self._services.get(Receipts)
        return await receipts.once(command, record, run, principal=self.principal, command_id=command_id)

    async def _check(self, command: Command, record: Struct) -> None:
        """Refuse what the principal may not do; verbs about the machine itself are for its user alone."""
        from interlock.access.namespaces import namespace_of

        access = self._access(command)
        if command.machine:
            raise await access.refusal(self.principal, command.permission, command.name)
        namespace = namespace_of(command, record)
        await access.check(self.principal, command.permission, command=command.name, namespace=namespace)

    def _access(self, command: Command) -> Access:
        """Whom to ask. Raises: `permission_denied`."""
        from interlock.access.check import Access, denied

        try:
            return self._services.get(Access)
        except KeyError:
            raise denied(command.permission) from None

    async def check_somewhere(self, name: str) -> None:
        """Refuse a command that the principal may call nowhere, before its input is there; `call` checks the rest.

        Raises: `command_unknown`, `permission_denied`. Side effect: a refusal is recorded.
        """
        command = self.catalogue.get(name)
        if self.principal.kind is PrincipalKind.LOCAL:
            return
        access = self._access(command)
        if command.machine or not access.permits_somewhere(self.principal, command.permission):
            raise await access.refusal(self.principal, command.permission, command.name)

    def call_sync(self, name: str, given: Struct | Mapping[str, object], *, command_id: str | None = None) -> Struct:
        """`call` for a thread that runs no event loop: waits until the output is there."""
        import asyncio

        answer = self.call(name, given, command_id=command_id)
        if self._loop is None:
            return asyncio.run(answer)
        return asyncio.run_coroutine_threadsafe(answer, self._loop).result()


def own_id(principal: Principal, command_id: str) -> str:
    """The id of a command among those of everybody: what one principal uses says nothing to another."""
    if principal.kind is PrincipalKind.LOCAL:
        return command_id
    return f"of:{digest(canonical([principal.kind.value, principal.id, command_id]))}"


def checked_input(command: Command, given: Struct | Mapping[str, object]) -> Struct:
    """The command's input record made of `given`, or an error that names the place.

    A record is checked like a mapping of its members: Python lets anyone construct one with wrong values.
    """
    members = {member.name: member for member in members_of(command.input)}
    values = _values(given) if isinstance(given, Struct) else dict(given)
    for name in values:
        if name not in members:
            place = ids.shown(name)
            raise INPUT_INVALID.error(
                f"{command.name} takes no `{place}`{suggestion(str(name), members)}",
                command=command.name,
                place=place,
            )
    ready = _ready(command, values)
    # The converter takes no `Raw` where None is allowed too: optional free JSON is put in afterwards.
    late = {name: ready.pop(name) for name in list(ready) if members[name].raw and not members[name].required}
    try:
        return msgspec.structs.replace(msgspec.convert(ready, command.input), **late)
    except ValidationError as fault:
        place, reason = explained(str(fault), members.values())
        raise INPUT_INVALID.error(f"`{place}`: {reason}", command=command.name, place=place) from None


def _values(record: Struct) -> dict[str, object]:
    pairs = zip(record.__struct_encode_fields__, record.__struct_fields__, strict=True)
    values = {name: getattr(record, attribute) for name, attribute in pairs}
    absent = [name for name in _free_members(type(record)) if values[name] is None]
    return {name: value for name, value in values.items() if name not in absent}


def _ready(command: Command, values: Mapping[str, object]) -> dict[str, object]:
    """The values, proved to be JSON of bounded size, with free JSON as canonical bytes."""
    free = _free_members(command.input)
    ready: dict[str, object] = {}
    size_bytes = 0
    for name, value in values.items():
        try:
            plain = parse(bytes(value)) if isinstance(value, Raw) else msgspec.to_builtins(value)
            content = canonical(plain)
        except TypeError:
            raise INPUT_INVALID.error(f"`{name}`: a value that is not JSON", command=command.name, place=name) from None
        except InterlockError as fault:
            raise at_member(fault, name) from None
        size_bytes += len(content)
        ready[name] = Raw(content) if name in free else plain
    if size_bytes > JSON_BYTES_MAX:
        raise JSON_TOO_LARGE.error(f"input of more than {JSON_BYTES_MAX} bytes", limit_bytes=JSON_BYTES_MAX)
    return ready


def _free_members(record: type[Struct]) -> frozenset[str]:
    return frozenset(member.name for member in members_of(record) if member.raw)


def at_member(fault: InterlockError, name: str) -> InterlockError:
    """The same error, said of the member `name`; a place inside the value follows the name."""
    inside = fault.details.get("place") or ""
    return fault.kind.error(f"`{name}`: {fault.message}", **(fault.details | {"place": f"{name}{inside}"}))


def explained(fault: str, members: Iterable[Member]) -> tuple[str, str]:
    """Place and reason of a decoder's refusal, in our words and without the refused value."""
    match = _FAULT.fullmatch(fault)
    reason, path = (match["reason"], match["path"] or "") if match else (fault, "")
    if field := _FIELD.fullmatch(reason):
        path = ".".join(filter(None, [path, field["name"]]))
        reason = "it is needed" if "missing" in reason else "it is not known"
    member = next((each for each in members if each.name == re.split(r"[.\[]", path)[0]), None)
    if reason.startswith("Invalid enum value"):
        choices = f": {', '.join(member.choices)}" if member and member.choices else ""
        reason = f"it is none of the allowed values{choices}"
    elif "matching regex" in reason:
        form = member.description or f"the form {member.pattern}" if member else "the form that is needed"
        reason = f"it has not the right form; expected: {form}"
    elif _OUT_OF_BOUNDS.match(reason) and member and member.bounds:
        reason = f"it is out of bounds; expected: {member.bounds}"
    return ids.shown(path, 200) or "input", reason[:1].lower() + reason[1:]
