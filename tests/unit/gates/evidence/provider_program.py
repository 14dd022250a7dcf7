"""A provider of the reference's protocol, as a program: it answers by what the query's params ask for.

Run as `python provider_program.py`; it imports nothing of ours.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any


def answer(arguments: dict[str, Any], request_id: Any) -> dict[str, Any]:
    """The response to a request, or what is wrong with it on purpose."""
    params = arguments["query"].get("params") or {}
    say = params.get("say", "evidence")
    result = {
        "value": {"kind": "json", "value": params.get("value")},
        "lane": params.get("lane", "verified"),
        "error": None,
        "evidence_hash": None,
        "evidence_ref": None,
        "evidence_anchor": {"anchor_type": "correlation", "anchor_value": str(request_id)},
        "signature": None,
        "content_type": "application/json",
    }
    content: dict[str, Any] = {
        "evidence": [{"type": "json", "json": result}],
        "text": [{"type": "text", "text": json.dumps(result)}],
        "nothing": [],
        "no evidence": [{"type": "json", "json": {"value": 7}}],
        "context": [{"type": "json", "json": {**result, "value": {"kind": "json", "value": arguments["context"]}}}],
    }
    response: dict[str, Any] = {"jsonrpc": "2.0", "id": request_id, "result": {"content": content.get(say)}}
    if say == "error":
        response = {"jsonrpc": "2.0", "id": request_id, "error": {"code": -32000, "message": "the secret"}}
    if say == "another's":
        response = {**response, "id": "another", "result": {"content": content["evidence"]}}
    if say == "another version":
        response = {**response, "jsonrpc": "1.0", "result": {"content": content["evidence"]}}
    if say == "ends":
        sys.exit(1)
    if say == "sleeps":
        time.sleep(60)
    return response


def main() -> None:
    """Answer frames until the input ends."""
    while True:
        length = 0
        while line := sys.stdin.buffer.readline().strip():
            length = int(line.partition(b":")[2])
        if not length:
            return
        request = json.loads(sys.stdin.buffer.read(length))
        if request["method"] != "tools/call" or request["params"]["name"] != "evidence_query":
            sys.exit(2)
        body = json.dumps(answer(request["params"]["arguments"], request["id"])).encode()
        sys.stdout.buffer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
