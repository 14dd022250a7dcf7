"""The sink `log`: events as records of Python's logging.

What it does: logs type and key of each event as the message, and the whole delivery as the record's `delivery`. What it
does not do: it configures no handler; whoever runs the process decides where a logger's records go.
"""

from __future__ import annotations

import logging
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from interlock.journal.subscriptions.port import Delivery


class LogTarget(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which logger, and how loud."""

    logger: Annotated[str, Meta(pattern=r"\A[A-Za-z_][\w.-]{0,199}\Z")] = "interlock.deliveries"
    level: Literal["debug", "info", "warning", "error"] = "info"


class LogSink:
    """Logs what is delivered."""

    def __init__(self, target: LogTarget) -> None:
        self._logger = logging.getLogger(target.logger)
        self._level = logging.getLevelNamesMapping()[target.level.upper()]

    async def deliver(self, delivery: Delivery) -> None:
        """Log one event."""
        whole = msgspec.json.decode(msgspec.json.encode(delivery))
        self._logger.log(self._level, "%s %s", delivery.type, delivery.key, extra={"delivery": whole})

    async def close(self) -> None:
        """Nothing is held."""
