UPDATE {schema}.progress AS g
SET owner = $2, epoch = g.epoch + 1,
    topic_id = CASE WHEN g.next IS NULL THEN t.topic_id ELSE g.topic_id END,
    next = CASE WHEN g.next IS NULL AND $5 THEN p.next ELSE g.next END
FROM unnest($3::text[], $4::int[]) AS taken (topic, partition)
JOIN {schema}.topics AS t ON t.name = taken.topic
JOIN {schema}.partitions AS p ON p.topic_id = t.topic_id AND p.partition = taken.partition
WHERE g.group_name = $1 AND g.owner IS NULL
    AND g.topic = taken.topic AND g.partition = taken.partition
