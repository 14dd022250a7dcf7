"""Apps of Nix flakes: which may be resolved, what Nix is asked, and what becomes of its answers."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.base.canonical import Json
from interlock.base.errors import InterlockError
from interlock.engine.io.transports import nix
from interlock.engine.io.transports.exec import BASE_ENVIRONMENT
from interlock.engine.io.transports.nix import APP_CHARACTERS_MAX, NixSettings, NixTransport, system
from interlock.engine.io.transports.port import TransportContext
from interlock.engine.io.transports.process import Ended, Program, run_program
from interlock.engine.io.transports.warden import Warden
from tests.unit.engine.io.transports.nix_stand_in import DERIVATION, EVALUATED, PROGRAM, ROOT, StandIn

RUN_ID = "00000000-0000-4000-8000-000000000000"
ALLOWED = "github:willyrgf/mfm"
APP = f"{ALLOWED}#hello"
LINUX = system(os.uname().machine, "linux")


@pytest.fixture
def stand_in(tmp_path: Path) -> StandIn:
    return StandIn(tmp_path)


async def answered(transport: NixTransport, request: Json, context: TransportContext) -> Json:
    """One call, after which the transport is closed."""
    try:
        return await transport.call(request, context)
    finally:
        await transport.close()


def resolve(
    stand_in: StandIn, app: str = APP, allowlist: Sequence[str] = (ALLOWED,), timeout_ms: int = 60_000, **more: Json
) -> Json:
    transport = NixTransport(NixSettings(program=stand_in.program))
    context = TransportContext(RUN_ID, "m.s.l", 0, local_plan=True, nix_flake_allowlist=tuple(allowlist))
    request: Json = {"kind": "resolve_flake_app_v1", "app": app, "timeout_ms": timeout_ms, **more}
    return asyncio.run(answered(transport, request, context))


def refused(stand_in: StandIn, app: str = APP, allowlist: Sequence[str] = (ALLOWED,), **more: Json) -> InterlockError:
    with pytest.raises(InterlockError) as caught:
        resolve(stand_in, app, allowlist, **more)  # type: ignore[arg-type]
    return caught.value


def test_an_app_is_evaluated_and_built_and_its_program_is_the_answer(stand_in: StandIn) -> None:
    assert resolve(stand_in) == {"program_path": PROGRAM}

    asked = stand_in.arguments("nix")
    assert asked is not None
    assert asked[0] == "eval"
    assert asked[-2:] == ["--", f"{ALLOWED}#apps.{LINUX}.hello.program"]
    assert stand_in.arguments("nix-store") == ["--realise", f"{DERIVATION}!out"]


def test_resolving_is_a_read() -> None:
    transport = NixTransport(NixSettings())

    assert not transport.effectful({"kind": "resolve_flake_app_v1", "app": APP})
    assert not transport.effectful(None)


def test_nix_is_told_to_follow_no_configuration_of_a_flake_and_to_write_no_lock_file(stand_in: StandIn) -> None:
    resolve(stand_in)

    asked = " ".join(stand_in.arguments("nix") or [])
    assert "--option accept-flake-config false" in asked
    assert "--no-write-lock-file" in asked
    assert "--impure" not in asked


def test_nix_inherits_nothing_but_a_fixed_environment(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NIX_CONFIG", "NIX_PATH", "HOME", "LD_PRELOAD", "CANARY"):
        monkeypatch.setenv(name, "")
    resolve(stand_in)

    for name in ("nix", "nix-store"):
        seen = {key: value for key, value in stand_in.environment(name).items() if key not in ("PWD", "_", "SHLVL")}
        path = f"{stand_in.folder}:{BASE_ENVIRONMENT['PATH']}"
        assert {k: v for k, v in seen.items() if k != "OLDPWD"} == {"LANG": "C.UTF-8", "PATH": path}
        assert (stand_in.folder / f"{name}.folder").read_text() == "/\n"


@pytest.mark.parametrize(
    "app",
    [
        "github:willyrgf/mfm#hello",
        "github:willyrgf/mfm/main#hello",
        "github:willyrgf/mfm/0123456789abcdef0123456789abcdef01234567#hello",
        "github:willyrgf/mfm?ref=main#hello",
        "github:willyrgf/mfm?dir=tools&rev=0123456789abcdef0123456789abcdef01234567#tools.hello",
    ],
)
def test_what_goes_on_after_an_entry_at_a_boundary_is_allowed(stand_in: StandIn, app: str) -> None:
    assert resolve(stand_in, app) == {"program_path": PROGRAM}


@pytest.mark.parametrize(
    "app",
    [
        "github:willyrgf/mfm-evil#x",
        "github:willyrgf/mfmevil#x",
        "github:willyrgf/mfm.evil/a#x",
        "github:willyrgf/mfm:evil#x",
        "github:willyrgf#x",
        "github:Willyrgf/mfm#x",
        "github:evil/github:willyrgf/mfm#x",
        "git+https://evil.example/github:willyrgf/mfm#x",
        "/srv/github:willyrgf/mfm#x",
    ],
)
def test_d13_a_flake_whose_name_only_begins_like_an_allowed_one_is_refused(stand_in: StandIn, app: str) -> None:
    fault = refused(stand_in, app)

    assert fault.code == "nix_app_not_allowed"
    assert "evil" not in f"{fault} {fault.details}"
    assert stand_in.arguments("nix") is None


@pytest.mark.parametrize(
    "query", ["host=evil.example", "url=x", "dir=a&host=evil.example", "host", "Host=x", "%68ost=x"]
)
def test_a_parameter_that_takes_the_flake_from_elsewhere_is_refused(stand_in: StandIn, query: str) -> None:
    assert refused(stand_in, f"{ALLOWED}?{query}#x").code in ("nix_app_not_allowed", "nix_request_invalid")
    assert stand_in.arguments("nix") is None


def test_a_parameter_that_the_entry_itself_spells_is_allowed(stand_in: StandIn) -> None:
    entry = f"{ALLOWED}?host=git.corp.example"

    assert resolve(stand_in, f"{entry}#x", [entry]) == {"program_path": PROGRAM}
    assert refused(stand_in, f"{entry}.evil#x", [entry]).code == "nix_app_not_allowed"
    assert refused(stand_in, f"{entry}&host=evil.example#x", [entry]).code == "nix_app_not_allowed"


@pytest.mark.parametrize("allowlist", [(), ("",), ("github:",), ("github:willyrgf/mfm#",), ("#hello", "g")])
def test_an_allowlist_without_an_entry_that_fits_allows_nothing(stand_in: StandIn, allowlist: Sequence[str]) -> None:
    assert refused(stand_in, allowlist=allowlist).code == "nix_app_not_allowed"


def test_an_empty_entry_allows_nothing_not_even_a_path(stand_in: StandIn) -> None:
    assert refused(stand_in, "/srv/evil#x", [""]).code == "nix_app_not_allowed"


def test_an_entry_that_names_an_app_allows_that_app_alone(stand_in: StandIn) -> None:
    assert resolve(stand_in, APP, [APP]) == {"program_path": PROGRAM}
    for app in (f"{APP}-evil", f"{APP}.evil", f"{ALLOWED}#other", f"{ALLOWED}/main#hello"):
        assert refused(stand_in, app, [APP]).code == "nix_app_not_allowed"


def test_an_entry_that_ends_with_a_slash_allows_what_is_below_it(stand_in: StandIn) -> None:
    assert resolve(stand_in, "path:/srv/flakes/tools#x", ["path:/srv/flakes/"]) == {"program_path": PROGRAM}
    assert refused(stand_in, "path:/srv/flakes#x", ["path:/srv/flakes/"]).code == "nix_app_not_allowed"


@pytest.mark.parametrize(
    "app",
    [
        *("--expr#x", "-#x", f"--expr {ALLOWED}#x", f"{ALLOWED} --impure#x"),
        *(f"{ALLOWED}#--expr", f"{ALLOWED}#-", f"{ALLOWED}#x --impure", f"{ALLOWED}#x\n--impure", f"{ALLOWED}#x\n"),
        *(f"{ALLOWED}\n#x", f"{ALLOWED}\0#x", f"{ALLOWED}#x\0", f"{ALLOWED}#x\ud800", f"{ALLOWED}#ü"),
        *(f"{ALLOWED}#", "#x", ALLOWED, "", f"{ALLOWED}#x#y", f"{ALLOWED}#x^out", f"{ALLOWED}#x.", f"{ALLOWED}#.x"),
        *(f"{ALLOWED}#x..y", f'{ALLOWED}#"x"', f"{ALLOWED}#${{x}}", f"{ALLOWED}#x%2ey", f"{ALLOWED}#(x)", "./a#x"),
        *(f"{ALLOWED}/../evil#x", f"{ALLOWED}/a/../../../evil#x", f"{ALLOWED}/%2e%2e/evil#x", f"{ALLOWED}?dir=..#x"),
        *(f"{ALLOWED}?dir=a/../../b#x", f"{ALLOWED}/.%2e/a#x"),
        pytest.param(f"{ALLOWED}#" + "x" * APP_CHARACTERS_MAX, id="a long name"),
        pytest.param("a" * 1_000_000 + "#x", id="a very long flake"),
    ],
)
def test_a_hostile_name_is_refused_before_nix_is_asked_and_is_not_repeated(stand_in: StandIn, app: str) -> None:
    fault = refused(stand_in, app, [ALLOWED, "--expr", "-", "", "./a"])

    assert fault.code == "nix_request_invalid"
    assert len(str(fault)) < 200
    assert "evil" not in f"{fault} {fault.details}"
    assert stand_in.arguments("nix") is None


@given(st.text(max_size=60), st.text(max_size=20))
def test_whatever_is_asked_only_one_argument_of_strict_form_reaches_nix(flake: str, fragment: str) -> None:
    app = f"{ALLOWED}{flake}#{fragment}"
    try:
        flake, fragment = nix._parted(app)
    except InterlockError as fault:
        assert fault.code == "nix_request_invalid"
        return
    assert not {*flake, *fragment} & set(" \n\0\"'`$;|<>\\%^!*(){}[]") - {"'"}
    assert f"{flake}#{fragment}" == app


@pytest.mark.parametrize(
    "request_", [{}, {"kind": "run_program_v1", "app": APP}, {"app": 7}, {"app": APP, "expr": "1"}, {"timeout_ms": 0}]
)
def test_a_request_of_another_form_is_refused(stand_in: StandIn, request_: dict[str, Json]) -> None:
    transport = NixTransport(NixSettings(program=stand_in.program))
    given: Json = request_ if "kind" in request_ or not request_ else {"kind": "resolve_flake_app_v1", **request_}

    with pytest.raises(InterlockError) as caught:
        asyncio.run(answered(transport, given, TransportContext(RUN_ID, "m.s.l", 0)))

    assert caught.value.code == "nix_request_invalid"


def test_the_path_of_the_caller_is_never_searched_for_nix(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(stand_in.folder))
    monkeypatch.setattr(nix, "PLACES", (str(tmp_path / "none"),))
    transport = NixTransport(NixSettings())
    context = TransportContext(RUN_ID, "m.s.l", 0, nix_flake_allowlist=(ALLOWED,))

    with pytest.raises(InterlockError) as caught:
        asyncio.run(answered(transport, {"kind": "resolve_flake_app_v1", "app": APP}, context))

    assert caught.value.code == "nix_not_available"
    assert stand_in.arguments("nix") is None


def test_without_a_setting_nix_is_found_at_a_place_of_the_system(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert all(Path(place).is_absolute() and Path(place).name == "nix" for place in nix.PLACES)
    monkeypatch.setattr(nix, "PLACES", (str(tmp_path / "none"), stand_in.program))
    transport = NixTransport(NixSettings())
    context = TransportContext(RUN_ID, "m.s.l", 0, nix_flake_allowlist=(ALLOWED,))

    answer = asyncio.run(answered(transport, {"kind": "resolve_flake_app_v1", "app": APP}, context))

    assert answer == {"program_path": PROGRAM}


@pytest.mark.parametrize("missing", ["nix", "nix-store"])
def test_a_program_that_is_not_there_is_said_to_be_not_available(stand_in: StandIn, missing: str) -> None:
    (stand_in.folder / missing).unlink()

    assert refused(stand_in).code == "nix_not_available"


def test_a_program_that_may_not_be_executed_is_said_to_be_not_available(stand_in: StandIn) -> None:
    (stand_in.folder / "nix").chmod(0o644)

    assert refused(stand_in).code == "nix_not_available"


@pytest.mark.parametrize("path", ["nix", "bin/nix", "/nix\0"])
def test_a_setting_names_an_absolute_path(path: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"program": path}, NixSettings)


def test_an_evaluation_that_fails_says_how_and_not_what_it_printed(stand_in: StandIn) -> None:
    stand_in.behave("nix", "echo canary; echo canary >&2; exit 3")
    fault = refused(stand_in)

    assert (fault.code, fault.details) == (
        "nix_eval_failed",
        {"exit_code": 3, "stdout_bytes": 7, "stderr_bytes": 7},
    )
    assert "canary" not in str(fault)
    assert stand_in.arguments("nix-store") is None


@pytest.mark.parametrize(
    "printed",
    [
        *("", "null", "7", "[]", '"' + PROGRAM + '"', PROGRAM, "{}", '{"program":7,"context":{}}', EVALUATED * 2),
        *('{"program":"' + PROGRAM + '"}', '{"program":"' + PROGRAM + '","context":[]}', "\x00\xff", "{" * 10_000),
    ],
)
def test_an_evaluation_that_prints_something_else_is_no_answer(stand_in: StandIn, printed: str) -> None:
    stand_in.evaluates(printed)

    assert refused(stand_in).code == "nix_eval_failed"
    assert stand_in.arguments("nix-store") is None


@pytest.mark.parametrize(
    "program",
    [
        *("/bin/sh", "/nix/store/", "/nix/store", "/nix/storeevil/x", "", "hello", "/nix/store/../../bin/sh"),
        *(f"{ROOT}/../../../bin/sh", f"{ROOT}/bin/..", f"{ROOT}/./x", f"{ROOT}/", f"{ROOT}//x", f"{ROOT}/a\\nb"),
        *(f"/..{PROGRAM}", f" {PROGRAM}", f"{PROGRAM}\\n", f"{ROOT}/a\\u0000", "/nix/store/short-hello/bin/hello"),
        f"{ROOT}/{'x' * 256}",
    ],
)
def test_a_program_outside_of_the_store_of_nix_is_no_answer(stand_in: StandIn, program: str) -> None:
    stand_in.evaluates(f'{{"context":{{}},"program":"{program}"}}')

    assert refused(stand_in).code == "nix_eval_failed"
    assert stand_in.arguments("nix-store") is None


@pytest.mark.parametrize(
    ("origin", "outputs"), [("--add-root", "out"), ("/bin/sh", "out"), (f"{ROOT}/x", "out"), (DERIVATION, "a --b")]
)
def test_what_the_evaluation_wants_built_cannot_become_an_option(stand_in: StandIn, origin: str, outputs: str) -> None:
    stand_in.evaluates(f'{{"context":{{"{origin}":{{"outputs":["{outputs}"]}}}},"program":"{PROGRAM}"}}')

    assert refused(stand_in).code == "nix_eval_failed"
    assert stand_in.arguments("nix-store") is None


@pytest.mark.parametrize(
    ("context", "targets"),
    [
        ("{}", [ROOT]),
        (f'{{"{ROOT}":{{"path":true}}}}', [ROOT]),
        (f'{{"{DERIVATION}":{{"allOutputs":true}}}}', [DERIVATION]),
        (f'{{"{ROOT}":{{"path":true}},"{DERIVATION}":{{"outputs":["bin","out"]}}}}', [f"{DERIVATION}!bin,out", ROOT]),
    ],
)
def test_whatever_the_program_is_made_of_is_built(stand_in: StandIn, context: str, targets: list[str]) -> None:
    stand_in.evaluates(f'{{"context":{context},"program":"{PROGRAM}"}}')

    assert resolve(stand_in) == {"program_path": PROGRAM}
    assert stand_in.arguments("nix-store") == ["--realise", *targets]


@pytest.mark.parametrize("script", ["exit 1", "true", f"echo {ROOT}-other", f"echo {PROGRAM}", f"printf 'x{ROOT}'"])
def test_a_build_that_fails_or_builds_something_else_is_no_answer(stand_in: StandIn, script: str) -> None:
    stand_in.behave("nix-store", script)

    assert refused(stand_in).code == "nix_build_failed"


@pytest.mark.parametrize(("program", "code"), [("nix", "nix_eval_failed"), ("nix-store", "nix_build_failed")])
def test_output_without_end_is_drained_counted_and_refused(stand_in: StandIn, program: str, code: str) -> None:
    stand_in.behave(program, "head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2")
    fault = refused(stand_in)

    assert (fault.code, fault.details["stdout_bytes"], fault.details["stderr_bytes"]) == (code, 3_000_000, 3_000_000)


def test_a_build_may_log_as_much_as_it_likes(stand_in: StandIn) -> None:
    stand_in.behave("nix-store", f"head -c 3000000 /dev/zero >&2; echo {ROOT}")

    assert resolve(stand_in) == {"program_path": PROGRAM}


@pytest.mark.parametrize("program", ["nix", "nix-store"])
def test_at_the_deadline_the_whole_process_group_is_killed(stand_in: StandIn, program: str) -> None:
    stand_in.behave(program, 'sleep 600 & echo $! > "$here/child"; wait')
    fault = refused(stand_in, timeout_ms=1_000)

    assert (fault.code, fault.retryable) == ("nix_timeout", True)
    assert ended(int((stand_in.folder / "child").read_text()))


def ended(pid: int) -> bool:
    """Whether a process is gone, once the kernel has had time to get to it."""
    limit = time.monotonic() + 10
    while (alive := is_alive(pid)) and time.monotonic() < limit:
        time.sleep(0.005)
    return not alive


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_evaluation_and_build_share_one_deadline(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []

    async def noting(program: Program, warden: Warden) -> Ended:
        given.append(program.timeout_ms)
        return await run_program(program, warden)

    monkeypatch.setattr("interlock.engine.io.transports.nix.run_program", noting)
    resolve(stand_in, timeout_ms=60_000)

    assert 60_000 >= given[0] > given[1] > 0


@pytest.mark.parametrize(
    ("machine", "kernel", "name"),
    [
        ("x86_64", "linux", "x86_64-linux"),
        ("aarch64", "linux", "aarch64-linux"),
        ("arm64", "darwin", "aarch64-darwin"),
    ],
)
def test_platforms_have_the_names_that_nix_gives_them(machine: str, kernel: str, name: str) -> None:
    assert system(machine, kernel) == name
