-- The rows that come with the appends of a batch: activations, index, timers, artifacts. Called around write_batch, whose
-- locks come first (its file says the order): the position counters are locked already, and nobody else appends to these
-- partitions before the commit.
--
-- An activation is changed only if it is as it was read: check 0 stands for any, 1 for none, 2 for the given version.
-- A fresh key of the index that is taken fails the call with ILK01, as does an artifact of another size.

CREATE FUNCTION write_rows(
    bases bigint[],
    activation_stream text[], activation_check integer[], activation_before bigint[], activation_gone boolean[],
    activation_partition text[], activation_kind text[], activation_due bigint[], activation_epoch bigint[],
    activation_owner text[], activation_expires bigint[],
    fresh_partition integer[], fresh_name text[], fresh_key bytea[],
    index_partition integer[], index_name text[], index_key bytea[], index_value bytea[],
    drop_partition integer[], drop_name text[], drop_key bytea[],
    timer_partition integer[], timer_id bytea[], timer_stream text[], timer_due bigint[], timer_payload bytea[],
    clear_partition integer[], clear_id bytea[],
    artifact_id bytea[], artifact_kind text[], artifact_bytes bigint[], artifact_content bytea[]
) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    written bigint;
    activation_none text[];
BEGIN
    IF cardinality(activation_stream) > 0 THEN
        PERFORM a.stream FROM activation AS a WHERE a.stream = ANY (activation_stream) ORDER BY a.stream FOR UPDATE;
        PERFORM 1
        FROM unnest(activation_stream, activation_check, activation_before) AS c (stream, "check", version)
        LEFT JOIN activation AS a ON a.stream = c.stream
        WHERE (c."check" = 1 AND a.stream IS NOT NULL) OR (c."check" = 2 AND a.version IS DISTINCT FROM c.version);
        IF FOUND THEN
            RAISE EXCEPTION 'an activation has changed' USING ERRCODE = 'ILK01';
        END IF;
        SELECT coalesce(array_agg(c.stream), '{}') INTO activation_none
        FROM unnest(activation_stream, activation_check) AS c (stream, "check") WHERE c."check" = 1;
        DELETE FROM activation AS a USING unnest(activation_stream, activation_gone) AS g (stream, gone)
        WHERE a.stream = g.stream AND g.gone;
        INSERT INTO activation AS a (stream, partition, kind, due_ms, epoch, owner, expires_ms)
        SELECT n.stream, n.partition, n.kind, n.due_ms, n.epoch, n.owner, n.expires_ms
        FROM unnest(
            activation_stream, activation_gone, activation_partition, activation_kind, activation_due,
            activation_epoch, activation_owner, activation_expires
        ) AS n (stream, gone, partition, kind, due_ms, epoch, owner, expires_ms)
        WHERE NOT n.gone ORDER BY n.stream
        ON CONFLICT (stream) DO UPDATE SET partition = excluded.partition, kind = excluded.kind,
            due_ms = excluded.due_ms, epoch = excluded.epoch, owner = excluded.owner,
            expires_ms = excluded.expires_ms, version = nextval('activation_version')
        WHERE a.stream <> ALL (activation_none);
        GET DIAGNOSTICS written = ROW_COUNT;
        IF written <> (SELECT count(*) FROM unnest(activation_gone) AS g (gone) WHERE NOT g.gone) THEN
            RAISE EXCEPTION 'an activation was made meanwhile' USING ERRCODE = 'ILK01';
        END IF;
    END IF;
    IF cardinality(fresh_key) > 0 THEN
        PERFORM 1 FROM index_row AS i
        JOIN unnest(fresh_partition, fresh_name, fresh_key) AS f (partition, name, key) USING (partition, name, key);
        IF FOUND THEN
            RAISE EXCEPTION 'a key is taken' USING ERRCODE = 'ILK01';
        END IF;
    END IF;
    IF cardinality(index_key) > 0 THEN
        INSERT INTO index_row (partition, name, key, value)
        SELECT n.partition, n.name, n.key, n.value
        FROM unnest(index_partition, index_name, index_key, index_value) AS n (partition, name, key, value)
        ON CONFLICT (partition, name, key) DO UPDATE SET value = excluded.value;
    END IF;
    IF cardinality(drop_key) > 0 THEN
        DELETE FROM index_row AS i USING unnest(drop_partition, drop_name, drop_key) AS d (partition, name, key)
        WHERE i.partition = d.partition AND i.name = d.name AND i.key = d.key;
    END IF;
    IF cardinality(timer_id) > 0 THEN
        INSERT INTO timer (partition, id, stream, due_ms, payload)
        SELECT n.partition, n.id, n.stream, n.due_ms, n.payload
        FROM unnest(timer_partition, timer_id, timer_stream, timer_due, timer_payload)
            AS n (partition, id, stream, due_ms, payload)
        ON CONFLICT (partition, id) DO UPDATE
        SET stream = excluded.stream, due_ms = excluded.due_ms, payload = excluded.payload;
    END IF;
    IF cardinality(clear_id) > 0 THEN
        DELETE FROM timer AS t USING unnest(clear_partition, clear_id) AS c (partition, id)
        WHERE t.partition = c.partition AND t.id = c.id;
    END IF;
    IF cardinality(artifact_id) > 0 THEN
        INSERT INTO artifact (id, kind, bytes, content)
        SELECT n.id, n.kind, n.bytes, n.content
        FROM unnest(artifact_id, artifact_kind, artifact_bytes, artifact_content) AS n (id, kind, bytes, content)
        ORDER BY n.id
        ON CONFLICT (id) DO NOTHING;
        PERFORM 1 FROM artifact AS a
        JOIN unnest(artifact_id, artifact_bytes) AS n (id, bytes) USING (id) WHERE a.bytes <> n.bytes;
        IF FOUND THEN
            RAISE EXCEPTION 'an artifact has another size' USING ERRCODE = 'ILK01';
        END IF;
    END IF;
    RETURN bases;
END
$$;
