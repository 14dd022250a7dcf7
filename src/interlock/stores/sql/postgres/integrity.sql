-- What must hold in every store, whatever its events mean.

-- name: feed_holes
SELECT p.no, p.id, p.position, coalesce(e.events, 0), e.first, e.last
FROM partition AS p FULL JOIN (
    SELECT place >> 40 AS no, count(*) AS events, min(place & 1099511627775) AS first, max(place & 1099511627775) AS last
    FROM event GROUP BY place >> 40
) AS e ON e.no = p.no
WHERE p.id IS NULL OR p.position <> coalesce(e.events, 0) OR coalesce(e.first, 1) <> 1
    OR coalesce(e.last, 0) <> p.position

-- name: stream_holes
SELECT coalesce(s.id, 'number ' || e.stream), s.seq, coalesce(e.events, 0), e.first, e.last
FROM stream AS s FULL JOIN (
    SELECT stream, count(*) AS events, min(seq) AS first, max(seq) AS last FROM event GROUP BY stream
) AS e ON e.stream = s.no
WHERE s.id IS NULL OR s.seq <> coalesce(e.events, 0) OR coalesce(e.first, 1) <> 1 OR coalesce(e.last, 0) <> s.seq

-- name: heads_astray
SELECT s.id FROM stream AS s JOIN event AS e ON e.stream = s.no AND e.seq = s.seq WHERE e.digest <> s.digest
