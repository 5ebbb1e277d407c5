WITH gone AS (
    SELECT r.topic_id, r.partition, r."offset"
    FROM {schema}.topics AS t
    JOIN {schema}.partitions AS p USING (topic_id)
    JOIN {schema}.records AS r ON r.topic_id = p.topic_id AND r.partition = p.partition
    WHERE t.name = $1 AND p.partition = $2 AND r."offset" >= $3 AND r."offset" < p.first
    ORDER BY r."offset"
    LIMIT $4
), deleted AS (
    DELETE FROM {schema}.records AS r USING gone
    WHERE r.topic_id = gone.topic_id AND r.partition = gone.partition
        AND r."offset" = gone."offset"
)
SELECT max("offset") + 1 FROM gone
