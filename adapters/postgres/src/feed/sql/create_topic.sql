WITH created AS (
    INSERT INTO {schema}.topics (name) VALUES ($1)
    ON CONFLICT (name) DO NOTHING
    RETURNING topic_id
)
INSERT INTO {schema}.partitions (topic_id, partition)
SELECT topic_id, partition FROM created, generate_series(0, $2::int - 1) AS partition
