-- Views: tables for people.

-- name: view_make
INSERT INTO view (partition, name, position) VALUES (%s, %s, 0) ON CONFLICT (partition, name) DO NOTHING

-- name: view_lock
SELECT no, position FROM view WHERE partition = %s AND name = %s FOR UPDATE

-- name: view_find
SELECT no, position FROM view WHERE partition = %s AND name = %s

-- name: view_move
UPDATE view SET position = %s WHERE no = %s

-- name: view_drop
DELETE FROM view WHERE partition = %s AND name = %s RETURNING no

-- name: view_rows_find
SELECT key, ordinal, terms FROM view_row WHERE view = %s AND key = ANY (%s)

-- name: view_rows_put
INSERT INTO view_row (view, key, ordinal, terms, document)
SELECT %s, n.key, n.ordinal, n.terms, n.document
FROM unnest(%s::bytea[], %s::bigint[], %s::bytea[], %s::bytea[]) AS n (key, ordinal, terms, document)
ON CONFLICT (view, key) DO UPDATE SET ordinal = excluded.ordinal, terms = excluded.terms, document = excluded.document

-- name: view_rows_drop
DELETE FROM view_row WHERE view = %s AND key = ANY (%s)

-- name: view_terms_put
INSERT INTO view_term (view, term, ordinal, key)
SELECT %s, n.term, n.ordinal, n.key FROM unnest(%s::bytea[], %s::bigint[], %s::bytea[]) AS n (term, ordinal, key)

-- name: view_terms_drop
DELETE FROM view_term AS t USING unnest(%s::bytea[], %s::bigint[], %s::bytea[]) AS d (term, ordinal, key)
WHERE t.view = %s AND t.term = d.term AND t.ordinal = d.ordinal AND t.key = d.key

-- name: view_documents
SELECT key, document FROM view_row
WHERE view = (SELECT no FROM view WHERE partition = %s AND name = %s) AND key = ANY (%s)

-- name: view_list
SELECT ordinal, key, document FROM view_row
WHERE view = %s AND (ordinal < %s OR (ordinal = %s AND (%s::bytea IS NULL OR key < %s)))
ORDER BY ordinal DESC, key DESC LIMIT %s

-- name: view_list_by_terms
SELECT t.ordinal, t.key, r.document
FROM view_term AS t JOIN view_row AS r ON r.view = t.view AND r.key = t.key
WHERE t.view = %s AND t.term = %s AND (t.ordinal < %s OR (t.ordinal = %s AND (%s::bytea IS NULL OR t.key < %s)))
    AND NOT EXISTS (
        SELECT 1 FROM unnest(%s::bytea[]) AS o (term)
        WHERE NOT EXISTS (
            SELECT 1 FROM view_term AS x
            WHERE x.view = t.view AND x.term = o.term AND x.ordinal = t.ordinal AND x.key = t.key
        )
    )
ORDER BY t.ordinal DESC, t.key DESC LIMIT %s

-- name: view_rows_sweep
DELETE FROM view_row WHERE view = %s AND key IN (SELECT key FROM view_row WHERE view = %s LIMIT %s)

-- name: view_terms_sweep
DELETE FROM view_term WHERE view = %s AND (term, ordinal, key) IN (
    SELECT term, ordinal, key FROM view_term WHERE view = %s LIMIT %s
)
