-- Artifacts; content is NULL where the bytes are in a file.

-- name: artifacts_known
SELECT id, bytes, content IS NULL FROM artifact WHERE id IN (/*each*/?/*each*/)

-- name: artifacts_put
INSERT INTO artifact (id, kind, bytes, content) VALUES /*each*/(?, ?, ?, ?)/*each*/

-- name: artifacts_get
SELECT id, bytes, content FROM artifact WHERE id IN (/*each*/?/*each*/)

-- name: artifacts_after
SELECT id FROM artifact WHERE id > ? ORDER BY id LIMIT ?

-- name: artifacts_in_files
SELECT id FROM artifact WHERE content IS NULL ORDER BY id
