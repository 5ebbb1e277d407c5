WITH cut AS (
    UPDATE {schema}.partitions AS p SET first = greatest(first, least(next, $3))
    FROM {schema}.topics AS t
    WHERE t.name = $1 AND p.topic_id = t.topic_id AND p.partition = $2
    RETURNING p.topic_id, p.first
)
DELETE FROM {schema}.records AS r USING cut
WHERE r.topic_id = cut.topic_id AND r.partition = $2 AND r."offset" < cut.first
