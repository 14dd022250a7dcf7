-- The journal on PostgreSQL: streams and events, artifacts, index, timers, views, activations.
--
-- Whatever is hashed, or is anybody's free text, is bytea: PostgreSQL changes and orders nothing in it, and takes
-- U+0000. Ids are text in the order of their bytes, whatever the database's own collation is.

CREATE TABLE meta (
    name text COLLATE "C" PRIMARY KEY,
    value text NOT NULL
);

-- position is the counter from which the feed draws: it is locked last and held until the commit, so that the order
-- of positions is the order of commits.
CREATE TABLE partition (
    no integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE,
    position bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 20);

-- A writer draws numbers for new streams in blocks, so that it knows them before it writes.
CREATE SEQUENCE stream_no AS bigint INCREMENT BY 1000;

-- The head (seq, digest) is kept beside the events, so that a lost end of a stream shows.
CREATE TABLE stream (
    no bigint PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE,
    partition integer NOT NULL REFERENCES partition (no),
    seq bigint NOT NULL,
    digest bytea NOT NULL
) WITH (fillfactor = 70);

-- place = partition number * 2^40 + position.
CREATE TABLE event (
    place bigint PRIMARY KEY,
    stream bigint NOT NULL,
    seq bigint NOT NULL,
    digest bytea NOT NULL,
    envelope bytea NOT NULL,
    data bytea,
    salt bytea NOT NULL
);

CREATE UNIQUE INDEX event_of_stream ON event (stream, seq);

ALTER TABLE event ALTER COLUMN data SET STORAGE EXTERNAL;

-- content is NULL where the bytes stand in parts.
CREATE TABLE artifact (
    id bytea PRIMARY KEY,
    kind text NOT NULL,
    bytes bigint NOT NULL,
    content bytea
);

ALTER TABLE artifact ALTER COLUMN content SET STORAGE EXTERNAL;

CREATE TABLE artifact_part (
    id bytea NOT NULL,
    no integer NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (id, no)
);

ALTER TABLE artifact_part ALTER COLUMN content SET STORAGE EXTERNAL;

CREATE TABLE index_row (
    partition integer NOT NULL,
    name text COLLATE "C" NOT NULL,
    key bytea NOT NULL,
    value bytea NOT NULL,
    PRIMARY KEY (partition, name, key)
);

CREATE TABLE timer (
    partition integer NOT NULL,
    id bytea NOT NULL,
    stream text COLLATE "C" NOT NULL,
    due_ms bigint NOT NULL,
    payload bytea NOT NULL,
    PRIMARY KEY (partition, id)
);

CREATE INDEX timer_due ON timer (partition, due_ms, id);

CREATE SEQUENCE activation_version AS bigint;

-- open_ms: since when it can be claimed, because it is due or because its claim has ended. version: another number
-- after every change, so that a writer can tell that a row is the one that it read.
CREATE TABLE activation (
    stream text COLLATE "C" PRIMARY KEY,
    partition text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    due_ms bigint,
    epoch bigint NOT NULL,
    owner text COLLATE "C",
    expires_ms bigint,
    open_ms bigint GENERATED ALWAYS AS (CASE WHEN owner IS NULL THEN due_ms ELSE expires_ms END) STORED,
    version bigint NOT NULL DEFAULT nextval('activation_version')
) WITH (fillfactor = 70);

CREATE INDEX activation_open ON activation (partition, kind, open_ms) WHERE open_ms IS NOT NULL;

CREATE INDEX activation_owner ON activation (owner) WHERE owner IS NOT NULL;

CREATE TABLE view (
    no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    partition text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    UNIQUE (partition, name)
);

-- terms is the JSON object of what the row can be found by; it says which rows of view_term to take away.
CREATE TABLE view_row (
    view bigint NOT NULL,
    key bytea NOT NULL,
    ordinal bigint NOT NULL,
    terms bytea NOT NULL,
    document bytea NOT NULL,
    PRIMARY KEY (view, key)
);

CREATE INDEX view_row_order ON view_row (view, ordinal, key);

-- term is the digest of a name and a value: it is only ever compared, and may be longer than an index takes.
CREATE TABLE view_term (
    view bigint NOT NULL,
    term bytea NOT NULL,
    ordinal bigint NOT NULL,
    key bytea NOT NULL,
    PRIMARY KEY (view, term, ordinal, key)
);
