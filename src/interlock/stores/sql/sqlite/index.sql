-- The index: rows that correctness needs.

-- name: index_taken
SELECT name, key FROM index_row WHERE partition = ? AND (name, key) IN (VALUES /*each*/(?, ?)/*each*/)

-- name: index_put
INSERT INTO index_row (partition, name, key, value)
VALUES /*each*/(?, ?, ?, ?)/*each*/
ON CONFLICT (partition, name, key) DO UPDATE SET value = excluded.value

-- name: index_drop
DELETE FROM index_row WHERE (partition, name, key) IN (VALUES /*each*/(?, ?, ?)/*each*/)

-- name: index_get
SELECT i.key, i.value
FROM index_row AS i
WHERE i.partition = (SELECT no FROM partition WHERE id = ?) AND i.name = ? AND i.key IN (/*each*/?/*each*/)

-- name: index_scan
SELECT i.key, i.value
FROM index_row AS i
WHERE i.partition = (SELECT no FROM partition WHERE id = ?) AND i.name = ? AND i.key >= ? AND i.key > ? AND i.key < ?
ORDER BY i.key LIMIT ?

-- name: index_name_after
SELECT min(name) FROM index_row WHERE partition = (SELECT no FROM partition WHERE id = ?) AND name > ?
