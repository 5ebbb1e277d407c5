UPDATE {schema}.progress AS g SET next = greatest(coalesce(g.next, 0), done.next)
FROM unnest($3::text[], $4::int[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
    AS done (topic, partition, topic_id, generation, next, micros)
JOIN {schema}.topics AS t ON t.name = done.topic AND t.topic_id = done.topic_id
WHERE g.group_name = $1 AND g.owner = $2 AND g.topic = done.topic
    AND g.partition = done.partition AND g.topic_id = done.topic_id AND g.generation = done.generation
    AND NOT EXISTS (
        SELECT FROM {schema}.records AS r
        WHERE r.topic_id = done.topic_id AND r.partition = done.partition
            AND r."offset" = done.next - 1
            AND (extract(epoch FROM r.published_at) * 1000000)::bigint <> done.micros
    )
RETURNING g.topic, g.partition
