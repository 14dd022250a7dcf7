"""Fixed bounds of format 1: sizes, depths and lengths that are part of the stored formats.

What it does: names each limit once, with its unit last. What it does not do: it holds no tunable setting (those are
declared by parts) and checks nothing itself.

Rule: a value here may grow in a later format; it never shrinks, or recorded histories would no longer load.
"""

JSON_DEPTH_MAX = 64
"""Nesting of arrays and objects in any JSON that enters."""

JSON_BYTES_MAX = 16 * 1024 * 1024
"""Bytes of one JSON document that enters."""

INTEGER_MAX = 2**53 - 1
"""Largest magnitude of an integer in hashed data (RFC 8785 numbers are IEEE doubles)."""

EVENT_DATA_BYTES_MAX = 1024 * 1024
"""Bytes of one event's data; what is larger belongs in an artifact."""

ARTIFACT_BYTES_MAX = 1024 * 1024 * 1024
"""Bytes of one artifact."""

STREAM_ID_BYTES_MAX = 512
"""Bytes of a stream id."""

NAME_CHARACTERS_MAX = 512
"""Characters of a fact key or context key."""

COMMAND_ID_CHARACTERS_MAX = 200
"""Characters of a command id."""

EVENTS_PER_APPEND_MAX = 10_000
"""Events in one append."""

PAGE_ITEMS_MAX = 1_000
"""Items in one page of any listing."""

MAP_LEAF_ENTRIES_MAX = 64
"""Entries of one leaf of a persistent map."""

MAP_NODE_BYTES_MAX = 8 * 1024
"""Bytes of one node of a persistent map."""

MAP_VALUE_BYTES_MAX = 4 * 1024
"""Canonical bytes of a value that stands in a node of a persistent map; a larger one is an artifact."""
