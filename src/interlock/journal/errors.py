"""Error codes of the journal and its stores.

What it does: declares each code once, with what to do next. What it does not do: it raises nothing.
"""

from interlock.base.errors import Category, ErrorCode

HEAD_MOVED = ErrorCode(
    "head_moved",
    Category.CONFLICT,
    "Another writer appended first: read the stream again and decide anew.",
    retryable=True,
)
APPEND_MALFORMED = ErrorCode(
    "append_malformed", Category.INVALID, "Append events that follow the expected head without a gap."
)
PARTITION_MIXED = ErrorCode(
    "partition_mixed", Category.INVALID, "Append to streams of one partition; reach another through an inbox."
)
INDEX_KEY_TAKEN = ErrorCode("index_key_taken", Category.CONFLICT, "Read what holds the key, then decide anew.")
CLAIM_LOST = ErrorCode("claim_lost", Category.CONFLICT, "Another owner has claimed it since: stop, and watch.")
COMMAND_ID_CONFLICT = ErrorCode(
    "command_id_conflict",
    Category.CONFLICT,
    "This command id, or idempotency key, was used for something else: use a new one.",
)
QUEUE_FULL = ErrorCode("queue_full", Category.OVERLOADED, "Wait retry_after_ms, then ask again.", retryable=True)
CONTENTION = ErrorCode(
    "contention",
    Category.OVERLOADED,
    "Other writers kept moving this stream: ask again shortly.",
    retryable=True,
)
OUTCOME_UNKNOWN = ErrorCode(
    "outcome_unknown",
    Category.STORAGE,
    "A commit failed, so nobody knows whether it is durable: open the store again and read the head back.",
)
DISK_FULL = ErrorCode(
    "disk_full",
    Category.STORAGE,
    "This write was not recorded; what was recorded before it is kept. Free disk space, then try again or resume.",
    retryable=True,
)
STORE_CLOSED = ErrorCode("store_closed", Category.STORAGE, "The store has closed: open it again.")
STORE_NOT_FOUND = ErrorCode(
    "store_not_found",
    Category.NOT_FOUND,
    "Make one by starting a run or defining a scenario, or name one with --store.",
)
STORE_NAME_INVALID = ErrorCode(
    "store_name_invalid",
    Category.INVALID,
    "Name a file by its path (one that looks like an address by its whole path), or a database as "
    "postgresql://USER@HOST:PORT/DATABASE?schema=NAME.",
)
STORE_FOREIGN = ErrorCode("store_foreign", Category.CORRUPT, "This file is not an Interlock store: name another.")
STORE_FROM_FUTURE = ErrorCode(
    "store_from_future", Category.CORRUPT, "A newer version wrote this store: open it with that version."
)
STORE_CORRUPT = ErrorCode(
    "store_corrupt",
    Category.CORRUPT,
    "Run `interlock doctor` on it, and restore a backup if damage is named.",
)
STORE_BUSY = ErrorCode("store_busy", Category.STORAGE, "Another process holds the store: try again.", retryable=True)
STORE_UNWRITABLE = ErrorCode("store_unwritable", Category.STORAGE, "Check the path, its folder and their permissions.")
STORE_LINKED = ErrorCode(
    "store_linked",
    Category.STORAGE,
    "Keep one name of the file: under another its log, locks and artifacts would be others. Symbolic links are fine.",
)
STORE_MOVED = ErrorCode(
    "store_moved",
    Category.STORAGE,
    "Nothing more is written. Bring the file and its log (`-wal`) together again, then resume what was under way.",
)
BACKUP_TARGET_EXISTS = ErrorCode(
    "backup_target_exists", Category.CONFLICT, "Name a file that does not exist yet: a backup writes over nothing."
)
BACKUP_OF_A_FILE = ErrorCode(
    "backup_of_a_file",
    Category.INVALID,
    "Use `pg_dump` for a store on PostgreSQL, as docs/how-to/postgresql.md shows, or `interlock store copy`.",
)
COPY_TARGET_EXISTS = ErrorCode(
    "copy_target_exists", Category.CONFLICT, "Name a file or a schema that does not exist yet: nothing is written over."
)
COPY_SOURCE_NOT_FOUND = ErrorCode(
    "copy_source_not_found",
    Category.NOT_FOUND,
    "Name first a store that exists, by its path or URL, then the one to make.",
)
COPY_SOURCE_BUSY = ErrorCode(
    "copy_source_busy",
    Category.CONFLICT,
    "Stop what drives runs on the source, wait until its claims have ended, then copy.",
    retryable=True,
)
COPY_RUNNING = ErrorCode(
    "copy_running",
    Category.CONFLICT,
    "Wait until the other copy into this target has ended; if it failed, copy again.",
    retryable=True,
)
COPY_DIFFERS = ErrorCode(
    "copy_differs",
    Category.CORRUPT,
    "Stop everything that writes to the source, take the unfinished copy away, and copy anew.",
)
STORE_UNFINISHED = ErrorCode(
    "store_unfinished",
    Category.CONFLICT,
    "Repeat the `interlock store copy` that was interrupted, or drop the schema.",
)
MIGRATION_CHANGED = ErrorCode(
    "migration_changed",
    Category.CORRUPT,
    "An applied migration differs from this version's: install the matching one.",
)
EVENT_CORRUPT = ErrorCode("event_corrupt", Category.CORRUPT, "Stored events are damaged: restore a backup.")
EVENT_TYPE_UNKNOWN = ErrorCode(
    "event_type_unknown",
    Category.CORRUPT,
    "A part that wrote this event is missing or newer: add it or upgrade.",
)
EVENT_TOO_LARGE = ErrorCode("event_too_large", Category.INVALID, "Store large content as an artifact and name it.")
FEED_HOLE = ErrorCode("feed_hole", Category.CORRUPT, "The feed misses a position: restore a backup.")
ARTIFACT_NOT_FOUND = ErrorCode(
    "artifact_not_found",
    Category.CORRUPT,
    "What an event names does not exist here: run `interlock doctor`, and restore a backup.",
)
ARTIFACT_CORRUPT = ErrorCode(
    "artifact_corrupt", Category.CORRUPT, "Stored bytes differ from their digest: restore a backup."
)
ARTIFACT_ID_MISMATCH = ErrorCode("artifact_id_mismatch", Category.INVALID, "Give the SHA-256 of the bytes as the id.")
CURSOR_INVALID = ErrorCode("cursor_invalid", Category.INVALID, "Use a cursor exactly as it was given out.")
CURSOR_FOREIGN = ErrorCode("cursor_foreign", Category.INVALID, "This cursor is of another store or tenant: start anew.")
CURSOR_EXPIRED = ErrorCode("cursor_expired", Category.CONFLICT, "Events before it were pruned: start anew.")
VIEW_BEHIND = ErrorCode(
    "view_behind", Category.UNAVAILABLE, "The table has not caught up yet: ask again.", retryable=True
)
TIMER_TARGET_UNKNOWN = ErrorCode(
    "timer_target_unknown",
    Category.CORRUPT,
    "A part that set this timer is missing: add it or upgrade.",
)
TIMER_NOT_CLEARED = ErrorCode(
    "timer_not_cleared",
    Category.CORRUPT,
    "The decider that takes it must record an event that clears it or sets it anew: mend the part.",
)
LEASE_INVALID = ErrorCode("lease_invalid", Category.INVALID, "Ask within the limits that the message names.")
LEASE_TOO_LARGE = ErrorCode(
    "lease_too_large", Category.INVALID, "Ask for no more units than the lease has, or state its true capacity."
)
LEASE_LOST = ErrorCode(
    "lease_lost", Category.CONFLICT, "It was given back, expired or seized: stop what rests on it, and acquire anew."
)
LEASE_QUEUE_FULL = ErrorCode(
    "lease_queue_full", Category.OVERLOADED, "Wait retry_after_ms, then ask again.", retryable=True
)
LEASE_NOT_FOUND = ErrorCode("lease_not_found", Category.NOT_FOUND, "Name a lease that `lease list` shows.")
SUBSCRIPTION_INVALID = ErrorCode(
    "subscription_invalid", Category.INVALID, "Correct what the message names; see `interlock subscription add --help`."
)
SUBSCRIPTION_EXISTS = ErrorCode(
    "subscription_exists", Category.CONFLICT, "Choose another name, or remove the subscription that has this one."
)
SUBSCRIPTION_NOT_FOUND = ErrorCode(
    "subscription_not_found", Category.NOT_FOUND, "Name a subscription that `subscription list` shows."
)
VERSION_MOVED = ErrorCode("version_moved", Category.CONFLICT, "Look at it again, and decide on what is there now.")
LETTER_NOT_FOUND = ErrorCode(
    "letter_not_found", Category.NOT_FOUND, "Name dead letters by their keys, as `subscription show` gives them."
)
SINK_UNKNOWN = ErrorCode("sink_unknown", Category.INVALID, "Use a sink that a part of the application brings.")
SINK_TARGET_INVALID = ErrorCode(
    "sink_target_invalid", Category.INVALID, "Give the target the members that its sink knows."
)
SINK_TARGET_UNUSABLE = ErrorCode(
    "sink_target_unusable",
    Category.UNAVAILABLE,
    "Mend what the target names, such as the secret of a header, or add the subscription anew with another target.",
    retryable=True,
)
SINK_GONE = ErrorCode(
    "sink_gone", Category.FAILED, "The sink takes no more: remove the subscription, or resume it once the sink is back."
)
SINK_FAILED = ErrorCode(
    "sink_failed", Category.UNAVAILABLE, "The sink has a fault of its own: mend it, then redrive.", retryable=True
)
DELIVERY_TIMEOUT = ErrorCode(
    "delivery_timeout",
    Category.UNAVAILABLE,
    "The sink was too slow: it is asked again, or give it more time with subscriptions.timeout_ms.",
    retryable=True,
)
EVENT_SOURCE_REFUSED = ErrorCode(
    "event_source_refused", Category.REFUSED, "Ask the operator to list the source in `events.sources` of the settings."
)
EVENT_SIGNATURE_INVALID = ErrorCode(
    "event_signature_invalid",
    Category.REFUSED,
    "Sign the body with the secret of this source, now: `X-Interlock-Signature: t=<seconds>,v1=<HMAC-SHA-256>`.",
)
EVENT_SECRET_UNREADABLE = ErrorCode(
    "event_secret_unreadable",
    Category.UNAVAILABLE,
    "Send it again later; the operator must mend the `secret` that the log of the server names.",
    retryable=True,
)
EVENT_NOT_FOUND = ErrorCode("event_not_found", Category.NOT_FOUND, "Name an event that `event list` shows.")

ERRORS = (
    HEAD_MOVED,
    APPEND_MALFORMED,
    PARTITION_MIXED,
    INDEX_KEY_TAKEN,
    CLAIM_LOST,
    COMMAND_ID_CONFLICT,
    QUEUE_FULL,
    CONTENTION,
    OUTCOME_UNKNOWN,
    DISK_FULL,
    STORE_CLOSED,
    STORE_NOT_FOUND,
    STORE_NAME_INVALID,
    STORE_FOREIGN,
    STORE_FROM_FUTURE,
    STORE_CORRUPT,
    STORE_BUSY,
    STORE_UNWRITABLE,
    STORE_LINKED,
    STORE_MOVED,
    BACKUP_TARGET_EXISTS,
    BACKUP_OF_A_FILE,
    COPY_TARGET_EXISTS,
    COPY_SOURCE_NOT_FOUND,
    COPY_SOURCE_BUSY,
    COPY_RUNNING,
    COPY_DIFFERS,
    STORE_UNFINISHED,
    MIGRATION_CHANGED,
    EVENT_CORRUPT,
    EVENT_TYPE_UNKNOWN,
    EVENT_TOO_LARGE,
    FEED_HOLE,
    ARTIFACT_NOT_FOUND,
    ARTIFACT_CORRUPT,
    ARTIFACT_ID_MISMATCH,
    CURSOR_INVALID,
    CURSOR_FOREIGN,
    CURSOR_EXPIRED,
    VIEW_BEHIND,
    TIMER_TARGET_UNKNOWN,
    TIMER_NOT_CLEARED,
    LEASE_INVALID,
    LEASE_TOO_LARGE,
    LEASE_LOST,
    LEASE_QUEUE_FULL,
    LEASE_NOT_FOUND,
    SUBSCRIPTION_INVALID,
    SUBSCRIPTION_EXISTS,
    SUBSCRIPTION_NOT_FOUND,
    VERSION_MOVED,
    LETTER_NOT_FOUND,
    SINK_UNKNOWN,
    SINK_TARGET_INVALID,
    SINK_TARGET_UNUSABLE,
    SINK_GONE,
    SINK_FAILED,
    DELIVERY_TIMEOUT,
    EVENT_SOURCE_REFUSED,
    EVENT_SIGNATURE_INVALID,
    EVENT_SECRET_UNREADABLE,
    EVENT_NOT_FOUND,
)
