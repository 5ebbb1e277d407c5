SELECT g.topic, g.partition, g.owner
FROM {schema}.progress AS g
JOIN {schema}.topics AS t ON t.name = g.topic
JOIN {schema}.partitions AS p ON p.topic_id = t.topic_id AND p.partition = g.partition
WHERE g.group_name = $1
ORDER BY g.topic, g.partition
