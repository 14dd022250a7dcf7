-- Artifacts; content is NULL where the bytes stand in parts.

-- name: artifacts_known
SELECT id, bytes, content IS NULL FROM artifact WHERE id = ANY (%s)

-- name: artifacts_get
SELECT id, bytes, content FROM artifact WHERE id = ANY (%s)

-- name: artifact_parts
SELECT content FROM artifact_part WHERE id = %s ORDER BY no

-- name: artifact_part_put
INSERT INTO artifact_part (id, no, content) VALUES (%s, %s, %s) ON CONFLICT (id, no) DO NOTHING RETURNING no

-- name: artifacts_after
SELECT id FROM artifact WHERE id > %s ORDER BY id LIMIT %s
