"""The sink `http`: each event is a CloudEvent that is posted to an address.

What it does: posts through the transport of the namespace `http`, with the key of the delivery as idempotency key, and
says what the status means. What it does not do: it repeats nothing and follows no redirect; the follower repeats.

Rules: 2xx has arrived; 410 wants no more, which pauses the subscription; 429 and 503 are left alone for as long as
their `Retry-After` says; everything else has not arrived. What the transport refuses (private networks, oversize) is
refused here, too. Headers may name secrets where the user of this machine added the subscription. What is wrong with a
target is said when the sink is made; what shows only on delivery, such as a secret that no header can hold, holds
events back and is no fault of theirs: only one that is too large can never be taken.
"""

from __future__ import annotations

import re
from datetime import UTC
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from msgspec import Meta, Struct, to_builtins

from interlock.base.canonical import Json
from interlock.base.clock import Clock
from interlock.base.cloudevents import MEDIA_TYPE
from interlock.base.errors import Category, ErrorCode, Invalid
from interlock.base.secrets import SecretRef
from interlock.engine.io.router import Router
from interlock.engine.io.sinks.cloud_event import cloud_event_of
from interlock.engine.io.transports.http import check_headers
from interlock.engine.io.transports.http_errors import HTTP_REQUEST_TOO_LARGE
from interlock.engine.io.transports.port import TransportContext
from interlock.engine.io.transports.requests import SECRET_NOT_ALLOWED, SecretText
from interlock.journal.errors import SINK_GONE, SINK_TARGET_INVALID, SINK_TARGET_UNUSABLE
from interlock.journal.subscriptions.port import Delivery

DELIVERY_REFUSED = ErrorCode(
    "delivery_refused",
    Category.FAILED,
    "See the status, and what the server logged about it: the event is delivered again after a while.",
    retryable=True,
)

TIMEOUT_MS_DEFAULT = 20_000
_GONE: Final = 410
_ASKS_TO_WAIT: Final = frozenset({429, 503})
_ANSWERS: Final[list[Json]] = list(range(200, 600))
_UNSEEN: Final = re.compile(r"[\x00-\x20\x7f]")
_SECONDS: Final = re.compile(r"[0-9]{1,6}")


class HttpTarget(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where to, and with which headers; a header is a text, or `{"secret": "env:NAME", "prefix": "Bearer "}`."""

    url: Annotated[str, Meta(min_length=1, max_length=8192, pattern=r"\Ahttps?://")]
    headers: Annotated[dict[str, str | SecretText], Meta(max_length=50)] = {}
    timeout_ms: Annotated[int, Meta(ge=1, le=3_600_000)] = TIMEOUT_MS_DEFAULT


class HttpSink:
    """Posts what is delivered. Raises: `sink_target_invalid`, `secret_not_allowed`."""

    def __init__(self, router: Router, clock: Clock, target: HttpTarget, *, local: bool) -> None:
        self._router = router
        self._clock = clock
        self._target = target
        self._headers = {**to_builtins(target.headers), "content-type": f"{MEDIA_TYPE}; charset=utf-8"}
        self._local = local
        _check(target, local=local)

    async def deliver(self, delivery: Delivery) -> None:
        """Post one event.

        Raises: `sink_gone`, `delivery_refused`, `sink_target_unusable`, the `http_…` codes, those of secrets.
        """
        request: Json = {
            "kind": "http_request_v1",
            "method": "POST",
            "url": self._target.url,
            "headers": self._headers,
            "body": cloud_event_of(delivery).to_json().decode(),
            "timeout_ms": self._target.timeout_ms,
            "response": "none",
            "ok_statuses": _ANSWERS,
        }
        context = TransportContext(
            run_id=delivery.stream,
            state_id=delivery.subscription,
            attempt=delivery.attempt - 1,
            idempotency_key=delivery.key,
            local_plan=self._local,
        )
        try:
            answer = await self._router.route("http").call(request, context)
        except Invalid as fault:
            if fault.kind is HTTP_REQUEST_TOO_LARGE:
                raise
            # Of the request the event makes the body alone: any other fault is that of the target.
            message = f"the target cannot be used: {fault.message}"
            raise SINK_TARGET_UNUSABLE.error(message, reason=fault.code) from None
        _judge(answer, self._clock.now_ms())

    async def close(self) -> None:
        """The transport is the application's, which closes it."""


def _check(target: HttpTarget, *, local: bool) -> None:
    """Refuse a target that no event could be posted to. Raises: `sink_target_invalid`, `secret_not_allowed`."""
    try:
        address = urlsplit(target.url)
        whole = bool(address.hostname) and address.port != 0 and "@" not in address.netloc
    except ValueError:
        whole = False
    if not whole or _UNSEEN.search(target.url):
        raise SINK_TARGET_INVALID.error("`url` is no address with a host and without user and password", place="url")
    if any(name.lower() == "content-type" for name in target.headers):
        raise SINK_TARGET_INVALID.error("the header content-type is the sink's own", place="headers")
    secrets = [value for value in target.headers.values() if isinstance(value, SecretText)]
    if secrets and not local:
        raise SECRET_NOT_ALLOWED.error("headers name secrets where the user of this machine adds the subscription")
    try:
        for value in secrets:
            SecretRef(value.secret)
        check_headers({name: _shaped(value) for name, value in target.headers.items()})
    except Invalid as fault:
        raise SINK_TARGET_INVALID.error(f"`headers`: {fault.message}", place="headers") from None


def _shaped(value: str | SecretText) -> str:
    """A header's value, with a secret that any header can hold in the place of one."""
    return value if isinstance(value, str) else f"{value.prefix}x"


def _judge(answer: Any, now_ms: int) -> None:
    """Raise for an answer that does not say that the event has arrived."""
    status, headers = answer["status"], answer["headers"]
    if 200 <= status <= 299:
        return
    if status == _GONE:
        raise SINK_GONE.error("the server says that this address is gone (410)", status=status)
    wait_ms = _retry_after_ms(headers.get("retry-after", ""), now_ms) if status in _ASKS_TO_WAIT else None
    message = f"the server answered with status {status}"
    if wait_ms is None:
        raise DELIVERY_REFUSED.error(message, status=status)
    raise DELIVERY_REFUSED.error(message, status=status, retry_after_ms=wait_ms)


def _retry_after_ms(text: str, now_ms: int) -> int | None:
    """How long to wait, by a number of seconds or a date (RFC 9110, section 10.2.3); None where it says nothing."""
    if _SECONDS.fullmatch(text.strip()):
        return int(text) * 1000
    from email.utils import parsedate_to_datetime  # it loads modules of the network

    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    until_ms = round(until.replace(tzinfo=until.tzinfo or UTC).timestamp() * 1000)
    return max(until_ms - now_ms, 0)
