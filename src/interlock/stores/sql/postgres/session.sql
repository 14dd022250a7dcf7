-- What every connection of ours is.

-- Plans are for keys that are there, never for whole tables; a plan made while a table was empty must serve a full one.
-- name: configure
SELECT
    set_config('search_path', quote_ident(%s), false),
    set_config('statement_timeout', %s, false),
    set_config('idle_in_transaction_session_timeout', '10000', false),
    set_config('default_transaction_read_only', %s, false),
    set_config('client_min_messages', 'error', false),
    set_config('enable_seqscan', 'off', false),
    set_config('enable_hashjoin', 'off', false),
    set_config('enable_mergejoin', 'off', false),
    set_config('plan_cache_mode', 'force_generic_plan', false),
    set_config('jit', 'off', false),
    CASE WHEN current_setting('synchronous_commit') IN ('on', 'remote_apply') THEN 'kept'
    ELSE set_config('synchronous_commit', 'on', false) END

-- name: server
SELECT
    current_setting('fsync'), current_setting('full_page_writes'), current_setting('server_version_num')::integer,
    pg_encoding_to_char(encoding), pg_is_in_recovery()
FROM pg_database WHERE datname = current_database()

-- name: fence
SELECT pg_advisory_lock(%s::bigint)

-- An earlier connection of this writer that the server has not given up yet.
-- name: end_earlier
SELECT count(pg_terminate_backend(pid)) FROM pg_locks
WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid()
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND classid = ((%s::bigint >> 32) & 4294967295)::oid AND objid = (%s::bigint & 4294967295)::oid AND objsubid = 1
