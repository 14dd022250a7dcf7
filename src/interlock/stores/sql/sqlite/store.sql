-- The store itself.

-- What somebody's ANALYZE leaves changes no row of ours.
-- name: objects
SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema
WHERE name NOT LIKE 'sqlite\_stat%' ESCAPE '\' ORDER BY type, name

-- name: object_count
SELECT count(*) FROM sqlite_schema

-- name: migration_table
CREATE TABLE migration (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    applied_ms INTEGER NOT NULL
) STRICT

-- name: migrations
SELECT number, name, sha256 FROM migration ORDER BY number

-- name: migration_put
INSERT INTO migration (number, name, sha256, applied_ms) VALUES (?, ?, ?, ?)

-- name: meta_get
SELECT value FROM meta WHERE name = ?

-- name: meta_put
INSERT INTO meta (name, value) VALUES (?, ?)
