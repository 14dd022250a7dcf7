"""A server that stops: whoever is not through in time is told so, and the log has no trace of a fault."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

import pytest

from tests.surfaces.http.serving import serving
from tests.surfaces.http.test_load import ended
from tests.surfaces.http.test_shares import begun, taken

PATHS = ["/api/v1/subscriptions", "/mcp", "/rpc", "/api/events/", "/hooks/of/nobody"]


def test_half_a_body_when_the_time_to_drain_is_over_is_told_that_the_server_stops(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    async def main() -> list[bytes]:
        async with asyncio.timeout(50):
            slow = {"drain_ms": 1_000, "body_timeout_ms": 600_000}
            async with serving(tmp_path, {"server": slow}) as asking:
                token = await asking.token_of("operator")
                held = [await begun(asking, path, token) for path in PATHS]
                await taken(asking, len(held))
                asking.server.stop()
                told = [await ended(reader) for reader, _ in held]
                for _, writer in held:
                    writer.close()
                return told

    with caplog.at_level(logging.INFO):
        told = dict(zip(PATHS, asyncio.run(main()), strict=True))
    for path, said in told.items():
        head, _, body = said.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 "), (path, said)
        assert b"\r\nretry-after: 1\r\n" in head.lower()
        found = json.loads(body)
        assert found.get("code", found.get("error", {}).get("code")) in {"server_draining", -32072}
    assert not [record for record in caplog.records if record.exc_info]
    assert "Traceback" not in capfd.readouterr().err
