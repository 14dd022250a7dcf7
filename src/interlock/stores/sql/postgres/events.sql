-- Streams, events and the feed.

-- name: streams_find
SELECT s.id, s.no, p.id, s.seq, s.digest
FROM stream AS s LEFT JOIN partition AS p ON p.no = s.partition
WHERE s.id = ANY (%s)

-- name: stream_numbers
SELECT nextval('stream_no')

-- name: partitions_find
SELECT id, no FROM partition WHERE id = ANY (%s)

-- name: partitions_put
INSERT INTO partition (id) SELECT unnest(%s::text[]) ORDER BY 1 ON CONFLICT (id) DO NOTHING

-- name: partitions
SELECT id FROM partition WHERE position > 0 ORDER BY id

-- name: positions_sum
SELECT coalesce(sum(position), 0)::bigint FROM partition

-- name: position
SELECT position FROM partition WHERE id = %s

-- name: partition_position
SELECT no, position FROM partition WHERE id = %s

-- name: stream_events
SELECT e.seq, e.digest, e.envelope, e.data, e.salt, e.place
FROM event AS e WHERE e.stream = (SELECT no FROM stream WHERE id = %s) AND e.seq > %s ORDER BY e.seq LIMIT %s

-- name: feed
SELECT s.id, e.seq, e.digest, e.envelope, e.data, e.salt, e.place
FROM event AS e LEFT JOIN stream AS s ON s.no = e.stream
WHERE e.place > %s AND e.place <= %s ORDER BY e.place LIMIT %s

-- name: streams_after
SELECT s.id, s.seq, s.digest
FROM stream AS s
WHERE s.partition = (SELECT no FROM partition WHERE id = %s) AND s.id > %s ORDER BY s.id LIMIT %s

-- name: events_written
SELECT s.id, e.seq, e.digest, e.place
FROM unnest(%s::text[], %s::bigint[]) AS w (id, seq)
JOIN stream AS s ON s.id = w.id
JOIN event AS e ON e.stream = s.no AND e.seq = w.seq
