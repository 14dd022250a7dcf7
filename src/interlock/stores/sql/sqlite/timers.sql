-- Timers: what is due when, for which stream.

-- name: timers_put
INSERT INTO timer (partition, id, stream, due_ms, payload)
VALUES /*each*/(?, ?, ?, ?, ?)/*each*/
ON CONFLICT (partition, id) DO UPDATE
SET stream = excluded.stream, due_ms = excluded.due_ms, payload = excluded.payload

-- name: timers_drop
DELETE FROM timer WHERE (partition, id) IN (VALUES /*each*/(?, ?)/*each*/)

-- name: timers_due
SELECT id, stream, due_ms, payload
FROM timer
WHERE partition = (SELECT no FROM partition WHERE id = ?) AND due_ms <= ?
ORDER BY due_ms, id LIMIT ?

-- name: timer_next
SELECT min(due_ms) FROM timer WHERE partition = (SELECT no FROM partition WHERE id = ?)

-- name: timer_next_anywhere
SELECT min(due_ms) FROM timer

-- name: timer_partitions
SELECT id FROM partition
WHERE no IN (SELECT partition FROM timer WHERE due_ms <= ?) AND id > ?
ORDER BY id LIMIT ?

-- name: timers_after
SELECT id, stream, due_ms, payload
FROM timer
WHERE partition = (SELECT no FROM partition WHERE id = ?) AND id > ?
ORDER BY id LIMIT ?
