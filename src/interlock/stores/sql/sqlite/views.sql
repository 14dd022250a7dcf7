-- Views: tables for people.

-- name: view_find
SELECT no, position FROM view WHERE partition = ? AND name = ?

-- name: view_put
INSERT INTO view (partition, name, position) VALUES (?, ?, ?) RETURNING no

-- name: view_move
UPDATE view SET position = ? WHERE no = ?

-- name: view_drop
DELETE FROM view WHERE no = ?

-- name: view_rows_find
SELECT key, ordinal, terms FROM view_row WHERE view = ? AND key IN (/*each*/?/*each*/)

-- name: view_rows_put
INSERT INTO view_row (view, key, ordinal, terms, document)
VALUES /*each*/(?, ?, ?, ?, ?)/*each*/
ON CONFLICT (view, key) DO UPDATE SET ordinal = excluded.ordinal, terms = excluded.terms, document = excluded.document

-- name: view_rows_drop
DELETE FROM view_row WHERE (view, key) IN (VALUES /*each*/(?, ?)/*each*/)

-- name: view_terms_put
INSERT INTO view_term (view, name, value, ordinal, key) VALUES /*each*/(?, ?, ?, ?, ?)/*each*/

-- name: view_terms_drop
DELETE FROM view_term WHERE (view, name, value, ordinal, key) IN (VALUES /*each*/(?, ?, ?, ?, ?)/*each*/)

-- name: view_documents
SELECT key, document FROM view_row
WHERE view = (SELECT no FROM view WHERE partition = ? AND name = ?) AND key IN (/*each*/?/*each*/)

-- name: view_list
SELECT ordinal, key, document FROM view_row
WHERE view = ? AND (ordinal, key) < (?, ?)
ORDER BY ordinal DESC, key DESC LIMIT ?

-- name: view_list_by_term
SELECT t.ordinal, t.key, r.document
FROM view_term AS t JOIN view_row AS r ON r.view = t.view AND r.key = t.key
WHERE t.view = ? AND t.name = ? AND t.value = ? AND (t.ordinal, t.key) < (?, ?)
/*each*/AND EXISTS (
    SELECT 1 FROM view_term AS o
    WHERE o.view = t.view AND o.name = ? AND o.value = ? AND o.ordinal = t.ordinal AND o.key = t.key
)/*each*/
ORDER BY t.ordinal DESC, t.key DESC LIMIT ?

-- name: view_rows_sweep
DELETE FROM view_row WHERE rowid IN (SELECT rowid FROM view_row WHERE view = ? LIMIT ?)

-- name: view_terms_sweep
DELETE FROM view_term WHERE view = ? AND (name, value, ordinal, key) IN (
    SELECT name, value, ordinal, key FROM view_term WHERE view = ? LIMIT ?
)
