-- The index: rows that correctness needs.

-- name: index_taken
SELECT i.partition, i.name, i.key FROM index_row AS i
JOIN unnest(%s::integer[], %s::text[], %s::bytea[]) AS f (partition, name, key) USING (partition, name, key)

-- name: index_get
SELECT key, value FROM index_row
WHERE partition = (SELECT no FROM partition WHERE id = %s) AND name = %s AND key = ANY (%s)

-- name: index_scan
SELECT key, value FROM index_row
WHERE partition = (SELECT no FROM partition WHERE id = %s) AND name = %s
    AND key >= %s AND key > %s AND (%s::bytea IS NULL OR key < %s)
ORDER BY key LIMIT %s

-- name: index_name_after
SELECT name FROM index_row
WHERE partition = (SELECT no FROM partition WHERE id = %s) AND name > %s ORDER BY name LIMIT 1
