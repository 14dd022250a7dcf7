"""Whether the index is what the events say, and every fold snapshot what the fold of its stream is.

What it does: computes the rows that every event and every command entails and compares them with those that are
stored; folds streams anew and compares the states. What it does not do: activations have no port that lists them,
and are not examined.

Rules: the rows of one shard of the keys are held at a time, and there are as many shards as it takes to hold no
more than the bound; where an event cannot be read, the rows that it may have entailed are not judged.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from typing import Any

import msgspec

from interlock.base.canonical import digest
from interlock.base.errors import Corruption, InterlockError
from interlock.base.events import IndexRow
from interlock.journal.chain import Envelope, read_envelope, read_record
from interlock.journal.journal import FOLD_INDEX, Fold, FoldSnapshot, Journal
from interlock.journal.ports import StoredEvent
from interlock.journal.runner import COMMAND_INDEX, CommandRow
from interlock.journal.verify.report import PAGE, TRIES_MAX, Examination, FeedReader, Finding
