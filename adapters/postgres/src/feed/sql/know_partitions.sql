INSERT INTO {schema}.progress (group_name, topic, partition, topic_id)
SELECT $1, t.name, p.partition, t.topic_id
FROM {schema}.topics AS t JOIN {schema}.partitions AS p USING (topic_id)
WHERE t.name IN (SELECT unnest(topics) FROM {schema}.members WHERE group_name = $1)
ON CONFLICT (group_name, topic, partition) DO NOTHING
