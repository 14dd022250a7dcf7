-- Streams, events and the feed.

-- name: streams_find
SELECT s.id, s.no, p.id, s.seq, s.digest
FROM stream AS s LEFT JOIN partition AS p ON p.no = s.partition
WHERE s.id IN (/*each*/?/*each*/)

-- name: stream_last
SELECT coalesce(max(no), 0) FROM stream

-- name: streams_put
INSERT INTO stream (no, id, partition, seq, digest)
VALUES /*each*/(?, ?, ?, ?, ?)/*each*/
ON CONFLICT (no) DO UPDATE SET seq = excluded.seq, digest = excluded.digest

-- name: events_put
INSERT INTO event (place, stream, seq, digest, envelope, data, salt)
VALUES /*each*/(?, ?, ?, ?, ?, ?, ?)/*each*/

-- name: partition_find
SELECT no FROM partition WHERE id = ?

-- name: partition_last
SELECT coalesce(max(no), 0) FROM partition

-- name: partition_put
INSERT INTO partition (no, id) VALUES (?, ?)

-- name: partitions
SELECT id FROM partition ORDER BY id

-- name: place_last
SELECT place FROM event WHERE place > ? AND place < ? ORDER BY place DESC LIMIT 1

-- name: heads
SELECT id, seq, digest FROM stream WHERE id IN (/*each*/?/*each*/)

-- name: stream_find
SELECT no FROM stream WHERE id = ?

-- name: stream_events
SELECT seq, digest, envelope, data, salt, place FROM event WHERE stream = ? AND seq > ? ORDER BY seq LIMIT ?

-- name: feed
SELECT s.id, e.seq, e.digest, e.envelope, e.data, e.salt, e.place
FROM event AS e JOIN stream AS s ON s.no = e.stream
WHERE e.place > ? AND e.place < ? ORDER BY e.place LIMIT ?

-- name: streams_after
SELECT s.id, s.seq, s.digest
FROM stream AS s JOIN partition AS p ON p.no = s.partition
WHERE p.id = ? AND s.id > ? ORDER BY s.id LIMIT ?
