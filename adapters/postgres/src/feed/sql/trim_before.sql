WITH young AS (
    SELECT p.topic_id, p.partition, coalesce((
        SELECT r."offset" FROM {schema}.records AS r
        WHERE r.topic_id = p.topic_id AND r.partition = p.partition
            AND r.published_at >= clock_timestamp() - make_interval(secs => $2)
        ORDER BY r."offset" LIMIT 1
    ), p.next) AS first
    FROM {schema}.partitions AS p JOIN {schema}.topics AS t USING (topic_id)
    WHERE t.name = $1
), cut AS (
    UPDATE {schema}.partitions AS p SET first = greatest(p.first, young.first)
    FROM young
    WHERE p.topic_id = young.topic_id AND p.partition = young.partition AND p.first < young.first
    RETURNING p.topic_id, p.partition, p.first
)
DELETE FROM {schema}.records AS r USING cut
WHERE r.topic_id = cut.topic_id AND r.partition = cut.partition AND r."offset" < cut.first
