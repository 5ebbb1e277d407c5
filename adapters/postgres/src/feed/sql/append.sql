WITH message AS (
    SELECT * FROM unnest($2::int[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bigint[])
        WITH ORDINALITY AS m (partition, key, value, headers, bytes, place)
), locked AS MATERIALIZED (
    SELECT partition, next FROM {schema}.partitions
    WHERE topic_id = $1 AND partition = ANY($2::int[])
    ORDER BY partition
    FOR UPDATE
), placed AS MATERIALIZED (
    SELECT m.*,
        l.next + row_number() OVER (PARTITION BY m.partition ORDER BY m.place) - 1 AS "offset"
    FROM message AS m JOIN locked AS l USING (partition)
), moved AS (
    UPDATE {schema}.partitions AS p SET next = c.next
    FROM (SELECT partition, max("offset") + 1 AS next FROM placed GROUP BY partition) AS c
    WHERE p.topic_id = $1 AND p.partition = c.partition
), appended AS (
    INSERT INTO {schema}.records (
        topic_id, partition, "offset", published_at, key, value, headers, bytes
    )
    SELECT $1, partition, "offset", clock_timestamp(), key, value, headers, bytes FROM placed
)
SELECT place - 1, partition, "offset" FROM placed
