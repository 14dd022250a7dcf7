-- Timers that are set; written by appends, like rows of the index.

CREATE TABLE timer (
    partition INTEGER NOT NULL REFERENCES partition (no),
    id TEXT NOT NULL,
    stream TEXT NOT NULL,
    due_ms INTEGER NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (partition, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX timer_due ON timer (partition, due_ms, id);
