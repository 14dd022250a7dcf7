"""Tags over a real socket: what is read has one, and what is changed under one is changed only if it still has it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.surfaces.http.serving import TOKEN, Asking, problem, serving

PLACE = "/api/v1/subscriptions/audit"
DIGEST = "0" * 32


def over(tmp_path: Path, check: Callable[[Asking], Awaitable[None]]) -> None:
    async def main() -> None:
        async with serving(tmp_path) as asking:
            made = await asking.post("/api/v1/subscriptions", name="audit", sink="log")
            assert made.status_code == 201
            await check(asking)

    asyncio.run(main())


async def tag_of(asking: Asking, **more: Any) -> str:
    """The tag that a subscription has now."""
    return str((await asking.ask("GET", PLACE, **more)).headers["etag"])


async def change(asking: Asking, verb: str, tag: str, json: Any = None, token: str = TOKEN) -> Any:
    """The answer to a change that is for what has this tag."""
    headers = {"If-Match": tag}
    if verb == "remove":
        return await asking.ask("DELETE", PLACE, headers=headers, token=token)
    return await asking.ask("POST", f"{PLACE}/{verb}", headers=headers, json=json or {}, token=token)


def test_of_two_callers_with_one_tag_the_second_changes_nothing(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        first, second = [await asking.token_of("operator", name=name) for name in ("ada", "bob")]
        seen = [await tag_of(asking, token=token) for token in (first, second)]
        assert seen[0] == seen[1]
        paused = await change(asking, "pause", seen[0], json={"reason": "the disk is changed"}, token=first)
        assert (paused.status_code, paused.json()["changed"]) == (200, True)
        there = await asking.get(PLACE)
        for verb, body in (("pause", {"reason": "again"}), ("resume", {}), ("redrive", {}), ("remove", {})):
            stale = await change(asking, verb, seen[1], token=second, json=body)
            assert problem(stale) == (412, "version_moved"), verb
            assert stale.json()["details"] == {"version": there["version"]}
        assert await asking.get(PLACE) == there
        resumed = await change(asking, "resume", await tag_of(asking, token=second), token=second)
        assert (resumed.status_code, resumed.json()["changed"]) == (200, True)

    over(tmp_path, check)


def test_of_many_callers_at_once_with_one_tag_one_changes_it(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        tag = await tag_of(asking)
        pauses = [change(asking, "pause", tag, json={"reason": f"reason {at}"}) for at in range(8)]
        found = [answer.status_code for answer in await asyncio.gather(*pauses)]
        assert sorted(found) == [200, *[412] * 7]

    over(tmp_path, check)


def test_a_tag_of_a_version_is_its_version_and_a_digest(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        shown = await asking.get(PLACE)
        tag = await tag_of(asking)
        version, _, digest = tag.strip('"').partition("-")
        assert (int(version), len(digest)) == (shown["version"], 32)
        # What else is shown may differ from one look to the next: the change is for the version.
        assert (await change(asking, "resume", f'"{version}"')).status_code == 200
        assert (await change(asking, "resume", f'"{version}-{DIGEST}"')).status_code == 200
        assert (await change(asking, "resume", "*")).status_code == 200
        assert (await asking.ask("GET", PLACE, headers={"If-None-Match": f'"{version}"'})).status_code == 200
        known = await asking.ask("GET", PLACE, headers={"If-None-Match": f'"x", W/{tag}'})
        assert (known.status_code, known.headers["etag"]) == (304, tag)

    over(tmp_path, check)


def test_a_tag_that_no_version_ever_had_matches_nothing(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        before = await asking.get(PLACE)
        version = before["version"]
        weak = (f'W/"{version}"', f'W/"{version}-{DIGEST}"')
        formless = (f'"0{version}"', f'"{version}-{"0" * 31}"', f'"{version}-"', '"x"', '""', f'"-{version}"')
        gone = (f'"{DIGEST}"', f'"{"9" * 40}"', '"999999999999999"', '"0"')
        for tag in (*weak, *formless, *gone):
            assert problem(await change(asking, "remove", tag)) == (412, "version_moved"), tag
        assert await asking.get(PLACE) == before

    over(tmp_path, check)


def test_what_does_not_say_one_version_is_refused(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        version = (await asking.get(PLACE))["version"]
        one = f'"{version}"'
        for text in (f'{one}, "9"', f"{one},{one}", f"{version}", '"', f'{one} "9"', "", "*, *"):
            assert problem(await change(asking, "remove", text)) == (400, "input_invalid"), text
        twice = [("If-Match", one)] * 2
        token = asking.client.headers | {"Authorization": f"Bearer {await asking.token_of('operator')}"}
        answer = await asking.client.delete(asking.url + PLACE, headers=[*token.items(), *twice])
        assert problem(answer) == (400, "input_invalid")
        both = await asking.ask("DELETE", f"{PLACE}?expect_version=9", headers={"If-Match": one})
        assert problem(both) == (400, "input_invalid")
        body = {"reason": "why", "expect_version": version}
        assert problem(await change(asking, "pause", one, json=body)) == (400, "input_invalid")
        assert (await asking.get(PLACE))["version"] == version
        member = await asking.ask("DELETE", f"{PLACE}?expect_version={version + 1}")
        assert problem(member) == (412, "version_moved")

    over(tmp_path, check)


def test_a_tag_is_refused_where_nothing_has_a_version_and_told_what_has_one(tmp_path: Path) -> None:
    run = "01890a5d-ac96-774b-bcce-b302099a8051"

    async def check(asking: Asking) -> None:
        asked: list[tuple[str, str, dict[str, Any]]] = [
            ("GET", PLACE, {}),
            ("GET", f"/api/v1/runs/{run}/pack", {}),
            ("POST", "/api/v1/subscriptions", {"json": {"name": "other", "sink": "log"}}),
            # `expect` is no version of a thing: it is a count, or a fingerprint.
            ("POST", "/api/v1/runs/batch", {"json": {"action": "cancel", "reason": "why"}}),
            ("POST", f"/api/v1/runs/{run}/migrate", {"json": {"plan": "x"}}),
        ]
        for method, path, more in asked:
            answer = await asking.ask(method, path, headers={"If-Match": '"1"'}, **more)
            assert problem(answer) == (400, "input_invalid"), path
            assert "If-Match" in answer.json()["detail"]
            assert answer.json()["detail"].endswith("subscriptions") or path.endswith("/pack")
        names = [each["name"] for each in (await asking.get("/api/v1/subscriptions"))["items"]]
        assert names == ["audit"]

    over(tmp_path, check)


def test_a_change_under_a_tag_is_repeated_under_its_key_and_not_refused(tmp_path: Path) -> None:
    """Its own change made the tag stale: whoever asks again, because no answer came, is not told 412."""

    async def check(asking: Asking) -> None:
        headers = {"If-Match": await tag_of(asking), "Idempotency-Key": "k-1"}
        body = {"reason": "the disk is changed"}
        answers = [await asking.ask("POST", f"{PLACE}/pause", headers=headers, json=body) for _ in range(2)]
        assert [(each.status_code, each.json()["changed"]) for each in answers] == [(200, True)] * 2

    over(tmp_path, check)


def test_a_tag_is_looked_at_last(tmp_path: Path) -> None:
    """Whoever may not change it, or asks in the wrong form, is told that, and nothing of versions."""

    async def check(asking: Asking) -> None:
        for tag in ('"99"', '"x"', 'W/"1"'):
            viewer = await asking.token_of("viewer")
            assert problem(await change(asking, "remove", tag, token=viewer)) == (403, "permission_denied")
            assert problem(await change(asking, "pause", tag)) == (400, "input_invalid")
            assert problem(await change(asking, "pause", tag, json={"reason": "why"}))[0] == 412

    over(tmp_path, check)


def test_what_is_asked_by_a_document_has_no_tag(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        body = {"provider": "time", "check": "now"}
        answer = await asking.ask("POST", "/api/v1/evidence/query", json=body, headers={"If-None-Match": "*"})
        assert (answer.status_code, "etag" in answer.headers) == (200, False), answer.text

    over(tmp_path, check)
