WITH RECURSIVE search AS (
    SELECT p.topic_id, p.partition, p.first AS low, p.next AS high
    FROM {schema}.topics AS t JOIN {schema}.partitions AS p USING (topic_id)
    WHERE t.name = $1
    UNION ALL
    SELECT s.topic_id, s.partition,
        CASE WHEN r.older THEN s.middle + 1 ELSE s.low END,
        CASE WHEN r.older THEN s.high ELSE s.middle END
    FROM (SELECT *, (low + high) / 2 AS middle FROM search WHERE low < high) AS s
    CROSS JOIN LATERAL (
        SELECT coalesce(max((extract(epoch FROM r.published_at) * 1000000)::bigint) < $2, true)
            AS older
        FROM {schema}.records AS r
        WHERE r.topic_id = s.topic_id AND r.partition = s.partition AND r."offset" = s.middle
    ) AS r
)
SELECT partition, low FROM search WHERE low = high ORDER BY partition
