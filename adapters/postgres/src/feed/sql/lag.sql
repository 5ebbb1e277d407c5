SELECT t.name, p.partition, p.next - at.next, (
    SELECT extract(epoch FROM clock_timestamp() - r.published_at)::float8
    FROM {schema}.records AS r
    WHERE r.topic_id = p.topic_id AND r.partition = p.partition AND r."offset" >= at.next
    ORDER BY r."offset" LIMIT 1
)
FROM {schema}.topics AS t
JOIN {schema}.partitions AS p USING (topic_id)
LEFT JOIN {schema}.progress AS g ON g.group_name = $1 AND g.topic = t.name
    AND g.partition = p.partition AND g.topic_id = t.topic_id AND g.next <= p.next
CROSS JOIN LATERAL (SELECT greatest(g.next, p.first) AS next) AS at
WHERE t.name = ANY($2::text[])
ORDER BY t.name, p.partition
