SELECT t.name, p.partition, g.owner, coalesce(g.generation, 0),
    CASE WHEN g.next IS NULL THEN t.topic_id ELSE g.topic_id END, p.first, g.next
FROM {schema}.topics AS t
JOIN {schema}.partitions AS p USING (topic_id)
LEFT JOIN {schema}.progress AS g
    ON g.group_name = $1 AND g.topic = t.name AND g.partition = p.partition
WHERE t.name = ANY($2::text[])
