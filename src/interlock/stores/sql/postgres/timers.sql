-- Timers: what is due when, for which stream.

-- name: timers_due
SELECT id, stream, due_ms, payload FROM timer
WHERE partition = (SELECT no FROM partition WHERE id = %s) AND due_ms <= %s
ORDER BY due_ms, id LIMIT %s

-- name: timer_next
SELECT due_ms FROM timer
WHERE partition = (SELECT no FROM partition WHERE id = %s) ORDER BY due_ms LIMIT 1

-- name: timer_next_anywhere
SELECT due_ms FROM timer ORDER BY due_ms LIMIT 1

-- name: timer_partitions
SELECT id FROM partition
WHERE no IN (SELECT partition FROM timer WHERE due_ms <= %s) AND id > %s
ORDER BY id LIMIT %s

-- name: timers_after
SELECT id, stream, due_ms, payload FROM timer
WHERE partition = (SELECT no FROM partition WHERE id = %s) AND id > %s
ORDER BY id LIMIT %s
