WITH cursor AS (
    SELECT * FROM unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[])
        WITH ORDINALITY AS c (topic, partition, topic_id, next, place)
), found AS (
    SELECT c.place, r.*
    FROM cursor AS c CROSS JOIN LATERAL (
        SELECT "offset", published_at, key, value, headers, bytes
        FROM {schema}.records AS r
        WHERE r.topic_id = c.topic_id AND r.partition = c.partition AND r."offset" >= c.next
        ORDER BY r."offset"
        LIMIT $6
    ) AS r
    ORDER BY c.place, r."offset"
    LIMIT $6
), counted AS (
    SELECT *, row_number() OVER read AS number, sum(bytes) OVER read AS total
    FROM found
    WINDOW read AS (ORDER BY place, "offset")
)
SELECT g.version, c.place - 1, t.topic_id, p.first, p.next,
    f."offset", (extract(epoch FROM f.published_at) * 1000000)::bigint, f.key, f.value, f.headers
FROM {schema}.groups AS g
LEFT JOIN (
    cursor AS c
    LEFT JOIN {schema}.topics AS t ON t.name = c.topic
    LEFT JOIN {schema}.partitions AS p
        ON p.topic_id = t.topic_id AND p.partition = c.partition
) ON true
LEFT JOIN counted AS f ON f.place = c.place AND (f.number = 1 OR f.total <= $7)
WHERE g.name = $1
ORDER BY c.place, f."offset"
