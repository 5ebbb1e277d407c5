UPDATE {schema}.partitions AS p SET first = greatest(p.first, least(p.next, $3))
FROM {schema}.topics AS t
WHERE t.name = $1 AND p.topic_id = t.topic_id AND p.partition = $2
