-- The store itself.

-- name: lock_schema
SELECT pg_advisory_xact_lock(hashtextextended('interlock/' || %s, 0))

-- name: schema_exists
SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = %s)

-- name: object_count
SELECT count(*) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = %s

-- name: is_store
SELECT count(*) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname IN ('migration', 'meta') AND c.relkind = 'r'

-- Of each object the grants that the role lacks; the database and the schema only matter to who makes them.
-- name: access
SELECT 'database', current_database()::text,
    array(SELECT g FROM unnest('{CREATE}'::text[]) AS g WHERE NOT has_database_privilege(current_database(), g))
UNION ALL
SELECT 'schema', n.nspname::text,
    array(SELECT g FROM unnest('{USAGE,CREATE}'::text[]) AS g WHERE NOT has_schema_privilege(n.oid, g))
FROM pg_namespace AS n WHERE n.nspname = %(schema)s
UNION ALL
SELECT 'table', c.relname::text, array(
    SELECT g FROM unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) AS g WHERE NOT has_table_privilege(c.oid, g)
)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = %(schema)s AND c.relkind = 'r'
UNION ALL
SELECT 'sequence', c.relname::text,
    array(SELECT g FROM unnest('{USAGE}'::text[]) AS g WHERE NOT has_sequence_privilege(c.oid, g))
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = %(schema)s AND c.relkind = 'S'
UNION ALL
SELECT 'function', p.proname::text,
    array(SELECT g FROM unnest('{EXECUTE}'::text[]) AS g WHERE NOT has_function_privilege(p.oid, g))
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace WHERE n.nspname = %(schema)s

-- name: migration_table
CREATE TABLE migration (
    number integer PRIMARY KEY,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_ms bigint NOT NULL
)

-- name: migrations
SELECT number, name, sha256 FROM migration ORDER BY number

-- name: migration_put
INSERT INTO migration (number, name, sha256, applied_ms) VALUES (%s, %s, %s, %s)

-- name: meta_get
SELECT value FROM meta WHERE name = %s

-- name: meta_put
INSERT INTO meta (name, value) VALUES (%s, %s)

-- name: meta_drop
DELETE FROM meta WHERE name = %s

-- What is said of an object is made of its parts, so that it is the same on every version of the server.
-- name: objects
SELECT 'column ' || c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
    || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END || ' ' || a.attidentity::text || a.attgenerated::text || ' '
    || coalesce((SELECT collname FROM pg_collation WHERE oid = a.attcollation), '')
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
WHERE c.relnamespace = %(schema)s::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'index ' || c.relname || ' on ' || t.relname || CASE WHEN i.indisunique THEN ' unique ' ELSE ' ' END
    || (SELECT string_agg(coalesce(a.attname, '?'), ',' ORDER BY k.at)
        FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (no, at)
        LEFT JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = k.no)
    || CASE WHEN i.indpred IS NULL THEN '' ELSE ' partial' END || CASE WHEN i.indisvalid THEN '' ELSE ' invalid' END
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_class AS t ON t.oid = i.indrelid
WHERE c.relnamespace = %(schema)s::regnamespace
UNION ALL
SELECT 'function ' || p.proname::text || ' ' || md5(p.prosrc || p.proargtypes::text)
FROM pg_proc AS p WHERE p.pronamespace = %(schema)s::regnamespace
UNION ALL
SELECT 'sequence ' || c.relname FROM pg_class AS c
WHERE c.relnamespace = %(schema)s::regnamespace AND c.relkind = 'S'
UNION ALL
SELECT 'view ' || c.relname FROM pg_class AS c
WHERE c.relnamespace = %(schema)s::regnamespace AND c.relkind IN ('v', 'm', 'f')
UNION ALL
SELECT 'trigger ' || t.tgname || ' on ' || c.relname FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
WHERE c.relnamespace = %(schema)s::regnamespace AND NOT t.tgisinternal
UNION ALL
SELECT 'rule ' || r.rulename || ' on ' || c.relname FROM pg_rewrite AS r JOIN pg_class AS c ON c.oid = r.ev_class
WHERE c.relnamespace = %(schema)s::regnamespace AND c.relkind IN ('r', 'p')
UNION ALL
SELECT 'policy ' || y.polname || ' on ' || c.relname FROM pg_policy AS y JOIN pg_class AS c ON c.oid = y.polrelid
WHERE c.relnamespace = %(schema)s::regnamespace
