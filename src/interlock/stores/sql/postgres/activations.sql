-- Activations: which streams want an owner, and who owns them. Every change gives the row another version.

-- name: activations_find
SELECT stream, partition, kind, due_ms, epoch, owner, expires_ms, version
FROM activation WHERE stream = ANY (%s)

-- name: activations_lock
SELECT stream, partition, kind, due_ms, epoch, owner, expires_ms
FROM activation WHERE stream = ANY (%s) ORDER BY stream FOR UPDATE

-- name: activations_after
SELECT stream, partition, kind, due_ms, epoch, owner, expires_ms
FROM activation WHERE stream > %s ORDER BY stream LIMIT %s

-- name: activations_claim
WITH open AS (
    SELECT stream, open_ms FROM activation
    WHERE partition = %s AND kind = ANY (%s) AND open_ms <= %s
    ORDER BY open_ms, stream LIMIT %s
    FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE activation AS a
    SET due_ms = NULL, epoch = a.epoch + 1, owner = %s, expires_ms = %s, version = nextval('activation_version')
    FROM open WHERE a.stream = open.stream
    RETURNING a.stream, a.kind, a.owner, a.epoch, a.expires_ms, open.open_ms
)
SELECT stream, kind, owner, epoch, expires_ms FROM claimed ORDER BY open_ms, stream

-- name: activations_put
INSERT INTO activation (stream, partition, kind, due_ms, epoch, owner, expires_ms)
SELECT * FROM unnest(
    %s::text[], %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::text[], %s::bigint[]
)
ON CONFLICT (stream) DO UPDATE SET partition = excluded.partition, kind = excluded.kind, due_ms = excluded.due_ms,
    epoch = excluded.epoch, owner = excluded.owner, expires_ms = excluded.expires_ms,
    version = nextval('activation_version')

-- name: activation_make
INSERT INTO activation (stream, partition, kind, epoch) VALUES (%s, %s, %s, 0) ON CONFLICT (stream) DO NOTHING

-- name: activations_renew
WITH ours AS (
    SELECT a.stream FROM unnest(%s::text[], %s::text[], %s::bigint[]) AS c (stream, owner, epoch)
    JOIN activation AS a ON a.stream = c.stream AND a.owner = c.owner AND a.epoch = c.epoch
    ORDER BY a.stream FOR UPDATE OF a
)
UPDATE activation AS a SET expires_ms = %s, version = nextval('activation_version')
FROM ours WHERE a.stream = ours.stream
RETURNING a.stream

-- name: activations_release
WITH ours AS (
    SELECT a.stream FROM unnest(%s::text[], %s::text[], %s::bigint[]) AS c (stream, owner, epoch)
    JOIN activation AS a ON a.stream = c.stream AND a.owner = c.owner AND a.epoch = c.epoch
    ORDER BY a.stream FOR UPDATE OF a
)
UPDATE activation AS a
SET owner = NULL, expires_ms = NULL, due_ms = least(a.due_ms, %s::bigint), version = nextval('activation_version')
FROM ours WHERE a.stream = ours.stream
RETURNING a.stream

-- name: activation_next
SELECT min(open_ms) FROM (
    SELECT (SELECT open_ms FROM activation WHERE partition = %s AND kind = k.kind AND open_ms IS NOT NULL
            ORDER BY open_ms LIMIT 1) AS open_ms
    FROM unnest(%s::text[]) AS k (kind)
) AS first

-- name: activation_next_anywhere
SELECT min(open_ms) FROM (
    SELECT (SELECT open_ms FROM activation WHERE kind = k.kind AND open_ms IS NOT NULL
            ORDER BY open_ms LIMIT 1) AS open_ms
    FROM unnest(%s::text[]) AS k (kind)
) AS first

-- name: activation_partitions_due
SELECT partition, count(*)
FROM (
    SELECT d.partition FROM unnest(%s::text[]) AS k (kind) CROSS JOIN LATERAL (
        SELECT partition FROM activation WHERE kind = k.kind AND open_ms <= %s ORDER BY open_ms LIMIT %s
    ) AS d
) AS due
GROUP BY partition

-- name: activation_partitions
-- From one partition to the next by the index, over those alone that have a row in it.
WITH RECURSIVE
    due (kinds, now_ms) AS (VALUES (%s::text[], %s::bigint)),
    pending (partition) AS (
        (SELECT a.partition FROM activation AS a WHERE a.open_ms IS NOT NULL AND a.partition > %s
         ORDER BY a.partition LIMIT 1)
        UNION ALL
        SELECT (SELECT a.partition FROM activation AS a WHERE a.open_ms IS NOT NULL AND a.partition > p.partition
                ORDER BY a.partition LIMIT 1)
        FROM pending AS p WHERE p.partition IS NOT NULL
    )
SELECT p.partition FROM pending AS p, due
WHERE p.partition IS NOT NULL AND EXISTS (
    SELECT 1 FROM activation AS a
    WHERE a.partition = p.partition AND a.kind = ANY (due.kinds) AND a.open_ms <= due.now_ms
)
LIMIT %s

-- name: claims_end
UPDATE activation SET expires_ms = 0, version = nextval('activation_version')
WHERE stream IN (SELECT stream FROM activation WHERE owner = %s ORDER BY stream FOR UPDATE)

-- name: partition_of
SELECT p.id FROM stream AS s JOIN partition AS p ON p.no = s.partition WHERE s.id = %s
