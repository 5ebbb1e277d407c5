UPDATE {schema}.progress AS g SET next = greatest(coalesce(g.next, 0), done.next)
FROM unnest($3::text[], $4::int[], $5::bigint[], $6::bigint[], $7::bigint[])
    AS done (topic, partition, topic_id, generation, next)
JOIN {schema}.topics AS t ON t.name = done.topic AND t.topic_id = done.topic_id
WHERE g.group_name = $1 AND g.owner = $2 AND g.topic = done.topic
    AND g.partition = done.partition AND g.topic_id = done.topic_id AND g.generation = done.generation
RETURNING g.topic, g.partition
