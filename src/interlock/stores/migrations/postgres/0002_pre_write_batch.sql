-- One batch of appends in one call, so that a commit costs one round trip and waits for no client.
--
-- It writes all or nothing. What the writer took for granted is checked under locks; where it is not so any more the
-- call fails with ILK01 and the writer looks again. known_no and partition_no are in order, without repetition.
--
-- Locks are taken in one order by everybody: heads by number, new streams by id, position counters by number, and then,
-- in write_rows, activations by stream and artifacts by id. Gives the position of each partition before the batch.

CREATE FUNCTION write_batch(
    known_no bigint[], known_seq bigint[], known_digest bytea[], head_seq bigint[], head_digest bytea[],
    new_no bigint[], new_id text[], new_partition integer[], new_seq bigint[], new_digest bytea[],
    partition_no integer[], partition_events bigint[],
    event_place bigint[], event_partition integer[], event_stream bigint[], event_seq bigint[],
    event_digest bytea[], event_envelope bytea[], event_data bytea[], event_salt bytea[]
) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    bases bigint[] := '{}';
    base bigint;
    written bigint;
    seqs bigint[];
    digests bytea[];
    at integer;
BEGIN
    IF cardinality(known_no) = 1 THEN
        UPDATE stream SET seq = head_seq[1], digest = head_digest[1]
        WHERE no = known_no[1] AND seq = known_seq[1] AND digest = known_digest[1];
        IF NOT FOUND THEN
            RAISE EXCEPTION 'a head has moved' USING ERRCODE = 'ILK01';
        END IF;
    ELSIF cardinality(known_no) > 1 THEN
        SELECT array_agg(s.seq), array_agg(s.digest) INTO seqs, digests
        FROM (
            SELECT l.no, l.seq, l.digest FROM stream AS l WHERE l.no = ANY (known_no) ORDER BY l.no FOR UPDATE
        ) AS s;
        IF seqs IS DISTINCT FROM known_seq OR digests IS DISTINCT FROM known_digest THEN
            RAISE EXCEPTION 'a head has moved' USING ERRCODE = 'ILK01';
        END IF;
        UPDATE stream AS s SET seq = h.seq, digest = h.digest
        FROM unnest(known_no, head_seq, head_digest) AS h (no, seq, digest) WHERE s.no = h.no;
    END IF;
    IF cardinality(new_no) > 0 THEN
        INSERT INTO stream (no, id, partition, seq, digest)
        SELECT n.no, n.id, n.partition, n.seq, n.digest
        FROM unnest(new_no, new_id, new_partition, new_seq, new_digest) AS n (no, id, partition, seq, digest)
        ORDER BY n.id
        ON CONFLICT (id) DO NOTHING;
        GET DIAGNOSTICS written = ROW_COUNT;
        IF written <> cardinality(new_no) THEN
            RAISE EXCEPTION 'a stream has been made' USING ERRCODE = 'ILK01';
        END IF;
    END IF;
    FOR at IN 1 .. cardinality(partition_no) LOOP
        UPDATE partition SET position = position + partition_events[at] WHERE no = partition_no[at]
        RETURNING position - partition_events[at] INTO base;
        IF base IS NULL THEN
            RAISE EXCEPTION 'a partition is gone' USING ERRCODE = 'ILK02';
        END IF;
        bases := bases || base;
    END LOOP;
    INSERT INTO event (place, stream, seq, digest, envelope, data, salt)
    SELECT e.place + bases[e.partition], e.stream, e.seq, e.digest, e.envelope, e.data, e.salt
    FROM unnest(
        event_place, event_partition, event_stream, event_seq, event_digest, event_envelope, event_data, event_salt
    ) AS e (place, partition, stream, seq, digest, envelope, data, salt);
    RETURN bases;
END
$$;
