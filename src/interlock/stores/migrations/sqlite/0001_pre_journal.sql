-- The journal on SQLite: streams and events, artifacts, index, views, activations.

CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE partition (
    no INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE
) STRICT;

-- The head (seq, digest) is kept beside the events, so that a lost end of a stream shows.
CREATE TABLE stream (
    no INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    partition INTEGER NOT NULL REFERENCES partition (no),
    seq INTEGER NOT NULL,
    digest BLOB NOT NULL
) STRICT;

-- place = partition number * 2^40 + position. The last place of a partition is its counter.
CREATE TABLE event (
    place INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL REFERENCES stream (no),
    seq INTEGER NOT NULL,
    digest BLOB NOT NULL,
    envelope BLOB NOT NULL,
    data BLOB,
    salt BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX event_of_stream ON event (stream, seq);

-- content is NULL where the bytes are in a file named by the id.
CREATE TABLE artifact (
    no INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    content BLOB
) STRICT;

CREATE TABLE index_row (
    partition INTEGER NOT NULL REFERENCES partition (no),
    name TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (partition, name, key)
) STRICT, WITHOUT ROWID;

-- open_ms: since when it can be claimed, because it is due or because its claim has ended.
CREATE TABLE activation (
    stream TEXT PRIMARY KEY,
    partition TEXT NOT NULL,
    kind TEXT NOT NULL,
    due_ms INTEGER,
    epoch INTEGER NOT NULL,
    owner TEXT,
    expires_ms INTEGER,
    open_ms INTEGER GENERATED ALWAYS AS (CASE WHEN owner IS NULL THEN due_ms ELSE expires_ms END) VIRTUAL
) STRICT, WITHOUT ROWID;

CREATE INDEX activation_open ON activation (partition, kind, open_ms) WHERE open_ms IS NOT NULL;

CREATE INDEX activation_owner ON activation (owner) WHERE owner IS NOT NULL;

-- AUTOINCREMENT: the number of a dropped view is never given again while its rows are still being deleted.
CREATE TABLE view (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    partition TEXT NOT NULL,
    name TEXT NOT NULL,
    position INTEGER NOT NULL,
    UNIQUE (partition, name)
) STRICT;

-- terms is the JSON object of what the row can be found by; it says which rows of view_term to take away.
CREATE TABLE view_row (
    view INTEGER NOT NULL,
    key TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    terms TEXT NOT NULL,
    document BLOB NOT NULL,
    PRIMARY KEY (view, key)
) STRICT;

CREATE INDEX view_row_order ON view_row (view, ordinal, key);

CREATE TABLE view_term (
    view INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    key TEXT NOT NULL,
    PRIMARY KEY (view, name, value, ordinal, key)
) STRICT, WITHOUT ROWID;
