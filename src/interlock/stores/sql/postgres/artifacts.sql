-- Artifacts; content is NULL where the bytes stand in parts.

-- name: artifacts_known
SELECT id, bytes, content IS NULL FROM artifact WHERE id = ANY (%s)

-- name: artifacts_get
SELECT id, bytes, content FROM artifact WHERE id = ANY (%s)

-- name: artifact_parts
SELECT id, content FROM artifact_part WHERE id = ANY (%s) ORDER BY id, no

-- name: artifact_parts_put
INSERT INTO artifact_part (id, no, content)
SELECT %s, p.no, p.content FROM unnest(%s::integer[], %s::bytea[]) AS p (no, content) ORDER BY p.no
ON CONFLICT (id, no) DO NOTHING

-- name: artifacts_after
SELECT id FROM artifact WHERE id > %s ORDER BY id LIMIT %s
