INSERT INTO {schema}.progress AS g (group_name, topic, partition, topic_id, next)
SELECT $1, t.name, begin.partition, t.topic_id, begin.next
FROM unnest($3::int[], $4::bigint[]) AS begin (partition, next)
JOIN {schema}.topics AS t ON t.name = $2
ON CONFLICT (group_name, topic, partition) DO UPDATE
SET topic_id = excluded.topic_id, next = excluded.next
