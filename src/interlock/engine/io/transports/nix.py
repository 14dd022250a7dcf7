"""Resolves apps of Nix flakes to programs: the transport of the namespace `nix.exec`.

What it does: for a request `resolve_flake_app_v1` evaluates `apps.<system>.<fragment>.program` of a flake that the
run's own manifest allows, builds or fetches the store path under it, and answers with the path of the program. What
it does not do: it runs no app (`exec` does), keeps nothing from being collected as garbage, and confines nothing that
an allowed flake builds.

Rules: an entry of `nix_flake_allowlist` allows what goes on after it with `#`, `/` or `?` (D13), no `..`, and no
parameter that changes where the flake comes from. Nothing of a request can become an option: it has a strict form
that no option has. Nix itself is the program that the settings name, or one at a place that only the administrator
writes to; the caller's `PATH` is never asked. Both programs share one deadline, inherit nothing but a fixed
environment, and lose to no configuration that a flake brings along. Errors carry exit code and sizes, never output.
Source: seed 001, `nix_flake_allowlist`.
"""

from __future__ import annotations

import asyncio
import os
import platform
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from interlock.base.canonical import Json
from interlock.base.errors import Category, ErrorCode, InterlockError
from interlock.engine.io.transports.exec import BASE_ENVIRONMENT
from interlock.engine.io.transports.port import TransportContext
from interlock.engine.io.transports.process import Ended, Program, run_program
from interlock.engine.io.transports.requests import read_request
from interlock.engine.io.transports.warden import Warden

NIX_REQUEST_INVALID = ErrorCode(
    "nix_request_invalid", Category.INVALID, "Name the app as <flake>#<name>, as the message says."
)
NIX_APP_NOT_ALLOWED = ErrorCode(
    "nix_app_not_allowed", Category.REFUSED, "Start the run with a nix_flake_allowlist that names the flake."
)
NIX_NOT_AVAILABLE = ErrorCode(
    "nix_not_available", Category.NOT_FOUND, "Install Nix, or name its program in the setting nix.program."
)
NIX_EVAL_FAILED = ErrorCode(
    "nix_eval_failed",
    Category.FAILED,
    "See with `nix eval` whether the flake has the app, and whether its program is in the Nix store.",
    retryable=True,
)
NIX_BUILD_FAILED = ErrorCode(
    "nix_build_failed", Category.FAILED, "See with `nix build` why the program cannot be built.", retryable=True
)
NIX_TIMEOUT = ErrorCode(
    "nix_timeout", Category.UNAVAILABLE, "Give more time, or build the program beforehand.", retryable=True
)

ERRORS = (
    NIX_REQUEST_INVALID,
    NIX_APP_NOT_ALLOWED,
    NIX_NOT_AVAILABLE,
    NIX_EVAL_FAILED,
    NIX_BUILD_FAILED,
    NIX_TIMEOUT,
)

PLACES: Final = (
    "/run/current-system/sw/bin/nix",
    "/nix/var/nix/profiles/default/bin/nix",
    "/usr/local/bin/nix",
    "/usr/bin/nix",
)
"""Where Nix is looked for. Not on `PATH`: whoever starts this process chooses that."""

APP_CHARACTERS_MAX: Final = 1024
_OUTPUT_BYTES_MAX: Final = 256 * 1024
_STORE_PATHS_MAX: Final = 1000

_FLAKE: Final = re.compile(r"[A-Za-z/][A-Za-z0-9_~@+=.,:/-]*(?:\?[A-Za-z0-9_~@+=.,:/&-]*)?")
_FRAGMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_'-]*(?:\.[A-Za-z_][A-Za-z0-9_'-]*)*")
_QUERY_NAMES: Final = frozenset({"dir", "ref", "rev", "narHash", "lastModified", "revCount", "shallow", "submodules"})
_ROOT: Final = r"/nix/store/[0-9a-z]{32}-[A-Za-z0-9+._?=-]{1,211}"
_STORE_PATH: Final = re.compile(_ROOT)
_PROGRAM_PATH: Final = re.compile(rf"(?P<root>{_ROOT})(?:/(?!\.{{1,2}}(?:/|\Z))[^/\x00-\x1f\x7f]{{1,255}}){{0,64}}")
_OUTPUT_NAME: Final = re.compile(r"[A-Za-z0-9+._?=-]{1,100}")
# Beside the path, what has to be built for it: of a path alone Nix does not know how it comes about.
_APPLY: Final = "program: { inherit program; context = builtins.getContext program; }"
_FIXED: Final = ("--extra-experimental-features", "nix-command flakes", "--option", "accept-flake-config", "false")


class NixSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where Nix is."""

    program: Annotated[
        str,
        Meta(
            pattern=r"\A(/[^\x00]*)?\Z",
            description="Path of the program `nix`, with `nix-store` beside it; empty: a place of the system.",
        ),
    ] = ""


class NixRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request of the namespace `nix.exec`. `app` is `<flake>#<name>`."""

    kind: Literal["resolve_flake_app_v1"]
    app: Annotated[str, Meta(max_length=APP_CHARACTERS_MAX)]
    timeout_ms: Annotated[int, Meta(ge=1, le=86_400_000)] = 600_000


class _Origin(Struct, frozen=True):
    """What a string of Nix needs of one store path: these outputs of it, or none in particular."""

    outputs: Annotated[tuple[str, ...], Meta(max_length=100)] = ()


class _Evaluated(Struct, frozen=True):
    """What the evaluation prints."""

    program: str
    context: Annotated[dict[str, _Origin], Meta(max_length=_STORE_PATHS_MAX)]


class NixTransport:
    """The transport of the namespace `nix.exec`. Answers `{program_path}`."""

    def __init__(self, settings: NixSettings) -> None:
        self._settings = settings
        self._warden = Warden()

    def effectful(self, request: Json) -> bool:
        """Never: what is built is found again by its content, and only the store of Nix holds it."""
        del request
        return False

    async def call(self, request: Json, context: TransportContext) -> Json:
        """Resolve the app that `request` names. Raises: the `nix_…` codes."""
        order = read_request(request, NixRequest, NIX_REQUEST_INVALID)
        flake, fragment = _parted(order.app)
        if not any(_allows(entry, order.app) for entry in context.nix_flake_allowlist):
            raise NIX_APP_NOT_ALLOWED.error("the manifest of this run does not allow the flake")
        nix = _Nix(_program(self._settings), order.timeout_ms, self._warden)
        installable = f"{flake}#apps.{system(platform.machine(), sys.platform)}.{fragment}.program"
        evaluated, root = _read(await nix.evaluate(installable))
        printed = await nix.realise(_targets(evaluated.context) or [root])
        if root.encode() not in printed.stdout.prefix.splitlines():
            raise _fault(NIX_BUILD_FAILED, "the store path of the program was not built", printed)
        return {"program_path": evaluated.program}

    async def close(self) -> None:
        """End the warden of the programs."""
        await self._warden.close()


def system(machine: str, kernel: str) -> str:
    """The name that Nix has for a platform, such as `x86_64-linux`."""
    return f"{'aarch64' if machine == 'arm64' else machine.lower()}-{kernel}"


def _parted(app: str) -> tuple[str, str]:
    """The reference of the flake and the name of the app. Raises: `nix_request_invalid`."""
    flake, hash_sign, fragment = app.partition("#")
    if not hash_sign or _FLAKE.fullmatch(flake) is None or _FRAGMENT.fullmatch(fragment) is None:
        raise NIX_REQUEST_INVALID.error("the app at $.app is not of the form <flake>#<name>", place="$.app")
    # Of the steps upwards, some are taken by Nix and some by the server that it asks.
    if ".." in re.split(r"[/?&=:]", flake):
        raise NIX_REQUEST_INVALID.error("the flake at $.app steps upwards", place="$.app")
    return flake, fragment


def _allows(entry: str, app: str) -> bool:
    """Whether an entry of an allowlist allows an app: itself, or what goes on after it at a boundary."""
    if not entry or not app.startswith(entry):
        return False
    rest = app[len(entry) :]
    if rest and not (entry.endswith("/") or rest[0] in "#/?"):
        return False
    _, _, query = rest.partition("#")[0].partition("?")
    # `host=…` of a forge and `url=…` would take the flake from somewhere else under an allowed name.
    return all(part.partition("=")[0] in _QUERY_NAMES for part in query.split("&") if part)


def _program(settings: NixSettings) -> Path:
    """Where Nix is. Raises: `nix_not_available`."""
    places = (settings.program,) if settings.program else PLACES
    found = next((place for place in places if _is_program(place)), None)
    if found is None:
        raise NIX_NOT_AVAILABLE.error("there is no program nix at the places where it may be")
    return Path(found)


def _is_program(path: str) -> bool:
    try:
        return Path(path).is_file() and os.access(path, os.X_OK)
    except (OSError, ValueError):
        return False


class _Nix:
    """The programs of Nix, under one deadline."""

    def __init__(self, program: Path, timeout_ms: int, warden: Warden) -> None:
        self._program = program
        self._warden = warden
        self._timeout_ms = timeout_ms
        self._until = asyncio.get_running_loop().time() + timeout_ms / 1000

    async def evaluate(self, installable: str) -> Ended:
        """Evaluate an attribute that is the path of a program."""
        arguments = ("eval", *_FIXED, "--no-write-lock-file", "--json", "--apply", _APPLY, "--", installable)
        return await self._run(self._program, arguments, NIX_EVAL_FAILED)

    async def realise(self, targets: list[str]) -> Ended:
        """Build or fetch store paths; what came of it is printed, one path a line."""
        # Of `nix build` no spelling of "this output of that derivation" is understood by every version.
        return await self._run(self._program.with_name("nix-store"), ("--realise", *targets), NIX_BUILD_FAILED)

    async def _run(self, path: Path, arguments: tuple[str, ...], failed: ErrorCode) -> Ended:
        left_ms = int((self._until - asyncio.get_running_loop().time()) * 1000)
        if left_ms < 1:
            raise NIX_TIMEOUT.error(f"no end within {self._timeout_ms} ms")
        try:
            ended = await run_program(_described(path, arguments, left_ms), self._warden)
        except OSError:
            raise NIX_NOT_AVAILABLE.error(f"the program {path.name} cannot be started") from None
        if not ended.on_time:
            raise _fault(NIX_TIMEOUT, f"no end within {self._timeout_ms} ms", ended)
        if ended.exit_code != 0:
            raise _fault(failed, f"{path.name} failed", ended)
        if ended.stdout.overflowed:
            raise _fault(failed, f"{path.name} printed more than {_OUTPUT_BYTES_MAX} bytes", ended)
        return ended


def _described(path: Path, arguments: tuple[str, ...], timeout_ms: int) -> Program:
    # Fetchers call git and the like, which stand beside Nix where the whole system comes from it.
    environment = {**BASE_ENVIRONMENT, "PATH": f"{path.parent}:{BASE_ENVIRONMENT['PATH']}"}
    return Program(
        executable=str(path),
        arguments=(path.name, *arguments),
        environment=environment,
        directory="/",
        stdin=b"",
        timeout_ms=timeout_ms,
        output_bytes_max=_OUTPUT_BYTES_MAX,
    )


def _read(ended: Ended) -> tuple[_Evaluated, str]:
    """What was evaluated, and the store path under its program. Raises: `nix_eval_failed`."""
    try:
        evaluated = msgspec.json.decode(ended.stdout.prefix, type=_Evaluated)
    except msgspec.MsgspecError:
        raise _fault(NIX_EVAL_FAILED, "the evaluation printed no program", ended) from None
    program = _PROGRAM_PATH.fullmatch(evaluated.program)
    if program is None:
        raise _fault(NIX_EVAL_FAILED, "the program is not under /nix/store/", ended)
    if not all(_is_origin(path, origin) for path, origin in evaluated.context.items()):
        raise _fault(NIX_EVAL_FAILED, "the program comes from what is no store path", ended)
    return evaluated, program["root"]


def _is_origin(path: str, origin: _Origin) -> bool:
    return bool(_STORE_PATH.fullmatch(path)) and all(map(_OUTPUT_NAME.fullmatch, origin.outputs))


def _targets(context: Mapping[str, _Origin]) -> list[str]:
    """What has to be there so that the program is."""
    built = [f"{path}!{','.join(origin.outputs)}" for path, origin in context.items() if origin.outputs]
    return built + [path for path, origin in context.items() if not origin.outputs]


def _fault(kind: ErrorCode, message: str, ended: Ended) -> InterlockError:
    return kind.error(
        message,
        exit_code=ended.exit_code,
        stdout_bytes=ended.stdout.bytes_total,
        stderr_bytes=ended.stderr.bytes_total,
    )
