-- What must hold in every store, whatever its events mean.

-- name: pages
PRAGMA integrity_check(100)

-- name: foreign_keys
PRAGMA foreign_key_check

-- name: feed_holes
SELECT p.id, count(*), min(e.place & 1099511627775), max(e.place & 1099511627775)
FROM event AS e LEFT JOIN partition AS p ON p.no = e.place >> 40
GROUP BY e.place >> 40
HAVING p.id IS NULL OR min(e.place & 1099511627775) <> 1 OR max(e.place & 1099511627775) <> count(*)

-- name: stream_holes
SELECT s.id, s.seq, count(e.seq), coalesce(min(e.seq), 0), coalesce(max(e.seq), 0)
FROM stream AS s LEFT JOIN event AS e ON e.stream = s.no
GROUP BY s.no
HAVING s.seq <> count(e.seq) OR coalesce(min(e.seq), 0) <> 1 OR coalesce(max(e.seq), 0) <> s.seq

-- name: heads_astray
SELECT s.id FROM stream AS s JOIN event AS e ON e.stream = s.no AND e.seq = s.seq WHERE e.digest <> s.digest
