SELECT g.topic, g.partition, g.epoch, g.topic_id, coalesce(g.next, p.first, 0)
FROM {schema}.progress AS g
LEFT JOIN {schema}.partitions AS p ON p.topic_id = g.topic_id AND p.partition = g.partition
WHERE g.group_name = $1 AND g.owner = $2
ORDER BY g.topic, g.partition
