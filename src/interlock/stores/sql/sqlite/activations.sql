-- Activations: which streams want an owner, and who owns them.

-- name: activations_find
SELECT stream, partition, kind, due_ms, epoch, owner, expires_ms
FROM activation WHERE stream IN (/*each*/?/*each*/)

-- name: activations_after
SELECT stream, partition, kind, due_ms, epoch, owner, expires_ms
FROM activation WHERE stream > ? ORDER BY stream LIMIT ?

-- name: activations_put
REPLACE INTO activation (stream, partition, kind, due_ms, epoch, owner, expires_ms)
VALUES /*each*/(?, ?, ?, ?, ?, ?, ?)/*each*/

-- name: activations_drop
DELETE FROM activation WHERE stream IN (/*each*/?/*each*/)

-- name: activations_open
SELECT stream, partition, kind, due_ms, epoch, owner, expires_ms
FROM activation
WHERE partition = ? AND kind = ? AND open_ms <= ?
ORDER BY open_ms, stream LIMIT ?

-- name: activation_next
SELECT min(open_ms) FROM activation WHERE partition = ? AND kind = ? AND open_ms IS NOT NULL

-- name: activation_next_anywhere
SELECT min(open_ms) FROM activation WHERE kind = ? AND open_ms IS NOT NULL

-- name: activation_partitions_due
SELECT partition, count(*)
FROM (SELECT partition FROM activation WHERE kind = ? AND open_ms <= ? ORDER BY open_ms LIMIT ?)
GROUP BY partition

-- name: activation_partitions
-- From one partition to the next by the index, over those alone that have a row in it.
WITH RECURSIVE
    due (kind, now_ms) AS (VALUES (?, ?)),
    pending (partition) AS (
        SELECT min(partition) FROM activation WHERE open_ms IS NOT NULL AND partition > ?
        UNION ALL
        SELECT (SELECT min(a.partition) FROM activation AS a WHERE a.open_ms IS NOT NULL AND a.partition > p.partition)
        FROM pending AS p WHERE p.partition IS NOT NULL
    )
SELECT p.partition FROM pending AS p, due
WHERE p.partition IS NOT NULL AND EXISTS (
    SELECT 1 FROM activation AS a
    WHERE a.partition = p.partition AND a.kind = due.kind AND a.open_ms <= due.now_ms
)
LIMIT ?

-- name: claims_partitions
SELECT DISTINCT partition FROM activation WHERE owner = ? AND kind = ? AND partition > ?

-- name: owner_after
SELECT min(owner) FROM activation WHERE owner > ?

-- name: claim_unexpired
SELECT stream FROM activation WHERE owner = ? AND expires_ms > ? LIMIT 1

-- name: claims_of
SELECT stream FROM activation WHERE owner = ? AND kind = ? AND partition = ? LIMIT 1

-- name: claims_of_anywhere
SELECT stream FROM activation WHERE owner = ? AND kind = ? LIMIT 1

-- name: claim_named
SELECT stream FROM activation WHERE owner = ? LIMIT 1

-- name: claims_end
UPDATE activation SET expires_ms = 0 WHERE owner IN (/*each*/?/*each*/)

-- name: partition_of
SELECT p.id FROM stream AS s JOIN partition AS p ON p.no = s.partition WHERE s.id = ?
