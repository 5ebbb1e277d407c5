WITH heard AS (
    INSERT INTO {schema}.members (group_name, member, topics, heard_at)
    SELECT $1, $2::bigint, $3::text[], timestamptz 'epoch' + $4::bigint * interval '1 microsecond'
    WHERE $2 IS NOT NULL
    ON CONFLICT (group_name, member) DO UPDATE
    SET topics = excluded.topics, heard_at = excluded.heard_at
), gone AS (
    DELETE FROM {schema}.members WHERE group_name = $1 AND member = ANY($5::bigint[])
), raised AS (
    UPDATE {schema}.groups SET version = $6 WHERE name = $1 AND version <> $6
), written AS (
    INSERT INTO {schema}.progress AS g
        (group_name, topic, partition, topic_id, next, owner, generation)
    SELECT $1, t.name, p.partition, t.topic_id,
        CASE WHEN $11 AND given.owner IS NOT NULL THEN p.next END, given.owner, given.generation
    FROM unnest($7::text[], $8::int[], $9::bigint[], $10::bigint[])
        AS given (topic, partition, owner, generation)
    JOIN {schema}.topics AS t ON t.name = given.topic
    JOIN {schema}.partitions AS p ON p.topic_id = t.topic_id AND p.partition = given.partition
    ON CONFLICT (group_name, topic, partition) DO UPDATE
    SET owner = excluded.owner, generation = excluded.generation,
        topic_id = CASE WHEN g.next IS NULL THEN excluded.topic_id ELSE g.topic_id END,
        next = coalesce(g.next, excluded.next)
    RETURNING g.topic, g.partition, g.topic_id, g.next
)
SELECT topic, partition, topic_id, next FROM written WHERE next IS NOT NULL
