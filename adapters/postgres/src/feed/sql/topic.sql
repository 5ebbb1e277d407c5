SELECT t.topic_id, count(*)
FROM {schema}.topics AS t JOIN {schema}.partitions AS p USING (topic_id)
WHERE t.name = $1
GROUP BY t.topic_id
