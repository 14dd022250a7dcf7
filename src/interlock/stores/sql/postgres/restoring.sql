-- What a copy writes as another store holds it, and the lock under which it does.

-- name: copy_lock
SELECT pg_try_advisory_lock(hashtextextended('interlock/copy/' || %s, 0))

-- name: copy_lock_stays
SELECT set_config('idle_session_timeout', '0', false)

-- name: rows_clear
TRUNCATE index_row, timer, activation

-- name: index_put
INSERT INTO index_row (partition, name, key, value)
SELECT (SELECT no FROM partition WHERE id = %s), n.name, n.key, n.value
FROM unnest(%s::text[], %s::bytea[], %s::bytea[]) AS n (name, key, value)
ON CONFLICT (partition, name, key) DO UPDATE SET value = excluded.value

-- name: timers_put
INSERT INTO timer (partition, id, stream, due_ms, payload)
SELECT (SELECT no FROM partition WHERE id = %s), n.id, n.stream, n.due_ms, n.payload
FROM unnest(%s::bytea[], %s::text[], %s::bigint[], %s::bytea[]) AS n (id, stream, due_ms, payload)
ON CONFLICT (partition, id) DO UPDATE
SET stream = excluded.stream, due_ms = excluded.due_ms, payload = excluded.payload
