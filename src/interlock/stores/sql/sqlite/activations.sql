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

-- name: owner_after
SELECT min(owner) FROM activation WHERE owner > ?

-- name: claim_unexpired
SELECT stream FROM activation WHERE owner = ? AND expires_ms > ? LIMIT 1

-- name: claims_of
SELECT stream FROM activation WHERE owner = ? AND partition = ? AND kind = ? LIMIT 1

-- name: claim_named
SELECT stream FROM activation WHERE owner = ? LIMIT 1

-- name: claims_end
UPDATE activation SET expires_ms = 0 WHERE owner IN (/*each*/?/*each*/)

-- name: partition_of
SELECT p.id FROM stream AS s JOIN partition AS p ON p.no = s.partition WHERE s.id = ?
