"""Error codes of searching runs, of saved filters and of batches."""

from __future__ import annotations

from interlock.base.errors import Category, ErrorCode

FILTER_INVALID = ErrorCode(
    "filter_invalid", Category.INVALID, "Write the filter in the form that the message names; `--help` shows one."
)
FILTER_NOT_FOUND = ErrorCode("filter_not_found", Category.NOT_FOUND, "List the filters with `interlock filter list`.")
TIME_INVALID = ErrorCode(
    "time_invalid",
    Category.INVALID,
    "Write a time as 2026-11-26T15:00:00Z, and a length of time as 90s, 30m, 2h or 7d.",
)
BATCH_NOT_FOUND = ErrorCode("batch_not_found", Category.NOT_FOUND, "List the batches with `interlock batch list`.")
BATCH_COUNT_CHANGED = ErrorCode(
    "batch_count_changed",
    Category.CONFLICT,
    "Look at what matches now, without --expect, then give the number that you see.",
)
BATCH_CONFLICT = ErrorCode(
    "batch_conflict", Category.CONFLICT, "A batch of this id does something else: choose another id."
)
BATCH_TOO_LARGE = ErrorCode(
    "batch_too_large", Category.INVALID, "Narrow the filter, or raise `search.batch_runs_max` of the settings."
)

ERRORS = (
    FILTER_INVALID,
    FILTER_NOT_FOUND,
    TIME_INVALID,
    BATCH_NOT_FOUND,
    BATCH_COUNT_CHANGED,
    BATCH_CONFLICT,
    BATCH_TOO_LARGE,
)
