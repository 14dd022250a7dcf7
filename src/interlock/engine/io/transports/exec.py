"""Runs programs: the transport of the namespace `exec`.

What it does: starts one program for a request `run_program_v1`, within limits of time and size, and answers
with its exit code and outputs. What it does not do: it gives no shell, and it does not confine what an
allowed program does with its arguments, files and network.

Rules: the real path of the program (symbolic links resolved) lies under an allowed path, compared by
component, or the user of this machine started the plan; what is started is that real path, under the name
that the request gives. A name without a slash is looked for on the path of this process, for plans of this machine's
user alone. The program inherits nothing but `BASE_ENVIRONMENT`. Input and each output are
limited to the byte. Errors name the program as the request does, and carry its real path, exit code, signal and sizes,
never output; who runs steps asks `streams_of` for what a failed program wrote. Source: seed 001,
`exec_transport` and `process_exec`.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from interlock.base.canonical import Json, canonical, parse
from interlock.base.errors import Category, ErrorCode, InterlockError
from interlock.base.ids import shown
from interlock.engine.io.transports.port import TransportContext
from interlock.engine.io.transports.process import Ended, Program, run_program
from interlock.engine.io.transports.requests import SecretsOfCall, SecretSource, SecretText, read_request
from interlock.engine.io.transports.warden import Warden

EXEC_REQUEST_INVALID = ErrorCode(
    "exec_request_invalid",
    Category.INVALID,
    "Correct the request where the message says.",
)
EXEC_PROGRAM_MISSING = ErrorCode(
    "exec_program_missing", Category.NOT_FOUND, "Install the program, or name the path where it is."
)
EXEC_PROGRAM_NOT_ALLOWED = ErrorCode(
    "exec_program_not_allowed",
    Category.REFUSED,
    "Add the folder of the program's real path to the setting exec.allowed_paths.",
)
EXEC_PROGRAM_NOT_EXECUTABLE = ErrorCode(
    "exec_program_not_executable", Category.INVALID, "Name a file that has the permission to execute."
)
EXEC_SPAWN_FAILED = ErrorCode(
    "exec_spawn_failed",
    Category.FAILED,
    "Check the program's format, the size of its arguments, and the limits on processes and files.",
    retryable=True,
)
EXEC_STDIN_TOO_LARGE = ErrorCode(
    "exec_stdin_too_large", Category.INVALID, "Give large input as a file, or raise exec.stream_bytes_max."
)
EXEC_STDIN_WRITE_FAILED = ErrorCode(
    "exec_stdin_write_failed",
    Category.FAILED,
    "The program failed before it had read its input: see its exit code.",
)
EXEC_TIMEOUT = ErrorCode(
    "exec_timeout",
    Category.UNAVAILABLE,
    "Give more time, or see why the program, or a process that it left behind, keeps its output open.",
    retryable=True,
)
EXEC_FAILED = ErrorCode(
    "exec_failed",
    Category.FAILED,
    "See why the program fails; list the exit code in ok_codes to get its outputs as an answer.",
)
EXEC_KILLED = ErrorCode(
    "exec_killed",
    Category.UNAVAILABLE,
    "See who ended the program (memory, an operator): nobody knows how far it had come.",
    retryable=True,
)
EXEC_STDOUT_INVALID_JSON = ErrorCode(
    "exec_stdout_invalid_json", Category.UNAVAILABLE, "Let the program print one JSON value, or ask for text."
)
EXEC_STDOUT_TOO_LARGE = ErrorCode(
    "exec_stdout_too_large",
    Category.UNAVAILABLE,
    "Let the program write a file, or raise exec.stream_bytes_max.",
)
EXEC_STDERR_TOO_LARGE = ErrorCode(
    "exec_stderr_too_large", Category.UNAVAILABLE, "Let the program log less, or raise exec.stream_bytes_max."
)

ERRORS = (
    EXEC_REQUEST_INVALID,
    EXEC_PROGRAM_MISSING,
    EXEC_PROGRAM_NOT_ALLOWED,
    EXEC_PROGRAM_NOT_EXECUTABLE,
    EXEC_SPAWN_FAILED,
    EXEC_STDIN_TOO_LARGE,
    EXEC_STDIN_WRITE_FAILED,
    EXEC_TIMEOUT,
    EXEC_FAILED,
    EXEC_KILLED,
    EXEC_STDOUT_INVALID_JSON,
    EXEC_STDOUT_TOO_LARGE,
    EXEC_STDERR_TOO_LARGE,
)

BASE_ENVIRONMENT: Final = MappingProxyType(
    {"LANG": "C.UTF-8", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
)
"""All that a program gets which its request does not name."""

_STREAMS: Final = "streams"
PROGRAM_SHOWN_MAX: Final = 200
"""Characters of a program's name in a message."""

IDEMPOTENCY_KEY_VARIABLE: Final = "INTERLOCK_IDEMPOTENCY_KEY"
"""Where a program finds the key of the effect that it is."""


class ExecSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which programs run, and how much they may read and write."""

    allowed_paths: Annotated[
        tuple[Annotated[str, Meta(pattern=r"\A/")], ...],
        Meta(description="Where programs stand that any plan may run; empty: only local plans run any."),
    ] = ()
    stream_bytes_max: Annotated[
        int, Meta(ge=0, le=16 * 1024 * 1024, description="Bytes of input, of output and of errors, each.")
    ] = 1024 * 1024


class ExecRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request of the namespace `exec`.

    `program_path` is a whole path; with the kind `run_named_program_v1` it is a name, looked for on the path of this
    process. `argv` are the arguments after the program's name. `stdin_json` is written as canonical JSON; absent,
    input is empty. `stdout` says how output becomes an answer: `json` demands one JSON value, `auto` takes
    JSON if it is some and else text, `none` drops it. `keep_text` gives the text also where it is JSON.
    """

    kind: Literal["run_program_v1", "run_named_program_v1"]
    program_path: Annotated[str, Meta(min_length=1, max_length=4096)]
    argv: Annotated[tuple[str, ...], Meta(max_length=10_000)] = ()
    stdin_json: object | UnsetType = UNSET
    timeout_ms: Annotated[int, Meta(ge=1, le=86_400_000)] = 300_000
    env: Annotated[dict[Annotated[str, Meta(pattern=r"\A[^=\x00]+\Z")], str | SecretText], Meta(max_length=1000)] = {}
    cwd: Annotated[str, Meta(pattern=r"\A/", max_length=4096)] | None = None
    stdout: Literal["auto", "json", "text", "none"] = "auto"
    keep_text: bool = False
    ok_codes: Annotated[tuple[Annotated[int, Meta(ge=0, le=255)], ...], Meta(min_length=1)] = (0,)


class ExecTransport:
    r"""The transport of the namespace `exec`.

    Answers `{program, exit_code, stdout, json, stderr, stdout_bytes, stderr_bytes}`: `program` is the real
    path; one of `stdout` (text) and `json` (value) is null. Bytes that are not UTF-8 are escaped as
    `\xNN`.
    """

    def __init__(self, settings: ExecSettings, secrets: SecretSource) -> None:
        self._settings = settings
        self._secrets = secrets
        self._warden = Warden()

    def effectful(self, request: Json) -> bool:
        """Always: what a program does is not seen in its request."""
        del request
        return True

    async def call(self, request: Json, context: TransportContext) -> Json:
        """Run the program that `request` names. Raises: the `exec_…` codes; those of secrets."""
        order = read_request(request, ExecRequest, EXEC_REQUEST_INVALID)
        named = _path_of(order, context)
        real_path = self._allowed_program(order, named, context)
        secrets = SecretsOfCall(self._secrets, context)
        program = self._program(order, named, real_path, context, secrets)
        try:
            ended = await run_program(program, self._warden)
        except OSError as fault:
            raise EXEC_SPAWN_FAILED.error(
                f"{_name(order)} cannot be started", path=real_path, reason=errno.errorcode.get(fault.errno or 0)
            ) from None
        try:
            _judge(order, real_path, ended)
            secrets.refuse_echo(ended.stdout.prefix, ended.stderr.prefix)
            return _answer(order, real_path, ended)
        except InterlockError as fault:
            if not secrets.are_echoed(ended.stdout.prefix, ended.stderr.prefix):
                fault.__dict__[_STREAMS] = _text(ended.stdout.prefix), _text(ended.stderr.prefix)
            raise

    async def close(self) -> None:
        """End the warden of the programs."""
        await self._warden.close()

    def _allowed_program(self, order: ExecRequest, path: str, context: TransportContext) -> str:
        """The real path of the program, which this plan may run."""
        if not _is_argument(path) or not _is_argument(real := os.path.realpath(path)):
            raise EXEC_REQUEST_INVALID.error("the request breaks its form at $.program_path")
        allowed = (os.path.realpath(prefix) for prefix in self._settings.allowed_paths)
        # Asked before the file is looked at, so that a refusal tells nothing about what exists.
        if not context.local_plan and not any(PurePath(real).is_relative_to(prefix) for prefix in allowed):
            raise EXEC_PROGRAM_NOT_ALLOWED.error("the program is not under an allowed path", path=path)
        mode = _mode(real)
        if not mode:
            raise EXEC_PROGRAM_MISSING.error(f"there is no program {_name(order)}", path=real)
        if not stat.S_ISREG(mode) or not os.access(real, os.X_OK):
            raise EXEC_PROGRAM_NOT_EXECUTABLE.error(f"{_name(order)} is not an executable file", path=real)
        return real

    def _program(
        self, order: ExecRequest, named: str, real_path: str, context: TransportContext, secrets: SecretsOfCall
    ) -> Program:
        stdin = b"" if order.stdin_json is UNSET else canonical(order.stdin_json)
        limit = self._settings.stream_bytes_max
        if len(stdin) > limit:
            raise EXEC_STDIN_TOO_LARGE.error(
                f"input of {len(stdin)} bytes, of {limit} at most", stdin_bytes=len(stdin), limit_bytes=limit
            )
        environment = dict(BASE_ENVIRONMENT)
        environment.update({name: secrets.text(value) for name, value in order.env.items()})
        if context.idempotency_key is not None:
            environment[IDEMPOTENCY_KEY_VARIABLE] = context.idempotency_key
        for place, texts in (("argv", order.argv), ("env", [*environment, *environment.values()])):
            if not all(map(_is_argument, texts)):
                raise EXEC_REQUEST_INVALID.error(f"the request breaks its form at $.{place}")
        if order.cwd is not None and not (_is_argument(order.cwd) and stat.S_ISDIR(_mode(order.cwd))):
            raise EXEC_REQUEST_INVALID.error("the folder at $.cwd does not exist")
        return Program(
            executable=real_path,
            arguments=(named, *order.argv),
            environment=environment,
            directory=order.cwd,
            stdin=stdin,
            timeout_ms=order.timeout_ms,
            output_bytes_max=limit,
        )


def streams_of(fault: InterlockError) -> tuple[str, str] | None:
    """What the program of a failed call wrote, as texts: output and errors, cut like an answer's; else None.

    It may hold anything: it is no part of the error, and is neither shown nor stored with it.
    """
    found: tuple[str, str] | None = fault.__dict__.get(_STREAMS)
    return found


def _name(order: ExecRequest) -> str:
    """The program as the request names it, for messages."""
    return shown(order.program_path, PROGRAM_SHOWN_MAX)


def _path_of(order: ExecRequest, context: TransportContext) -> str:
    """The path of the program; of a `run_named_program_v1` it is looked for."""
    program, is_named = order.program_path, order.kind == "run_named_program_v1"
    if is_named == ("/" in program) or not (is_named or program.startswith("/")):
        raise EXEC_REQUEST_INVALID.error("the request breaks its form at $.program_path", place="$.program_path")
    if not is_named:
        return program
    if not context.local_plan:
        raise EXEC_PROGRAM_NOT_ALLOWED.error("a plan from elsewhere names the whole path of a program")
    found = shutil.which(program) if _is_argument(program) else None
    if found is None:
        raise EXEC_PROGRAM_MISSING.error(f"there is no program {shown(program)} on the path", path=shown(program))
    return os.path.abspath(found)  # noqa: PTH100 - symbolic links stay: programs look at the name they are started by


def _is_argument(text: str) -> bool:
    """Whether the operating system can take a text as an argument."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def _mode(path: str) -> int:
    """The kind and permissions of a file, 0 when there is none that can be seen."""
    try:
        return Path(path).stat().st_mode
    except OSError:
        return 0


def _judge(order: ExecRequest, path: str, ended: Ended) -> None:
    """Raise what went wrong, the cause before its consequences."""
    code, ok, name = ended.exit_code, ended.exit_code in order.ok_codes, _name(order)
    if not ended.on_time:
        left = "" if code is None else "; it had exited, but a process that it started held its output"
        raise _fault(EXEC_TIMEOUT, f"{name} did not end within {order.timeout_ms} ms{left}", path, ended)
    if ended.stdin_unread and not ok:
        raise _fault(EXEC_STDIN_WRITE_FAILED, f"{name} failed with its input unread", path, ended)
    if not ok and (code is None or code < 0):
        raise _fault(EXEC_KILLED, f"{name} {_how(code)}", path, ended)
    if not ok:
        raise _fault(EXEC_FAILED, f"{name} {_how(code)}", path, ended)
    if ended.stdout.overflowed and order.stdout != "none":
        raise _fault(EXEC_STDOUT_TOO_LARGE, f"{name} wrote too much output", path, ended)
    if ended.stderr.overflowed:
        raise _fault(EXEC_STDERR_TOO_LARGE, f"{name} wrote too much to its error output", path, ended)


def _how(code: int | None) -> str:
    return f"exited with {code}" if code is None or code >= 0 else f"was ended by {_signal_name(-code)}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _fault(kind: ErrorCode, message: str, path: str, ended: Ended) -> InterlockError:
    code = ended.exit_code
    return kind.error(
        message,
        path=path,
        exit_code=code if code is not None and code >= 0 else None,
        signal=_signal_name(-code) if code is not None and code < 0 else None,
        stdout_bytes=ended.stdout.bytes_total,
        stderr_bytes=ended.stderr.bytes_total,
    )


def _answer(order: ExecRequest, path: str, ended: Ended) -> Json:
    text: str | None = None
    value: Json = None
    if order.stdout == "text" or (order.keep_text and order.stdout != "none"):
        text = _text(ended.stdout.prefix)
    if order.stdout not in {"none", "text"}:
        try:
            value = parse(ended.stdout.prefix)
        except InterlockError as fault:
            if order.stdout == "json":
                raise _fault(
                    EXEC_STDOUT_INVALID_JSON, f"{_name(order)} printed no acceptable JSON ({fault.code})", path, ended
                ) from None
            text = _text(ended.stdout.prefix)
    return {
        "program": path,
        "exit_code": ended.exit_code,
        "stdout": text,
        "json": value,
        "stderr": _text(ended.stderr.prefix),
        "stdout_bytes": ended.stdout.bytes_total,
        "stderr_bytes": ended.stderr.bytes_total,
    }


def _text(content: bytes) -> str:
    return content.decode("utf-8", "backslashreplace")
