"""A client of the wire as a program of another maker would be: it knows frames and JSON, and nothing of ours."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from tests.surfaces.process import PRODUCT, SECONDS_MAX


class WireClient:
    """One process that serves the wire, and the pipes to it."""

    def __init__(self, folder: Path, *line: str, environ: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [*PRODUCT, "mcp", "--wire", "decision-gate", "--store", "store.db", *line],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(environ or {})},
        )
        self._lost = threading.Timer(SECONDS_MAX, self.process.kill)
        self._lost.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_fault: object) -> None:
        self._lost.cancel()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            with suppress(OSError):
                assert pipe is not None
                pipe.close()

    def send(self, content: bytes) -> None:
        """Send bytes as they are."""
        assert self.process.stdin is not None
        self.process.stdin.write(content)
        self.process.stdin.flush()

    def receive(self) -> bytes:
        """The body of the next frame; none where there is no other."""
        assert self.process.stdout is not None
        head = self.process.stdout.readline()
        if not head:
            return b""
        name, _, length = head.partition(b": ")
        assert (name, self.process.stdout.readline()) == (b"Content-Length", b"\r\n"), head
        return self.process.stdout.read(int(length))

    def ask(self, method: str, params: Any = None, request_id: Any = 1) -> dict[str, Any]:
        """The response to a request."""
        request = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        body = json.dumps(request).encode()
        self.send(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        response: dict[str, Any] = json.loads(self.receive())
        return response

    def call(self, tool: str, arguments: Any) -> Any:
        """The result of a tool, or its error."""
        response = self.ask("tools/call", {"name": tool, "arguments": arguments})
        if "error" in response:
            return {"error": response["error"]}
        [item] = response["result"]["content"]
        assert list(response) == ["jsonrpc", "id", "result"]
        assert list(item) == ["type", "json"]
        return item["json"]

    def end(self) -> tuple[int, str]:
        """Close the input, and wait for the exit code and what was said to people."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.receive() == b""
        code = self.process.wait(SECONDS_MAX)
        assert self.process.stderr is not None
        return code, self.process.stderr.read().decode()
