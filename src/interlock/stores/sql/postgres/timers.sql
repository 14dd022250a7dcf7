-- Timers: what is due when, for which stream.

-- name: timers_due
SELECT id, stream, due_ms, payload FROM timer
WHERE partition = (SELECT no FROM partition WHERE id = %s) AND due_ms <= %s
ORDER BY due_ms, id LIMIT %s

-- name: timer_next
SELECT due_ms FROM timer
WHERE partition = (SELECT no FROM partition WHERE id = %s) ORDER BY due_ms LIMIT 1

-- name: timers_after
SELECT id, stream, due_ms, payload FROM timer
WHERE partition = (SELECT no FROM partition WHERE id = %s) AND id > %s
ORDER BY id LIMIT %s
